/**
 * The stores of a heap as the main thread sees them: calls that answer when what they ask for is durable.
 *
 * Behind them is one thread (thread.ts), which walks over new objects and waits for the disk, so that the
 * event loop does neither, and loads what other threads need.
 */

import { Worker } from "node:worker_threads";
import { KernelPanic, StoreError } from "../errors.ts";
import { HEADER_STORED, type Heap, type HeapHandle, type Ref, UNIT_WORDS } from "../heap/heap.ts";
import { LOADER_NONE, LOADER_READY, LOADER_STATE } from "../heap/stub.ts";
import { threadEnvironment } from "../thread-env.ts";
import type { StoreChange, SweepStep, Written } from "./change.ts";
import { type Answer, buffers, type Call, type StorePlace, type ThreadData } from "./message.ts";
import type { ArchivedRecord } from "./record.ts";
import type { StoreState } from "./state.ts";

/** Owner of the heap's lock, beside the worker threads and the main thread. */
const OWNER = 0x7ffffffe;
/** Maximum number of stores of a heap: each has a bit for stored marks. */
const STORES_LIMIT = 31;

// Below node_modules Node strips no types: the packed package is JavaScript.
const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
const threadFile = new URL(`./thread.${extension}`, import.meta.url);

interface Waiting {
  readonly method: Call["method"];
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  /** Called when the call has read all that it needs of the heap. */
  readonly hasRead: (() => void) | null;
}

/** The stores of one heap, and their thread. */
export class Stores {
  readonly #handle: HeapHandle;
  readonly #heap: Heap;
  readonly #waiting = new Map<number, Waiting>();
  #thread: Worker | null = null;
  #number = 0;
  /** Bits that mark nothing. */
  readonly #bits = Array.from({ length: STORES_LIMIT }, (_, i) => 2 ** i).reverse();
  /** Bits of stores that are closed: what was in them is still marked. */
  readonly #closed: number[] = [];
  #open = 0;

  constructor(handle: HeapHandle, heap: Heap) {
    this.#handle = handle;
    this.#heap = heap;
  }

  /**
   * Opens a store for writing, or makes one; `genesis` is what the id of its runtime's is the hash of, null:
   * whatever the store's is.
   *
   * @throws StoreError (STORE_LOCKED, STORE_VERSION, STORE_GENESIS, STORE_CORRUPT, STORE_READ_ONLY,
   *   STORE_FULL, STORE_FORKS)
   */
  async open(place: StorePlace, genesis: Promise<Uint8Array | null>): Promise<Store> {
    const bit = this.#bits.pop();
    if (bit === undefined) {
      throw new StoreError(
        "STORE_FORKS",
        `a runtime and its forks can have ${STORES_LIMIT} stores at once. Close some; that of one that is ` +
          "closed counts as long as the others may need what lies there",
        { limit: STORES_LIMIT },
      );
    }
    this.#open++;
    // It starts while the programs are loaded.
    this.#thread ??= this.#start();
    try {
      const state = (await this.call(bit, "open", place, await genesis)) as StoreState;
      return new Store(this, place.path, bit, state);
    } catch (error) {
      // Nothing was marked with it.
      this.#bits.push(bit);
      await this.#close();
      throw error;
    }
  }

  /** Whether no bit is free until `reclaim` has been called. */
  get exhausted(): boolean {
    return this.#bits.length === 0 && this.#closed.length > 0;
  }

  /** Removes the marks of stores that are closed. Nobody runs meanwhile. */
  reclaim(): void {
    const { words } = this.#heap;
    const bits = this.#closed.splice(0);
    const rest = ~bits.reduce((all, bit) => all | bit, 0);
    this.#heap.walk((ref) => Atomics.and(words, ref * UNIT_WORDS + HEADER_STORED, rest));
    this.#bits.push(...bits);
  }

  /** Calls a method of the writer of the store with this bit. */
  call(bit: number, method: Call["method"], ...args: unknown[]): Promise<unknown> {
    return this.callReading(bit, method, null, ...args);
  }

  /** The same; `hasRead` is called as soon as the heap is not read any more. */
  callReading(
    bit: number,
    method: Call["method"],
    hasRead: (() => void) | null,
    ...args: unknown[]
  ): Promise<unknown> {
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      if (this.#thread === null)
        return reject(new StoreError("STORE_FAILED", "the store failed: it is closed"));
      this.#waiting.set(number, { method, resolve, reject, hasRead });
      this.#thread.postMessage({ number, bit, method, args } satisfies Call);
    });
  }

  /** The store with this bit was closed. */
  async closed(bit: number): Promise<void> {
    this.#closed.push(bit);
    await this.#close();
  }

  /** The thread ends with the last store. */
  async #close(): Promise<void> {
    if (--this.#open > 0) return;
    const thread = this.#thread;
    this.#thread = null;
    // Requests for objects now fail with "the store is closed".
    Atomics.store(this.#heap.control, LOADER_STATE, LOADER_NONE);
    if (thread === null) return;
    const ended = new Promise((resolve) => thread.once("exit", resolve));
    thread.postMessage({ number: 0, bit: 0, method: "end", args: [] } satisfies Call);
    await ended;
  }

  #start(): Worker {
    const thread = new Worker(threadFile, {
      env: threadEnvironment(),
      workerData: { heap: this.#handle, owner: OWNER } satisfies ThreadData,
    });
    thread.on("message", (answer: Answer) => this.#answered(answer));
    thread.on("error", (error) => this.#lost(error as Error));
    thread.on("exit", () => {
      // A thread that was asked to end leaves nothing behind, and another one may be at work already.
      if (this.#thread !== thread) return;
      this.#thread = null;
      this.#heap.releaseLockOf(OWNER);
      Atomics.store(this.#heap.control, LOADER_STATE, LOADER_NONE);
      this.#lost(new Error("its thread has ended"));
    });
    // A pending call keeps the process alive; listening to the thread does not.
    thread.unref();
    // A call before it runs waits for it.
    Atomics.store(this.#heap.control, LOADER_STATE, LOADER_READY);
    return thread;
  }

  #answered({ number, hasRead, result, error }: Answer): void {
    const waiting = this.#waiting.get(number);
    if (hasRead) return waiting?.hasRead?.();
    this.#waiting.delete(number);
    if (error === undefined) waiting?.resolve(buffers(result));
    else if (error.code === "KERNEL_PANIC") waiting?.reject(new KernelPanic(error.message));
    else waiting?.reject(new StoreError(error.code, error.message, error.facts as never));
  }

  /** The thread has ended: whatever it was asked for gets no answer. */
  #lost(error: Error): void {
    for (const { method, reject } of this.#waiting.values()) reject(lost(method, error));
    this.#waiting.clear();
  }
}

/** A change may be on the disk when the thread that writes it ends before it says so. */
function lost(method: Call["method"], cause: Error): StoreError {
  const failed = `the store failed: ${cause.message}`;
  if (method !== "change") return new StoreError("STORE_FAILED", failed, {}, { cause });
  const text = `${failed}, before it said whether the change is written. Open it again to see`;
  return new StoreError("STORE_UNCERTAIN", text, { reason: "STORE_FAILED" }, { cause });
}

/** One store, open for writing. */
export class Store {
  readonly path: string;
  /** Marks objects that are in it. */
  readonly bit: number;
  /** What it held when it was opened. */
  readonly state: StoreState;
  readonly #stores: Stores;

  constructor(stores: Stores, path: string, bit: number, state: StoreState) {
    this.#stores = stores;
    this.path = path;
    this.bit = bit;
    this.state = state;
  }

  /**
   * Makes a change durable, in one transaction. `hasRead` is called when the heap has been read; until this
   * resolves, what was written is marked.
   */
  change(change: StoreChange, hasRead: (() => void) | null = null): Promise<Written> {
    return this.#stores.callReading(this.bit, "change", hasRead, change) as Promise<Written>;
  }

  /** Writes objects ahead, of blocks to come; `hasRead` as in `change`. */
  stage(refs: readonly Ref[], hasRead: (() => void) | null = null): Promise<Written> {
    return this.#stores.callReading(this.bit, "stage", hasRead, refs) as Promise<Written>;
  }

  /** An archived block: of the chain by height, or any by its id; null if there is none. */
  archived(target: number | Uint8Array): Promise<ArchivedRecord | null> {
    return this.#stores.call(this.bit, "archived", target) as Promise<ArchivedRecord | null>;
  }

  /** Marks `count` objects that the next sweep keeps; whether those were all. */
  markAhead(isFirst: boolean, count: number): Promise<boolean> {
    return this.#stores.call(this.bit, "markAhead", isFirst, count) as Promise<boolean>;
  }

  /** Begins a sweep that keeps what these objects reach, and retained blocks; its number. */
  beginSweep(refs: readonly Ref[]): Promise<number> {
    return this.#stores.call(this.bit, "beginSweep", refs) as Promise<number>;
  }

  /** One slice of the sweep with this number. */
  sweep(number: number, slice: number): Promise<SweepStep> {
    return this.#stores.call(this.bit, "sweep", number, slice) as Promise<SweepStep>;
  }

  close(): Promise<void> {
    return this.#end("close");
  }

  /** Closes a store that never had a head; its directory is as it was before it was opened. */
  discard(): Promise<void> {
    return this.#end("discard");
  }

  async #end(method: "close" | "discard"): Promise<void> {
    try {
      await this.#stores.call(this.bit, method);
    } finally {
      await this.#stores.closed(this.bit);
    }
  }
}
