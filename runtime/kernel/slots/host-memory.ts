/** Linear memories, from a host that may have none left. */

import { LimitError } from "../../errors.ts";
import { WASM_PAGE_BYTES } from "../../limits.ts";
import { COUNTING, work } from "../../work.ts";

const counting = COUNTING;

/**
 * A memory; sizes are in pages of 64 KiB.
 *
 * @throws LimitError HOST_MEMORY
 */
export function newMemory(initial: number, maximum: number): WebAssembly.Memory {
  if (counting) {
    work.memories++;
    work.memoryBytes += initial * WASM_PAGE_BYTES;
  }
  try {
    return new WebAssembly.Memory({ initial, maximum });
  } catch (error) {
    throw noMemory(initial, error);
  }
}

/**
 * Makes a memory larger, within its maximum.
 *
 * @throws LimitError HOST_MEMORY
 */
export function growMemory(memory: WebAssembly.Memory, delta: number): void {
  if (counting) work.memoryBytes += delta * WASM_PAGE_BYTES;
  try {
    memory.grow(delta);
  } catch (error) {
    throw noMemory(memory.buffer.byteLength / WASM_PAGE_BYTES + delta, error);
  }
}

function noMemory(pages: number, cause: unknown): LimitError {
  return new LimitError(
    "HOST_MEMORY",
    `the host could not give a process ${pages} pages of 64 KiB. ` +
      'Run fewer workers or lower the option "memoryQuotaPages"',
    { pages },
    { cause },
  );
}
