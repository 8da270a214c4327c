/**
 * How much heap a block can need at worst under the rules. `open` asserts that there is as much, so that no
 * block, whatever it does, fails for lack of heap.
 *
 * While a block runs, the heap holds
 *
 *   the head's state    all that images keep counts against the memory quota, and nothing else stays: a child
 *                       has no reference snapshot once its parent has ended, unless it is started, and then
 *                       that is its START image. A page of the quota is at most a page and its share of
 *                       nodes.
 *   what it makes       at most HEAP_BYTES_PER_GAS for each gas, its own and that of processes that earlier
 *                       blocks left running; a sixteenth more is lost to space that is too small for the next
 *                       object
 *   programs            their bytes count PAGE_BYTES / PROGRAM_BYTES times against the memory quota, for what
 *                       each thread puts into the heap with them: the memory they begin with, the code of
 *                       their batch variant
 *   what is not paid    metadata of both blocks, programs of genesis, space that threads have not filled
 *
 * Everything else is given up before a block fails: pages in a store are evicted, other retained blocks are
 * forgotten, views start again, the heap is compacted (heap/compact.ts), and a run that found the heap full
 * is repeated alone. Only other states that the embedder holds can still take the room: pinned blocks, a
 * "retainBlocksMin" above 1, candidates and forks.
 */

import { PROGRAM_BYTES } from "../../syscalls/abi.ts";
import { UsageError } from "../errors.ts";
import { CHUNK_BYTES } from "../heap/heap.ts";
import { HEAP_BYTES_PER_GAS } from "../kernel/gas.ts";
import { DATA_BYTES_LIMIT } from "../limits.ts";

/**
 * Heap for a page of 4 KiB of the memory quota: 65 units of 64 bytes, a share in a node of 32, and a tenth of
 * that again for free space between objects that nothing fits into.
 */
export const HEAP_BYTES_PER_QUOTA_PAGE = 4_620;
/** The share of new objects that is lost at the ends of regions (heap/heap.ts). */
const LOST_SHARE = 1 / 16;
/** For a byte of an installed program: a copy of its data for each thread, and its code for batches. */
const PROGRAM_CODE_TIMES = 8;
/** The metadata of the head and of the block that runs. */
const METADATA_BYTES = 2 * DATA_BYTES_LIMIT;
/** Programs of genesis and their initial memories, at least. */
const GENESIS_BYTES = 16 << 20;
/** A thread fills two pieces of the heap at a time. */
const THREAD_BYTES = 2 * CHUNK_BYTES;

/** Rules that decide how large the heap must be. */
export interface HeapRules {
  readonly gasLimit: number;
  readonly heldGasQuota: number;
  readonly memoryQuotaPages: number;
}

/** Options of the host that decide how large the heap must be. */
export interface HeapHost {
  readonly workers: number;
  readonly views: number;
}

/** How much heap a block can need, in bytes. */
export interface HeapBounds {
  /** The state of the head. */
  readonly stateBytes: number;
  /** What the block in progress makes. */
  readonly blockBytes: number;
  /** Metadata, programs, space of the threads. */
  readonly fixedBytes: number;
  /** All together: the least "heapBytes" that `open` takes. */
  readonly heapBytes: number;
}

/** The heap that these rules need. `genesisBytes`: what the programs of genesis take. */
export function heapBounds(rules: HeapRules, { workers, views }: HeapHost, genesisBytes = 0): HeapBounds {
  const { gasLimit, heldGasQuota, memoryQuotaPages } = rules;
  const threads = threadsOf({ workers, views });
  const stateBytes = memoryQuotaPages * HEAP_BYTES_PER_QUOTA_PAGE;
  const blockBytes = bytesMade(gasLimit + heldGasQuota, { workers, views });
  const programBytes = memoryQuotaPages * PROGRAM_BYTES * (threads + PROGRAM_CODE_TIMES);
  const fixedBytes = METADATA_BYTES + Math.max(GENESIS_BYTES, genesisBytes) + programBytes;
  return { stateBytes, blockBytes, fixedBytes, heapBytes: stateBytes + blockBytes + fixedBytes };
}

/** Bytes of heap that this much gas can take, with the space that threads reserve and do not fill. */
export function bytesMade(gas: number, host: HeapHost): number {
  return Math.ceil(HEAP_BYTES_PER_GAS * (1 + LOST_SHARE) * gas) + threadsOf(host) * THREAD_BYTES;
}

/** Threads that make objects: workers, views, the main thread, and the one that loads from stores. */
function threadsOf({ workers, views }: HeapHost): number {
  return workers + views + 2;
}

/** Why a heap is too small for the rules: a text, and the terms. */
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
    `${blockBytes} for what it makes (${HEAP_BYTES_PER_GAS * (1 + LOST_SHARE)} × (gasLimit ${gasLimit} + ` +
    `heldGasQuota ${heldGasQuota}), and what threads take), ${fixedBytes} for metadata and programs. ` +
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
