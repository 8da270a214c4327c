/**
 * Positions: where instrumented code comes from. The oracle is V8: the original module, run as it is, must
 * trap with the same stack. The same of code with counters, which does everything else as without.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { framesOf } from "../../runtime/kernel/trace.ts";
import { faultOf } from "../../runtime/program/faults.ts";
import { type Count, Positions } from "../../runtime/program/source-map/positions.ts";
import { selectsOf } from "../../runtime/program/source-map/selects.ts";
import { baseSeed } from "../seed.ts";
import { answer, answerRet } from "./differential.ts";
import { generate } from "./generate.ts";
import { Machine } from "./harness.ts";

interface Trapped {
  readonly fault: number;
  /** What it did, to compare: calls, results, gas, memory. */
  readonly trail: readonly string[];
  /** Function and offset in the original. */
  readonly frames: readonly string[];
}

const NO_AUX = new Int32Array(16);
const PROGRAMS = 150;

/** The original, whose calls are answered at once. */
function plain(bytes: Uint8Array, argument: bigint): Trapped {
  let memory: WebAssembly.Memory | undefined;
  const call = (name: string) => (a: number, b: number) =>
    answer(name, a, b, new Uint8Array((memory as WebAssembly.Memory).buffer));
  const aborted = {};
  const abort = () => {
    throw aborted;
  };
  const imports = { stillpoint: { put: call("put"), get: call("get"), ret: answerRet }, env: { abort } };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), imports);
  memory = instance.exports.memory as WebAssembly.Memory;
  try {
    (instance.exports.main as (argument: bigint) => bigint)(argument);
    return { fault: 0, trail: [], frames: [] };
  } catch (error) {
    // An abort is no trap: it ends without a stack.
    if (error === aborted) return { fault: 0, trail: [], frames: [] };
    const fault = faultOf(error, NO_AUX);
    if (fault === null) throw error;
    return {
      fault,
      trail: [],
      frames: framesOf((error as Error).stack ?? "").map((frame) => frame.join("@")),
    };
  }
}

/** The instrumented one, resumed in a new instance wherever it suspends; or with counters everywhere. */
async function instrumented(bytes: Uint8Array, argument: bigint, counts = false): Promise<Trapped> {
  let counters = 0;
  const numbers = new Map<number, number>();
  const count: Count = () => {
    const selects = new Set([...selectsOf(bytes).values()].flat().map(({ offset }) => offset));
    return (_, offset) => {
      const number = numbers.get(offset) ?? counters++;
      numbers.set(offset, number);
      return selects.has(offset) ? { reached: [number], held: counters++ } : { reached: [number] };
    };
  };
  const positions = new Positions(bytes, counts ? count : null);
  const memory = new WebAssembly.Memory({ initial: Math.ceil((counters + 1) / 8192) });
  const { program } = positions;
  const make = (image?: ReturnType<Machine["image"]>): Machine => {
    const machine = new Machine(program, undefined, image, undefined, counts ? { counters: memory } : {});
    machine.onCall = (name, a, b) => answer(name, a, b, machine.bytes());
    return machine;
  };
  let machine = make();
  let outcome = machine.run("main", argument);
  const trail: string[] = [];
  const note = (): void => {
    const hash = createHash("sha256").update(machine.bytes()).digest("hex");
    trail.push(...machine.log, `${outcome.fault} ${outcome.result} ${outcome.gas} ${hash}`);
  };
  note();
  while (outcome.standing) {
    const image = machine.image();
    machine = make(image);
    outcome = machine.resume(image, answerRet(outcome.result));
    note();
  }
  if (counts)
    assert.ok(
      new BigUint64Array(memory.buffer).some((each) => each > 0n),
      "something was counted",
    );
  const located = framesOf(machine.stack).flatMap(([index, offset]) => positions.locate(index, offset) ?? []);
  return {
    fault: outcome.fault,
    trail,
    frames: located.map(({ functionIndex, offset }) => `${functionIndex}@${offset}`),
  };
}

for (const suspending of [false, true]) {
  const kind = suspending ? "that suspend" : "that run and return";
  test(`programs ${kind} trap with the stack of the original`, async (t) => {
    const seed = baseSeed(t) + (suspending ? 70_000 : 60_000);
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 64;
    t.after(() => {
      Error.stackTraceLimit = limit;
    });
    let traps = 0;
    for (let i = 0; i < PROGRAMS; i++) {
      const { program } = generate(seed + i, suspending);
      const argument = BigInt.asIntN(64, BigInt(seed + i) * 0x9e3779b97f4a7c15n);
      const known = plain(program, argument);
      const found = await instrumented(program, argument);
      const counting = await instrumented(program, argument, true);
      assert.deepEqual(counting, found, `program ${seed + i} with counters`);
      // What depends on the bits of a NaN, or runs out of depth, takes another way.
      if (known.fault === 0 || found.fault !== known.fault) continue;
      traps++;
      assert.deepEqual(found.frames, known.frames, `program ${seed + i}`);
    }
    assert.ok(traps > PROGRAMS / 30, `${traps} of ${PROGRAMS} programs trap`);
  });
}
