/** What a file's name needs to survive a power cut: the directory in which it was made is written as well. */

import { closeSync, fsyncSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";

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

/** The same of a directory and those above it, any of which may have been made for it. */
export function syncPath(path: string): void {
  let directory = resolve(path);
  syncDirectory(directory);
  for (; dirname(directory) !== directory; directory = dirname(directory)) {
    try {
      syncDirectory(dirname(directory));
    } catch {
      // A process that may not read it has not made anything there.
      return;
    }
  }
}
