/**
 * The sequencer: each block is run, then appended to the log, then committed. So a store never has a block
 * that the log does not have. If a process dies in between, its next start takes the missing blocks from
 * the log.
 *
 * Only one writes at a time. A term begins with an entry of its writer; a writer that appends behind the
 * entry of another term than its own finds another entry there, and is fenced.
 */

import type { App, Produced } from "../app/index.ts";
import { badOption, checkNames, flag } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import type { Block, Runtime } from "../index.ts";
import type { BlockEntry, LogEntry } from "./entry.ts";
import { fenced, LogError } from "./errors.ts";
import { LearntHints } from "./hints.ts";
import { type BlockLog, checkLog, type Numbered } from "./log.ts";
import { type AppArguments, type Made, type Replica, type RuntimeArguments, replicaOf } from "./replica.ts";
import { checkGenesis, take } from "./take.ts";

/** Options of `sequence`. */
export interface SequenceOptions {
  /** The writer's name: the same whenever this producer is started again, and different from all others. */
  readonly writer: string;
  /** Whether to take over from another writer, which is then fenced. Default false. */
  readonly takeOver?: boolean;
  /** Called with each block that is in the log and committed, also with those that a start took from it. */
  readonly onBlock?: (block: Block) => void;
}

/** Counters of a sequencer. */
export interface SequencerMetrics {
  readonly writer: string;
  readonly term: number;
  /** Height of the last block that is in the log and committed. */
  readonly height: number;
  /** Number of the last entry that it knows. */
  readonly entry: number;
  /** Blocks that it has appended. */
  readonly blocks: number;
  /** Whether another writer has taken over. */
  readonly fenced: boolean;
}

/** Makes blocks, and appends them. */
export class Sequencer<Arguments extends unknown[] = unknown[], Result = unknown> {
  readonly #replica: Replica<Arguments, Result>;
  readonly #log: BlockLog;
  readonly #options: SequenceOptions;
  readonly #hints: LearntHints;
  #term = 0;
  /** Number of the last entry that the runtime has. */
  #last = 0;
  /** Id of the block that the next one follows: the last in the log. */
  #head = "";
  #blocks = 0;
  /** Whether the log may have entries that this does not know. */
  #behind = true;
  #ended: Error | null = null;
  #queue: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(replica: Replica<Arguments, Result>, log: BlockLog, options: SequenceOptions) {
    this.#replica = replica;
    this.#log = log;
    this.#options = options;
    this.#hints = new LearntHints(replica.runtime);
  }

  /** What runs blocks; stands at the last one. Blocks are to be made here alone. */
  get runtime(): Runtime {
    return this.#replica.runtime;
  }

  get #writer(): string {
    return this.#options.writer;
  }

  /**
   * Makes a block, as `Runtime.produce` or `App.produce` would. Once this resolves it is in the log and
   * committed. If it rejects, the block is in neither, but for LOG_UNCERTAIN and errors of the store: then
   * the next call first reads the log, and takes the block if it is there.
   *
   * @throws LogError (LOG_FENCED, LOG_FULL, LOG_TOO_LARGE, LOG_UNCERTAIN, LOG_BYPASSED); as `produce`
   */
  produce(...given: Arguments): Promise<Result> {
    return this.#inOrder(async () => {
      if (this.#behind) await this.#catchUp();
      const { head } = this.runtime;
      if (head.id !== this.#head) throw this.#bypassed(head);
      const made = await this.#replica.make(...given);
      const { number } = await this.#append(made);
      this.#behind = true; // until it is committed
      const result = await this.#replica.commit(made);
      this.#behind = false;
      this.#last = number;
      this.#head = made.block.id;
      this.#blocks++;
      this.#options.onBlock?.(this.runtime.head);
      return result;
    });
  }

  async #append(made: Made): Promise<Numbered> {
    try {
      const entry = this.#entryOf(made.block, await this.#hints.take(made.block));
      return await this.#log.append(entry, this.#last);
    } catch (error) {
      this.#behind = true;
      await this.runtime.release(made.block);
      if (!(error instanceof LogError) || error.code !== "LOG_TAKEN") throw error;
      await this.#catchUp();
      throw error;
    }
  }

  /** How it stands. */
  metrics(): SequencerMetrics {
    return {
      writer: this.#writer,
      term: this.#term,
      height: this.runtime.head.height,
      entry: this.#last,
      blocks: this.#blocks,
      fenced: this.#ended instanceof LogError && this.#ended.code === "LOG_FENCED",
    };
  }

  /** Makes no more blocks; waits for those in progress. Runtime and log stay open. */
  async stop(): Promise<void> {
    await this.#inOrder(async () => undefined).catch(() => undefined);
    this.#hints.close();
    this.#ended ??= new UsageError("CLOSED", "the sequencer was stopped: begin another with sequence()");
  }

  /**
   * Takes from the log what the runtime lacks, begins a term, and appends what the log lacks.
   *
   * @internal
   */
  async begin(): Promise<this> {
    for (;;) {
      const last = await this.#log.last();
      if (last !== null) await this.#join(last);
      const { height, id } = last?.entry ?? this.runtime.head;
      this.#term = (last?.entry.term ?? 0) + 1;
      const entry: LogEntry = { kind: "term", ...this.#signature(), height, id };
      try {
        this.#last = (await this.#log.append(entry, last?.number ?? 0)).number;
        break;
      } catch (error) {
        // Somebody else was quicker: see who.
        if (!(error instanceof LogError) || error.code !== "LOG_TAKEN") throw error;
      }
    }
    await this.#restore();
    this.#head = this.runtime.head.id;
    this.#behind = false;
    return this;
  }

  async #join({ entry, number }: Numbered): Promise<void> {
    checkGenesis(this.runtime, entry.genesis);
    if (entry.writer !== this.#writer && this.#options.takeOver !== true) {
      const text =
        `"${entry.writer}" writes the log: follow it, and promote the follower once it is gone for good. ` +
        'With "takeOver: true" it is fenced at once';
      throw new LogError("LOG_OWNED", text, { writer: entry.writer, term: entry.term });
    }
    const { height } = this.runtime.head;
    // The last entry is looked at even if nothing is to be taken.
    for await (const next of this.#log.read({ height: Math.min(height + 1, entry.height) })) {
      await this.#take(next);
      if (next.number === number) break;
    }
  }

  /** Appends blocks that the runtime has and the log has not: those of a log that has lost its end. */
  async #restore(): Promise<void> {
    const { height } = ((await this.#log.last()) as Numbered).entry;
    const missing = this.runtime.blocks().filter((block) => block.height > height);
    if (missing.length > 0 && missing[0]?.height !== height + 1) {
      const text =
        `the log ends with block ${height}, and what comes next is not retained here: begin another log, ` +
        "or take a store that has it";
      throw new LogError("LOG_LOST", text, { height });
    }
    for (const block of missing) {
      this.#last = (await this.#log.append(this.#entryOf(block, []), this.#last)).number;
    }
  }

  /** Takes what others have appended, or it itself without knowing. */
  async #catchUp(): Promise<void> {
    for await (const next of this.#log.read({ after: this.#last })) {
      const { term, writer, id } = next.entry;
      if (term > this.#term) {
        this.#hints.close();
        this.#ended = fenced(this.#writer, writer, next.number);
        throw this.#ended;
      }
      await this.#take(next);
      this.#last = next.number;
      this.#head = id;
    }
    this.#behind = false;
  }

  async #take(next: Numbered): Promise<void> {
    const block = await take(this.#replica as Replica<unknown[], unknown>, this.#log, next);
    if (block !== null) this.#options.onBlock?.(block);
  }

  #entryOf(block: Block, hints: BlockEntry["hints"]): BlockEntry {
    const { height, id, parent } = block;
    return {
      kind: "block",
      ...this.#signature(),
      ...{ height, id, parent, hints },
      ...this.runtime.input(block),
    };
  }

  #bypassed({ height, id }: Block): LogError {
    const text =
      `block ${height}, at which the runtime stands, is not the last of the log: make blocks with the ` +
      "sequencer alone, and revert none";
    return new LogError("LOG_BYPASSED", text, { height, id, last: this.#head });
  }

  #signature(): Pick<LogEntry, "genesis" | "term" | "writer"> {
    return { genesis: this.runtime.genesis, term: this.#term, writer: this.#writer };
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(() => {
      if (this.#ended !== null) throw this.#ended;
      return work();
    });
    this.#queue = done.catch(() => undefined);
    return done;
  }
}

/**
 * Begins to append the blocks of a runtime or an app to a log: takes from the log what the runtime lacks, and
 * begins a term. From then on blocks are made with `produce` of what this returns, and are decided once they
 * are in the log: nobody reverts them.
 *
 * @throws LogError (LOG_OWNED: another writer did last, LOG_GENESIS, LOG_DIVERGED, LOG_TRUNCATED); as
 *   `Runtime.produce`
 * @example
 * ```ts
 * const log = memoryLog();
 * const sequencer = await sequence(runtime, log, { writer: "a" });
 * const block = await sequencer.produce(Uint8Array.of(1));
 * console.log((await log.last())?.entry.id === block.id); // true
 * ```
 */
export function sequence(
  target: Runtime,
  log: BlockLog,
  options: SequenceOptions,
): Promise<Sequencer<RuntimeArguments, Block>>;
export function sequence<Typed extends object>(
  target: App<Typed>,
  log: BlockLog,
  options: SequenceOptions,
): Promise<Sequencer<AppArguments, Produced>>;
export async function sequence(
  target: Runtime | App,
  log: BlockLog,
  options: SequenceOptions,
): Promise<unknown> {
  checkLog(log);
  return new Sequencer(replicaOf(target), log, checkSequence(options)).begin();
}

/** Checks what `sequence` is given. */
export function checkSequence(options: SequenceOptions): SequenceOptions {
  checkNames(options, ["writer", "takeOver", "onBlock"]);
  const { writer, onBlock } = options;
  if (typeof writer !== "string" || writer === "" || writer.length > 100)
    throw badOption("writer", writer, "a name of 1 to 100 characters");
  if (onBlock !== undefined && typeof onBlock !== "function")
    throw badOption("onBlock", onBlock, "a function");
  return { ...options, takeOver: flag(options, "takeOver") };
}
