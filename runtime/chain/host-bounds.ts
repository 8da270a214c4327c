/**
 * How much memory of the host guests can cause outside of the heap, at worst. `open` asserts that the option
 * "hostBytes" allows as much, and with what that leaves threads keep instances.
 *
 *   process   Node, the main thread, the lists of the heap; with several workers what they share of a batch:
 *             logs, records, and the state of its process as it was before
 *   threads   of each its stack, which deep calls touch, what V8 takes for an isolate, and the aux memories
 *             of the activations that are in progress, one inside of the other
 *   running   images that are in instances because something runs in them, with the memories that items are
 *             put back to. Processes share the memory quota, but every thread may take part in a batch, and
 *             views run beside blocks
 *   kept      instances in which nothing runs, for the next activation: each pool has so many bytes, or one
 *             instance that is larger; and the one that was used last, and memories of one. A thread has a
 *             pool, and a worker two more for batches in parallel: for items, and for their children
 *   code      of installed programs, CODE_TIMES what they take as Wasm. V8 has the code of one program once
 *             for all threads; at worst each thread keeps others
 *   objects   JavaScript objects for what activations in progress use: children, requests, items. Gas pays
 *             for each, and names, texts and stacks of traces have limits (limits.ts)
 *
 * The last is that of one block: candidates and views that run beside it, and traces, have their own. What
 * the embedder holds (blocks' data, answers, traces) is not counted.
 */

import { totalmem } from "node:os";
import { UsageError } from "../errors.ts";
import { installedBytesOf } from "../kernel/program.ts";
import type { SlotLimits } from "../kernel/slots/slot-pool.ts";
import {
  PAGE_BYTES,
  SLOT_BYTES_LIMIT,
  slotsOfPool,
  TREE_DEPTH_LIMIT,
  WORKER_STACK_BYTES,
} from "../limits.ts";
import { AUX_BYTES, AUX_TAGS, LINE_BYTES } from "../program/layout.ts";
import type { HeapHost, HeapRules } from "./bounds.ts";

/** Node and the main thread. */
const PROCESS_BYTES = 128 << 20;
/** Of a heap's byte: marks, one bit for each unit; and the lists of holes, roots and requests. */
const MARKS_SHARE = 1 / 512;
const LISTS_BYTES = 16 << 20;
/** What workers share of a batch: a log for each, all together at most; and records, hints, control words. */
const LOG_BYTES = 64 << 20;
const LOGS_BYTES = 2 ** 31;
const RECORDS_BYTES = 64 << 20;
/** V8's for a thread: its young generation, garbage, the runtime's own code. */
const ISOLATE_BYTES = 64 << 20;
/** Bytes of code, and of what V8 and the runtime know of it, for a byte of Wasm: up to 82 were measured. */
const CODE_TIMES = 128;
/** Of the machine's memory, what all pools keep where "hostBytes" does not say it. */
const KEPT_SHARE = 1 / 4;
/** Bytes of JavaScript objects for a gas. */
export const OBJECT_BYTES_PER_GAS = 1;

/** What decides how much memory there may be, besides rules. */
export interface MemoryHost extends HeapHost {
  readonly heapBytes: number;
  /** Undefined: as much as needed, and what threads keep is a share of the machine's memory. */
  readonly hostBytes: number | undefined;
}

/** Memory of the host outside of the heap, in bytes. */
export interface HostBounds {
  readonly processBytes: number;
  readonly threadBytes: number;
  readonly runningBytes: number;
  readonly keptBytes: number;
  readonly codeBytes: number;
  readonly objectBytes: number;
  /** All together. */
  readonly hostBytes: number;
}

/** The bound, where each pool keeps instances of `slotBytes`; 0: the least that is possible. */
export function hostBounds(rules: HeapRules, host: MemoryHost, slotBytes = 0): HostBounds {
  const { workers, views, heapBytes } = host;
  const { gasLimit, heldGasQuota, memoryQuotaPages } = rules;
  const threads = workers + views;
  const quotaBytes = memoryQuotaPages * PAGE_BYTES;
  const shared = workers === 1 ? 0 : Math.min(workers * LOG_BYTES, LOGS_BYTES) + RECORDS_BYTES + quotaBytes;
  const batchAuxBytes = AUX_TAGS + quotaBytes / LINE_BYTES;
  const auxBytes = (TREE_DEPTH_LIMIT + 1) * AUX_BYTES + batchAuxBytes;
  const largest = 2 * quotaBytes + batchAuxBytes;
  const terms = {
    processBytes: PROCESS_BYTES + LISTS_BYTES + Math.ceil(heapBytes * MARKS_SHARE) + shared,
    threadBytes: threads * (WORKER_STACK_BYTES + ISOLATE_BYTES + auxBytes),
    runningBytes: threads * 2 * quotaBytes,
    keptBytes: poolsOf(host) * (Math.max(slotBytes, largest) + 2 * largest),
    codeBytes: threads * installedBytesOf(memoryQuotaPages) * CODE_TIMES,
    objectBytes: Math.ceil(OBJECT_BYTES_PER_GAS * (gasLimit + heldGasQuota)),
  };
  return { ...terms, hostBytes: Object.values(terms).reduce((sum, bytes) => sum + bytes, 0) };
}

function poolsOf({ workers, views }: HeapHost): number {
  return workers * (workers > 1 ? 3 : 1) + views;
}

/** Memory of the machine, or of the container if that has less. */
function machineMemory(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

/** What the pools of threads may keep under these rules, on a machine with this much memory. */
export function slotLimits(
  rules: HeapRules,
  host: MemoryHost,
  machineBytes: number = machineMemory(),
): SlotLimits {
  const { workers, views, hostBytes } = host;
  const count = slotsOfPool(workers, views);
  if (hostBytes === undefined) {
    const share = Math.floor((machineBytes * KEPT_SHARE) / poolsOf(host));
    return { count, bytes: Math.min(SLOT_BYTES_LIMIT, share) };
  }
  const { keptBytes, hostBytes: needed } = hostBounds(rules, host);
  // At the least a pool has three of the largest instances: one that is kept, the last one, and memories.
  return { count, bytes: Math.floor((hostBytes - needed + keptBytes / 3) / poolsOf(host)) };
}

/** Why the option is too small: a text, and the terms. */
export interface HostShortage {
  readonly text: string;
  readonly facts: Readonly<Record<string, number>>;
}

/** Why the option "hostBytes" is too small for the rules, null: it is not. */
export function hostShortage(rules: HeapRules, host: MemoryHost): HostShortage | null {
  const { hostBytes } = host;
  const { hostBytes: needed, ...terms } = hostBounds(rules, host);
  if (hostBytes === undefined || needed <= hostBytes) return null;
  const { processBytes, threadBytes, runningBytes, keptBytes, codeBytes, objectBytes } = terms;
  const { memoryQuotaPages, gasLimit, heldGasQuota } = rules;
  const text =
    `"hostBytes" is ${hostBytes}, and guests may cause ${needed} outside of the heap: ` +
    `${processBytes} for the process, ${threadBytes} for its ${host.workers + host.views} threads, ` +
    `${runningBytes} for images that run (memoryQuotaPages ${memoryQuotaPages}, twice for each thread), ` +
    `${keptBytes} for ${poolsOf(host)} pools of instances, ${codeBytes} for code of installed programs, ` +
    `${objectBytes} for objects (${OBJECT_BYTES_PER_GAS} × (gasLimit ${gasLimit} + heldGasQuota ` +
    `${heldGasQuota})). Open with more "hostBytes" or fewer "workers" and "views", or lower ` +
    '"memoryQuotaPages" or "gasLimit", which are rules of the chain';
  return { text, facts: { hostBytes, needed, ...terms } };
}

/**
 * Throws unless "hostBytes" allows what guests can cause under these rules.
 *
 * @throws UsageError (BAD_OPTION)
 */
export function checkHostBytes(rules: HeapRules, host: MemoryHost): void {
  const shortage = hostShortage(rules, host);
  if (shortage !== null) throw new UsageError("BAD_OPTION", shortage.text, shortage.facts);
}
