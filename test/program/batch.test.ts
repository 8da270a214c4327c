/** The batch variant against the sequential variant, and its contract to the letter on single accesses. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { admitEntryProgram, instrumentForBatch } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { AUX_TAGS, FAULT_INTERNAL_SEQUENTIAL, LINE_BYTES } from "../../runtime/program/layout.ts";
import { FAULT_MEMORY_BOUNDS, FAULT_NONE } from "../../syscalls/abi.ts";
import { sized } from "../sizes.ts";
import { compareBatch } from "./batch.ts";
import { entry, type Spec } from "./build.ts";
import { BATCH_CANARIES, findCanary, SPOILED } from "./fuzz.ts";
import { Machine } from "./harness.ts";

const { I32, I64, F32, V128 } = op;
const SEED = Number(process.env.SEED ?? 1);
const PROGRAMS = sized(100, 400);
const WASM_PAGE = 65536;

test(`${PROGRAMS} programs do in a batch what they do in production (SEED=${SEED})`, async () => {
  let trips = 0;
  for (let seed = SEED; seed < SEED + PROGRAMS; seed++) {
    const { difference, summary } = compareBatch(seed);
    assert.equal(difference, null, `seed ${seed}`);
    if (summary.split(" ")[1] === `${FAULT_INTERNAL_SEQUENTIAL}`) trips++;
  }
  assert.ok(trips < PROGRAMS / 10, "few programs move their stack pointer into the state");
});

test(`programs that could suspend are refused to, alike (SEED=${SEED})`, async () => {
  for (let seed = SEED; seed < SEED + sized(10, 40); seed++) {
    const { difference } = compareBatch(seed, undefined, true);
    assert.equal(difference, null, `seed ${seed}`);
  }
});

for (const defect of BATCH_CANARIES) {
  test(`a planted defect of the batch variant is found: ${defect}`, async () => {
    assert.notEqual(findCanary(defect, sized(SPOILED[defect] ?? 1, 1), 1500), null);
  });
}

/** A machine that notes what is touched, and has it there. */
async function batchMachine(bytes: Uint8Array, bound: number) {
  const code = instrumentForBatch(bytes, bound) as Uint8Array;
  const touches: string[] = [];
  const machine = new Machine(
    admitEntryProgram(bytes),
    new WebAssembly.Module(code as BufferSource),
    undefined,
    {
      bound,
      touch: (_, address, length, write) => {
        touches.push(`${write ? "write" : "read"} ${address} ${length}`);
      },
    },
  );
  return { machine, touches };
}

/** The entry's argument is the address; a value follows where the instruction takes one. */
function accessAt(opcode: number, offset: number): (code: Code) => void {
  return (code) => {
    code.get(0);
    code.op(op.I32_WRAP_I64);
    const { operands, results } = op.SIGNATURES[opcode] as op.Signature;
    const value = operands[1];
    if (value === V128) {
      code.op(op.V128_CONST);
      code.bytes(new Uint8Array(16).fill(9));
    } else if (value === I32) code.i32(9);
    else if (value === I64) code.i64(9n);
    else if (value !== undefined) {
      code.op(value === F32 ? op.F32_CONST : op.F64_CONST);
      code.bytes(new Uint8Array(value === F32 ? 4 : 8).fill(9));
    }
    code.access(opcode, 0, offset);
    if (op.IMMEDIATES[opcode] === op.MEMORY_LANE) code.u8(0);
    if (results.length > 0) code.op(op.DROP);
    code.get(0);
  };
}

const ACCESSES = Array.from(op.IMMEDIATES.keys()).filter((opcode) => {
  const immediate = op.IMMEDIATES[opcode];
  return immediate === op.MEMORY_ARGUMENT || immediate === op.MEMORY_LANE;
});

test("every access that begins below the bound touches its range, and no other does", async () => {
  const bound = WASM_PAGE;
  const end = 2 * WASM_PAGE;
  assert.ok(ACCESSES.length > 40);
  for (const opcode of ACCESSES) {
    const width = 1 << (op.WIDTH[opcode] as number);
    const write = op.IS_STORE[opcode] === 1;
    for (const offset of [0, 5, 4096, bound - 1, bound, 0xffff_fff0]) {
      const { machine, touches } = await batchMachine(
        entry(accessAt(opcode, offset), [], { memory: [2] }),
        bound,
      );
      const about = [0, LINE_BYTES, bound, end, 2 ** 32 - 1];
      for (const place of about.flatMap((at) => [at - 17, at - width, at - 1, at, at + 1])) {
        const base = (place - offset + 2 ** 33) % 2 ** 32;
        const address = base + offset;
        touches.length = 0;
        const { fault } = machine.run("main", BigInt(base));
        const name = `${op.NAMES[opcode]} at ${base} + ${offset}`;
        assert.equal(fault, address + width > end ? FAULT_MEMORY_BOUNDS : FAULT_NONE, name);
        const expected = address < bound ? [`${write ? "write" : "read"} ${address} ${width}`] : [];
        assert.deepEqual(touches, expected, name);
        const marks = machine.scan();
        const marked = write && fault === FAULT_NONE && address >= bound;
        assert.deepEqual(marks, marked ? [Math.floor(address / machine.blockBytes)] : [], name);
      }
    }
  }
});

test("an access touches nothing if its lines have the tags it needs", async () => {
  const bound = WASM_PAGE;
  for (const opcode of ACCESSES) {
    const width = 1 << (op.WIDTH[opcode] as number);
    const needed = op.IS_STORE[opcode] === 1 ? 3 : 1;
    const { machine, touches } = await batchMachine(entry(accessAt(opcode, 0)), bound);
    const tags = new Uint8Array(machine.aux.buffer, AUX_TAGS, bound / LINE_BYTES + 1);
    const places = [64, 128 - width, 128 - (width >> 1), 128 - 1, bound - width, bound - width + 1];
    for (const address of places.filter((place) => place < bound)) {
      const lines = [Math.floor(address / LINE_BYTES), Math.floor((address + width - 1) / LINE_BYTES)];
      for (const first of [0, 1, 3]) {
        for (const last of [0, 1, 3]) {
          tags.fill(0);
          tags[lines[0] as number] = first;
          if (lines[1] !== lines[0] && (lines[1] as number) < bound / LINE_BYTES)
            tags[lines[1] as number] = last;
          const there = lines.every((line) => ((tags[line] as number) & needed) === needed);
          touches.length = 0;
          machine.run("main", BigInt(address));
          assert.equal(touches.length, there ? 0 : 1, `${op.NAMES[opcode]} at ${address}: ${first}, ${last}`);
        }
      }
    }
  }
});

/** memory.copy, fill or init with operands from memory, so that they are not known. */
function bulk(opcode: number, rest: Spec = {}): Uint8Array {
  return entry(
    (code) => {
      for (const shift of [0n, 21n, 42n]) {
        code.get(0);
        code.i64(shift);
        code.op(op.I64_SHR_U);
        code.op(op.I32_WRAP_I64);
        code.i32((1 << 21) - 1);
        code.op(op.I32_AND);
      }
      code.op(opcode);
      if (opcode !== op.MEMORY_FILL) code.u8(0);
      code.u8(0);
      code.i64(0n);
    },
    [],
    { memory: [2], ...rest },
  );
}

test("bulk instructions touch what they read and write below the bound, unless they trap", async () => {
  const bound = WASM_PAGE;
  const end = 2 * WASM_PAGE;
  const rest = { data: [{ offset: null, bytes: new Uint8Array(100) }] };
  const copy = await batchMachine(bulk(op.MEMORY_COPY), bound);
  const fill = await batchMachine(bulk(op.MEMORY_FILL), bound);
  const init = await batchMachine(bulk(op.MEMORY_INIT, rest), bound);
  const cases: [typeof copy, number, number, number, string[], number[]][] = [
    [copy, 10, 20, 30, ["read 20 30", "write 10 30"], []],
    [copy, 10, bound, 30, ["write 10 30"], []],
    [copy, bound, 10, 2500, ["read 10 2500"], [64, 65, 66]],
    [copy, bound - 10, bound + 10, 30, [`write ${bound - 10} 30`], [64]],
    [copy, bound + 1023, bound - 1, 2, [`read ${bound - 1} 2`], [64, 65]],
    [copy, 10, 20, 0, [], []],
    [copy, 10, end - 10, 11, [], []],
    [copy, end - 10, 10, 11, [], []],
    [copy, end, 10, 0, [], []],
    [fill, 0, 7, end, [`write 0 ${end}`], Array.from({ length: 64 }, (_, i) => 64 + i)],
    [fill, bound - 1, 7, 1, [`write ${bound - 1} 1`], []],
    [fill, bound, 7, 1, [], [64]],
    [fill, 5, 7, end, [], []],
    [init, 5, 0, 100, ["write 5 100"], []],
    [init, 5, 1, 100, [], []],
    [init, bound, 1, 99, [], [64]],
  ];
  for (const [{ machine, touches }, target, source, length, expected, blocks] of cases) {
    touches.length = 0;
    machine.run("main", BigInt(target) | (BigInt(source) << 21n) | (BigInt(length) << 42n));
    const name = `${target}, ${source}, ${length}`;
    assert.deepEqual(touches, expected, name);
    assert.deepEqual(machine.scan(), blocks, name);
  }
});

test("state may end close to 4 GiB, or where memory does, or be nothing", async () => {
  for (const [pages, bound] of [
    [65536, 65535 * WASM_PAGE],
    [1, WASM_PAGE],
    [1, 0],
  ] as const) {
    const bytes = entry(accessAt(op.I64_STORE, 8), [], { memory: [pages] });
    const { machine, touches } = await batchMachine(bytes, bound);
    for (const address of [0, bound - 8, bound - 4, bound, pages * WASM_PAGE - 8, pages * WASM_PAGE - 4]) {
      const base = (address - 8 + 2 ** 32) % 2 ** 32;
      if (base + 8 !== address) continue;
      touches.length = 0;
      const { fault } = machine.run("main", BigInt(base));
      assert.equal(fault, address + 8 > pages * WASM_PAGE ? FAULT_MEMORY_BOUNDS : FAULT_NONE);
      assert.deepEqual(touches, address < bound ? [`write ${address} 8`] : []);
      const marked = fault === FAULT_NONE && address >= bound;
      assert.deepEqual(machine.scan(), marked ? [Math.floor(address / machine.blockBytes)] : []);
    }
  }
});

test("accesses with one base share a check, and are touched as written if one of them writes", async () => {
  const bytes = entry(
    (code) => {
      const base = () => {
        code.get(0);
        code.op(op.I32_WRAP_I64);
      };
      base();
      code.set(1);
      for (const offset of [8, 16, 0]) {
        code.get(1);
        code.access(op.I64_LOAD, 0, offset);
        code.op(op.DROP);
      }
      code.get(1);
      code.i64(5n);
      code.access(op.I64_STORE, 0, 24);
      code.get(1);
      code.i64(5n);
      code.access(op.I64_STORE, 0, 200);
      code.get(0);
    },
    [I32],
  );
  const { machine, touches } = await batchMachine(bytes, WASM_PAGE);
  machine.run("main", 100n);
  assert.deepEqual(touches, ["write 100 32", "write 300 8"]);
});

test("a stack pointer is guarded: where it meets the state, production has to run", async () => {
  const at = 100_000;
  const bytes = entry(
    (code) => {
      code.index(op.GLOBAL_GET, 0);
      code.get(0);
      code.op(op.I32_WRAP_I64);
      code.op(op.DROP);
      code.i32(at - WASM_PAGE);
      code.op(op.I32_SUB);
      code.index(op.GLOBAL_SET, 0);
      code.index(op.GLOBAL_GET, 0);
      code.get(0);
      code.access(op.I64_STORE, 0, 0);
      code.get(0);
    },
    [],
    { memory: [2], globals: [{ type: I32, initial: (code) => code.i32(at) }] },
  );
  const { machine, touches } = await batchMachine(bytes, WASM_PAGE);
  assert.equal(machine.run("main").fault, FAULT_NONE);
  assert.deepEqual(machine.scan(), [64]);
  assert.equal(machine.run("main").fault, FAULT_INTERNAL_SEQUENTIAL);
  const area = machine.program.globals.slice();
  new DataView(area.buffer).setUint32(0, 10, true);
  machine.setGlobals(area);
  assert.equal(machine.run("main").fault, FAULT_INTERNAL_SEQUENTIAL);
  assert.deepEqual(touches, []);
});

test("the same program and bound give the same code", async () => {
  const bytes = entry(accessAt(op.F64_STORE, 4));
  const twice = [instrumentForBatch(bytes, WASM_PAGE), instrumentForBatch(bytes, WASM_PAGE)];
  assert.deepEqual(twice[0], twice[1]);
});
