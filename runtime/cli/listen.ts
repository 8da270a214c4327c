/** Listening where the command line says, and what to say if that cannot be. */

import { UsageError } from "../errors.ts";

/**
 * Opens something that listens on a port.
 *
 * @throws UsageError BAD_OPTION: the port is in use, or not for this user
 */
export async function listening<T>(port: number, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EADDRINUSE" && code !== "EACCES") throw error;
    const text = `port ${port} cannot be listened on (${code}): choose another with --port, or 0 for any`;
    throw new UsageError("BAD_OPTION", text, { port });
  }
}
