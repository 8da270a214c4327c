/**
 * Hints: what is known from an earlier run of which item reads from which. The main thread writes those of
 * all blocks in progress before one begins, whoever leads a batch looks for those of its inputs. An item with
 * hints begins when those below it have run once; so wrong ones cost time and change nothing, and readers do
 * not mind that they may be written over.
 *
 *   word 0      batches then for each: 8 words SHA-256 of the inputs · number of pairs · pairs (item, lower
 * item), by item
 */

import type { BlockOfBatch } from "./evidence.ts";
import { HINTS_LIMIT } from "./layout.ts";

/** What `produce` takes as hints: a BatchReport with dependencies has this form. */
export interface Hints {
  /**
   * The block that the batch belonged to, if that is known; hints help any batch of the same inputs.
   */
  readonly block?: BlockOfBatch | null;
  /** SHA-256 of the batch's inputs, in hex. */
  readonly inputs: string | null;
  /** Pairs (item, lower item). */
  readonly dependencies: readonly (readonly [item: number, lower: number])[] | null;
}

const WORDS = 1 << 20;
const HEADER_WORDS = 9;

export function createHints(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORDS * 4);
}

/** Writes the hints of the blocks in progress; what finds no room is left out. */
export function writeHints(memory: SharedArrayBuffer, hints: readonly Hints[]): void {
  const words = new Uint32Array(memory);
  words[0] = 0;
  let at = 1;
  let count = 0;
  for (const { inputs, dependencies } of hints) {
    if (inputs === null || dependencies === null) continue;
    const pairs = [...dependencies].sort((a, b) => a[0] - b[0]);
    if (at + HEADER_WORDS + 2 * pairs.length > WORDS) continue;
    const hash = Buffer.from(inputs, "hex");
    for (let i = 0; i < 8; i++) words[at + i] = hash.readUInt32LE(4 * i);
    words[at + 8] = pairs.length;
    at += HEADER_WORDS;
    for (const [item, lower] of pairs) {
      words[at++] = item;
      words[at++] = lower;
    }
    count++;
  }
  Atomics.store(words, 0, count);
}

/** The pairs for the batch whose inputs have this hash, or null; `hash` is called if there are any hints. */
export function findHints(memory: SharedArrayBuffer, hash: () => Uint8Array): Uint32Array | null {
  const words = new Uint32Array(memory);
  const count = Atomics.load(words, 0);
  if (count === 0) return null;
  const wanted = Buffer.from(hash());
  let at = 1;
  for (let i = 0; i < count && at + HEADER_WORDS <= WORDS; i++) {
    const begin = at + HEADER_WORDS;
    const end = begin + 2 * (words[at + 8] as number);
    if (end > WORDS) return null;
    if (wanted.equals(Buffer.from(memory, at * 4, 32))) return words.slice(begin, end);
    at = end;
  }
  return null;
}

/** Calls `hint` with the pairs of a window of `items` items from `first` on. */
export function eachHint(
  pairs: Uint32Array,
  first: number,
  items: number,
  hint: (item: number, lower: number) => void,
): void {
  let low = 0;
  for (let high = pairs.length / 2; low < high; ) {
    const middle = (low + high) >> 1;
    if ((pairs[2 * middle] as number) < first) low = middle + 1;
    else high = middle;
  }
  const most = low + items * HINTS_LIMIT * 4;
  for (let i = low; i < Math.min(pairs.length / 2, most); i++) {
    const item = pairs[2 * i] as number;
    const lower = pairs[2 * i + 1] as number;
    if (item >= first + items) return;
    if (item >= first && lower >= first && lower < item) hint(item - first, lower - first);
  }
}
