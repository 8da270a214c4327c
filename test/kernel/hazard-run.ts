/**
 * One observation of what engines may do differently, as one line of JSON on stdout; hazards.test.ts runs it
 * under several flags of V8.
 *
 * `plain` is what bare WebAssembly shows and may differ from run to run; `states` is what the runtime makes
 * of it, and may not.
 */

import { programHash, type Runtime } from "../../runtime/index.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota } from "../driver.ts";
import { guest, play, withRuntime } from "../fixture.ts";
import { build } from "../program/build.ts";
import { randomTree } from "./trees.ts";

const { F64, I64 } = op;
const GAS = 50_000_000;
/** Instances calling `mix` so often that an engine with tiers has changed to the upper one. */
const HOT = 20_000;

/**
 * main(bits): NaNs of several operations over the f64 with these bits, mixed into one i64. Operands are
 * exchanged and repeated, since it is there that code generators choose.
 */
function nans(): Uint8Array {
  const code = (code: Code): void => {
    const operations = [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5]; // add sub mul div min max
    const operand = (index: number): void => {
      code.get(0);
      code.i64([0n, 0x0008_0000_0000_0001n, 0x8000_0000_0000_1234n][index] as bigint);
      code.op(0x85); // i64.xor
      code.op(0xbf); // f64.reinterpret_i64
    };
    code.i64(0n);
    code.set(1);
    const observe = (): void => {
      code.op(0xbd); // i64.reinterpret_f64
      code.get(1);
      code.i64(7n);
      code.op(0x89); // i64.rotl
      code.op(0x85);
      code.set(1);
    };
    for (const operation of operations) {
      for (const [a, b] of [
        [0, 1],
        [1, 0],
        [2, 1],
      ] as const) {
        operand(a);
        operand(b);
        code.op(operation);
        observe();
      }
    }
    for (const operation of [0x9f, 0x9b, 0x9c, 0x9d, 0x9e]) {
      operand(2);
      code.op(operation); // sqrt ceil floor trunc nearest
      observe();
    }
    // Of constants: folded by a compiler that optimises, computed by one that does not.
    const constant = (bits: bigint): void => {
      code.i64(bits);
      code.op(0xbf);
    };
    const ZERO = 0n;
    const INFINITY = 0x7ff0_0000_0000_0000n;
    for (const [a, b, operation] of [
      [ZERO, ZERO, 0xa3],
      [INFINITY, INFINITY, 0xa1],
      [ZERO, INFINITY, 0xa2],
    ] as const) {
      constant(a);
      constant(b);
      code.op(operation);
      observe();
    }
    // Neutral operations: a compiler that leaves them out does not make a signalling NaN quiet.
    for (const [neutral, operation] of [
      [ZERO, 0xa1],
      [0x3ff0_0000_0000_0000n, 0xa2],
      [0x3ff0_0000_0000_0000n, 0xa3],
    ] as const) {
      operand(0);
      constant(neutral);
      code.op(operation);
      observe();
    }
    operand(1);
    code.op(0xb6); // f32.demote_f64
    code.op(0xbb); // f64.promote_f32
    observe();
    code.get(1);
  };
  return build({
    functions: [{ parameters: [I64], results: [I64], locals: [I64, F64], export: "main", code }],
  });
}

/** A signalling one. */
const NAN = 0x7ff0_0000_0000_00ffn;

/** Bare WebAssembly: bits before and after many calls, and calls until the native stack is full. */
async function plain(nansModule: Uint8Array): Promise<Record<string, unknown>> {
  const { instance } = await WebAssembly.instantiate(nansModule as Uint8Array<ArrayBuffer>);
  const main = instance.exports.main as (bits: bigint) => bigint;
  const cold = main(NAN).toString(16);
  for (let i = 0; i < HOT; i++) main(BigInt(i));
  const recursion = build({
    memory: [1],
    functions: [
      {
        export: "run",
        code: (code) => {
          code.i32(0);
          code.i32(0);
          code.op(0x28); // i32.load
          code.u32(2);
          code.u32(0);
          code.i32(1);
          code.op(0x6a); // i32.add
          code.op(0x36); // i32.store
          code.u32(2);
          code.u32(0);
          code.index(op.CALL, 0);
        },
      },
    ],
    exports: [["memory", 2, 0]],
  });
  const deep = (await WebAssembly.instantiate(recursion as Uint8Array<ArrayBuffer>)).instance.exports;
  try {
    (deep.run as () => void)();
  } catch {}
  const depth = new Uint32Array((deep.memory as WebAssembly.Memory).buffer)[0];
  return { cold, hot: main(NAN).toString(16), depth };
}

/** The same through the runtime: everything that a state or a parent can see. */
async function states(nansModule: Uint8Array): Promise<unknown[]> {
  const recurse = await guest("recurse");
  const grow = await guest("grow");
  const echo = await guest("echo");
  const seen: unknown[] = [];
  await withRuntime([nansModule, recurse, grow, echo], { workers: 2 }, async (runtime: Runtime) => {
    const block = async (write: Parameters<typeof play>[1]): Promise<void> => {
      const { block, results } = await play(runtime, write);
      seen.push([block.root, block.gasUsed, block.id, results.values.length]);
    };
    await block((s) => {
      s.put(1, { program: programHash(nansModule) });
      s.put(1, { start: { entry: "main", argument: NAN, gas: GAS } });
      s.get(1, { status: true });
    });
    await block((s) => {
      const first = s.put(1, { start: { entry: "main", argument: NAN, gas: GAS } });
      s.command(2, 1, s.place(statusRequest(s.reserve(abi.STATUS_SIZE))));
      s.loop(first, 3000);
      s.get(1, { status: true });
    });
    // The greatest depth that is no fault, to the call.
    let fits = 1;
    let faults = 1 << 20;
    while (faults - fits > 1) {
      const middle = (fits + faults) >> 1;
      await runtime.revert(0);
      const { results, handles } = await play(runtime, (s) => {
        s.put(1, {
          program: programHash(recurse),
          start: { entry: "bounded", argument: BigInt(middle), gas: GAS },
        });
        return s.get(1, { status: true });
      });
      if (results.status(handles).kind === abi.STATUS_RETURNED) fits = middle;
      else faults = middle;
    }
    seen.push(fits);
    for (const entry of ["run", "mutual", "indirect", "wide"]) {
      await block((s) => {
        s.put(1, { program: programHash(recurse), start: { entry, gas: GAS } });
        s.get(1, { status: true });
      });
    }
    await block((s) => {
      s.put(1, {
        program: programHash(grow),
        memoryQuotaPages: quota(300),
        start: { entry: "run", argument: 7n, gas: GAS },
      });
      s.get(1, { status: true });
    });
    // A counter that lives in a global of the instance, not in memory.
    await block((s) => s.put(2, { program: programHash(echo), memoryQuotaPages: quota(8) }));
    for (let i = 0; i < 4; i++) {
      await runtime.engine.pool.kill(i);
      await block((s) => {
        s.put(2, { start: { entry: "run", argument: 100n, gas: GAS } });
        s.get(2, { status: true });
      });
    }
    await block((s) => {
      s.put(2, { start: { entry: "state", gas: GAS } });
      s.get(2, { status: true });
    });
    seen.push(`${runtime.inspect([2])?.code} runs`);
  });
  await withRuntime(
    [],
    { workers: 2, memoryQuotaPages: quota(60_000), processQuota: 1000 },
    async (runtime: Runtime) => {
      for (let seed = 0; seed < 4; seed++) {
        const { id, gasUsed } = await runtime.produce(randomTree(seed, { depth: 3, children: 3 }).metadata());
        seen.push([id, gasUsed]);
      }
    },
  );
  return seen;
}

function statusRequest(pointer: number): Uint8Array {
  const words = new Uint32Array(abi.GET_SIZE / 4);
  words[abi.GET_VERSION / 4] = abi.ABI_VERSION;
  words[abi.GET_PARTS / 4] = abi.PART_GET_STATUS;
  words[abi.GET_STATUS_POINTER / 4] = pointer;
  return new Uint8Array(words.buffer);
}

if (import.meta.main) {
  const module = nans();
  console.log(JSON.stringify({ plain: await plain(module), states: await states(module) }));
}
