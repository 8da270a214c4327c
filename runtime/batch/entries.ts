/**
 * Where the experience with entries lies: a table in shared memory, of one record for each entry.
 *
 *   record = f64 name · what is known of the entry (experience.ts)
 *
 * The name is a part of the program's hash and the entry's number, and says where the record is. Where two
 * entries want the same record, the one that comes makes it its own, and the other is unknown again.
 */

import type { LoadedProgram } from "../kernel/program.ts";
import { EXPERIENCE_WORDS } from "./experience.ts";

const RECORDS = 1024;
const RECORD_WORDS = 1 + EXPERIENCE_WORDS;
/** Digits of a program's hash that a name has: 44 bits, which a number keeps exactly with an entry behind. */
const HASH_DIGITS = 11;
/** Names of one program are this many apart at most. */
const ENTRIES_LIMIT = 256;

export function createEntries(): SharedArrayBuffer {
  return new SharedArrayBuffer(RECORDS * RECORD_WORDS * 8);
}

/** What is known of an entry, zeros if that is nothing: the words that all threads share. */
export function wordsOf(table: SharedArrayBuffer, { handle }: LoadedProgram, entry: number): Float64Array {
  const program = Number.parseInt(handle.hashHex.slice(0, HASH_DIGITS), 16);
  const name = program * ENTRIES_LIMIT + (entry % ENTRIES_LIMIT) + 1;
  const record = new Float64Array(table, (name % RECORDS) * RECORD_WORDS * 8, RECORD_WORDS);
  if (record[0] !== name) {
    record.fill(0);
    record[0] = name;
  }
  return record.subarray(1);
}
