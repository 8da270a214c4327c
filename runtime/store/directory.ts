/** What a file's name needs to survive a power cut: the directory in which it was made is written as well. */

import { closeSync, fsyncSync, openSync } from "node:fs";

/** Makes the names in a directory durable, as far as the system lets a directory be synced. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } catch (error) {
    // Some file systems do not take it, and need none.
    if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
  } finally {
    closeSync(directory);
  }
}
