/**
 * Endless recursion in many shapes, run in a thread whose stack is hardly larger than the call depth limit.
 * Prints the faults as JSON. Run by depth.test.ts with flags of the engine, and on other engines; with --here
 * on the main thread.
 */

import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { CALL_DEPTH_BYTES } from "../../runtime/limits.ts";
import { admitEntryProgram, instrumentForBatch } from "../../runtime/program/admit.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { AUX_TAGS, LINE_BYTES } from "../../runtime/program/layout.ts";
import { build, type Fn } from "./build.ts";
import { Machine } from "./harness.ts";

const { I32, I64, F64, V128 } = op;
/** Native stack beyond the limit: frames of the host and of this file. */
const MARGIN_BYTES = 256 << 10;
/** Enough runs for TurboFan to take over, inlining included. */
const RUNS = 12;
/** All of memory. */
const BOUND = 65536;

type Through = "direct" | "table" | "partner" | "operands";

/**
 * A function that calls itself without end, and holds on to `held` locals of `type` over the call, in locals
 * or on the operand stack; each is made by a loop-free computation of its own and used afterwards, so that no
 * compiler can drop it.
 */
function recursion(type: number, held: number, through: Through): Uint8Array {
  const make = (code: Code, index: number) => {
    code.i32(index * 8);
    code.access({ [I32]: op.I32_LOAD, [I64]: op.I64_LOAD, [F64]: 0x2b }[type] ?? op.V128_LOAD, 0, 0, 0);
  };
  const use = (code: Code, index: number) => {
    code.i32(4096 + index * 16);
    code.get(1 + index);
    code.access(
      { [I32]: op.I32_STORE, [I64]: op.I64_STORE, [F64]: op.F64_STORE }[type] ?? op.V128_STORE,
      0,
      0,
      0,
    );
  };
  const fn = (name: string | undefined, callee: number): Fn => ({
    parameters: [I64],
    results: [I64],
    locals: new Array(held).fill(type),
    ...(name === undefined ? {} : { export: name }),
    code: (code) => {
      for (let index = 0; index < held; index++) {
        make(code, index);
        if (through !== "operands") code.set(1 + index);
      }
      code.get(0);
      code.i64(1n);
      code.op(op.I64_ADD);
      if (through === "table") {
        code.i32(0);
        code.index(op.CALL_INDIRECT, 0);
        code.u32(0);
      } else {
        code.index(op.CALL, callee);
      }
      if (through === "operands") {
        code.set(0);
        for (let index = 0; index < held; index++) code.set(1 + index);
        code.get(0);
      }
      for (let index = 0; index < held; index++) use(code, index);
    },
  });
  return build({
    tables: [{ minimum: 1 }],
    elements: [{ offset: 0, functions: [0] }],
    functions: [fn("main", through === "partner" ? 1 : 0), fn(undefined, 0)],
  });
}

export const SHAPES = [I32, I64, F64, V128].flatMap((type) =>
  [0, 1, 8, 100, 1000].flatMap((held) =>
    (["direct", "table", "partner", "operands"] as const).map((through) => ({ type, held, through })),
  ),
);

/** In the sequential variant, or in that for batches with all of memory state. */
async function machineOf(bytes: Uint8Array, bound: number | null): Promise<Machine> {
  const program = admitEntryProgram(bytes);
  if (bound === null) return new Machine(program);
  const code = instrumentForBatch(bytes, bound) as Uint8Array;
  const touch = ({ aux }: Machine, address: number, length: number) => {
    const end = Math.min(address + length, bound);
    const tags = new Uint8Array(aux.buffer, AUX_TAGS);
    tags.fill(3, Math.floor(address / LINE_BYTES), Math.ceil(end / LINE_BYTES));
  };
  return new Machine(program, new WebAssembly.Module(code as BufferSource), undefined, { bound, touch });
}

if (isMainThread && process.argv.includes("--here")) {
  console.log(JSON.stringify(await faults()));
} else if (isMainThread) {
  const stackSizeMb = Number(process.env.STACK_MB ?? (CALL_DEPTH_BYTES + MARGIN_BYTES) / (1 << 20));
  const worker = new Worker(new URL(import.meta.url), { resourceLimits: { stackSizeMb } });
  worker.on("message", (faults) => console.log(JSON.stringify(faults)));
} else {
  parentPort?.postMessage(await faults());
}

/** Of each shape, in both variants. */
async function faults(): Promise<unknown[]> {
  const variants = SHAPES.flatMap((shape) => [
    { ...shape, bound: null },
    { ...shape, bound: BOUND },
  ]);
  const faults: unknown[] = [];
  for (const { type, held, through, bound } of variants) {
    const machine = await machineOf(recursion(type, held, through), bound);
    try {
      let fault = 0;
      for (let run = 0; run < RUNS; run++) fault = machine.run("main").fault;
      faults.push(fault);
    } catch (error) {
      faults.push(`${type} ${held} ${through} ${bound}: ${error}`);
    }
  }
  return faults;
}
