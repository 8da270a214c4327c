/**
 * Runtimes for tests: the scriptable driver as root (test/driver.ts), and the guests of test/guests as
 * programs.
 */

import assert from "node:assert/strict";
import { type HeapHost, type HeapRules, heapBounds } from "../runtime/chain/bounds.ts";
import { type CompileOptions, compileGuest } from "../runtime/compile.ts";
import { CHUNK_BYTES, CHUNK_UNITS, CONTROL_CHUNKS } from "../runtime/heap/heap.ts";
import {
  type Block,
  type ProduceOptions,
  programHash,
  Runtime,
  type RuntimeOptions,
} from "../runtime/index.ts";
import { DRIVER_INITIAL_MEMORY, type Results, Script } from "./driver.ts";

/** How guests are compiled that need something particular. */
const OPTIONS: Record<string, CompileOptions> = {
  driver: { initialMemory: DRIVER_INITIAL_MEMORY },
  "batch/script": { enable: ["simd"] },
};

/** A guest of test/guests, compiled. */
export function guest(name: string): Promise<Uint8Array> {
  const file = new URL(`./guests/${name}.ts`, import.meta.url).pathname;
  return compileGuest(file, OPTIONS[name] ?? {});
}

export const driver = await guest("driver");
export const DRIVER_HASH = programHash(driver);

/** Rules of tests that name no others: far more than they use. */
const RULES = { gasLimit: 10_000_000_000, memoryQuotaPages: 1 << 20, workers: 1, views: 1 };
/** Gas for what is not to end: about the most for which there can be a heap. */
export const ENDLESS_GAS = 100_000_000_000;

/** The smallest heap that `open` takes with such rules. */
export function smallestHeap(rules: Partial<HeapRules & HeapHost>): number {
  const { gasLimit = RULES.gasLimit, heldGasQuota = gasLimit } = rules;
  const all = { ...RULES, ...rules, gasLimit, heldGasQuota };
  return heapBounds(all, all).heapBytes;
}

/** Options with the rules of tests, and a heap that holds what they allow: some GiB more than the least. */
export function fitted<T extends Partial<RuntimeOptions>>(
  options: T,
): typeof RULES & T & { heapBytes: number } {
  const heapBytes = Math.min(2 ** 37, smallestHeap(options) + 8 * 2 ** 30);
  return { ...RULES, heapBytes, ...options };
}

/**
 * Makes the heap of an open runtime smaller than `open` takes: to see what happens when it is full, which
 * else needs gigabytes.
 */
export function shrinkHeap({ engine }: Runtime, bytes: number): void {
  const chunks = Math.ceil(bytes / CHUNK_BYTES) + 1;
  assert.ok(chunks * CHUNK_UNITS > engine.heap.top, "so much is in use");
  Atomics.store(engine.heap.control, CONTROL_CHUNKS, chunks);
}

/** A runtime whose root is the driver. The driver is a program as well, so that children can run scripts. */
export function open(
  programs: readonly Uint8Array[] = [],
  options: Partial<RuntimeOptions> = {},
): Promise<Runtime> {
  return Runtime.open(fitted({ root: driver, programs: [driver, ...programs], ...options }));
}

/** Opens a runtime, hands it to `use`, and closes it. */
export async function withRuntime<T>(
  programs: readonly Uint8Array[],
  options: Partial<RuntimeOptions>,
  use: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = await open(programs, options);
  try {
    return await use(runtime);
  } finally {
    await runtime.close();
  }
}

/** Writes a script by `write`, runs it as a block, and reads what it gave. */
export async function play<T>(
  runtime: Runtime,
  write: (script: Script) => T,
  options: ProduceOptions = {},
): Promise<{ block: Block; results: Results; handles: T }> {
  const script = new Script();
  const handles = write(script);
  const block = await runtime.produce(script.metadata(), options);
  return { block, results: script.read(block.data), handles };
}

/** Runs the scripts as blocks, from block 0 on. */
export async function blocksOf(runtime: Runtime, scripts: readonly Script[]): Promise<Block[]> {
  await runtime.revert(0);
  const made: Block[] = [];
  for (const script of scripts) made.push(await runtime.produce(script.metadata()));
  return made;
}
