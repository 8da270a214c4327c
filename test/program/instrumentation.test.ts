/** Gas, call depth, and everything else that instrumentation adds but marks and NaNs. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { admit, admitEntryProgram } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { ENTRY_GAS, LOOP_GAS, PAGE_TOUCH_GAS } from "../../runtime/program/instrument/gas.ts";
import { AUX_GAS } from "../../runtime/program/layout.ts";
import { FAULT_ABORT, FAULT_OUT_OF_GAS, FAULT_UNREACHABLE } from "../../syscalls/abi.ts";
import { build, entry } from "./build.ts";
import { Machine } from "./harness.ts";
import { gasOf, machineOf, run } from "./run.ts";

const { I32, I64, F32, F64, V128 } = op;
const PUT = ["stillpoint", "put", [I32, I32], [I32]] as const;
const ABORT = ["env", "abort", [I32, I32, I32, I32], []] as const;

// ---- gas --------------------------------------------------------------------------------------------------

test("a function pays for its entry and for every instruction by the table", () => {
  const machine = run((code) => {
    code.get(0);
    code.i64(3n);
    code.op(op.I64_ADD);
  });
  assert.equal(gasOf(machine), ENTRY_GAS + (op.GAS[op.I64_ADD] as number));
});

test("a loop pays for each turn, whatever way leads back", () => {
  const loop = (code: Code) => {
    code.open(op.LOOP);
    code.get(0);
    code.i64(1n);
    code.op(op.I64_SUB);
    code.tee(0);
    code.i64(0n);
    code.op(0x52); // i64.ne
    code.index(op.BR_IF, 0);
    code.end();
    code.get(0);
  };
  const turn = LOOP_GAS + 3; // sub, ne, br_if
  const behind = 1; // a local.get, which is a part of a gas
  for (const turns of [1n, 2n, 1000n]) {
    assert.equal(gasOf(run(loop, [], {}, turns)), ENTRY_GAS + turn * Number(turns) + behind);
  }
});

test("locals that must be zeroed are paid", () => {
  assert.equal(gasOf(run((code) => code.get(0), new Array(400).fill(I32))), ENTRY_GAS + 100);
});

test("bulk instructions pay by length", () => {
  const fill = (length: number) =>
    gasOf(
      run((code) => {
        code.i32(0);
        code.i32(1);
        code.i32(length);
        code.op(op.MEMORY_FILL);
        code.u8(0);
        code.get(0);
      }),
    );
  assert.equal(fill(60000) - fill(0), 60000 / 8 + 15 * PAGE_TOUCH_GAS);
});

test("an endless loop and an endless bulk operation end out of gas", () => {
  const bytes = entry((code) => {
    code.open(op.LOOP);
    code.index(op.BR, 0);
    code.end();
    code.get(0);
  });
  assert.equal(machineOf(bytes).run("main", 0n, 1_000_000n).fault, FAULT_OUT_OF_GAS);
  const fill = entry((code) => {
    code.i32(0);
    code.i32(0);
    code.i32(-1);
    code.op(op.MEMORY_FILL);
    code.u8(0);
    code.get(0);
  });
  assert.equal(machineOf(fill).run("main", 0n, 100_000n).fault, FAULT_OUT_OF_GAS);
});

test("gas has 64 bits and comes back exactly", () => {
  const machine = machineOf(entry((code) => code.get(0)));
  const gas = (1n << 53n) - 1n;
  assert.equal(machine.run("main", 0n, gas).gas, gas - BigInt(ENTRY_GAS));
});

test("the kernel sees the caller's exact gas in a call and may change it, from a loop too", () => {
  const machine = machineOf(
    build({
      imports: [PUT],
      functions: [
        {
          parameters: [I64],
          results: [I64],
          export: "main",
          code: (code) => {
            code.i32(5);
            code.i32(6);
            code.index(op.CALL, 0);
            code.op(op.DROP);
            code.get(0);
          },
        },
      ],
    }),
  );
  let seen = 0n;
  machine.onCall = (_, a, b) => {
    assert.deepEqual([a, b], [5, 6]);
    seen = machine.words.getBigInt64(AUX_GAS, true);
    machine.words.setBigInt64(AUX_GAS, 7n, true);
    return 0;
  };
  const outcome = machine.run("main", 0n, 1000n);
  assert.equal(seen, 1000n - BigInt(ENTRY_GAS + (op.GAS[op.CALL] as number)));
  assert.equal(outcome.gas, 7n);
});

// ---- call depth -------------------------------------------------------------------------------------------

/** Calls itself `argument` times, directly or through the table. */
function recursive(indirect: boolean): Uint8Array {
  return build({
    tables: [{ minimum: 1 }],
    elements: [{ offset: 0, functions: [0] }],
    functions: [
      {
        parameters: [I64],
        results: [I64],
        export: "main",
        code: (code) => {
          code.get(0);
          code.op(0x50);
          code.open(op.IF);
          code.i64(42n);
          code.op(op.RETURN);
          code.end();
          code.get(0);
          code.i64(1n);
          code.op(op.I64_SUB);
          if (indirect) {
            code.i32(0);
            code.index(op.CALL_INDIRECT, 0);
            code.u32(0);
          } else {
            code.index(op.CALL, 0);
          }
        },
      },
    ],
  });
}

for (const indirect of [false, true]) {
  const through = indirect ? "through the table " : "";
  test(`recursion ${through}ends at the call depth, and the counter comes back`, () => {
    const machine = machineOf(recursive(indirect));
    assert.equal(machine.run("main", 1000n).result, 42n);
    for (let again = 0; again < 20; again++) assert.equal(machine.run("main", 1000n).fault, 0);
    // The stack of this thread is below the limit: count the depth that a counter of 2 MiB allows from below.
    assert.equal(machine.run("main", 2000n).fault, 0);
  });
}

test("functions that are on no cycle pay nothing for their depth", () => {
  const program = admitEntryProgram(entry((code) => code.get(0)));
  const recursing = admitEntryProgram(recursive(false));
  assert.ok(recursing.code.length > program.code.length);
});

// ---- globals, grow, start, abort --------------------------------------------------------------------------

test("globals are saved and loaded bit by bit, in index order, constants left out", () => {
  const vector = new Uint8Array(16).map((_, index) => 0xf0 + index);
  const machine = machineOf(
    entry((code) => code.get(0), [], {
      globals: [
        { type: I32, initial: (code) => code.i32(-2) },
        { type: I32, mutable: false, initial: (code) => code.i32(1) },
        { type: I64, initial: (code) => code.i64(-3n) },
        {
          type: V128,
          initial: (code) => {
            code.op(op.V128_CONST);
            code.bytes(vector);
          },
        },
        {
          type: F32,
          initial: (code) => {
            code.op(op.F32_CONST);
            code.bytes(Uint8Array.of(1, 0, 0xa0, 0x7f));
          },
        },
        {
          type: F64,
          initial: (code) => {
            code.op(op.F64_CONST);
            code.bytes(Uint8Array.of(1, 2, 3, 4, 5, 6, 0xf4, 0xff));
          },
        },
      ],
    }),
  );
  const area = Buffer.concat([
    Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0),
    new Uint8Array(BigInt64Array.of(-3n).buffer),
    vector,
    Uint8Array.of(1, 0, 0xa0, 0x7f, 0, 0, 0, 0),
    Uint8Array.of(1, 2, 3, 4, 5, 6, 0xf4, 0xff),
  ]);
  assert.deepEqual(Buffer.from(machine.program.globals), area);
  assert.deepEqual(Buffer.from(machine.globals()), area);
  const other = area.map((byte, index) => (index % 48 >= 4 && index < 8 ? 0 : byte ^ 0x55));
  other.fill(0, 4, 8);
  other.fill(0, 36, 40);
  machine.setGlobals(other);
  assert.deepEqual(Buffer.from(machine.globals()), Buffer.from(other));
});

test("memory.grow asks the kernel", () => {
  const grow = entry(
    (code) => {
      code.get(0);
      code.op(0xa7);
      code.op(op.MEMORY_GROW);
      code.u8(0);
      code.op(op.I64_EXTEND_I32_U);
    },
    [],
    { memory: [1, 10] },
  );
  const machine = machineOf(grow);
  machine.pages = 4;
  assert.equal(machine.run("main", 3n).result, 1n);
  assert.equal(machine.run("main", 1n).result, 0xffff_ffffn);
  assert.equal(machine.memory.buffer.byteLength, 4 * 65536);
});

test("the start function is exported, pays, and runs when the kernel says so", () => {
  const bytes = build({
    globals: [{ type: I32, initial: (code) => code.i32(0) }],
    functions: [
      {
        code: (code) => {
          code.i32(9);
          code.index(op.GLOBAL_SET, 0);
        },
      },
    ],
    start: 0,
  });
  const machine = machineOf(bytes);
  assert.ok(machine.program.hasStart);
  assert.equal(machine.globals()[0], 0);
  assert.equal(machine.start(1000n).gas, 1000n - BigInt(ENTRY_GAS + (op.GAS[op.GLOBAL_SET] as number)));
  assert.equal(machine.globals()[0], 9);
  assert.equal(machine.start(2n).fault, FAULT_OUT_OF_GAS);
});

test("abort ends the activation, even if the host lets it return", () => {
  const bytes = build({
    imports: [ABORT],
    functions: [
      {
        parameters: [I64],
        results: [I64],
        export: "main",
        code: (code) => {
          for (const value of [1, 2, 3, 4]) code.i32(value);
          code.index(op.CALL, 0);
          code.get(0);
        },
      },
    ],
  });
  const machine = machineOf(bytes);
  assert.equal(machine.run("main").fault, FAULT_ABORT);
  assert.deepEqual(machine.log, ["abort 1 2 3 4"]);
});

test("entries are the exported functions of type (i64) -> i64, in order; no imports, no other types", () => {
  const one = { parameters: [I64], results: [I64], code: (code: Code) => code.get(0) };
  const program = admitEntryProgram(
    build({
      functions: [
        { ...one, export: "b" },
        { ...one, export: "a" },
        { parameters: [I32], results: [I64], export: "c", code: (code) => code.i64(0n) },
      ],
      exports: [
        ["d", 0, 0],
        ["memory", 2, 0],
      ],
    }),
  );
  assert.deepEqual(program.entries, ["b", "a", "d"]);
});

test("arguments and results keep all 64 bits", () => {
  const machine = machineOf(entry((code) => code.get(0)));
  for (const value of [-1n, 1n << 62n, -(1n << 63n), 0xffff_ffffn, 0x8000_0000n]) {
    assert.equal(machine.run("main", value).result, value);
  }
});

test("an imported function in a table is called through its wrapper", () => {
  const machine = machineOf(
    build({
      imports: [PUT],
      tables: [{ minimum: 1 }],
      elements: [{ offset: 0, functions: [0] }],
      functions: [
        {
          parameters: [I64],
          results: [I64],
          export: "main",
          code: (code) => {
            code.i32(1);
            code.i32(2);
            code.i32(0);
            code.index(op.CALL_INDIRECT, 0);
            code.u32(0);
            code.op(op.I64_EXTEND_I32_U);
          },
        },
      ],
    }),
  );
  machine.onCall = () => 77;
  assert.equal(machine.run("main").result, 77n);
});

test("an active segment leaves an empty place: memory.init from it traps unless it takes nothing", () => {
  const init = (length: number) =>
    run(
      (code) => {
        code.i32(0);
        code.i32(0);
        code.i32(length);
        code.op(op.MEMORY_INIT);
        code.u32(0);
        code.u8(0);
        code.get(0);
      },
      [],
      { data: [{ offset: 8, bytes: Uint8Array.of(1, 2) }] },
    );
  assert.equal(init(0).outcome.fault, 0);
  assert.equal(init(1).outcome.fault, 3);
  assert.deepEqual([...init(0).bytes().subarray(8, 10)], [1, 2]);
});

test("a program without memory, entries or anything is admitted", () => {
  const program = admitEntryProgram(build({ memory: null }));
  assert.deepEqual(program.memory, { initialPages: 0, maximumPages: 0 });
  assert.equal(new Machine(program).run(0).fault, FAULT_UNREACHABLE);
});

test("the same bytes give the same program, and the input is not kept", async () => {
  const bytes = recursive(true);
  const one = admit(bytes);
  bytes.fill(0);
  const other = admit(recursive(true));
  assert.deepEqual(one, other);
  assert.deepEqual(structuredClone(one), one);
});

test("a function that only its export declares can be referred to", () => {
  for (const imports of [[], [ABORT]]) {
    const machine = machineOf(
      build({
        imports,
        exports: imports.length > 0 ? [["abort", 0, 0]] : [],
        functions: [
          {
            parameters: [I64],
            results: [I64],
            export: "main",
            code: (code) => {
              code.index(op.REF_FUNC, 0);
              code.op(op.REF_IS_NULL);
              code.op(op.I64_EXTEND_I32_U);
            },
          },
        ],
      }),
    );
    assert.equal(machine.run("main").result, 0n);
    assert.equal(machine.run("main").fault, 0);
  }
});
