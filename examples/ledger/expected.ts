/** expected.json: what an independent implementation found for each block, to compare a run with. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Field, readText } from "./field.ts";
import type { LedgerResult } from "./reference.ts";

const COMPARED = ["transactions", "applied", "badNonce", "insufficient", "burned", "stateDigest"] as const;

export type Expected = Pick<LedgerResult, "number" | (typeof COMPARED)[number]>;

/**
 * Reads `expected.json` in `directory`, by block number; empty if there is none.
 *
 * @throws {UsageError} BAD_BLOCK_FILE
 */
export function readExpected(directory: string): Map<number, Expected> {
  const file = join(directory, "expected.json");
  if (!existsSync(file)) return new Map();
  const entries = Field.ofText(readText(file), file).elements();
  return new Map(
    entries.map((entry) => {
      const count = (name: string): number => entry.member(name).integer();
      const expected: Expected = {
        number: count("number"),
        transactions: count("transactions"),
        applied: count("applied"),
        badNonce: count("badNonce"),
        insufficient: count("insufficient"),
        burned: entry.member("burned").amount(),
        stateDigest: entry.member("stateDigest").digest(),
      };
      return [expected.number, expected];
    }),
  );
}

/** One line for each value in which `actual` differs, naming the block and both values. */
export function differences(expected: Expected, actual: LedgerResult): string[] {
  return COMPARED.filter((name) => expected[name] !== actual[name]).map(
    (name) => `block ${expected.number}: ${name} is ${actual[name]}, expected.json says ${expected[name]}`,
  );
}
