/** Directories for stores, gone after the test. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Hands the name of a directory that is not there yet to `use`, and removes it afterwards. */
export async function withDirectory<T>(use: (path: string) => Promise<T>): Promise<T> {
  const parent = await mkdtemp(join(tmpdir(), "stillpoint-"));
  try {
    return await use(join(parent, "store"));
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

/**
 * A store that has the state of every block as soon as it is acknowledged: for what is looked at from outside
 * of the runtime, and for what continues in a transaction.
 */
export function everyState(path: string): { readonly path: string; readonly durability: "block" } {
  return { path, durability: "block" };
}
