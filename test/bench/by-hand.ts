/**
 * A workload of test/guests/workloads driven by hand: two threads, each with an instance of its own, which
 * exchange ranges of memory through a shared buffer and wake each other with Atomics. What one would write
 * for this very program without processes. This thread runs the sequential parts and half of the pieces; or
 * all of them, which says what a second thread can bring on this machine.
 *
 * Shared: the words COMMAND (phase + 1, PREPARE or STOP) and DONE; then, from DATA on, at the addresses of
 * the guest's memory, the ranges that are handed over.
 */

import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { admit, type Program } from "../../runtime/program/admit.ts";
import { Machine } from "../program/harness.ts";

export const COPIES = 4;
const DATA = 4096;
const STOP = -1;
const PREPARE = -2;
const COMMAND = 0;
const DONE = 1;
/** Marks the data of this file's threads. */
const BY_HAND = "stillpoint by hand";

interface Setup {
  readonly [BY_HAND]: true;
  readonly module: WebAssembly.Module | null;
  readonly program: Program | null;
  readonly buffer: SharedArrayBuffer;
  readonly size: number;
}

type Kind = "plain" | "instrumented";

/** One instance of the module, plain or instrumented. */
interface Instance {
  readonly call: (entry: string, argument: number) => number | bigint;
  readonly bytes: () => Uint8Array;
}

function plainInstance(module: WebAssembly.Module): Instance {
  const never = () => {
    throw new Error("by hand: a call that is not for here");
  };
  const { exports } = new WebAssembly.Instance(module, {
    env: { abort: never },
    stillpoint: { put: never, get: never },
  });
  return {
    call: (entry, argument) => (exports[entry] as (argument: bigint) => bigint)(BigInt(argument)),
    bytes: () => new Uint8Array((exports.memory as WebAssembly.Memory).buffer),
  };
}

function instrumentedInstance(program: Program): Instance {
  const machine = new Machine(program);
  if (program.hasStart) machine.start();
  return {
    call(entry, argument) {
      const { fault, result } = machine.run(entry, BigInt(argument));
      if (fault !== 0) throw new Error(`by hand: ${entry} faulted: ${fault}`);
      return result;
    },
    bytes: () => machine.bytes(),
  };
}

interface Range {
  readonly address: number;
  readonly length: number;
}

function rangeOf(instance: Instance, entry: string, argument: number): Range {
  const range = BigInt.asUintN(64, instance.call(entry, argument) as bigint);
  return { address: Number(range >> 32n), length: Number(range & 0xffffffffn) };
}

function copy(from: Uint8Array, to: Uint8Array, range: Range, fromBase: number, toBase: number): void {
  const { address, length } = range;
  to.set(from.subarray(fromBase + address, fromBase + address + length), toBase + address);
}

function runPieces(instance: Instance, phase: number, from: number, to: number): void {
  for (let i = from; i < to; i++) instance.call("piece", phase * COPIES + i);
}

/** The two threads, ready; `run` and `runAlone` solve once, from the prepared state. */
export class ByHand {
  readonly #instance: Instance;
  readonly #worker: Worker;
  readonly #words: Int32Array;
  readonly #shared: Uint8Array;
  readonly #size: number;
  #result: Range = { address: 0, length: 0 };

  private constructor(instance: Instance, worker: Worker, buffer: SharedArrayBuffer, size: number) {
    this.#instance = instance;
    this.#worker = worker;
    this.#words = new Int32Array(buffer);
    this.#shared = new Uint8Array(buffer);
    this.#size = size;
  }

  static async open(bytes: Uint8Array, kind: Kind, size: number, sharedBytes: number): Promise<ByHand> {
    const module = kind === "plain" ? new WebAssembly.Module(bytes as BufferSource) : null;
    const program = kind === "plain" ? null : admit(bytes);
    const instance = module === null ? instrumentedInstance(program as Program) : plainInstance(module);
    const buffer = new SharedArrayBuffer(DATA + sharedBytes);
    const setup: Setup = { [BY_HAND]: true, module, program, buffer, size };
    const worker = new Worker(new URL(import.meta.url), { workerData: setup });
    const hand = new ByHand(instance, worker, buffer, size);
    await new Promise((resolve) => worker.once("message", resolve));
    return hand;
  }

  /** Puts the input back, in both memories. */
  prepare(): void {
    Atomics.store(this.#words, DONE, 0);
    send(this.#words, COMMAND, PREPARE);
    waitWhile(this.#words, DONE, 0);
    this.#result = rangeOf(this.#instance, "prepare", this.#size);
  }

  /** Everything on this thread, in one memory. */
  runAlone(): void {
    const phases = Number(this.#instance.call("phases", 0));
    for (let phase = 0; phase < phases; phase++) {
      this.#instance.call("before", phase);
      runPieces(this.#instance, phase, 0, COPIES);
    }
  }

  run(): void {
    const phases = Number(this.#instance.call("phases", 0));
    for (let phase = 0; phase < phases; phase++) {
      this.#instance.call("before", phase);
      copy(this.#instance.bytes(), this.#shared, rangeOf(this.#instance, "needs", phase), 0, DATA);
      Atomics.store(this.#words, DONE, 0);
      send(this.#words, COMMAND, phase + 1);
      runPieces(this.#instance, phase, 0, COPIES / 2);
      waitWhile(this.#words, DONE, 0);
      for (let i = COPIES / 2; i < COPIES; i++) {
        const range = rangeOf(this.#instance, "range", phase * COPIES + i);
        copy(this.#shared, this.#instance.bytes(), range, DATA, 0);
      }
    }
  }

  /** What the last run computed. */
  result(): Buffer {
    const { address, length } = this.#result;
    return Buffer.from(this.#instance.bytes().slice(address, address + length));
  }

  async close(): Promise<void> {
    send(this.#words, COMMAND, STOP);
    await new Promise((resolve) => this.#worker.once("exit", resolve));
  }
}

function send(words: Int32Array, index: number, value: number): void {
  Atomics.store(words, index, value);
  Atomics.notify(words, index);
}

/** Sleeps while the word is `value`; gives what it is then. */
function waitWhile(words: Int32Array, index: number, value: number): number {
  while (Atomics.load(words, index) === value) Atomics.wait(words, index, value);
  return Atomics.load(words, index);
}

/** The other thread: the second half of the pieces. */
function serve({ module, program, buffer, size }: Setup): void {
  const instance = module === null ? instrumentedInstance(program as Program) : plainInstance(module);
  const words = new Int32Array(buffer);
  const shared = new Uint8Array(buffer);
  instance.call("prepare", size);
  parentPort?.postMessage("ready");
  for (;;) {
    const command = waitWhile(words, COMMAND, 0);
    if (command === STOP) return;
    Atomics.store(words, COMMAND, 0);
    if (command === PREPARE) {
      instance.call("prepare", size);
      send(words, DONE, 1);
      continue;
    }
    const phase = command - 1;
    copy(shared, instance.bytes(), rangeOf(instance, "needs", phase), DATA, 0);
    runPieces(instance, phase, COPIES / 2, COPIES);
    for (let i = COPIES / 2; i < COPIES; i++) {
      copy(instance.bytes(), shared, rangeOf(instance, "range", phase * COPIES + i), 0, DATA);
    }
    send(words, DONE, 1);
  }
}

if (!isMainThread && workerData !== null && BY_HAND in workerData) serve(workerData as Setup);
