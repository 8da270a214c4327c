/**
 * Runs instrumented programs without the kernel: the smallest host that fulfils the contract of layout.ts.
 */

import { admit, type Program } from "../../runtime/program/admit.ts";
import { faultOf } from "../../runtime/program/faults.ts";
import {
  AUX_ARGUMENT,
  AUX_FAULT,
  AUX_GAS,
  AUX_GLOBALS,
  AUX_LIST,
  AUX_MARKS,
  AUX_RESULT,
  AUX_STACK,
  AUX_UNWIND,
  batchAuxPages,
  type Marks,
  marksOf,
  REWINDING,
  RUNNING,
  UNWINDING,
} from "../../runtime/program/layout.ts";
import { FAULT_ABORT } from "../../syscalls/abi.ts";

export interface Exports {
  run(entry: number, argumentLow: number, argumentHigh: number, gasLow: number, gasHigh: number): void;
  start?(gasLow: number, gasHigh: number): void;
  load(): void;
  save(): void;
  scan(from: number, end: number): number;
  readonly state?: WebAssembly.Global<"i32">;
}

export interface Outcome {
  /** 0, or why it ended. */
  readonly fault: number;
  readonly result: bigint;
  /** What is left: nothing after a fault other than an abort. */
  readonly gas: bigint;
  /** The program stands in RET or SNAPSHOT. */
  readonly standing: boolean;
}

/** What a stopped process is made of: all of it outside of any instance. */
export interface Image {
  readonly memory: Uint8Array;
  readonly globals: Uint8Array;
  readonly stack: Uint8Array;
  readonly position: number;
  readonly entry: number;
  readonly gas: bigint;
}

export const PLENTY = 1n << 50n;
const aborted = { message: "abort" };

/** What a machine needs for the batch variant. */
export interface Batch {
  readonly bound: number;
  readonly touch: (machine: Machine, address: number, length: number, write: boolean) => void;
}

export class Machine {
  readonly program: Program;
  readonly memory: WebAssembly.Memory;
  readonly aux: WebAssembly.Memory;
  readonly exports: Exports;
  readonly words: DataView;
  /** Calls of imports, in order. */
  readonly log: string[] = [];
  /** What put and get do; returns their result. */
  onCall: (name: string, a: number, b: number) => number = () => 0;
  /** What ret and snapshot answer at once, given ret's code; null: the program is suspended. */
  atOnce: ((code: bigint) => bigint) | null = null;
  /** The quota of memory.grow, in pages. */
  pages = 65536;
  readonly #marks: Marks;
  #entry = 0;
  #rewinding = false;
  #standing = false;
  #gasBehind = 0n;
  #answer = 0;
  /** The stack of the last fault, as V8 writes it; "" after an abort. */
  stack = "";

  constructor(
    program: Program,
    module = new WebAssembly.Module(program.code as BufferSource),
    image?: Image,
    batch?: Batch,
    imports: Readonly<Record<string, WebAssembly.Memory>> = {},
  ) {
    this.program = program;
    const { initialPages, maximumPages } = program.memory;
    const initial = image === undefined ? initialPages : image.memory.length / 65536;
    this.memory = new WebAssembly.Memory({ initial, maximum: maximumPages });
    const auxPages = batchAuxPages(batch?.bound ?? 0);
    this.#marks = marksOf(batch?.bound ?? 0);
    this.aux = new WebAssembly.Memory({ initial: auxPages, maximum: auxPages });
    this.words = new DataView(this.aux.buffer);
    const call = (name: string) => (a: number, b: number) => {
      this.log.push(`${name} ${a} ${b}`);
      return this.onCall(name, a, b);
    };
    const instance = new WebAssembly.Instance(module, {
      k: {
        memory: this.memory,
        aux: this.aux,
        ...imports,
        put: call("put"),
        get: call("get"),
        ret: () => this.#stand(),
        snapshot: () => {
          this.#stand();
          return this.#answer;
        },
        accumulate: (request: number) => call("accumulate")(request, 0),
        grow: (delta: number) => this.#grow(delta >>> 0),
        abort: (message: number, file: number, line: number, column: number) => {
          this.log.push(`abort ${message} ${file} ${line} ${column}`);
          throw aborted;
        },
        touch: (address: number, length: number, write: number) =>
          batch?.touch(this, address >>> 0, length >>> 0, write !== 0),
      },
    });
    this.exports = instance.exports as unknown as Exports;
    if (image === undefined) {
      for (const { offset, bytes } of program.data) new Uint8Array(this.memory.buffer).set(bytes, offset);
      this.setGlobals(program.globals);
    } else {
      new Uint8Array(this.memory.buffer).set(image.memory);
      this.setGlobals(image.globals);
    }
  }

  #grow(delta: number): number {
    const before = this.memory.buffer.byteLength / 65536;
    if (before + delta > Math.min(this.pages, this.program.memory.maximumPages)) return -1;
    return this.memory.grow(delta);
  }

  setGlobals(area: Uint8Array): void {
    new Uint8Array(this.aux.buffer).set(area, AUX_GLOBALS);
    this.exports.load();
  }

  globals(): Uint8Array {
    this.exports.save();
    return new Uint8Array(this.aux.buffer).slice(AUX_GLOBALS, AUX_GLOBALS + this.program.globals.length);
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.memory.buffer);
  }

  /** Bytes that a mark stands for. */
  get blockBytes(): number {
    return 1 << this.#marks.shift;
  }

  /** Numbers of the blocks marked since the last scan; takes the marks away. */
  scan(): number[] {
    const { at } = this.#marks;
    if (at !== AUX_MARKS) {
      const blocks = this.memory.buffer.byteLength / this.blockBytes;
      const marks = new Uint8Array(this.aux.buffer, at, blocks);
      const marked = [...marks.keys()].filter((block) => marks[block] !== 0);
      marks.fill(0);
      return marked;
    }
    const pages = this.memory.buffer.byteLength / 4096;
    const list: number[] = [];
    for (;;) {
      const count = this.exports.scan(0, pages);
      for (let index = 0; index < count; index++) list.push(this.words.getUint32(AUX_LIST + 4 * index, true));
      if (count === 0) return list;
    }
  }

  run(entry: number | string, argument = 0n, gas = PLENTY): Outcome {
    const number = typeof entry === "string" ? this.program.entries.indexOf(entry) : entry;
    if (number < 0) throw new Error(`no entry ${entry}`);
    this.#entry = number;
    const low = Number(BigInt.asIntN(32, argument));
    const high = Number(BigInt.asIntN(32, argument >> 32n));
    return this.#finish(() =>
      this.exports.run(number, low, high, Number(BigInt.asIntN(32, gas)), Number(gas >> 32n)),
    );
  }

  start(gas = PLENTY): Outcome {
    return this.#finish(() => this.exports.start?.(Number(BigInt.asIntN(32, gas)), Number(gas >> 32n)));
  }

  #finish(body: () => void): Outcome {
    this.words.setInt32(AUX_FAULT, 0, true);
    this.#standing = false;
    try {
      body();
    } catch (error) {
      const fault = error === aborted ? FAULT_ABORT : faultOf(error, new Int32Array(this.aux.buffer));
      if (fault === null) throw error;
      this.stack = (error as Error).stack ?? "";
      const gas = fault === FAULT_ABORT ? this.words.getBigInt64(AUX_GAS, true) : 0n;
      return { fault, result: 0n, gas, standing: false };
    }
    if (this.#standing) this.#setState(RUNNING);
    return {
      fault: 0,
      result: this.words.getBigInt64(AUX_RESULT, true),
      gas: this.words.getBigInt64(AUX_GAS, true),
      standing: this.#standing,
    };
  }

  /** The import ret or snapshot: suspends, or continues after it. */
  #stand(): void {
    if (this.atOnce !== null) {
      const answer = this.atOnce(this.words.getBigInt64(AUX_RESULT, true));
      this.#answer = Number(BigInt.asIntN(32, answer));
      return this.words.setBigInt64(AUX_ARGUMENT, answer, true);
    }
    if (this.#rewinding) {
      this.#rewinding = false;
      this.#setState(RUNNING);
      this.words.setBigInt64(AUX_GAS, this.#gasBehind, true);
      return;
    }
    this.#standing = true;
    this.words.setUint32(AUX_UNWIND, AUX_STACK, true);
    this.#setState(UNWINDING);
  }

  #setState(state: number): void {
    (this.exports.state as WebAssembly.Global<"i32">).value = state;
  }

  /** The image of a program that suspends. */
  image(): Image {
    const position = this.words.getUint32(AUX_UNWIND, true);
    return {
      memory: this.bytes().slice(),
      globals: this.globals(),
      stack: new Uint8Array(this.aux.buffer).slice(AUX_STACK, position),
      position,
      entry: this.#entry,
      gas: this.words.getBigInt64(AUX_GAS, true),
    };
  }

  /** Continues where `image` stood, with an answer for RET or SNAPSHOT. */
  resume(image: Image, answer: bigint, gas = image.gas): Outcome {
    this.#entry = image.entry;
    new Uint8Array(this.aux.buffer).set(image.stack, AUX_STACK);
    this.words.setUint32(AUX_UNWIND, image.position, true);
    this.words.setBigInt64(AUX_ARGUMENT, answer, true);
    this.#answer = Number(BigInt.asIntN(32, answer));
    this.#gasBehind = gas;
    this.#rewinding = true;
    this.#setState(REWINDING);
    return this.#finish(() => this.exports.run(image.entry, 0, 0, 0, 0));
  }
}

export function machine(bytes: Uint8Array): Machine {
  return new Machine(admit(bytes));
}
