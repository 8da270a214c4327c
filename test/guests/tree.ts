/**
 * A random but deterministic subtree: `top(seed)` and `run(seed)` work on their pages and make children of
 * the same program, which do likewise with a seed of their own. They are joined in shuffled order; some fault
 * and are tried again, some stand in RET and are resumed, some are dropped, some are hashed. The code
 * returned mixes everything a parent can see: codes, faults, gas, error codes, hashes, bytes. `top` never
 * stands in RET itself.
 *
 * Parameters, PARAMETERS bytes at the address that `parameters(0)` returns, the same in every process of this
 * program:
 *    0  [32] hash of this program
 *   32  u64  gas that this process was started with; half of it goes to children
 *   40  u32  levels below this process
 *   44  u32  children of one process, at most
 *   48  u32  pages of 4096 bytes to work on, at most 4096
 *   52  u32  words to change each time it works
 *   56  u32  of 1000 runs, how many fault
 *   60  u32  of 1000 runs, how many stand in RET
 *   64  u32  pages of its memory quota that this process may pass on
 *   68  u32  processes that this process may pass on
 *   72  u64  zero
 */

import { Child, Status, memoryQuota, ret } from "../../guest/process.ts";
import { allocatePages } from "../../guest/pages.ts";
import { FLAG_KEEP, STATUS_FAULTED, STATUS_RET, STATUS_RETURNED } from "../../syscalls/abi.ts";

const PARAMETERS: u32 = 80;
/** 64 KiB pages of static data and what the allocator leaves unused. */
const OWN_PAGES: u32 = 3;
/** Pages of the quota that a process may keep for itself. */
const OWN_QUOTA: u32 = memoryQuota(OWN_PAGES);

const own: usize = memory.data(80, 8);
const forChild: usize = memory.data(80, 8);
const hash: usize = memory.data(32, 8);
const word: usize = memory.data(8, 8);

let pages: usize = 0;
let pageCount: u32 = 0;
/** State of the generator; what has been seen so far. */
let random: u64 = 0;
let seen: u64 = 0;

export function parameters(argument: i64): i64 {
  return own;
}

export function top(seed: i64): i64 {
  return work(seed, false);
}

export function run(seed: i64): i64 {
  return work(seed, true);
}

// ---- one process ------------------------------------------------------------------------------------------

function work(seed: i64, mayRet: bool): i64 {
  random = <u64>seed;
  seen = mix(<u64>seed);
  if (pages == 0) {
    pageCount = min<u32>(max<u32>(load<u32>(own, 48), 1), 4096);
    pages = allocatePages(pageCount * 4096);
  }
  changeWords();
  const fault = below(1000) < load<u32>(own, 56);
  if (fault && below(2) == 0) faultSomehow();
  const count = load<u32>(own, 40) ? below(load<u32>(own, 44) + 1) : 0;
  for (let i: u32 = 0; i < count; i++) makeChild(i, count);
  changeWords();
  if (mayRet && below(1000) < load<u32>(own, 60)) observe(ret(<i64>seen));
  if (count) {
    const step = 1 + 2 * below(count); // odd; visits all children if count is a power of two, else some twice
    const first = below(count);
    for (let i: u32 = 0; i < count; i++) joinChild((first + i * step) % count, count);
    for (let i: u32 = 0; i < count; i++) joinChild(i, count);
  }
  if (fault) faultSomehow();
  changeWords();
  return <i64>seen;
}

function changeWords(): void {
  for (let i = load<u32>(own, 52); i > 0; i--) {
    const at = pages + below(pageCount) * 4096 + below(512) * 8;
    const value = mix(load<u64>(at) ^ next());
    store<u64>(at, value);
    seen = mix(seen ^ value);
  }
}

function faultSomehow(): void {
  const kind = below(5);
  if (kind == 0) throw new Error("tree: meant to fail");
  if (kind == 1) unreachable();
  if (kind == 2) observe(<i64>load<u64>(0xfffffff0));
  if (kind == 3) observe(7 / <i64>load<u64>(own, 72));
  while (true) seen = mix(seen); // kind 4: until the gas is gone
}

// ---- its children -----------------------------------------------------------------------------------------

function childGas(count: u32): u64 {
  return load<u64>(own, 32) / 2 / count;
}

function makeChild(number: u32, count: u32): void {
  const child = Child.at(number);
  const quota = load<u32>(own, 64) / count;
  const processes = load<u32>(own, 68) / count;
  memory.copy(forChild, own, PARAMETERS);
  store<u64>(forChild, childGas(count) / 2, 32);
  store<u32>(forChild, load<u32>(own, 40) - 1, 40);
  const needed = OWN_QUOTA + load<u32>(own, 48);
  store<u32>(forChild, quota > needed ? quota - needed : 0, 64);
  store<u32>(forChild, processes > 0 ? processes - 1 : 0, 68);
  child.create(own, quota, processes > 0 ? processes - 1 : 0).copyIn(forChild, own, PARAMETERS);
  // Half of a child's share now, the rest for another try.
  observe(child.start("run", <i64>next(), childGas(count) / 2).put());
}

function joinChild(number: u32, count: u32): void {
  const child = Child.at(number);
  const code = child.status().get();
  observe(code);
  if (code < 0) return;
  const status = Status.last;
  observe(status.kind);
  observe(status.fault);
  observe(status.code);
  observe(<i64>status.gasUsed);
  observe(status.children);
  const share = childGas(count) / 4;
  if (status.kind == STATUS_FAULTED && below(2)) {
    observe(child.start("run", <i64>next(), share, below(2) ? FLAG_KEEP : 0).put());
  } else if (status.kind == STATUS_RET) {
    observe(child.resume(<i64>next(), share).put());
  } else if (status.kind == STATUS_RETURNED && below(4) == 0) {
    observe(
      child
        .zero(own + 72, 8)
        .start("run", <i64>next(), share)
        .put(),
    );
  }
  const choice = below(6);
  if (choice == 0) {
    observe(child.hash(hash).get());
    for (let i: usize = 0; i < 32; i += 8) observe(load<i64>(hash + i));
  } else if (choice == 1) {
    store<u64>(word, 0);
    observe(child.copyOut(own + 32, word, 8).get());
    observe(load<i64>(word));
  } else if (choice == 2 && below(4) == 0) {
    observe(child.drop().put());
  }
}

// ---- randomness -------------------------------------------------------------------------------------------

function observe(value: i64): void {
  seen = mix(seen ^ <u64>value);
}

/** splitmix64 */
function next(): u64 {
  random += 0x9e3779b97f4a7c15;
  return mix(random);
}

function below(limit: u32): u32 {
  return <u32>(next() % <u64>limit);
}

function mix(x: u64): u64 {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
