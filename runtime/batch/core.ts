/**
 * The core as a module: compiled from core/ where the sources are, read from core.wasm beside this file in
 * the package.
 *
 * Every worker instantiates the module on the one memory. What the exports mean is in layout.ts.
 */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { assert, KernelPanic } from "../errors.ts";
import { ARENAS, RERUN_LIMIT, SPIN_LIMIT, WORKERS_LIMIT } from "./layout.ts";

/** What an instance of the core exports. */
export interface Core {
  reset(items: number, workers: number): void;
  hint(item: number, lower: number): void;
  enter(worker: number): void;
  next(): number;
  lookup(line: number): number;
  logBegin(): number;
  logEnd(): number;
  accumulate(
    line: number,
    offset: number,
    width: number,
    subtracts: number,
    delta: number,
    min: number,
    max: number,
  ): number;
  withdraw(): void;
  version(entry: number): number;
  finish(gasLow: number, gasHigh: number, outcome: number): number;
  giveUp(): number;
  final(): number;
  recheck(): number;
  expire(ok: number, last: number): number;
  validate(): number;
  finishValidation(ok: number): number;
  commit(): number;
}

/**
 * What the core imports: the lines as they were before the window. Mostly functions of another Wasm
 * module.
 */
export interface Base {
  /** Whether the base bytes of `line` equal the 64 bytes at `address` of the core's memory. */
  equals(line: number, address: number): number;
  /**
   * Puts the base bytes of `line` at `address` of the core's memory; asked for where there are deltas only.
   */
  read?(line: number, address: number): void;
}

/** Looks at an estimate before an execution gives up: some microseconds. */
const SPINS = 2000;
const RERUNS = 24;

/** Flags of asc for modules on shared memory. */
export const CORE_FLAGS: string[] = [
  ..."--optimizeLevel 3 --shrinkLevel 0 --runtime stub --importMemory --sharedMemory".split(" "),
  ..."--initialMemory 2 --maximumMemory 65536 --memoryBase 1024 --noAssert --use abort=".split(" "),
  ..."--enable threads --enable bulk-memory --enable simd".split(" "),
];

let compiled: Promise<WebAssembly.Module> | undefined;

/** The module, compiled once in this thread; it can be posted to others. */
export function coreModule(): Promise<WebAssembly.Module> {
  compiled ??= coreBytes().then((bytes) => WebAssembly.compile(bytes));
  return compiled;
}

/** The bytes of the module. */
export async function coreBytes(): Promise<Uint8Array<ArrayBuffer>> {
  if (!import.meta.url.endsWith(".ts")) return readFile(new URL("core.wasm", import.meta.url));
  const { compileWithFlags } = await import("../compile.ts");
  const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  return new Uint8Array(await compileWithFlags(file("core/index.ts"), file("."), CORE_FLAGS));
}

/**
 * The memory of a core: `arenaBytes` for the logs and versions of each of `workers` workers. Address space
 * only, until it is used.
 */
export function coreMemory(workers: number, arenaBytes: number): WebAssembly.Memory {
  assert(workers >= 1 && workers <= WORKERS_LIMIT, "core: workers");
  const pages = Math.ceil((ARENAS + workers * arenaBytes) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const words = new Uint32Array(memory.buffer, 0, 1024);
  words[SPIN_LIMIT / 4] = SPINS;
  words[RERUN_LIMIT / 4] = RERUNS;
  return memory;
}

function noDeltas(): never {
  throw new KernelPanic("core: deltas without base.read");
}

/** One worker's instance. */
export function instantiateCore(module: WebAssembly.Module, memory: WebAssembly.Memory, base: Base): Core {
  const imports = { env: { memory }, base: { equals: base.equals, read: base.read ?? noDeltas } };
  return new WebAssembly.Instance(module, imports).exports as unknown as Core;
}
