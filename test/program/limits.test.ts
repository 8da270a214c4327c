/** Modules beyond a limit, with reason, function and offset. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { admit, admitEntryProgram } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { build, type Spec, section } from "./build.ts";
import { raw, sections, testRejections } from "./rejected.ts";

const { I32, I64, F64, FUNCREF } = op;

/** Functions with large frames that call one another in a row. */
function deepChain(): Uint8Array {
  const count = 60;
  return build({
    functions: Array.from({ length: count }, (_, index) => ({
      parameters: [I64],
      results: [I64],
      locals: new Array(4000).fill(I64),
      ...(index === 0 ? { export: "main" } : {}),
      code: (code: Code) => {
        code.get(0);
        if (index + 1 < count) code.index(op.CALL, index + 1);
      },
    })),
  });
}

testRejections([
  [
    "too many locals",
    build({ functions: [{ locals: new Array(5001).fill(I64), code: () => {} }] }),
    "local-count",
    0,
    [0x89, 0x27],
  ],
  [
    "blocks nested too deep",
    build({
      functions: [
        {
          code: (c) => {
            for (let i = 0; i < 1001; i++) c.open(op.BLOCK);
            for (let i = 0; i < 1001; i++) c.end();
          },
        },
      ],
    }),
    "nesting-depth",
    0,
    [2, 0x40],
  ],
  [
    "too many operands",
    build({
      functions: [
        {
          code: (c) => {
            for (let i = 0; i < 5001; i++) c.i32(0);
            for (let i = 0; i < 5001; i++) c.op(op.DROP);
          },
        },
      ],
    }),
    "operand-height",
    0,
    [0x41, 0, 0x1a],
  ],
  [
    "too large a branch table",
    build({
      functions: [
        {
          code: (c) => {
            c.i32(0);
            c.op(op.BR_TABLE);
            c.u32(50_001);
            for (let i = 0; i < 50_002; i++) c.u32(0);
          },
        },
      ],
    }),
    "branch-table-size",
    0,
    [0xd1, 0x86, 3],
  ],
  [
    "too large a function",
    build({ functions: [{ code: (c) => c.bytes(new Uint8Array(1 << 20).fill(op.NOP)) }] }),
    "function-size",
    0,
    [],
  ],
  [
    "too many parameters",
    build({ types: [[new Array(101).fill(F64), []]] }),
    "parameter-count",
    null,
    [0x65],
  ],
  ["too many results", build({ types: [[[], new Array(101).fill(F64)]] }), "result-count", null, [0x65]],
  [
    "too many types",
    sections(
      section(1, (o) => {
        o.u32(10_001);
        for (let i = 0; i < 10_001; i++) raw(0x60, 0, 0)(o);
      }),
    ),
    "type-count",
    null,
    [0x91, 0x4e],
  ],
  [
    "too many globals",
    build({ globals: new Array(2001).fill({ type: I32, initial: raw(0x41, 0) }) }),
    "global-count",
    null,
    [0xd1, 0x0f],
  ],
  [
    "too many tables",
    build({ tables: new Array(101).fill({ element: FUNCREF, minimum: 0 }) }),
    "table-count",
    null,
    [101],
  ],
  [
    "too many exports",
    build({ exports: Array.from({ length: 10_001 }, (_, i) => [`${i}`, 2, 0] as const) }),
    "export-count",
    null,
    [0x91, 0x4e],
  ],
  [
    "too many segments",
    build({ data: new Array(10_001).fill({ offset: null, bytes: new Uint8Array() }) }),
    "segment-count",
    null,
    [0x91, 0x4e],
  ],
  [
    "too many imports",
    build({ imports: new Array(101).fill(["stillpoint", "get", [I32, I32], [I32]]) }),
    "import-count",
    null,
    [10],
  ],
  ["a chain of calls that is too deep", deepChain(), "call-depth", 0, []],
  ["a program that is too large", new Uint8Array((16 << 20) + 1), "program-size", null, []],
]);

test("a function whose instrumented form would not fit the engine is rejected, not a host error", () => {
  const loops = (code: Code) => {
    for (let count = 0; count < 340_000; count++) {
      code.open(op.LOOP);
      code.end();
    }
  };
  assert.throws(() => admitEntryProgram(build({ functions: [{ code: () => {} }, { code: loops }] })), {
    reason: "function-size",
    functionIndex: 1,
  });
});

test("expressions too deep for binaryen are rejected in programs that stand still only", async () => {
  const deep = (imports: Spec["imports"]) =>
    build({
      imports: imports ?? [],
      functions: [
        {
          parameters: [I64],
          results: [I64],
          code: (code) => {
            code.get(0);
            for (let count = 0; count < 2000; count++) {
              code.get(0);
              code.op(op.I64_ADD);
            }
          },
        },
      ],
    });
  await assert.rejects(admit(deep([["stillpoint", "ret", [I64], [I64]]])), {
    reason: "expression-depth",
    functionIndex: 1,
  });
  await admit(deep([]));
});
