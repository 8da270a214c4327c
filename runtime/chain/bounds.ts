/**
 * What the rules allow a block to need, and what of it `open` asserts: that no block, whatever it does, fails
 * for want of room in the heap.
 *
 * While a block runs, the heap holds
 *
 *   the head's state    all that images keep counts against the memory quota, and nothing else stays: a child
 *                       has no reference snapshot once its parent has ended, unless it is started, and then
 *                       that is its START image. A page of the quota is at most a page and its share of
 *                       nodes.
 *   what it makes       at most HEAP_BYTES_PER_GAS for each gas, its own and what started processes hold
 *   what is not paid    metadata of both, programs of genesis, space that threads have taken and not filled
 *
 * Everything else gives way before a block fails: other retained blocks are forgotten, pages in a store are
 * evicted, views begin again, and a run that found the heap full is repeated alone. Only what the embedder
 * holds besides can be in the way: pinned blocks, more than one of "retainBlocksMin", candidates and forks.
 */

import { UsageError } from "../errors.ts";
import { CHUNK_BYTES } from "../heap/heap.ts";
import { HEAP_BYTES_PER_GAS } from "../kernel/gas.ts";
import { DATA_BYTES_LIMIT } from "../limits.ts";

/**
 * Heap for a page of 4 KiB of the memory quota: 65 units of 64 bytes, a share in a node of 32, and a tenth of
 * that again for free space between objects that nothing fits into.
 */
export const HEAP_BYTES_PER_QUOTA_PAGE = 4_620;
/** The metadata of the head and of the block that runs. */
const METADATA_BYTES = 2 * DATA_BYTES_LIMIT;
/** Programs of genesis and the memories that they begin with, as far as nothing else is known. */
const GENESIS_BYTES = 16 << 20;
/** A thread fills two pieces of the heap at a time. */
const THREAD_BYTES = 2 * CHUNK_BYTES;

/** Rules that decide how large the heap must be. */
export interface HeapRules {
  readonly gasLimit: number;
  readonly heldGasQuota: number;
  readonly memoryQuotaPages: number;
}

/** Options of the host that decide it. */
export interface HeapHost {
  readonly workers: number;
  readonly views: number;
}

/** What the heap must hold at worst, in bytes. */
export interface HeapBounds {
  /** The state of the head. */
  readonly stateBytes: number;
  /** What the block in progress makes. */
  readonly blockBytes: number;
  /** Metadata, programs of genesis, space of the threads. */
  readonly fixedBytes: number;
  /** All together: the least "heapBytes" that `open` takes. */
  readonly heapBytes: number;
}

/** What these rules need; `genesisBytes`: what the programs of genesis have taken. */
export function heapBounds(rules: HeapRules, { workers, views }: HeapHost, genesisBytes = 0): HeapBounds {
  const { gasLimit, heldGasQuota, memoryQuotaPages } = rules;
  const threads = workers + views + 1;
  const stateBytes = memoryQuotaPages * HEAP_BYTES_PER_QUOTA_PAGE;
  const blockBytes = Math.ceil(HEAP_BYTES_PER_GAS * (gasLimit + heldGasQuota));
  const fixedBytes = METADATA_BYTES + Math.max(GENESIS_BYTES, genesisBytes) + threads * THREAD_BYTES;
  return { stateBytes, blockBytes, fixedBytes, heapBytes: stateBytes + blockBytes + fixedBytes };
}

/** Why a heap is too small for rules: a text for people, and the terms. */
export interface HeapShortage {
  readonly text: string;
  readonly facts: Readonly<Record<string, number>>;
}

/** Null if the heap holds the worst block that the rules allow. */
export function heapShortage(
  rules: HeapRules,
  host: HeapHost & { readonly heapBytes: number },
  genesisBytes = 0,
): HeapShortage | null {
  const { memoryQuotaPages, gasLimit, heldGasQuota } = rules;
  const { heapBytes } = host;
  const { heapBytes: needed, ...terms } = heapBounds(rules, host, genesisBytes);
  const { stateBytes, blockBytes, fixedBytes } = terms;
  if (needed <= heapBytes) return null;
  const text =
    `"heapBytes" is ${heapBytes}, and a block may need ${needed} of them: ` +
    `${stateBytes} for the state (memoryQuotaPages ${memoryQuotaPages} × ${HEAP_BYTES_PER_QUOTA_PAGE}), ` +
    `${blockBytes} for what it makes (${HEAP_BYTES_PER_GAS} × (gasLimit ${gasLimit} + heldGasQuota ` +
    `${heldGasQuota})), ${fixedBytes} for metadata, programs and threads. ` +
    'Open with more "heapBytes", which is reserved and not touched, or lower "memoryQuotaPages", ' +
    '"gasLimit" or "heldGasQuota", which are rules of the chain';
  return { text, facts: { heapBytes, needed, ...terms } };
}

/**
 * Throws unless the heap holds the worst block that the rules allow.
 *
 * @throws UsageError (BAD_OPTION)
 */
export function checkHeap(...given: Parameters<typeof heapShortage>): void {
  const shortage = heapShortage(...given);
  if (shortage !== null) throw new UsageError("BAD_OPTION", shortage.text, shortage.facts);
}
