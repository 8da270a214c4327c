/**
 * Modules made to be costly to admit: none costs more than in proportion to its bytes. What is asserted is
 * the verdict, the size of what comes out, and that the engine takes it; the times, which must grow with the
 * size, are printed.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { admit, admitEntryProgram } from "../../runtime/program/admit.ts";
import { sized } from "../sizes.ts";
import { FAMILIES, SUSPENDING_FAMILIES } from "./hostile.ts";

/** Shares of the largest size: small enough for every run of the tests. */
const SIZES = sized([0.04, 0.08], [0.05, 0.1, 0.2]);
/** Instrumented bytes for each byte of a module, at most, and for a module of no size. */
const GROWTH = 12;
const BASE_BYTES = 10_000;
/** A hang is to end the test, not the patience of who runs it. */
const timeout = 300_000;

const ALL = [
  ...Object.entries(FAMILIES).map(([name, make]) => ({ name, make, admitted: admitEntryProgram })),
  ...Object.entries(SUSPENDING_FAMILIES).map(([name, make]) => ({ name, make, admitted: admit })),
];
for (const { name, make, admitted } of ALL) {
  test(`admission of ${name} is bounded by their size`, { timeout }, (t) => {
    for (const size of SIZES) {
      const bytes = make(size);
      const before = performance.now();
      const { code } = admitted(bytes);
      const milliseconds = (performance.now() - before).toFixed(0);
      t.diagnostic(`${bytes.length} bytes: ${milliseconds} ms, ${code.length} bytes instrumented`);
      assert.ok(code.length <= GROWTH * bytes.length + BASE_BYTES, `${bytes.length} became ${code.length}`);
      assert.ok(WebAssembly.validate(code as BufferSource));
    }
  });
}
