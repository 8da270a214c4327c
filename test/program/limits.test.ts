/** Modules beyond a limit, with reason, function and offset. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { admit, admitEntryProgram } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { build, section } from "./build.ts";
import { Machine } from "./harness.ts";
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
            for (let i = 0; i < 4001; i++) c.open(op.BLOCK);
            for (let i = 0; i < 4001; i++) c.end();
          },
        },
      ],
    }),
    "nesting-depth",
    0,
    [2, 0x40],
  ],
  [
    "loops nested too deep",
    build({
      functions: [
        {
          code: (c) => {
            for (let i = 0; i < 1001; i++) c.open(op.LOOP);
            for (let i = 0; i < 1001; i++) c.end();
          },
        },
      ],
    }),
    "nesting-depth",
    0,
    [3, 0x40],
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

test("a function whose calls may suspend in too many ways is rejected; in fewer it is admitted", () => {
  const suspending = (points: number, locals: number, loops: number) =>
    build({
      imports: [["stillpoint", "ret", [I64], [I64]]],
      functions: [
        {
          parameters: [I64],
          results: [I64],
          locals: new Array(locals).fill(I64),
          code: (code) => {
            for (let depth = 0; depth < loops; depth++) code.open(op.LOOP);
            for (let point = 0; point < points; point++) {
              code.get(0);
              code.index(op.CALL, 0);
              code.set(0);
            }
            for (let depth = 0; depth < loops; depth++) code.end();
            code.get(0);
          },
        },
      ],
    });
  const rejected = { reason: "not-suspendable", functionIndex: 1 };
  assert.throws(() => admit(suspending(50_001, 0, 0)), rejected);
  assert.throws(() => admit(suspending(2000, 4000, 0)), rejected);
  assert.throws(() => admit(suspending(1, 0, 33)), rejected);
  admit(suspending(50_000, 0, 0));
  admit(suspending(1990, 4000, 0));
  admit(suspending(1, 0, 32));
});

test("a switch of eleven hundred cases is admitted, and so is one that suspends", () => {
  const cases = 1100;
  const bytes = build({
    imports: [["stillpoint", "ret", [I64], [I64]]],
    functions: [
      {
        parameters: [I64],
        results: [I64],
        export: "main",
        code: (code) => {
          for (let depth = 0; depth <= cases; depth++) code.open(op.BLOCK);
          code.get(0);
          code.op(op.I32_WRAP_I64);
          code.index(op.BR_TABLE, cases);
          for (let label = 0; label <= cases; label++) code.u32(label);
          for (let number = 0; number <= cases; number++) {
            code.end();
            code.i64(BigInt(number * number));
            code.index(op.CALL, 0);
            code.op(op.RETURN);
          }
          code.op(op.UNREACHABLE);
        },
      },
    ],
  });
  const machine = new Machine(admit(bytes));
  for (const number of [0, 1, 700, cases]) {
    assert.equal(machine.run("main", BigInt(number)).result, BigInt(number * number));
    const image = machine.image();
    assert.equal(new Machine(machine.program, undefined, image).resume(image, 7n).result, 7n);
  }
});
