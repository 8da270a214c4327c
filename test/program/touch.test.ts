/** The first write to a page since the marks were taken away is paid, where it is marked. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { admitEntryProgram, instrumentForBatch } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { PAGE_TOUCH_GAS } from "../../runtime/program/instrument/gas.ts";
import { AUX_PAID, TAG_PRESENT, TAG_WRITTEN } from "../../runtime/program/layout.ts";
import { FAULT_ABORT, FAULT_MEMORY_BOUNDS, FAULT_OUT_OF_GAS, FAULT_UNREACHABLE } from "../../syscalls/abi.ts";
import { StateMachine } from "./batch.ts";
import { build, type Fn } from "./build.ts";
import { Machine, PLENTY } from "./harness.ts";
import { Random } from "./random.ts";
import { gasOf, machineOf, run } from "./run.ts";

const { I32, I64 } = op;
const PUT = ["stillpoint", "put", [I32, I32], [I32]] as const;
const ABORT = ["env", "abort", [I32, I32, I32, I32], []] as const;
const PAGE = 4096;

/** Stores of eight bytes at these addresses, from a local each. */
function stores(code: Code, addresses: readonly number[], local = 1): void {
  for (const address of addresses) {
    code.i32(address);
    code.set(local);
    code.get(local);
    code.i64(7n);
    code.access(op.I64_STORE, 0, 0, 0);
  }
}

function fill(code: Code, address: number, length: number): void {
  code.i32(address);
  code.i32(1);
  code.i32(length);
  code.op(op.MEMORY_FILL);
  code.u8(0);
}

/** A program that fills such a range. */
function filling(address: number, length: number): Machine {
  const code = (code: Code) => {
    fill(code, address, length);
    code.get(0);
  };
  return machineOf(build({ functions: [{ ...MAIN, code }] }));
}

/** Pages that the code pays for: what it uses, less what it uses when they are touched already. */
function paid(write: (code: Code) => void, locals: readonly number[] = [I32]): number {
  const once = (code: Code) => {
    write(code);
    code.get(0);
  };
  const machine = run(once, locals);
  const first = gasOf(machine);
  const again = Number(PLENTY - machine.run("main").gas);
  assert.equal((first - again) % PAGE_TOUCH_GAS, 0);
  return (first - again) / PAGE_TOUCH_GAS;
}

test("a page is paid once, whatever is stored in it", () => {
  const pages = (...addresses: number[]) => paid((code) => stores(code, addresses));
  assert.equal(pages(), 0);
  assert.equal(pages(0), 1);
  assert.equal(pages(0, 8, 4000, 0), 1);
  assert.equal(pages(0, 4096, 0, 8192, 4100), 3);
});

test("a store that runs into the next page pays for that of its lowest byte", () => {
  const pages = (...addresses: number[]) => paid((code) => stores(code, addresses));
  assert.equal(pages(PAGE - 4), 1);
  assert.equal(pages(PAGE - 4, PAGE), 2);
  assert.equal(pages(2 * PAGE - 1, PAGE - 1), 2);
});

test("a store pays nothing that shares the mark of another", () => {
  const write = (offsets: readonly number[]) => (code: Code) => {
    code.i32(PAGE - 8);
    code.set(1);
    for (const offset of offsets) {
      code.get(1);
      code.i64(1n);
      code.access(op.I64_STORE, 0, offset, 0);
    }
  };
  assert.equal(paid(write([0, 8, 56])), 1);
  assert.equal(paid(write([0, 57])), 2);
  assert.equal(paid(write([8, 0])), 2);
});

test("an address of a constant, a global, or of nothing pays alike", () => {
  assert.equal(
    paid((code) => {
      code.i32(PAGE - 4);
      code.i64(1n);
      code.access(op.I64_STORE, 0, 2 * PAGE, 0);
    }),
    1,
  );
  // From a call's result: it must be fetched from below the value.
  assert.equal(
    paid((code) => {
      code.i32(3);
      code.i32(12);
      code.op(op.I32_SHL);
      code.i64(1n);
      code.access(op.I64_STORE, 0, 0, 0);
    }),
    1,
  );
});

test("bulk instructions pay for every page of their range before they run", () => {
  const pages = (address: number, length: number) => paid((code) => fill(code, address, length));
  assert.equal(pages(0, 0), 0);
  assert.equal(pages(PAGE - 1, 1), 1);
  assert.equal(pages(PAGE - 1, 2), 2);
  assert.equal(pages(100, 3 * PAGE), 4);
  assert.equal(pages(0, 65536), 16);
  // With all but the last page's price nothing is written.
  const machine = filling(0, 3 * PAGE);
  const need = PLENTY - machine.run("main").gas;
  machine.scan();
  machine.bytes().fill(0);
  assert.equal(machine.run("main", 0n, need - 1n).fault, FAULT_OUT_OF_GAS);
  assert.ok(machine.bytes().every((byte) => byte === 0));
  assert.equal(machine.run("main", 0n, need).fault, 0);
});

test("a bulk instruction whose target lies beyond the memory traps by that, whatever gas is left", () => {
  for (const [address, length] of [
    [65536 - 10, 20],
    [-8, 16],
    [-1, 1],
  ] as const) {
    const machine = filling(address, length);
    assert.equal(machine.run("main", 0n, 200n).fault, FAULT_MEMORY_BOUNDS, `${length} bytes at ${address}`);
  }
});

const MAIN = {
  parameters: [I64],
  results: [I64],
  locals: [I32],
  export: "main",
} as const satisfies Partial<Fn>;

/** The ends of an activation: after stores to many pages each must find the gas counted to the unit. */
const ENDS: readonly (readonly [name: string, end: (code: Code) => void, fault: number])[] = [
  ["a return", () => {}, 0],
  ["a trap", (code) => code.op(op.UNREACHABLE), FAULT_UNREACHABLE],
  [
    "an abort",
    (code) => {
      for (let i = 0; i < 4; i++) code.i32(0);
      code.index(op.CALL, 1);
    },
    FAULT_ABORT,
  ],
  [
    "a call",
    (code) => {
      code.i32(0);
      code.i32(0);
      code.index(op.CALL, 0);
      code.op(op.DROP);
    },
    0,
  ],
  [
    "memory.grow",
    (code) => {
      code.i32(1);
      code.op(op.MEMORY_GROW);
      code.u8(0);
      code.op(op.DROP);
    },
    0,
  ],
  ["a bulk instruction", (code) => fill(code, 64 * PAGE, 1), 0],
];

for (const [name, end, fault] of ENDS) {
  for (const pages of [1, 64, 65, 200]) {
    test(`with less gas than ${pages} pages need ${name} is not reached`, () => {
      const bytes = build({
        imports: [PUT, ABORT],
        memory: [16],
        functions: [
          {
            ...MAIN,
            code: (code) => {
              stores(
                code,
                Array.from({ length: pages }, (_, page) => page * PAGE),
              );
              end(code);
              code.get(0);
            },
          },
        ],
      });
      const program = admitEntryProgram(bytes);
      const module = new WebAssembly.Module(program.code as BufferSource);
      const runWith = (gas: number) => {
        const machine = new Machine(program, module);
        return { machine, outcome: machine.run("main", 0n, BigInt(gas)) };
      };
      let [low, least] = [0, 10 ** 6];
      while (least - low > 1) {
        const middle = Math.floor((low + least) / 2);
        if (runWith(middle).outcome.fault === FAULT_OUT_OF_GAS) low = middle;
        else least = middle;
      }
      assert.deepEqual(runWith(low).machine.log, [], "out of gas comes before the call");
      const { machine, outcome } = runWith(least);
      assert.equal(outcome.fault, fault);
      const touched = pages + (name === "a bulk instruction" && pages <= 64 ? 1 : 0);
      assert.equal(machine.scan().length, touched);
      assert.ok(least >= touched * PAGE_TOUCH_GAS);
      assert.ok(least < touched * PAGE_TOUCH_GAS + 4 * pages + 200, `${least} for ${touched} pages`);
    });
  }
}

test("in the batch variant a page of state is paid by the store, not by the line", async () => {
  // A store below the end of page 0 that reaches into page 1: the line there is written, the page not paid.
  const bytes = build({
    memory: [2],
    functions: [
      {
        ...MAIN,
        code: (code) => {
          stores(code, [PAGE - 4]);
          code.get(0);
          code.op(op.I32_WRAP_I64);
          code.open(op.IF);
          stores(code, [PAGE + 8, PAGE + 8]);
          code.end();
          code.get(0);
        },
      },
    ],
  });
  const production = machineOf(bytes);
  const code = instrumentForBatch(bytes, 65536);
  assert.ok(code !== null);
  const module = new WebAssembly.Module(code as BufferSource);
  const used: bigint[] = [];
  for (const argument of [0n, 1n]) {
    const state = new StateMachine(production.program, module, 65536, new Random(1));
    const fresh = new Machine(production.program);
    const gas = state.machine.run("main", argument).gas;
    assert.equal(gas, fresh.run("main", argument).gas);
    used.push(PLENTY - gas);
    const touched = new Uint8Array(state.machine.aux.buffer, AUX_PAID, 3);
    assert.deepEqual([...touched], [1, Number(argument), 0]);
    assert.equal(state.tag(PAGE / 64), TAG_PRESENT | TAG_WRITTEN);
  }
  assert.ok((used[1] as bigint) - (used[0] as bigint) >= PAGE_TOUCH_GAS);
});
