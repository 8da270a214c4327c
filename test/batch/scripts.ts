/**
 * Items for the guest batch/script: operations of four words (test/guests/batch/script.ts), by name or at
 * random.
 */

import { MAIL_BYTES } from "../../syscalls/abi.ts";
import { guest } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import type { BatchInput, Item } from "./batches.ts";

export const SCRIPT = await guest("batch/script");
export const STATE_BYTES = 1 << 17;
/** What is beyond the state, to the guest, is its scratch. */
export const SCRATCH = STATE_BYTES;
export const LINES = STATE_BYTES / 64;
/** Gas that is enough for any operations but endless ones. */
export const PLENTY = 4_000_000;

/** Kind and up to three arguments. */
export type Operation = readonly number[];

/** Operations by what they do. Places are addresses of state, or from SCRATCH on of private memory. */
export const op = {
  add: (at: number, value: number): Operation => [1, at, value],
  copyAdd: (from: number, to: number, value: number): Operation => [2, from, to, value],
  sum: (at: number, bytes: number): Operation => [3, at, bytes],
  fill: (at: number, bytes: number, value: number): Operation => [4, at, bytes, value],
  copy: (to: number, from: number, bytes: number): Operation => [5, to, from, bytes],
  xor16: (to: number, from: number, value: number): Operation => [6, to, from, value],
  skipUnless: (at: number, bits: number, operations: number): Operation => [7, at, bits, operations],
  /** 0 unreachable · 1 an exception · 2 a division by zero · 3 out of bounds · 4 endless recursion */
  fail: (kind: number): Operation => [8, kind],
  work: (turns: number): Operation => [9, turns],
  counter: (): Operation => [10],
  allocate: (bytes: number): Operation => [11, bytes],
  grow: (pages: number): Operation => [12, pages],
  output: (): Operation => [13],
  /** Changes the place that a place names. */
  indirect: (at: number, bits: number): Operation => [14, at, bits],
  scratch: (at: number, value: number): Operation => [15, at, value],
  /** Never ends while the place holds less. */
  spin: (at: number, value: number): Operation => [16, at, value],
  add2: (at: number, value: number): Operation => [17, at, value],
  walk: (at: number, steps: number, salt: number): Operation => [21, at, steps, salt],
  /** Adds 1 to a place in each of so many lines. */
  addLines: (at: number, lines: number): Operation => [22, at, lines],
  add1: (at: number, value: number): Operation => [25, at, value],
  overwrite: (at: number, value: number): Operation => [26, at, value],
  zero: (at: number): Operation => [28, at],
  outputAt: (at: number): Operation => [29, at],
  /** Takes from one place what it gives to another, if that is there. */
  transfer: (from: number, to: number, amount: number): Operation => [30, from, to, amount],
  /** A request that is refused. */
  call: (): Operation => [31],
  /** Accumulates in an integer among the first 256 bytes of the state; `how`: width, flags, bounds. */
  accumulate: (at: number, delta: number, how: number): Operation => [33, at, delta, how],
  /** Accumulates in so many places, each `apart` bytes behind the last. */
  accumulateMany: (at: number, places: number, apart: number): Operation => [34, at, places, apart],
  read: (at: number): Operation => [99, at],
};

const KINDS = 36;

/** An item of these operations. */
export function item(operations: readonly Operation[], gas: number | bigint = PLENTY): Item {
  const words = new Uint32Array(operations.length * 4);
  for (const [i, operation] of operations.entries()) words.set(operation, i * 4);
  return { input: new Uint8Array(words.buffer), gas };
}

/** A batch of these items. */
export function batch(items: readonly Item[], gas?: number): BatchInput {
  return { entry: "run", items, inbox: STATE_BYTES, ...(gas === undefined ? {} : { gas }) };
}

/** A first batch, which only pays for the start function. */
export const WARM = batch([], 1_000_000);

/** The address of a line of the state. */
export function line(number: number): number {
  return number * 64;
}

/** A batch of so many items, of these operations. */
export function many(count: number, operations: (i: number) => Operation[]): BatchInput {
  return batch(Array.from({ length: count }, (_, i) => item(operations(i))));
}

/** Kinds that a batch has much of: everything, additions, bulk, faults, the bound, chains. */
const TASTES = [
  [],
  [1, 2, 17, 25],
  [4, 5, 6, 26],
  [8, 16, 24],
  [18, 19, 20, 23],
  [7, 14, 21],
  [22, 3, 28],
  [33],
  [33, 33, 33, 1, 99],
  [34, 34, 33, 99],
  [35, 35, 33, 25],
];

/** A batch of random items; most are small, some have many conflicts, some run out of gas. */
export function randomBatch(seed: number): BatchInput {
  const next = random(seed);
  const pick = <T>(list: readonly T[]): T => list[next(list.length)] as T;
  const items = next(50) > 0 ? next(pick([4, 12, 40])) : next(700);
  const operations = 1 + next(pick([2, 4, 12]));
  const hot = pick([1, 2, 3, 8, 64, 1000]);
  const spread = pick([1, 8, 64, 4096]);
  const origin = next(5) === 0 ? 0 : next(STATE_BYTES);
  const taste = pick(TASTES);
  const wild = pick([0, 2, 20]);
  const place = (): number =>
    next(100) < wild ? next(STATE_BYTES + 16384) : (origin + next(hot) * spread) % STATE_BYTES;
  const one = (): Operation => {
    let kind = taste.length > 0 && next(4) > 0 ? pick(taste) : next(KINDS);
    // Endless loops and wild outputs are slow; one in many is enough.
    if ((kind === 16 || kind === 24 || kind === 8 || kind === 27) && next(8) > 0) kind = 1;
    const b = pick([() => next(300), () => next(1 << 30), place])();
    const c = pick([() => next(300), () => next(1 << 30), place])();
    return [kind, pick([place, place, place, () => next(1 << 30)])(), b, kind === 5 ? next(600) : c];
  };
  const generous = next(3) > 0;
  const limit = (): number | bigint => {
    if (next(200) === 0) return pick([0, 1, 2 ** 53, 2 ** 64 - 4096, 2n ** 64n - 1n, 2n ** 63n]);
    return generous ? 400_000 : pick([600, 3000, 20_000, 100_000]) + next(1000);
  };
  const outboxCapacity = pick([MAIL_BYTES / 2, MAIL_BYTES / 2, 64, 4]);
  const full = next(8) === 0;
  /** Operations, now and then as many as the inbox holds, or an output that just fits or does not. */
  const some = (): Operation[] => {
    const list = Array.from({ length: next(operations + 1) }, one);
    if (!full || next(4) > 0) return list;
    if (next(2) === 0) return [...list, [27, outboxCapacity - 4 + next(3) - 1]];
    return [...list, ...Array<Operation>(MAIL_BYTES / 2 / 16 - list.length).fill(op.counter())];
  };
  const list = Array.from({ length: items }, () => item(some(), limit()));
  const longest = list.reduce((most, { input }) => Math.max(most, input.length), 0);
  const total = list.reduce((sum, { gas }) => sum + Math.min(1_000_000, Number(gas)), 0);
  const gas = pick([total, total, total, next(total + 1), next(1000), 0]);
  const inboxCapacity = full ? longest : MAIL_BYTES / 2;
  return { ...batch(list, gas), inboxCapacity, outboxCapacity };
}
