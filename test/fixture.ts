/**
 * Runtimes for tests: the scriptable driver as root (test/driver.ts), and the guests of test/guests as
 * programs.
 */

import { type CompileOptions, compileGuest } from "../runtime/compile.ts";
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

/** A runtime whose root is the driver. The driver is a program as well, so that children can run scripts. */
export function open(
  programs: readonly Uint8Array[] = [],
  options: Partial<RuntimeOptions> = {},
): Promise<Runtime> {
  return Runtime.open({ root: driver, programs: [driver, ...programs], workers: 1, ...options });
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
