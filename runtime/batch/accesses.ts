/**
 * What the items of a batch read and wrote in parallel, for recordings: of each line that the incarnation
 * that counts has touched, one access. Read from the core's logs when a window has ended.
 *
 * An access is four numbers: item · line · from whom it was read (an item, FROM_…) · 1: it was written
 */

import type { Variable } from "../program/decode/state.ts";
import { placeOf } from "./contended.ts";
import * as layout from "./layout.ts";

export const ACCESS_WORDS = 4;
/** It was read as it was before the batch. */
export const FROM_BASE = -1;
/** It was read as a sum to which several items have added. */
export const FROM_SUM = -2;
/** It was not read: only added to. */
export const FROM_NOBODY = -3;

/** Accesses that are kept of a batch: 4 MiB. */
const ACCESSES_LIMIT = 1 << 18;
/** Lines of a batch that get names. */
const PLACES_LIMIT = 4096;

/** A line that items met over, and what lies there if anything says so. */
export type NamedLine = readonly [line: number, name: string | null];

/** What goes beside the report of a batch. Can be posted. */
export interface Touched {
  /** The activation whose batch it was, as a record of the timeline. */
  readonly span: number;
  readonly accesses: Int32Array;
  readonly cut: boolean;
  readonly places: readonly NamedLine[];
}

export class Accesses {
  readonly #numbers: number[] = [];
  #cut = false;

  /** The first `done` items of a window that has ended; the first one is item `first` of the batch. */
  window(words: Int32Array, first: number, done: number): void {
    for (let item = 0; item < done; item++) {
      const record = (layout.ITEMS + item * layout.ITEM_SIZE) / 4;
      const end = (words[record + layout.ITEM_LOG_END / 4] as number) >>> 0;
      let at = (words[record + layout.ITEM_LOG / 4] as number) >>> 0;
      for (; at < end; at += layout.ENTRY_SIZE) {
        if (this.#numbers.length >= ACCESSES_LIMIT * ACCESS_WORDS) {
          this.#cut = true;
          return;
        }
        const word = (offset: number): number => (words[(at + offset) / 4] as number) >>> 0;
        const version = word(layout.ENTRY_VERSION);
        const isWritten = word(layout.ENTRY_WRITTEN) === 0 ? 0 : 1;
        this.#numbers.push(first + item, word(layout.ENTRY_LINE), sourceOf(words, version, first), isWritten);
      }
    }
  }

  /** A run in parallel came to nothing that had begun at item `first`. */
  rollback(first: number): void {
    const numbers = this.#numbers;
    while ((numbers.at(-ACCESS_WORDS) ?? -1) >= first) numbers.length -= ACCESS_WORDS;
  }

  /** All of them, with names by the `variables` of the process at `process`, whose state ends at `bound`. */
  touched(process: readonly number[], bound: number, variables: readonly Variable[], span: number): Touched {
    const accesses = Int32Array.from(this.#numbers);
    nameEarlierWriters(accesses);
    const places = metOver(accesses)
      .slice(0, PLACES_LIMIT)
      .map((line): NamedLine => [line, nameOf(line, process, bound, variables)]);
    return { span, accesses, cut: this.#cut, places };
  }
}

/** Whose version it is that was read, in a window whose first item is `first`. */
function sourceOf(words: Int32Array, version: number, first: number): number {
  if (version === 0) return FROM_BASE;
  if (version === layout.ENTRY_UNREAD) return FROM_NOBODY;
  if (version === layout.ENTRY_SUM) return FROM_SUM;
  return first + (words[(version + layout.VERSION_ITEM) / 4] as number);
}

/**
 * What a window read from before it was left by the last item of an earlier window that wrote the line, if
 * one did. Accesses are in the order of items.
 */
function nameEarlierWriters(accesses: Int32Array): void {
  const writers = new Map<number, number>();
  for (let at = 0; at < accesses.length; at += ACCESS_WORDS) {
    const [item, line, from, wrote] = accesses.subarray(at, at + ACCESS_WORDS) as unknown as number[];
    if (from === FROM_BASE) accesses[at + 2] = writers.get(line as number) ?? FROM_BASE;
    if (wrote === 1) writers.set(line as number, item as number);
  }
}

/** Lines that several items have touched, and at least one has written, ascending. */
function metOver(accesses: Int32Array): number[] {
  const first = new Map<number, number>();
  const shared = new Set<number>();
  const written = new Set<number>();
  for (let at = 0; at < accesses.length; at += ACCESS_WORDS) {
    const [item, line] = [accesses[at] as number, accesses[at + 1] as number];
    if ((first.get(line) ?? item) !== item) shared.add(line);
    else first.set(line, item);
    if (accesses[at + 3] === 1) written.add(line);
  }
  return [...shared].filter((line) => written.has(line)).sort((a, b) => a - b);
}

function nameOf(
  line: number,
  process: readonly number[],
  bound: number,
  variables: readonly Variable[],
): string | null {
  const place = placeOf(line, process, bound, variables);
  if (place.kind === "quotas") return "quotas";
  if (place.kind === "child") return `child ${place.process.at(-1)}`;
  return place.name;
}
