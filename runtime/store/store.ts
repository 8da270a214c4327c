/**
 * A store as a runtime's main thread sees it: calls that answer when what they ask for is durable.
 *
 * Behind it are two threads. The writer's walks over new objects and waits for the disk, so that the event
 * loop does neither. The loader's (one for all stores of a heap) brings in what is asked for.
 */

import { Worker } from "node:worker_threads";
import { KernelPanic, StoreError } from "../errors.ts";
import type { Heap, HeapHandle, Ref } from "../heap/heap.ts";
import { LOADER_NONE, LOADER_SIGNAL, LOADER_STATE } from "../heap/stub.ts";
import type { LoaderMessage } from "./loader.ts";
import { type Answer, buffers, type Call, type WriterData } from "./message.ts";
import type { StoreState } from "./state.ts";
import type { Commit, Place, Written } from "./writer.ts";

/** Owners of the heap's lock, beside the worker threads and the main thread. */
const LOADER_OWNER = 0x7ffffffe;
const WRITER_OWNER = 0x70000000;
/** Bits for stored marks: so many stores a heap can have in its life. */
const STORES_LIMIT = 31;

// Below node_modules Node strips no types: the packed package is JavaScript.
const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
const threadFile = (name: string): URL => new URL(`./${name}.${extension}`, import.meta.url);

/** Where a store is, and how it is treated. */
export interface StorePlace {
  readonly path: string;
  readonly limitBytes?: number | undefined;
  /**
   * A module with a function `step` that is called between the steps of a transaction: for tests of crashes.
   */
  readonly steps?: string | undefined;
}

/** The stores of one heap, and the thread that brings their objects in. */
export class Stores {
  readonly #handle: HeapHandle;
  readonly #heap: Heap;
  #loader: Worker | null = null;
  readonly #answers: (() => void)[] = [];
  #count = 0;
  readonly #places = new Set<Place>();

  constructor(handle: HeapHandle, heap: Heap) {
    this.#handle = handle;
    this.#heap = heap;
  }

  /**
   * Opens a store for writing, or makes one.
   *
   * @throws StoreError (STORE_LOCKED, STORE_VERSION, STORE_GENESIS, STORE_CORRUPT, STORE_READ_ONLY,
   *   STORE_FULL)
   */
  async open(place: StorePlace, genesis: Uint8Array): Promise<Store> {
    if (this.#count === STORES_LIMIT) {
      throw new StoreError(
        "STORE_FORKS",
        `a runtime and its forks can have ${STORES_LIMIT} stores in their life`,
        {
          limit: STORES_LIMIT,
        },
      );
    }
    const number = this.#count++;
    const { path, limitBytes, steps } = place;
    const bit = 2 ** number;
    const owner = WRITER_OWNER + number;
    const here = { path, limitBytes };
    const sources = [...this.#places];
    const data: WriterData = { place: here, genesis, heap: this.#handle, owner, bit, sources, steps };
    const store = new Store(path, bit, data, () => this.#remove(bit, here));
    try {
      await store.open();
      await this.#tell({ what: "add", path, bit });
      this.#places.add(here);
    } catch (error) {
      await store.end();
      throw error;
    }
    return store;
  }

  async #remove(bit: number, place: Place): Promise<void> {
    await this.#tell({ what: "remove", bit });
    this.#places.delete(place);
    if (this.#places.size > 0) return;
    await this.#tell({ what: "end" });
    this.#loader = null;
  }

  #tell(message: LoaderMessage): Promise<void> {
    this.#loader ??= this.#start();
    const answer = new Promise<void>((resolve) => this.#answers.push(resolve));
    this.#loader.postMessage(message);
    Atomics.add(this.#heap.control, LOADER_SIGNAL, 1);
    Atomics.notify(this.#heap.control, LOADER_SIGNAL);
    return answer;
  }

  #start(): Worker {
    const loader = new Worker(threadFile("loader"), {
      workerData: { heap: this.#handle, owner: LOADER_OWNER },
    });
    loader.on("message", () => this.#answers.shift()?.());
    loader.on("error", () => {});
    // Who asks from now on hears that the store is closed.
    loader.on("exit", () => Atomics.store(this.#heap.control, LOADER_STATE, LOADER_NONE));
    return loader;
  }
}

/** One store, open for writing. */
export class Store {
  readonly path: string;
  /** Marks objects that are in it. */
  readonly bit: number;
  readonly #thread: Worker;
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  readonly #closed: () => Promise<void>;
  #number = 0;
  #state: StoreState = { head: null, blocks: [] };

  constructor(path: string, bit: number, data: WriterData, closed: () => Promise<void>) {
    this.path = path;
    this.bit = bit;
    this.#closed = closed;
    this.#thread = new Worker(threadFile("thread"), { workerData: data });
    this.#thread.on("message", (answer: Answer) => this.#answered(answer));
    this.#thread.on("error", (error) => this.#lost(error as Error));
    this.#thread.on("exit", () => this.#lost(new Error("its thread has ended")));
  }

  /** What it held when it was opened. */
  get state(): StoreState {
    return this.#state;
  }

  async open(): Promise<void> {
    this.#state = (await this.#call("open")) as StoreState;
  }

  /** Writes a block and makes it the head. */
  commit(commit: Commit): Promise<Written> {
    return this.#call("commit", commit) as Promise<Written>;
  }

  /** Makes another block the head, forgets blocks, pins and unpins some: in one transaction. */
  change(change: Change): Promise<Written> {
    const { head, removed = [], pinned = [], unpinned = [] } = change;
    return this.#call("change", head, removed, pinned, unpinned) as Promise<Written>;
  }

  /** One slice of a sweep: null until it was the last one. */
  sweep(refs: readonly Ref[], slice: number): Promise<Written | null> {
    return this.#call("sweep", refs, slice) as Promise<Written | null>;
  }

  async close(): Promise<void> {
    try {
      await this.#closed();
      await this.#call("close");
    } finally {
      await this.end();
    }
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
  }

  #call(method: Call["method"], ...args: unknown[]): Promise<unknown> {
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#thread.postMessage({ number, method, args } satisfies Call);
    });
  }

  #answered({ number, result, error }: Answer): void {
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (error === undefined) waiting?.resolve(buffers(result));
    else if (error.code === "KERNEL_PANIC") waiting?.reject(new KernelPanic(error.message));
    else waiting?.reject(new StoreError(error.code, error.message, error.facts as never));
  }

  #lost(error: Error): void {
    const { path } = this;
    for (const { reject } of this.#waiting.values()) {
      reject(
        new StoreError(
          "STORE_FAILED",
          `the store ${path} failed: ${error.message}`,
          { path },
          { cause: error },
        ),
      );
    }
    this.#waiting.clear();
  }
}

/** What `Store.change` changes. */
export interface Change {
  readonly head: Uint8Array;
  readonly removed?: readonly Uint8Array[];
  readonly pinned?: readonly Uint8Array[];
  readonly unpinned?: readonly Uint8Array[];
}
