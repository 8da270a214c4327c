/**
 * No guest: drives the core in a benchmark, on the core's own memory. An item moves 1 from one line to
 * another, after `work` turns of arithmetic. `plain` does the same in a loop.
 *
 * At `at`: the number of the window, at + 64 how many have left windows, at + 128 pairs of lines, one for
 * each item, and behind these the lines.
 */

import {
  ENTRY_BYTES,
  ENTRY_LINE,
  ENTRY_SIZE,
  ENTRY_VERSION,
  ENTRY_WRITTEN,
  ITEMS,
  ITEM_LOG,
  ITEM_LOG_END,
  ITEM_SIZE,
  TASK_DONE,
  TASK_EXECUTE,
  TASK_IDLE,
  TASK_ITEM_SHIFT,
  TASK_KIND_MASK,
  VERSION_BYTES,
  WAKE,
} from "../../../runtime/batch/layout.ts";
import {
  commit,
  enter,
  finish,
  finishValidation,
  giveUp,
  lookup,
  next,
  reset,
  validate,
  version,
} from "./core.ts";

const SPINS = 2000;
const NAP_NS: i64 = 1000000;

let pairs: usize = 0;
let lines: usize = 0;
let turns: u32 = 0;

function prepare(at: usize, items: u32, work: u32): void {
  pairs = at + 128;
  lines = (pairs + ((<usize>items) << 3) + 63) & ~63;
  turns = work;
}

function arithmetic(seed: u64): u64 {
  let x = seed | 1;
  for (let turn: u32 = 0; turn < turns; turn++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  return x;
}

function copyLine(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  v128.store(to, v128.load(from, 16), 16);
  v128.store(to, v128.load(from, 32), 32);
  v128.store(to, v128.load(from, 48), 48);
}

/** All items one after the other, without the core. */
export function plain(at: usize, items: u32, work: u32): void {
  prepare(at, items, work);
  for (let item: u32 = 0; item < items; item++) {
    const from = lines + ((<usize>load<u32>(pairs + (item << 3))) << 6);
    const to = lines + ((<usize>load<u32>(pairs + (item << 3) + 4)) << 6);
    const x = arithmetic(load<u64>(from));
    store<u64>(from, load<u64>(from) - 1);
    store<u64>(to, load<u64>(to) + 1);
    store<u64>(from, x, 8);
  }
}

/** Worker `worker` of `workers`; 0 opens the windows. `begin`: windows that there have been before. */
export function drive(
  at: usize,
  items: u32,
  work: u32,
  window: u32,
  worker: u32,
  workers: u32,
  begin: u32,
): void {
  prepare(at, items, work);
  const windows = (items + window - 1) / window;
  for (let number = begin; number < begin + windows; number++) {
    const first = (number - begin) * window;
    if (worker === 0) {
      until(at + 64, number * workers);
      reset(min(window, items - first), 3); // the third arena holds the lines
      atomic.store<u32>(at, number + 1);
      atomic.notify(at);
    } else {
      until(at, number + 1);
    }
    enter(worker);
    run(first);
    atomic.add<u32>(at + 64, 1);
    atomic.notify(at + 64);
  }
  if (worker === 0) until(at + 64, (begin + windows) * workers);
}

/** Waits until a word has a value. */
function until(word: usize, value: u32): void {
  for (let spins = 0; ; spins++) {
    const found = atomic.load<u32>(word);
    if (found === value) return;
    if (spins > SPINS) atomic.wait<i32>(word, found);
  }
}

function run(first: u32): void {
  apply();
  let task = next();
  let idle = 0;
  while (true) {
    const kind = task & TASK_KIND_MASK;
    if (kind !== TASK_IDLE) idle = 0;
    if (kind === TASK_EXECUTE) {
      task = execute(first + (task >>> TASK_ITEM_SHIFT));
    } else if (kind === TASK_IDLE) {
      if (++idle > SPINS) atomic.wait<i32>(WAKE, atomic.load<u32>(WAKE), NAP_NS);
      task = next();
    } else if (kind === TASK_DONE) {
      return;
    } else {
      task = finishValidation(validate());
      apply();
    }
  }
}

function touch(line: u32): usize {
  const entry = lookup(line);
  if (entry !== 0 && load<u32>(entry, ENTRY_VERSION) === 0) {
    copyLine(entry + ENTRY_BYTES, lines + ((<usize>line) << 6));
  }
  return entry;
}

function execute(item: u32): i32 {
  const from = load<u32>(pairs + (item << 3));
  const to = load<u32>(pairs + (item << 3) + 4);
  const a = touch(from);
  if (a === 0) return giveUp();
  const x = arithmetic(load<u64>(a, ENTRY_BYTES));
  const b = from === to ? a : touch(to);
  if (b === 0) return giveUp();
  const one = version(a);
  if (one === 0) return giveUp();
  copyLine(one, a + ENTRY_BYTES);
  store<u64>(one, load<u64>(one) - 1);
  store<u64>(one, x, 8);
  let two = one;
  if (from !== to) {
    two = version(b);
    if (two === 0) return giveUp();
    copyLine(two, b + ENTRY_BYTES);
  }
  store<u64>(two, load<u64>(two) + 1);
  return finish(1, 0, 1);
}

/** Copies what is final. */
function apply(): void {
  for (let item = commit(); item >= 0; item = commit()) {
    const record = <usize>item * ITEM_SIZE + ITEMS;
    const end: usize = load<u32>(record, ITEM_LOG_END);
    for (let entry: usize = load<u32>(record, ITEM_LOG); entry < end; entry += ENTRY_SIZE) {
      const written: usize = load<u32>(entry, ENTRY_WRITTEN);
      if (written !== 0)
        copyLine(lines + ((<usize>load<u32>(entry, ENTRY_LINE)) << 6), written + VERSION_BYTES);
    }
  }
}
