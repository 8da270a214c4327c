/** What the main thread and the writer's thread say to each other. */

import type { HeapHandle } from "../heap/heap.ts";
import type { Place } from "./writer.ts";

/** What the thread is started with. */
export interface WriterData {
  readonly place: Place;
  readonly genesis: Uint8Array;
  readonly heap: HeapHandle;
  readonly owner: number;
  readonly bit: number;
  /** Other stores of the heap. */
  readonly sources: readonly Place[];
  /** A module that exports `step`, which is called between the steps of transactions; undefined: none. */
  readonly steps: string | undefined;
}

/** A call of a method of Writer; the answer has the same number. */
export interface Call {
  readonly number: number;
  readonly method: "open" | "commit" | "change" | "sweep" | "close";
  readonly args: readonly unknown[];
}

export interface Answer {
  readonly number: number;
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
