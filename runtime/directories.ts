/**
 * Directories are made here, one below the other. `mkdir` of Node with `recursive: true` does not return on a
 * file system that takes none, as /proc: it keeps a processor busy for ever.
 */

import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a directory, and those that it lies in; whether it, at least, was not there.
 *
 * @throws the error of the file system: EEXIST if it is a file, ENOTDIR if one of the others is
 */
export function makeDirectories(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if (isDirectory(path)) return false;
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" || isDirectory(dirname(path))) throw error;
  }
  makeDirectories(dirname(path));
  return makeDirectories(path);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
