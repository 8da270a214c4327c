/** The engines on which the runtime is tested as a host; docs/engines.md says what is known of others. */

import { HEAP_BYTES_EVERYWHERE } from "../heap/heap.ts";
import { knowTraps } from "../program/faults.ts";

/** Major versions of Node that all tests run on. */
const TESTED: readonly number[] = [24, 26];

let isChecked = false;

/**
 * Warns, once in a process, if the tests do not run on this engine.
 *
 * @throws UsageError ENGINE_UNSUPPORTED if the faults of programs cannot be told apart on it
 */
export function checkHost(): void {
  if (isChecked) return;
  knowTraps();
  isChecked = true;
  const name = untested(process.versions);
  if (name === null) return;
  const tested = `Stillpoint is tested on Node ${TESTED.join(" and ")}`;
  const text = `${tested}, and this is ${name}: see docs/engines.md`;
  process.emitWarning(text, { type: "StillpointWarning", code: "ENGINE_NOT_TESTED" });
}

/** The option "heapBytes" by default: 8 GiB, or what the engine has. */
export function defaultHeapBytes({ bun }: Readonly<Record<string, string | undefined>>): number {
  return bun === undefined ? 2 ** 33 : HEAP_BYTES_EVERYWHERE;
}

/** The engine's name, or null if the tests run on it. */
export function untested(versions: Readonly<Record<string, string | undefined>>): string | null {
  const { node = "", deno, bun } = versions;
  if (deno !== undefined) return `Deno ${deno}`;
  if (bun !== undefined) return `Bun ${bun}`;
  return TESTED.includes(Number.parseInt(node, 10)) ? null : `Node ${node}`;
}
