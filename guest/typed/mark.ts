/**
 * Which line of the author's own runs. The compiler of guests writes a mark before each statement that calls
 * something; what aborts then without a place of the author's, in the SDK or in the standard library, names
 * that line, in the form that a failure with a number has: guest/fail.ts.
 */

import { FAILURE_ABORT, FAILURE_FLAG } from "../fail";
import { abort as leave } from "./env";

const FILE_BITS: u32 = 12;
const LIBRARY: u32 = 0x7e; // "~", with which the paths of libraries begin

/** line << FILE_BITS | file; 0: nothing of the author's ran yet. */
let place: u32 = 0;

/** This line of that file runs. */
export function mark(line: u32, file: u32): void {
  place = (line << FILE_BITS) | file;
}

/** What `abort` is in a program of contracts. */
export function aborted(message: string | null, file: string | null, line: u32, column: u32): void {
  const isPlaced = column >= FAILURE_FLAG && line != 0;
  if (place == 0 || isPlaced) {
    leave(message, file, line, column);
    unreachable();
  }
  const isLibrary = file === null || load<u16>(changetype<usize>(file)) == LIBRARY;
  const number = column >= FAILURE_FLAG ? column : FAILURE_ABORT;
  const ownLine = isLibrary ? place >> FILE_BITS : line;
  const index = place & ((1 << FILE_BITS) - 1);
  leave(message, isLibrary ? null : file, ownLine, number | (index << 16));
  unreachable();
}
