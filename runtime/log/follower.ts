/**
 * One who follows: makes each block of the log again, and commits it if it is the same. It reads, stands by,
 * and checks; when the writer is gone, it continues in its place.
 */

import type { App, Produced } from "../app/index.ts";
import { badArgument, badOption, checkNames } from "../arguments.ts";
import { type Divergence as Difference, divergence } from "../debug.ts";
import type { Block, Runtime } from "../index.ts";
import { openReader } from "../store.ts";
import { type BlockEntry, lowestHeight, optionsOf } from "./entry.ts";
import { LogError } from "./errors.ts";
import { type BlockLog, checkLog } from "./log.ts";
import { type AppArguments, type Replica, type RuntimeArguments, replicaOf } from "./replica.ts";
import { checkSequence, type SequenceOptions, Sequencer } from "./sequencer.ts";
import { type Divergence, take } from "./take.ts";

/** Options of `follow`. */
export interface FollowOptions {
  /** Called with each block that is committed here, and the number of entries of the log that remain. */
  readonly onBlock?: (block: Block, lag: number) => void;
  /** Called when a block differs; the follower stops at the last block that is the same. */
  readonly onDivergence?: (found: FoundDivergence) => void;
  /**
   * Directory of the writer's store, if it can be read: then the bytes that differ are found, if the state of
   * the block is in there, as all are with "durability": "block".
   */
  readonly compareWith?: string;
}

/** A divergence, and where the bytes differ, null: that could not be seen. */
export interface FoundDivergence extends Divergence {
  readonly difference: Difference | null;
}

/** How a follower stands. */
export interface FollowerMetrics {
  /** Of the last block that is committed here. */
  readonly height: number;
  /** Of the last block in the log. */
  readonly logHeight: number;
  /** Blocks that are in the log and not yet here. */
  readonly lag: number;
  /** Who wrote the last entry, and its term; null in an empty log. */
  readonly writer: string | null;
  readonly term: number;
  /** Blocks that it has made. */
  readonly blocks: number;
  /** The height at which it stopped because the block differs; null: none does. */
  readonly divergedAt: number | null;
}

/** Follows a log. */
export class Follower<Arguments extends unknown[] = unknown[], Result = unknown> {
  /** Resolves when it was stopped; rejects with why it could not continue, as LOG_DIVERGED. */
  readonly done: Promise<void>;
  readonly #replica: Replica<unknown[], unknown>;
  readonly #log: BlockLog;
  readonly #options: FollowOptions;
  readonly #stop = new AbortController();
  #blocks = 0;
  #divergedAt: number | null = null;

  /** @internal */
  constructor(replica: Replica<Arguments, Result>, log: BlockLog, options: FollowOptions) {
    this.#replica = replica as Replica<unknown[], unknown>;
    this.#log = log;
    this.#options = options;
    this.done = this.#run();
    this.done.catch(() => undefined); // callers that do not await it see the failure in the metrics
  }

  /** What makes the blocks. Reads, views, proofs and forks are free; blocks are the log's. */
  get runtime(): Runtime {
    return this.#replica.runtime;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let end = 0; // of the log, when it was last asked
    for await (const next of this.#log.read({ height: await this.#from(), signal })) {
      try {
        const block = await take(this.#replica, this.#log, next);
        if (block === null) continue;
        this.#blocks++;
        const { onBlock } = this.#options;
        if (onBlock === undefined) continue;
        // A follower that is behind knows the end; another one asks, and continues without an answer.
        if (next.number >= end) end = await this.#log.end().catch(() => next.number);
        onBlock(block, end - next.number);
      } catch (error) {
        await this.#report(error, next.entry as BlockEntry);
        throw error;
      }
    }
  }

  /** The block at which it stands, to see that the log has the same, if the log has it. */
  async #from(): Promise<number> {
    const { height } = this.runtime.head;
    const [first, last] = [await this.#log.first(), await this.#log.last()];
    if (first === null || last === null) return height;
    const lowest = lowestHeight(first.entry);
    return lowest <= height + 1 ? Math.max(lowest, Math.min(height, last.entry.height)) : height + 1;
  }

  async #report(error: unknown, entry: BlockEntry): Promise<void> {
    if (!(error instanceof LogError) || error.code !== "LOG_DIVERGED") return;
    const { height, logged, made } = error.facts as unknown as Divergence;
    this.#divergedAt = height;
    const difference = await this.#compare(entry).catch(() => null);
    this.#options.onDivergence?.({ height, logged, made, difference });
  }

  /** Where the bytes of the block differ, from the writer's store. */
  async #compare(entry: BlockEntry): Promise<Difference | null> {
    const { compareWith } = this.#options;
    if (compareWith === undefined) return null;
    await using reader = await openReader(compareWith);
    await using branch = await this.runtime.fork();
    if (branch.head.id === entry.parent) {
      await branch.produce(entry.metadata, optionsOf(entry));
    }
    return divergence(branch, reader);
  }

  /** How it stands; asks the log. */
  async metrics(): Promise<FollowerMetrics> {
    const { height } = this.runtime.head;
    const entry = (await this.#log.last())?.entry;
    const logHeight = entry?.height ?? height;
    return {
      height,
      logHeight,
      lag: Math.max(0, logHeight - height),
      writer: entry?.writer ?? null,
      term: entry?.term ?? 0,
      blocks: this.#blocks,
      divergedAt: this.#divergedAt,
    };
  }

  /** Ends following, behind the block in progress. Runtime and log stay open. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.done.catch(() => undefined);
  }

  /**
   * Continues in place of the writer: takes what is in the log, and begins a term. The old writer is fenced
   * from then on.
   *
   * @throws LogError LOG_DIVERGED if it had stopped; as `sequence`
   * @example
   * ```ts
   * const follower = await follow(standby, log);
   * const promoted = await follower.promote({ writer: "b" });
   * await promoted.produce(Uint8Array.of(2));
   * ```
   */
  async promote(options: Omit<SequenceOptions, "takeOver">): Promise<Sequencer<Arguments, Result>> {
    const checked = checkSequence({ ...options, takeOver: true });
    this.#stop.abort();
    await this.done;
    const replica = this.#replica as unknown as Replica<Arguments, Result>;
    return new Sequencer(replica, this.#log, checked).begin();
  }
}

/**
 * Keeps a runtime or an app in step with a log, exactly once for each height and id, from where it stands:
 * its store is a replica's, and it continues after a restart.
 *
 * @throws UsageError (BAD_ARGUMENT, BAD_OPTION); `done` of what this returns rejects with LogError
 *   (LOG_DIVERGED, LOG_GENESIS, LOG_TRUNCATED, LOG_CORRUPT, LOG_CLOSED) and as `Runtime.produce`
 * @example
 * ```ts
 * const follower = await follow(replica, log, { onDivergence: ({ height }) => console.error(height) });
 * console.log((await follower.metrics()).lag);
 * await follower.stop();
 * ```
 */
export function follow(
  target: Runtime,
  log: BlockLog,
  options?: FollowOptions,
): Promise<Follower<RuntimeArguments, Block>>;
export function follow<Typed extends object>(
  target: App<Typed>,
  log: BlockLog,
  options?: FollowOptions,
): Promise<Follower<AppArguments, Produced>>;
export async function follow(
  target: Runtime | App,
  log: BlockLog,
  options: FollowOptions = {},
): Promise<unknown> {
  checkLog(log);
  checkNames(options, ["onBlock", "onDivergence", "compareWith"]);
  for (const name of ["onBlock", "onDivergence"] as const) {
    if (options[name] !== undefined && typeof options[name] !== "function")
      throw badOption(name, options[name], "a function");
  }
  if (options.compareWith !== undefined && typeof options.compareWith !== "string")
    throw badArgument("compareWith", options.compareWith, "the directory of a store");
  return new Follower(replicaOf(target), log, options);
}
