/** Modules that must be rejected, as a table. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Reason } from "../../runtime/program/admission-error.ts";
import { AdmissionError, admit, admitEntryProgram } from "../../runtime/program/admit.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { HEADER, join } from "./build.ts";

/** What is wrong, the module, the reason, the function, and the bytes that stand at the reported offset. */
export type Case = readonly [string, Uint8Array, Reason, number | null, readonly number[]];

export const raw =
  (...bytes: number[]) =>
  (code: Code) =>
    code.bytes(Uint8Array.from(bytes));

export function sections(...parts: Uint8Array[]): Uint8Array {
  return join(HEADER, ...parts);
}

/** A test for each: both ways of admission must reject it alike. */
export function testRejections(cases: readonly Case[]): void {
  for (const [title, bytes, reason, functionIndex, found] of cases) {
    test(`${title}: ${reason}`, () => {
      const check = (error: unknown) => {
        assert.ok(error instanceof AdmissionError, `${error}`);
        assert.equal(error.reason, reason, error.message);
        assert.equal(error.functionIndex, functionIndex);
        assert.deepEqual(
          [...bytes.subarray(error.offset, error.offset + found.length)],
          [...found],
          error.message,
        );
        assert.equal(error.code, "E_BAD_PROGRAM");
        return true;
      };
      assert.throws(() => admitEntryProgram(bytes), check);
      assert.throws(() => admit(bytes), check);
    });
  }
}
