/**
 * A process that keeps as much as it can, of everything that images keep: for the fuzzer "space". As the root
 * (entry `main`) and as its children (entries `act`, `fill`, `chain`, and `item` of batches).
 *
 * Metadata of a block: u32 seed · u32 mode · u32 count · u32 bytes of the block's data · u64 gas for a
 * child · 32 bytes hash of this program · 32 bytes hash of a tiny one · anything.
 */

import { Batch, Child, FLAG_KEEP, Item, ret, snapshot } from "../../guest/index.ts";

export const STATE_BYTES: u32 = 1 << 16;
const REGION_BYTES: u32 = 1 << 17;
const CHILDREN: u32 = 6;
/** Tiny ones, far from each other, so that they share few nodes. */
const SMALL_CHILDREN: u32 = 160;
const INBOX_BYTES: u32 = 1000;
const ITEMS: u32 = 40;
/** Pages of 64 KiB that the root takes for itself, which it can never give back. */
const ROOT_PAGES: u32 = 32;
/** In what says how many pages to write to: here and there, not one after the other. */
const SCATTERED: u32 = 1 << 16;

const region: usize = memory.data(REGION_BYTES, 8);
/** Both hashes; at the same place in every process of this program. */
const hashes: usize = memory.data(64, 8);
const batch = new Batch(STATE_BYTES);

let state: u64 = 1;
/** Pages of 64 KiB that it began with; those from there on it fills. */
let first: u32 = 0;
/** The next page of 4 KiB to write to, counted from there. */
let cursor: u32 = 0;
let isRoot = false;

function next(limit: u32): u32 {
  state = state * 6364136223846793005 + 1442695040888963407;
  return <u32>((state >> 33) % limit);
}

export function main(argument: i64): i64 {
  let dataBytes: u32 = 0;
  isRoot = true;
  while (true) {
    if (snapshot(0, dataBytes, region, REGION_BYTES) < 0) {
      // Its data or the gas of its children does not fit into its quotas.
      for (let i: u32 = 0; i < CHILDREN; i++) Child.at(i).status().get();
      if (snapshot(0, 0, region, REGION_BYTES) < 0) unreachable();
    }
    memory.copy(hashes, region + 24, 64);
    state = load<u32>(region);
    const count = load<u32>(region, 8);
    dataBytes = min(load<u32>(region, 12), (<u32>memory.size()) << 16);
    const gas = load<u64>(region, 16);
    switch (load<u32>(region, 4)) {
      case 0:
        for (let i: u32 = 0; i < count; i++) something(gas);
        break;
      case 1:
        fill(count);
        break;
      case 2:
        below("fill", count, gas, 1);
        break;
      case 3:
        below("chain", ((<i64>4) << 32) | count, gas, 100);
        break;
      case 4:
        for (let i: u32 = 0; i < count; i++)
          Child.at(small())
            .create(hashes + 32)
            .put();
        break;
      default:
        for (let i: u32 = 0; i <= CHILDREN; i++) Child.at(i).drop().put();
        for (let i: u32 = 0; i < SMALL_CHILDREN; i++) Child.at(numberOf(i)).drop().put();
    }
  }
}

/** Takes all memory that there is, and writes to so many pages of it what never was there. */
export function fill(argument: i64): i64 {
  if (first === 0) first = memory.size();
  if (isRoot) {
    if (<u32>memory.size() === first) memory.grow(ROOT_PAGES);
  } else {
    for (let pages = 256; pages > 0; pages >>= 1) while (memory.grow(pages) >= 0) {}
  }
  const count = <u32>argument & (SCATTERED - 1);
  const isScattered = (<u32>argument & SCATTERED) !== 0;
  const pages = (<u32>memory.size() - first) << 4;
  if (pages === 0) return 0;
  for (let i: u32 = 0; i < count; i++, cursor++) {
    const page = isScattered ? next(pages) : cursor % pages;
    store<u64>((first << 16) + (page << 12), ((<u64>cursor) << 32) | state);
  }
  return 0;
}

function numberOf(small: u32): i32 {
  return 100 + small * 6_007;
}

function small(): i32 {
  return numberOf(next(SMALL_CHILDREN));
}

/** Runs an entry of a child that was given all that there was. */
function below(entry: string, argument: i64, gas: u64, processes: u32): void {
  const child = Child.at(CHILDREN);
  for (let quota: u32 = 1 << 14; quota > 64; quota -= quota >> 3) {
    if (create(child, quota, processes, 0) === 0) break;
  }
  child.start(entry, argument, gas, next(12) === 0 ? 0 : FLAG_KEEP).put();
  child.status().get();
}

/** A child of this program, unless there is one. */
function create(child: Child, quota: u32, processes: u32, heldGas: u64): i32 {
  if (child.status().get() === 0) return 0;
  return child.create(hashes, quota, processes, heldGas).copyIn(hashes, hashes, 64).put();
}

/** Argument: u32 pages that the lowest fills · u32 how many are still below. */
export function chain(argument: i64): i64 {
  const depth = argument >> 32;
  if (depth === 0) return fill(argument & 0xffffffff);
  below("chain", ((depth - 1) << 32) | (argument & 0xffffffff), 7_400_000 + 250_000 * depth, <u32>depth * 10);
  return 0;
}

/** Argument: seed. */
export function act(seed: i64): i64 {
  state = seed;
  for (let i = next(8); i > 0; i--) something(1 << (14 + next(9)));
  switch (next(8)) {
    case 0:
      unreachable();
    case 1:
      throw new Error("a text that is kept with the process, as long as it is kept: ".repeat(<i32>next(8)));
    case 2:
    case 3:
      return standing(next(600));
    default:
      return seed;
  }
}

/** Suspended so many calls deep. */
function standing(depth: u32): i64 {
  return depth === 0 ? ret(0) : standing(depth - 1) + 1;
}

/** Writes anywhere into its state and its outbox. */
export function item(length: i64): i64 {
  state = load<u64>(Item.input);
  for (let i = next(4); i > 0; i--) store<u64>(next(STATE_BYTES / 8) << 3, state);
  for (let i = next(40); i > 0; i--) Item.write(next(STATE_BYTES - INBOX_BYTES), INBOX_BYTES / 2);
  if (next(6) === 0) unreachable();
  return length;
}

function something(gas: u64): void {
  const child = Child.at(next(CHILDREN));
  const other = Child.at(next(CHILDREN));
  const page: usize = next(STATE_BYTES >> 12) << 12;
  switch (next(14)) {
    case 0:
    case 1:
      fill(next(60));
      break;
    case 2:
      store<u64>(next(STATE_BYTES / 8) << 3, state);
      break;
    case 3:
    case 4:
      create(child, 64 << next(8), next(30), next(2) * gas);
      break;
    case 5:
    case 6:
    case 7:
      child.start("act", next(1 << 30), gas, next(2) * FLAG_KEEP).put();
      if (next(3) > 0) child.status().get();
      break;
    case 8:
      child.clone(other).put();
      break;
    case 9:
      child.cloneSelf(64 << next(8), next(30), next(2) * gas).put();
      break;
    case 10:
      if (next(4) === 0) child.drop().put();
      break;
    case 11:
      batch.clear();
      for (let i = next(ITEMS); i > 0; i--) batch.add(next(60_000), 8 + next(INBOX_BYTES - 8), gas / ITEMS);
      batch.run(child, "item", gas);
      break;
    case 12:
      child
        .copyIn(page, next(STATE_BYTES >> 12) << 12, 4096)
        .copyIn(page, next(60_000), next(5_000))
        .put();
      break;
    default:
      child.merge(0, STATE_BYTES).get();
      Child.at(small())
        .create(hashes + 32)
        .start("nothing", 0, 30_000)
        .put();
  }
}
