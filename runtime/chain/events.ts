/**
 * Events of a runtime, for logs, metrics and followers in the same process.
 *
 * Each event is a plain object with the same three fields, `kind`, `height` and `block`, and those of its
 * kind. Events come in the order in which `runtime.head` and `runtime.retained()` change. The runtime does
 * not wait for readers: a stream keeps the newest events, and reports how many it has dropped.
 */

import type { BatchReport } from "../batch/evidence.ts";
import type { Facts } from "../errors.ts";
import type { Block } from "./block.ts";
import type { BlockName } from "./history.ts";

/** Why a candidate ended: by `release`, with its parent, because its handle was collected, or by `close`. */
export type ReleaseReason = "released" | "parent" | "dropped" | "closed";

/** Fields of each kind of event, besides `kind`, `height` and `block`. */
export interface EventFields {
  /** A candidate was made. */
  readonly execute: { readonly made: Block };
  /** A block became the head, by `produce`, `commit` or `reorg`. */
  readonly commit: { readonly made: Block };
  /** A block has run, by `produce`, `execute` or `reorg`, in this time. "commit" or "execute" follows. */
  readonly run: { readonly milliseconds: number };
  /** All blocks up to this head are on the disk; the time that the last write took. */
  readonly write: { readonly milliseconds: number };
  /** A retained block became the head, by `revert` or `reorg`. */
  readonly revert: Facts;
  /** The block is not retained any more. */
  readonly forget: Facts;
  /** A candidate ended and was not committed. */
  readonly release: { readonly reason: ReleaseReason };
  /** What `prune` freed; the block is the head. */
  readonly prune: { readonly blocks: number; readonly objects: number; readonly bytes: number };
  /** A sweep of the store, that of `prune` too, has looked at this share of its objects, from 0 to 1. */
  readonly sweeping: { readonly share: number };
  /** What a sweep of the store in the background has freed. */
  readonly sweep: { readonly objects: number; readonly bytes: number };
  /** The states up to this head are in the store, written in this time. Option "durability": "logged". */
  readonly checkpoint: { readonly milliseconds: number };
  /** A missing state of a block was recomputed, by running this number of blocks. */
  readonly recompute: { readonly blocks: number; readonly milliseconds: number };
  /** The log, or a checkpoint, could not be written. Nothing is lost, and it is tried again. */
  readonly checkpointFailed: { readonly code: string; readonly text: string };
  /** The recording could not be written, and has stopped (option "record"). Nothing else is lost. */
  readonly recordingStopped: { readonly code: string; readonly text: string };
  /** The heap was collected, for all runtimes that share it; the bytes in use now. */
  readonly collect: { readonly heapUsedBytes: number; readonly milliseconds: number };
  /** A worker thread died and is replaced; the number of deaths since the runtime was opened. */
  readonly death: { readonly workersDied: number };
  /** A batch of the block has ended; reported when the block has. */
  readonly batch: { readonly report: BatchReport };
  /** A view of the block has ended; `status` is "rejected" where there is no answer, and `error` says why. */
  readonly view: {
    readonly path: readonly number[];
    readonly entry: string;
    readonly status: "returned" | "faulted" | "rejected";
    readonly gasUsed: number;
    readonly error: string | null;
    /** From the call to the answer. */
    readonly milliseconds: number;
  };
  /** The stream has dropped this number of events, which were not read in time. */
  readonly lost: { readonly count: number };
}

/** What an event can be. */
export type EventKind = keyof EventFields;

/** Something that happened to a runtime. */
export type RuntimeEvent = {
  [Kind in EventKind]: {
    readonly kind: Kind;
    /** Height of the block that the event is about. */
    readonly height: number | null;
    /** Its id, in hex. */
    readonly block: string | null;
  } & EventFields[Kind];
}[EventKind];

/** Events that a stream keeps for its reader. */
const KEPT_LIMIT = 10_000;

/** The streams of one runtime. */
export class Events {
  readonly #streams = new Set<EventStream>();
  readonly #watch: (more: number) => void;
  #ended = false;

  /** `watch` is called with the change of the number of streams. */
  constructor(watch: (more: number) => void) {
    this.#watch = watch;
  }

  /** Adds an event to all streams. */
  emit<Kind extends EventKind>(kind: Kind, block: BlockName | null, fields: EventFields[Kind]): void {
    if (this.#streams.size === 0) return;
    const name = { height: block?.height ?? null, block: block?.id ?? null };
    const event = Object.freeze({ kind, ...name, ...fields }) as RuntimeEvent;
    for (const stream of this.#streams) stream.push(event);
  }

  /** A stream of what happens from now on. */
  open(): EventStream {
    const stream = new EventStream(() => {
      if (this.#streams.delete(stream)) this.#watch(-1);
    });
    if (this.#ended) stream.end();
    else {
      this.#streams.add(stream);
      this.#watch(1);
    }
    return stream;
  }

  /** The runtime is closed: each stream ends when its reader has taken what it holds. */
  end(): void {
    this.#ended = true;
    for (const stream of this.#streams) stream.end();
    this.#watch(-this.#streams.size);
    this.#streams.clear();
  }
}

/** Events of a runtime, for `for await`; leaving the loop ends it, and so does closing the runtime. */
export class EventStream implements AsyncIterableIterator<RuntimeEvent> {
  readonly #forget: () => void;
  #kept: RuntimeEvent[] = [];
  #lost = 0;
  #ended = false;
  #waiting: ((result: IteratorResult<RuntimeEvent>) => void)[] = [];

  /** @internal */
  constructor(forget: () => void) {
    this.#forget = forget;
  }

  /** @internal */
  push(event: RuntimeEvent): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) return waiting({ value: event, done: false });
    this.#kept.push(event);
    if (this.#kept.length <= KEPT_LIMIT) return;
    // Half at a time, so that a reader who never comes costs little.
    this.#lost += this.#kept.splice(0, KEPT_LIMIT / 2).length;
  }

  /** @internal */
  end(): void {
    this.#ended = true;
    for (const waiting of this.#waiting.splice(0)) waiting({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<RuntimeEvent>> {
    const count = this.#lost;
    if (count > 0) {
      this.#lost = 0;
      return Promise.resolve({ value: { kind: "lost", height: null, block: null, count }, done: false });
    }
    const event = this.#kept.shift();
    if (event !== undefined) return Promise.resolve({ value: event, done: false });
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Ends the stream; what it holds is dropped. */
  return(): Promise<IteratorResult<RuntimeEvent>> {
    this.#forget();
    this.#kept = [];
    this.#lost = 0;
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
