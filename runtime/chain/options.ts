/** Options of `Runtime.open`: what they mean, their defaults, and the check of each. */

import { availableParallelism } from "node:os";
import { badOption, checkNames, flag, integer } from "../arguments.ts";
import type { BatchReport } from "../batch/evidence.ts";
import { UsageError } from "../errors.ts";
import { DEFAULT_GAS_LIMIT, DEFAULT_MEMORY_QUOTA_PAGES, GAS_LIMIT } from "../limits.ts";
import type { Block } from "./block.ts";
import { checkHeap } from "./bounds.ts";
import { defaultHeapBytes } from "./host.ts";
import { checkHostBytes } from "./host-bounds.ts";

/** References into the heap are 32 bits. */
export const HEAP_BYTES_LIMIT = 2 ** 37;

/**
 * What `Runtime.open` takes. Those marked (consensus) decide states: all replicas must use the same. They
 * describe what the chain begins with; blocks may change it (`rules` of `produce`).
 */
export interface RuntimeOptions {
  /**
   * Wasm bytes of the root program (consensus). A store that has blocks has all options marked consensus,
   * which are read from there if they are omitted.
   */
  readonly root?: Uint8Array;
  /** Wasm bytes of the programs that processes can be made of; they are named by their hash (consensus). */
  readonly programs?: readonly Uint8Array[];
  /**
   * Starts a new chain from the state and the rules of a block of another one, instead of a root: its genesis
   * names that block, and its own block 0 has that state. To change the rules, pass `rules` to `produce`.
   * No process may write to that store meanwhile; if the new chain has a store of its own, the other one is
   * not needed once it is open.
   */
  readonly from?: FromOptions;
  /** The root's entry (consensus). Default "main". */
  readonly entry?: string;
  /**
   * Gas of a block; `produce` may give less, not more (consensus). Default 3 × 10^8: 0.05 seconds of
   * plain work, and at most half a minute of the worst (docs/untrusted.md).
   */
  readonly gasLimit?: number;
  /**
   * Memory of all processes together, with all that their images keep (syscalls/README.md, Quotas), in pages
   * of 4 KiB (consensus). Default 524,288: 2 GiB.
   */
  readonly memoryQuotaPages?: number;
  /**
   * Maximum gas, in all, of processes that are left running when a block ends (consensus). So gas cannot be
   * saved up: one block uses at most `gasLimit` and this. Default: `gasLimit`.
   */
  readonly heldGasQuota?: number;
  /** Number of processes below the root (consensus). Default 131,072. */
  readonly processQuota?: number;
  /** Number of worker threads. Default: the available cores, at most 8. Never changes a result. */
  readonly workers?: number;
  /**
   * Number of additional threads for `call` only; the first call starts them. 0: there are no views.
   * Default 1.
   */
  readonly views?: number;
  /** Maximum number of calls in flight, with those of forks; further ones are rejected. Default 1024. */
  readonly viewsLimit?: number;
  /**
   * Capacity of the heap that holds all retained states; memory is taken as it is used. It must hold the
   * worst block that gasLimit, heldGasQuota and memoryQuotaPages allow; `open` refuses less and prints the
   * sum. Default 8 GiB; on Bun its maximum, 4 GiB less 1 MiB.
   */
  readonly heapBytes?: number;
  /**
   * Limit of the host's memory that guests can use outside of the heap: instances, stacks, code. It must hold
   * the maximum that follows from memoryQuotaPages, gasLimit and the number of threads; `open` refuses less
   * and prints the sum. Threads keep instances in the rest. Default: no limit, since the maximum for the
   * default rules is more than most machines have; threads then keep instances in a quarter of the machine's
   * memory, and at most in 1 GiB for each pool.
   */
  readonly hostBytes?: number;
  /** Number of retained blocks, which `revert` can go to; those of side branches go first. Default 256. */
  readonly retainBlocks?: number;
  /**
   * Number of blocks that are retained even if the heap is full, with the head and without pinned ones.
   * Others are forgotten then, as if "retainBlocks" were less, before a block fails. Default 1.
   */
  readonly retainBlocksMin?: number;
  /**
   * Maximum number of blocks of the chain that are kept without their states once they are forgotten:
   * `archived` reads them. They slow no operation down, and take the space of their data and metadata.
   * A fork into a store, or out of one, starts without them. Default 0.
   */
  readonly archiveBlocks?: number;
  /**
   * Called with the blocks that were forgotten because the heap was full. If it throws, so does the block.
   */
  readonly onForget?: (blocks: readonly Block[]) => void;
  /** Maximum number of candidates at once, with those in progress. Default 64. */
  readonly candidatesLimit?: number;
  /** Maximum number of calls that wait for earlier ones; further ones are rejected. Default 4,096. */
  readonly queueLimit?: number;
  /** Directory where instrumented programs are kept between runs. Default: none. */
  readonly programCache?: string;
  /**
   * How the items of batches run. "parallel", the default, runs them one after the other where that is
   * faster; "sequential" always does. Never changes a result.
   */
  readonly runner?: "parallel" | "sequential";
  /**
   * Called with a report of each batch, when its block has run and before the block's promise resolves. If it
   * throws, the promise is rejected with that error, and the block is not made.
   */
  readonly onBatch?: (report: BatchReport) => void;
  /** Whether reports have the items from which each item has read, for hints. Default false. */
  readonly dependencies?: boolean;
  /**
   * Directory where the blocks are kept, or how: see StoreOptions. A runtime that finds blocks there
   * continues from them. Default: none, blocks live in memory.
   */
  readonly store?: string | StoreOptions;
  /**
   * "checkpoint": drops the blocks that only the store's log of inputs has, and continues from its last
   * checkpoint. For a log that is damaged, or that this build cannot run again (STORE_DIVERGED). Default:
   * "log", those blocks are run again.
   */
  readonly recover?: "log" | "checkpoint";
  /**
   * Records how each block ran, and what failed: batches, what each thread did when, what items read and
   * wrote. In files of the store's directory `recording`, or in memory without a store; `readRecording` of
   * stillpoint/debug reads it. No block waits for it, and none depends on it. Default false.
   */
  readonly record?: boolean | RecordOptions;
  /** Switches for tests and diagnosis. Default: all off. */
  readonly debug?: DebugOptions;
}

/** How blocks are recorded. */
export interface RecordOptions {
  /** Maximum size of recordings, on the disk or in memory; the oldest are deleted. Default 64 MiB. */
  readonly limitBytes?: number;
}

/** Switches for tests and diagnosis. They never change a result. */
export interface DebugOptions {
  /** Runs batches in parallel whatever it costs. Default false. */
  readonly force?: boolean;
  /** Checks every window of a batch again when it is committed; a defect ends the block. Default false. */
  readonly paranoid?: boolean;
  /** URL of a module that is called between the steps of batches in parallel (batch/steps.ts). */
  readonly steps?: string;
  /** Whether reports of batches have the time of the threads by phase. Default false. */
  readonly timing?: boolean;
  /** Number of records that `timeline` holds, 80 bytes each; later ones are left out. Default 0: none. */
  readonly timelineRecords?: number;
}

/** The block from which a new chain starts. */
export interface FromOptions {
  /** The directory of the other chain's store. Blocks that only its log has are not found: open it once. */
  readonly store: string;
  /** The block: of the chain by height, or any by its id. Default: the head. */
  readonly block?: number | string;
}

/** What is on the disk when a block is acknowledged: its state ("block"), or its input ("logged"). */
export type Durability = "block" | "logged";

/** Where and how blocks are kept. */
export interface StoreOptions {
  /** A directory; made if it is not there. One runtime writes to it at a time. */
  readonly path: string;
  /**
   * "logged", the default: the input of a block is on the disk when `produce` resolves; its state is written
   * in the background, and after a crash the blocks since the last state are run again. "block": the state is
   * on the disk as well. "logged" loses as little and is much faster. It trusts that the same inputs give the
   * same blocks again, which is checked. It does not store all states; others are recomputed when they are
   * needed.
   */
  readonly durability?: Durability;
  /**
   * Of "logged": about how long it takes until a block's state is written as well, in milliseconds. Opening
   * after a crash runs the blocks of at most twice that time, and one more. Blocks are slowed down to keep
   * that bound where writing takes long, and stopped at three times that time. Default 1000.
   */
  readonly checkpointMs?: number;
  /**
   * Of "logged": size of the log in bytes, allocated when the store is made. A change that takes more than a
   * quarter is written with its states at once. Default 16 MiB, or a quarter of `limitBytes`.
   */
  readonly logBytes?: number;
  /**
   * Maximum bytes of the objects in the store, with those that a sweep will free, and of the log of "logged"
   * (`logBytes`) together. Default: no limit.
   */
  readonly limitBytes?: number;
  /** A module whose function `step` is called between the steps of a transaction: for tests of crashes. */
  readonly steps?: string;
}

/** Options of a store with defaults filled in. */
export interface StoreSettings {
  readonly path: string;
  readonly durability: Durability;
  readonly checkpointMs: number;
  readonly logBytes: number;
  readonly limitBytes: number | undefined;
  readonly steps: string | undefined;
}

/** Options with defaults filled in. */
export type Settings = Required<
  Omit<
    RuntimeOptions,
    "root" | "from" | "programCache" | "store" | "onBatch" | "onForget" | "record" | "debug" | "hostBytes"
  >
> & {
  /** Null: the store says it. */
  readonly root: Uint8Array | null;
  /** Null: nowhere else. */
  readonly from: { readonly store: StoreSettings; readonly block: number | string | null } | null;
  readonly hostBytes: number | undefined;
  readonly onForget: ((blocks: readonly Block[]) => void) | undefined;
  readonly onBatch: ((report: BatchReport) => void) | undefined;
  readonly programCache: string | undefined;
  readonly store: StoreSettings | null;
  /** Null: nothing is recorded. */
  readonly record: Required<RecordOptions> | null;
  readonly debug: DebugSettings;
};

/** Switches with defaults filled in. */
export interface DebugSettings extends Required<Omit<DebugOptions, "steps">> {
  readonly steps: string | null;
}

const KNOWN = [
  "root",
  "programs",
  "from",
  "entry",
  "gasLimit",
  "memoryQuotaPages",
  "heldGasQuota",
  "processQuota",
  "workers",
  "views",
  "viewsLimit",
  "heapBytes",
  "hostBytes",
  "retainBlocks",
  "retainBlocksMin",
  "archiveBlocks",
  "onForget",
  "candidatesLimit",
  "queueLimit",
  "programCache",
  "store",
  "recover",
  "runner",
  "onBatch",
  "dependencies",
  "record",
  "debug",
];

/** Options besides "root" that describe what a chain begins with. */
const CONSENSUS = [
  "programs",
  "entry",
  "gasLimit",
  "memoryQuotaPages",
  "heldGasQuota",
  "processQuota",
] as const satisfies readonly (keyof RuntimeOptions)[];

export function checkOptions(options: RuntimeOptions): Settings {
  checkNames(options, KNOWN);
  const { root, from, programs, entry } = checkPrograms(options);
  const { programCache } = options;
  if (programCache !== undefined && typeof programCache !== "string")
    throw badOption("programCache", programCache, "a directory");
  const { runner = "parallel", onBatch, onForget, recover = "log", debug = {} } = options;
  if (recover !== "log" && recover !== "checkpoint")
    throw badOption("recover", recover, '"log" or "checkpoint"');
  if (runner !== "parallel" && runner !== "sequential")
    throw badOption("runner", runner, '"parallel" or "sequential"');
  if (onBatch !== undefined && typeof onBatch !== "function")
    throw badOption("onBatch", onBatch, "a function");
  if (onForget !== undefined && typeof onForget !== "function")
    throw badOption("onForget", onForget, "a function");
  const gasLimit = integer(options, "gasLimit", DEFAULT_GAS_LIMIT, 0, GAS_LIMIT);
  const settings = {
    runner,
    onBatch,
    onForget,
    recover,
    record: checkRecord(options.record),
    debug: checkDebug(debug),
    dependencies: flag(options, "dependencies"),
    root,
    from,
    programs,
    entry,
    programCache,
    store: options.store === undefined ? null : checkStore(options.store),
    gasLimit,
    heldGasQuota: integer(options, "heldGasQuota", gasLimit, 0, GAS_LIMIT),
    memoryQuotaPages: integer(options, "memoryQuotaPages", DEFAULT_MEMORY_QUOTA_PAGES, 1, 1 << 28),
    processQuota: integer(options, "processQuota", 131_072, 0, 1 << 30),
    workers: integer(options, "workers", Math.min(8, availableParallelism()), 1, 256),
    views: integer(options, "views", 1, 0, 32),
    viewsLimit: integer(options, "viewsLimit", 1024, 1, 1 << 20),
    heapBytes: integer(options, "heapBytes", defaultHeapBytes(process.versions), 1 << 20, HEAP_BYTES_LIMIT),
    hostBytes: options.hostBytes === undefined ? undefined : integer(options, "hostBytes", 0, 1, 2 ** 50),
    retainBlocks: integer(options, "retainBlocks", 256, 1, 1 << 18),
    retainBlocksMin: integer(options, "retainBlocksMin", 1, 1, 1 << 18),
    archiveBlocks: integer(options, "archiveBlocks", 0, 0, 2 ** 32 - 1),
    candidatesLimit: integer(options, "candidatesLimit", 64, 1, 1 << 12),
    queueLimit: integer(options, "queueLimit", 4096, 1, 1 << 20),
  };
  if (root !== null) {
    checkHeap(settings, settings);
    checkHostBytes(settings, settings);
  }
  return settings;
}

/** What a chain begins with: programs, or what is found in a store. */
function checkPrograms(options: RuntimeOptions): Pick<Settings, "root" | "from" | "programs" | "entry"> {
  const { root = null, programs = [], entry = "main" } = options;
  const from = options.from === undefined ? null : checkFrom(options.from);
  if (from !== null && root !== null)
    throw badOption("root", root, 'left out beside "from", whose state has a root');
  const isFound = options.store !== undefined || from !== null;
  if (!(root instanceof Uint8Array) && (root !== null || !isFound))
    throw badOption("root", root, "a Uint8Array with the root program's Wasm bytes");
  const described = CONSENSUS.filter((name) => options[name] !== undefined);
  if (root === null && described.length > 0) {
    const names = described.join(", ");
    const text = `without "root" the store says what the chain begins with: leave out ${names} too`;
    throw new UsageError("BAD_OPTION", text, { option: described[0] as string });
  }
  if (!Array.isArray(programs) || !programs.every((bytes) => bytes instanceof Uint8Array)) {
    throw badOption("programs", programs, "an array of Uint8Arrays with Wasm bytes");
  }
  if (typeof entry !== "string" || entry === "")
    throw badOption("entry", entry, "the name of an exported function");
  return { root, from, programs, entry };
}

/** The option "record", checked. */
function checkRecord(record: boolean | RecordOptions = false): Settings["record"] {
  if (record === false) return null;
  const options = record === true ? {} : record;
  if (typeof options !== "object" || options === null)
    throw badOption("record", record, "true, or an object");
  checkNames(options, ["limitBytes"], "record");
  const named = { "record.limitBytes": options.limitBytes };
  return { limitBytes: integer(named, "record.limitBytes", 64 << 20, 1 << 16, 2 ** 40) };
}

/** The option "debug", checked. */
function checkDebug(debug: DebugOptions): DebugSettings {
  checkNames(debug, ["force", "paranoid", "steps", "timing", "timelineRecords"], "debug");
  const { steps = null } = debug;
  if (steps !== null && typeof steps !== "string")
    throw badOption("debug.steps", steps, "the URL of a module");
  const named = Object.fromEntries(Object.entries(debug).map(([name, value]) => [`debug.${name}`, value]));
  return {
    force: flag(named, "debug.force"),
    paranoid: flag(named, "debug.paranoid"),
    steps,
    timing: flag(named, "debug.timing"),
    timelineRecords: integer(named, "debug.timelineRecords", 0, 0, 1 << 24),
  };
}

const STORE_KNOWN = ["path", "durability", "checkpointMs", "logBytes", "limitBytes", "steps"];

function checkFrom(from: FromOptions): Exclude<Settings["from"], null> {
  checkNames(from, ["store", "block"], "from");
  const { store, block = null } = from;
  const isId = typeof block === "string" && /^[0-9a-f]{64}$/.test(block);
  if (block !== null && !isId && !(Number.isInteger(block) && (block as number) >= 0)) {
    throw badOption("from.block", block, "a height, or an id in hex");
  }
  return { store: checkStore(store), block };
}

/** The option "store", checked. */
export function checkStore(store: string | StoreOptions): StoreSettings {
  const options: StoreOptions = typeof store === "string" ? { path: store } : store;
  if (typeof options !== "object" || options === null)
    throw badOption("store", store, "a directory, or an object");
  checkNames(options, STORE_KNOWN, "store");
  const { path, durability = "logged", steps } = options;
  if (typeof path !== "string" || path === "") throw badOption("store.path", path, "a directory");
  if (durability !== "block" && durability !== "logged")
    throw badOption("store.durability", durability, '"block" or "logged"');
  if (steps !== undefined && typeof steps !== "string")
    throw badOption("store.steps", steps, "the URL of a module");
  const number = (name: "limitBytes" | "checkpointMs" | "logBytes", ...range: [number, number, number]) =>
    integer({ [`store.${name}`]: options[name] }, `store.${name}`, ...range);
  const limitBytes = options.limitBytes === undefined ? undefined : number("limitBytes", 0, 1 << 20, 2 ** 40);
  const checkpointMs = number("checkpointMs", 1000, 1, 3_600_000);
  const ownBytes = Math.min(16 << 20, (limitBytes ?? Infinity) / 4);
  const logBytes = 4096 * Math.ceil(number("logBytes", ownBytes, 1 << 16, 2 ** 30) / 4096);
  return { path, durability, checkpointMs, logBytes, limitBytes, steps };
}

/** Options of `close`. */
export interface CloseOptions {
  /** Gives up blocks in progress and calls that wait: they reject with CANCELLED. Default false. */
  readonly cancel?: boolean;
}

/** Which blocks `prune` forgets, besides by their number. */
export interface PruneOptions {
  /** Those below this height, on all branches. */
  readonly below: number;
}

/** The most blocks that stay, or the height from which on they do. */
export function checkPrune(keep: number | PruneOptions): { readonly keep: number } | PruneOptions {
  if (typeof keep !== "object" || keep === null) return { keep: integer({ keep }, "keep", 0, 1, 1 << 30) };
  checkNames(keep, ["below"]);
  return { below: integer(keep, "below", -1, 0, Number.MAX_SAFE_INTEGER) };
}

/** Options of `fork`. */
export interface ForkOptions {
  /**
   * Where it begins: at a block of this chain by its height, or at any retained block or candidate by its
   * value. It does not wait for calls in progress then. Default: at the latest block, behind the calls
   * before.
   */
  readonly at?: number | Block;
  /** An empty directory for its blocks, or how to keep them. Default: it lives in memory. */
  readonly store?: string | StoreOptions;
  /**
   * Maximum number of blocks that it retains, the newest of its chain, and no side branches or pins: a copy
   * into a directory costs what these blocks need. Default: all.
   */
  readonly blocks?: number;
}

/** Where a fork keeps its blocks, null: nowhere. */
export function checkFork(options: ForkOptions): StoreSettings | null {
  checkNames(options, ["store", "at", "blocks"]);
  if (options.blocks !== undefined) integer(options, "blocks", 1, 1, Number.MAX_SAFE_INTEGER);
  return options.store === undefined ? null : checkStore(options.store);
}
