/**
 * Runs a guest without the runtime: plain WebAssembly with imports given by the test. For the SDK's own tests
 * only; what depends on processes is tested with the runtime.
 */

import { join } from "node:path";
import { type CompileOptions, compileGuest } from "../../runtime/compile.ts";

export const ROOT = join(import.meta.dirname, "..", "..");

/**
 * The seed of randomised tests: STILLPOINT_SEED, else a fixed one. fast-check prints it when a property
 * fails.
 */
export const SEED = Number(process.env.STILLPOINT_SEED ?? 20_261_120);

/** What `abort` throws: the guest's message and where it stood. */
export class GuestAbort extends Error {
  readonly file: string;
  readonly line: number;

  constructor(message: string, file: string, line: number) {
    super(message);
    this.file = file;
    this.line = line;
  }
}

/** The calls; a test that needs none leaves them out. */
export interface Calls {
  put?(child: number, request: number): number;
  get?(child: number, request: number): number;
  ret?(code: bigint): bigint;
  snapshot?(request: number): number;
  accumulate?(request: number): number;
}

export class Guest {
  readonly memory: WebAssembly.Memory;
  readonly #exports: WebAssembly.Exports;

  constructor(instance: WebAssembly.Instance) {
    this.#exports = instance.exports;
    this.memory = instance.exports.memory as WebAssembly.Memory;
  }

  has(name: string): boolean {
    return typeof this.#exports[name] === "function";
  }

  /** Calls an export that gives a number (i32, f64) or nothing. */
  call(name: string, ...values: (number | bigint)[]): number {
    const result = (this.#exports[name] as (...values: (number | bigint)[]) => number | undefined)(...values);
    return result ?? 0;
  }

  /** Calls an export that gives an i64; as unsigned. */
  call64(name: string, ...values: (number | bigint)[]): bigint {
    return BigInt.asUintN(64, this.call(name, ...values) as unknown as bigint);
  }

  /** A view of the memory as it is now: growth invalidates it. */
  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, length);
  }

  write(address: number, bytes: Uint8Array): void {
    this.bytes(address, bytes.length).set(bytes);
  }

  view(): DataView {
    return new DataView(this.memory.buffer);
  }

  /** Reads a little-endian unsigned integer of `length` bytes. */
  readInteger(address: number, length: number): bigint {
    return bytesToInteger(this.bytes(address, length).toReversed());
  }

  writeInteger(address: number, length: number, value: bigint): void {
    this.write(address, integerToBytes(value, length).reverse());
  }
}

/** Compiles `file` (relative to the repository) and instantiates it. */
export async function instantiate(
  file: string,
  calls: Calls = {},
  options: CompileOptions = {},
): Promise<Guest> {
  const code = await compileGuest(join(ROOT, file), options);
  return instantiateBytes(code, calls);
}

export async function instantiateBytes(code: Uint8Array, calls: Calls = {}): Promise<Guest> {
  return instantiateSync(await WebAssembly.compile(code as Uint8Array<ArrayBuffer>), calls);
}

export function instantiateSync(module: WebAssembly.Module, calls: Calls = {}): Guest {
  let memory: WebAssembly.Memory | undefined;
  const string = (pointer: number): string => {
    if (!memory || pointer === 0) return "";
    const length = new DataView(memory.buffer).getUint32(pointer - 4, true);
    return new TextDecoder("utf-16le").decode(new Uint8Array(memory.buffer, pointer, length));
  };
  const missing = (name: string) => () => {
    throw new Error(`the guest called ${name}, which this test does not give`);
  };
  const instance = new WebAssembly.Instance(module, {
    env: {
      abort: (message: number, file: number, line: number) => {
        throw new GuestAbort(string(message), string(file), line);
      },
    },
    stillpoint: {
      put: calls.put ?? missing("put"),
      get: calls.get ?? missing("get"),
      ret: calls.ret ?? missing("ret"),
      snapshot: calls.snapshot ?? missing("snapshot"),
      accumulate: calls.accumulate ?? missing("accumulate"),
    },
  });
  memory = instance.exports.memory as WebAssembly.Memory;
  return new Guest(instance);
}

// ---- numbers ----------------------------------------------------------------------------------------------

/** Big-endian bytes of `value`. */
export function integerToBytes(value: bigint, length: number): Uint8Array {
  return Uint8Array.from(Buffer.from(value.toString(16).padStart(length * 2, "0"), "hex"));
}

export function bytesToInteger(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`);
}

/** A small generator of random 32-bit numbers (mulberry32), equal on every machine. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}
