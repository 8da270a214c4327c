/**
 * States that a store does not have, because they are made from others (durability "logged"): a runtime in
 * memory makes them again, which begins with that block.
 */

import { type Block, type Chain, Runtime, StoreError } from "../../index.ts";
import type { Reader } from "../../store.ts";
import { HEAP_BYTES } from "./naming.ts";

/** A chain that has the state of a block, and the block's name there. */
export interface HeldState extends AsyncDisposable {
  readonly chain: Chain;
  readonly block: Block;
}

/**
 * The state of a block of the store in `directory`, which the reader has open. What has another name by that
 * has its root.
 *
 * @throws UsageError (NO_STATE: and nothing can be run, for somebody has the store open), StoreError
 */
export async function stateOf(reader: Reader, directory: string, block: Block): Promise<HeldState> {
  if (reader.anchors().some(({ id }) => id === block.id))
    return { chain: reader, block, [Symbol.asyncDispose]: async () => {} };
  const from = { store: directory, block: block.id };
  const options = { workers: 1, views: 0, heapBytes: HEAP_BYTES } as const;
  try {
    const runtime = await Runtime.open({ from, ...options });
    return { chain: runtime, block: runtime.head, [Symbol.asyncDispose]: () => runtime.close() };
  } catch (error) {
    // The reader says which states there are.
    if (error instanceof StoreError && error.code === "STORE_LOCKED") reader.inspect([], block);
    throw error;
  }
}
