/** What the main thread and the thread of the stores say to each other. */

import type { HeapHandle } from "../heap/heap.ts";

/** What the thread is started with. */
export interface ThreadData {
  readonly heap: HeapHandle;
  /** By which the heap's lock knows it. */
  readonly owner: number;
}

/** Where a store is, and how it is treated. */
export interface StorePlace {
  readonly path: string;
  /** What its objects and its log may take. */
  readonly limitBytes?: number | undefined;
  /** Maximum number of blocks without their states. */
  readonly archive: number;
  /**
   * A module with a function `step` that is called between the steps of a transaction: for tests of
   * crashes.
   */
  readonly steps?: string | undefined;
}

type Method =
  | "open"
  | "change"
  | "stage"
  | "archived"
  | "markAhead"
  | "beginSweep"
  | "sweep"
  | "close"
  | "discard"
  | "end";

/** A call of a method of Writer; the answer has the same number. */
export interface Call {
  readonly number: number;
  /** The store, by its bit. */
  readonly bit: number;
  readonly method: Method;
  readonly args: readonly unknown[];
}

export interface Answer {
  readonly number: number;
  /** Not the answer yet: the heap has been read. */
  readonly hasRead?: true;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string; readonly facts: object };
}

/** Messages carry plain bytes where Buffers were. */
export function buffers<T>(value: T): T {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length) as T;
  if (Array.isArray(value)) return value.map(buffers) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, buffers(one)])) as T;
}
