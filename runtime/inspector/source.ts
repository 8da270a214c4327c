/**
 * What the inspector looks at: a store through a reader, or a runtime that runs in this process. Everything
 * here reads; nothing has a way to change a block, a store or a runtime.
 */

import type { AppTrace } from "../app/index.ts";
import { unknownName } from "../arguments.ts";
import { described } from "../errors.ts";
import type { Block, Chain } from "../index.ts";
import type { BlockRecording } from "../record/shapes.ts";
import type { Meeting } from "./batches.ts";
import { Executions, type Run } from "./executions.ts";
import { Index } from "./index-of-blocks.ts";
import { KnownPrograms } from "./programs.ts";
import { WholeChain } from "./whole-chain.ts";

/** Where blocks come from. */
export interface SourceOptions {
  /** What people call it: a directory, or the file of an app. */
  readonly name: string;
  readonly kind: "store" | "runtime";
  readonly chain: Chain;
  /** Executes a block again on one thread. */
  readonly trace: Run<AppTrace>;
  /** How a block ran, as it was recorded when it was made; null: it was not. */
  readonly recorded: (block: Pick<Block, "id">) => Promise<BlockRecording | null>;
  /** Executes a block again with all threads, and records that. */
  readonly record: Run<BlockRecording>;
  /** Other chains that it can be compared with, by what people call them. Default: none. */
  readonly others?: Readonly<Record<string, Chain>>;
}

/** Age at which an index is made again though the head has not moved: pins change without it. */
const INDEX_MS = 2000;
/** And no more often than this, however fast blocks come. */
const INDEX_PAUSE_MS = 250;

export class Source implements AsyncDisposable {
  readonly name: string;
  readonly kind: "store" | "runtime";
  readonly chain: WholeChain;
  readonly others: ReadonlyMap<string, WholeChain>;
  readonly programs: KnownPrograms;
  readonly traces: Executions<AppTrace>;
  readonly records: Executions<BlockRecording>;
  readonly recorded: SourceOptions["recorded"];
  /** What is known of blocks that were looked at, by their ids. */
  readonly meetings = new Map<string, Meeting>();
  #index: Index | null = null;
  #madeAt = 0;

  constructor({ name, kind, chain, trace, recorded, record, others = {} }: SourceOptions) {
    this.name = name;
    this.kind = kind;
    this.chain = new WholeChain(chain);
    this.others = new Map(Object.entries(others).map(([other, each]) => [other, new WholeChain(each)]));
    this.programs = new KnownPrograms(this.chain);
    this.traces = new Executions(trace);
    this.records = new Executions(record);
    this.recorded = recorded;
  }

  /** All blocks, as they were a moment ago at most. */
  get index(): Index {
    const age = performance.now() - this.#madeAt;
    const isFresh =
      this.#index !== null &&
      (age < INDEX_PAUSE_MS || (age < INDEX_MS && this.headId() === this.#index.head?.id));
    if (!isFresh) {
      this.#index = new Index(this.chain.outline());
      this.#madeAt = performance.now();
    }
    return this.#index as Index;
  }

  /** Id of the head, which costs one look; null: it cannot be read. */
  headId(): string | null {
    try {
      return this.chain.head.id;
    } catch {
      return null;
    }
  }

  /** The block with that id, by default the head. */
  block(id: string | null): Block {
    return id === null ? this.chain.head : this.chain.blockOf(id);
  }

  /** Closes what was made to look at it; the chains themselves are the caller's. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const chain of [this.chain, ...this.others.values()]) await chain[Symbol.asyncDispose]();
  }

  /** The chain of that name, which it is compared with. */
  other(name: string | null): WholeChain {
    const found = name === null ? undefined : this.others.get(name);
    if (found !== undefined) return found;
    const known = [...this.others.keys()];
    if (known.length === 0) known.push("none: name them with --other when it is started");
    throw unknownName("other store", described(name), known);
  }
}
