/**
 * What is known of how a batch ran: counts, contended lines, dependencies. It differs from run to run and
 * decides nothing; what a batch gave is elsewhere.
 */

import { performance } from "node:perf_hooks";
import type { Batch } from "../kernel/items/batch.ts";
import type { Accesses } from "./accesses.ts";
import type { Contended } from "./contended.ts";
import * as layout from "./layout.ts";

/** Why a run in parallel ended. */
export type Ending = "done" | "cut" | "sequential" | "conflicts" | "slow" | "memory" | "died";

/** The block that a batch belongs to: the one in which it was started. */
export interface BlockOfBatch {
  readonly height: number;
  /** Id of the block before; the genesis id for block 0. */
  readonly parent: string;
  /** Null: it did not become a block, by a fault, say. */
  readonly id: string | null;
}

/** How a batch ran, as its leader reports it. */
export type UnplacedReport = Omit<BatchReport, "block">;

/** How a batch ran. */
export interface BatchReport {
  /** Null: it was started long ago, and the block is not remembered. */
  readonly block: BlockOfBatch | null;
  /** Whose batch it was: the numbers of children from the root on, as `inspect` and `read` take them. */
  readonly process: readonly number[];
  /** SHA-256 of the program whose items ran, in hex. */
  readonly program: string;
  readonly entry: string;
  /** SHA-256 of the inputs, in hex, which names the batch when it is run again; with dependencies only. */
  readonly inputs: string | null;
  /** Those it was given: the sum of the next four. */
  readonly items: number;
  /** Items that returned or faulted in a run in parallel. */
  readonly parallel: number;
  /** Items that returned or faulted one after the other. */
  readonly sequential: number;
  /** Items that did not run because their limit is more than all may use together. */
  readonly refused: number;
  /** Items that did not run because what the others had left was too little. */
  readonly notRun: number;
  /** From its first item to its last, on the thread that led it. */
  readonly milliseconds: number;
  /** How each run in parallel ended. */
  readonly endings: readonly Ending[];
  /**
   * Incarnations that were begun. Each came to its item's outcome, was aborted, gave up, expired, or was
   * thrown away because the run ended before: where none does, they are as many as `parallel`, `aborts`,
   * `givenUp` and `expired`.
   */
  readonly executions: number;
  /** Looks at all that an incarnation has read; without conflicts one for each item. */
  readonly validations: number;
  /** Incarnations that had ended, and whose reads, or answers about a sum, turned out wrong. */
  readonly aborts: number;
  /** Incarnations that met a value which was about to change, and ended there. */
  readonly givenUp: number;
  /** Incarnations that had spent their lease, and ended there. */
  readonly expired: number;
  /** Those of them whose reads were right: their items ran again with a larger lease, or all their gas. */
  readonly renewed: number;
  /** Values about to change that were waited for. */
  readonly waits: number;
  /** Versions of lines that were made, and the bytes of memory that they and the logs took. */
  readonly versions: number;
  readonly versionBytes: number;
  /** Where items met: what aborted incarnations had read and found changed first, most often first. */
  readonly contended: readonly Contended[];
  /**
   * Of items that ran in parallel, pairs (item, lower item of the same window that left what it read); null
   * if they were not asked for.
   */
  readonly dependencies: readonly (readonly [item: number, lower: number])[] | null;
  /** Nanoseconds of all threads in the parts of a run in parallel; null if it was not asked for. */
  readonly nanoseconds: Readonly<Record<Phase, number>> | null;
}

/**
 * Parts of a thread's time: the guest with its misses, putting back, versions, checking, applying, waiting.
 */
export type Phase = "guest" | "reset" | "publish" | "validate" | "commit" | "wait";
/** All of them, in the order in which an item passes through. */
export const PHASES: readonly Phase[] = ["guest", "reset", "publish", "validate", "commit", "wait"];

/** Adds up one thread's time by its parts. */
export class Clock {
  readonly #nanoseconds: Float64Array;
  #last = 0;

  constructor(nanoseconds: Float64Array) {
    this.#nanoseconds = nanoseconds;
  }

  start(): void {
    this.#last = performance.now();
  }

  /** The time since the last call belongs to `phase`. */
  lap(phase: Phase): void {
    const now = performance.now();
    const place = PHASES.indexOf(phase);
    this.#nanoseconds[place] = (this.#nanoseconds[place] as number) + (now - this.#last) * 1e6;
    this.#last = now;
  }
}

/** Counters of the core that a report sums up, by their place in a worker's record. */
const COUNTERS = {
  executions: layout.WORKER_EXECUTIONS,
  validations: layout.WORKER_VALIDATIONS,
  aborts: layout.WORKER_ABORTS,
  givenUp: layout.WORKER_GIVEN_UP,
  expired: layout.WORKER_EXPIRED,
  renewed: layout.WORKER_RENEWED,
  waits: layout.WORKER_WAITS,
  versions: layout.WORKER_VERSIONS,
} as const;

export type Counts = Record<keyof typeof COUNTERS, number>;

function noCounts(): Counts {
  return Object.fromEntries(Object.keys(COUNTERS).map((name) => [name, 0])) as Counts;
}

/** The counters as they stand, over all workers. */
export function readCounts(words: Int32Array, workers: number): Counts {
  const counts = noCounts();
  for (const [name, place] of Object.entries(COUNTERS)) {
    for (let worker = 0; worker < workers; worker++) {
      const at = layout.WORKERS + worker * layout.WORKER_SIZE + place;
      const sum = counts[name as keyof Counts] + (words[at / 4] as number);
      counts[name as keyof Counts] = sum >>> 0;
    }
  }
  return counts;
}

/** Bytes of the arenas that the window took. */
export function arenaBytes(words: Int32Array, workers: number): number {
  const generation = words[layout.GENERATION / 4];
  const total = ((words[layout.MEMORY_END / 4] as number) >>> 0) - layout.ARENAS;
  const size = Math.floor(total / workers / 16) * 16;
  let bytes = 0;
  for (let worker = 0; worker < workers; worker++) {
    const at = (layout.WORKERS + worker * layout.WORKER_SIZE) / 4;
    if (words[at + layout.WORKER_GENERATION / 4] !== generation) continue;
    const top = (words[at + layout.WORKER_LOG_TOP / 4] as number) >>> 0;
    const floor = (words[at + layout.WORKER_FLOOR / 4] as number) >>> 0;
    bytes += Math.max(0, size - (floor - top));
  }
  return bytes;
}

/** The most contended lines, and forgets them. */
export function takeContended(words: Int32Array): Map<number, number> {
  const lines = new Map<number, number>();
  for (let slot = 0; slot < layout.CONTENDED_SLOTS; slot++) {
    const at = layout.CONTENDED / 4 + slot * 2;
    const line = (words[at] as number) >>> 0;
    const count = words[at + 1] as number;
    if (count > 0) lines.set(line, count);
    words[at] = 0;
    words[at + 1] = 0;
  }
  return lines;
}

/** The lower items from which `item` of the window has read, ascending. */
export function readFrom(words: Int32Array, item: number): number[] {
  const record = (layout.ITEMS + item * layout.ITEM_SIZE) / 4;
  const end = (words[record + layout.ITEM_LOG_END / 4] as number) >>> 0;
  const lower = new Set<number>();
  for (let at = (words[record + layout.ITEM_LOG / 4] as number) >>> 0; at < end; at += layout.ENTRY_SIZE) {
    const version = (words[(at + layout.ENTRY_VERSION) / 4] as number) >>> 0;
    // Sums of deltas have many sources.
    if (version > layout.ENTRY_SUM) lower.add(words[(version + layout.VERSION_ITEM) / 4] as number);
  }
  return [...lower].sort((a, b) => a - b);
}

/** Collects what a report says while a batch runs on this thread. */
export class Evidence {
  parallel = 0;
  versionBytes = 0;
  readonly endings: Ending[] = [];
  readonly counts = noCounts();
  readonly contended = new Map<number, number>();
  readonly dependencies: [number, number][] = [];
  /** Null: nobody wants them. */
  readonly accesses: Accesses | null;
  readonly nanoseconds = new Float64Array(PHASES.length);

  constructor(accesses: Accesses | null = null) {
    this.accesses = accesses;
  }

  /** A window of items from `first` on has ended, of which `done` are committed. */
  window(
    words: Int32Array,
    workers: number,
    before: Counts,
    first: number,
    done: number,
    edges: boolean,
  ): void {
    const counts = readCounts(words, workers);
    for (const name of Object.keys(counts) as (keyof Counts)[]) {
      counts[name] = (counts[name] - before[name]) >>> 0;
      this.counts[name] += counts[name];
    }
    this.versionBytes += arenaBytes(words, workers);
    for (const [line, count] of takeContended(words)) {
      this.contended.set(line, (this.contended.get(line) ?? 0) + count);
    }
    this.accesses?.window(words, first, done);
    for (let item = 0; edges && item < done; item++) {
      for (const lower of readFrom(words, item)) this.dependencies.push([first + item, first + lower]);
    }
  }

  /** A run in parallel came to nothing that had begun at item `first`. */
  rollback(first: number): void {
    while ((this.dependencies.at(-1)?.[0] ?? -1) >= first) this.dependencies.pop();
    this.accesses?.rollback(first);
  }

  report(
    batch: Batch,
    named: Pick<BatchReport, "process" | "inputs" | "contended">,
    milliseconds: number,
    timed: boolean,
  ): UnplacedReport {
    const { program, start } = batch;
    return {
      ...named,
      program: program.handle.hashHex,
      entry: program.handle.entries[start.entry] as string,
      ...itemCounts(batch, this.parallel),
      milliseconds,
      endings: this.endings,
      ...this.counts,
      versionBytes: this.versionBytes,
      dependencies: named.inputs === null ? null : this.dependencies,
      nanoseconds: timed
        ? (Object.fromEntries(
            PHASES.map((phase, i) => [phase, Math.round(this.nanoseconds[i] as number)]),
          ) as Record<Phase, number>)
        : null,
    };
  }
}

/** What became of the items of a batch that has ended, of which so many ran in parallel. */
function itemCounts({ inputs, outcomes }: Batch, parallel: number) {
  const { refused } = outcomes;
  const sequential = outcomes.next - refused - parallel;
  return { items: inputs.count, parallel, sequential, refused, notRun: inputs.count - outcomes.next };
}

/** What a runtime's batches come to, counted as in their reports. */
export interface BatchCounters {
  readonly batches: number;
  readonly items: number;
  readonly parallel: number;
  readonly sequential: number;
  readonly refused: number;
  readonly notRun: number;
  readonly executions: number;
  readonly validations: number;
  readonly aborts: number;
  readonly givenUp: number;
  readonly expired: number;
  readonly renewed: number;
  readonly waits: number;
}

const COUNTED = [
  "batches",
  "items",
  "parallel",
  "sequential",
  "refused",
  "notRun",
  "executions",
  "validations",
  "aborts",
  "givenUp",
  "expired",
  "renewed",
  "waits",
] as const;

/** Counters that all threads share. */
export function createCounters(): SharedArrayBuffer {
  return new SharedArrayBuffer(COUNTED.length * 8);
}

/** Counts a batch that has ended. */
export function countBatch(memory: SharedArrayBuffer, batch: Batch, evidence: Evidence): void {
  const counters = new BigInt64Array(memory);
  const added = { batches: 1, ...itemCounts(batch, evidence.parallel), ...evidence.counts };
  COUNTED.forEach((name, i) => {
    if (added[name] > 0) Atomics.add(counters, i, BigInt(added[name]));
  });
}

export function readCounters(memory: SharedArrayBuffer): BatchCounters {
  const counters = new BigInt64Array(memory);
  return Object.fromEntries(
    COUNTED.map((name, i) => [name, Number(Atomics.load(counters, i))]),
  ) as unknown as BatchCounters;
}
