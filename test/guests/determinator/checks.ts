/**
 * Small checks of fork, join and merge, each an entry. What must hold is in test/determinator/checks.test.ts.
 *
 * `area` is what copies write to. Results stand in `out`, 64 words of eight bytes.
 */

import {
  Child,
  Parallel,
  Status,
  allocatePages,
  check,
  memoryQuota,
  parallel,
} from "../../../guest/index.ts";
import * as abi from "../../../syscalls/abi.ts";

export { forked } from "../../../guest/index";

const GAS: u64 = 20_000_000;
const AREA_BYTES: i32 = 4 * 4096;
const area: usize = allocatePages(AREA_BYTES);
const out: usize = allocatePages(4096);
const message: usize = memory.data(1024, 8);

export function outAddress(argument: i64): i64 {
  return out;
}

export function areaAddress(argument: i64): i64 {
  return area;
}

/** Text of the last failure: length, and the address in the upper half. */
function keepMessage(text: string): i64 {
  const length = String.UTF8.byteLength(text);
  String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, message);
  return ((<i64>message) << 32) | length;
}

// ---- the same stack addresses -----------------------------------------------------------------------------

/** A stack in memory, which grows downwards as that of a C program does. */
let stackPointer: usize = area + AREA_BYTES;

/** Fibonacci with every intermediate value on the stack in memory. */
function onStack(n: i64, salt: i64): i64 {
  stackPointer -= 32;
  const frame = stackPointer;
  store<i64>(frame, n);
  store<i64>(frame, salt, 8);
  if (n < 2) {
    store<i64>(frame, n + salt, 16);
  } else {
    store<i64>(frame, onStack(n - 1, salt), 16);
    store<i64>(frame, onStack(load<i64>(frame) - 2, load<i64>(frame, 8)), 24);
    store<i64>(frame, load<i64>(frame, 16) + load<i64>(frame, 24), 16);
  }
  const result = load<i64>(frame, 16);
  stackPointer += 32;
  return result;
}

/** Result and address of the stack of copy i in words 2i and 2i + 1. */
export function sameStack(copies: i64): i64 {
  onStack(5, 1);
  const mine = stackPointer;
  parallel(<i32>copies, useStack, 12, out, 4096);
  return mine == stackPointer ? 0 : -1;
}

function useStack(index: i32, n: i64): void {
  const result = onStack(n, index * 1000);
  store<i64>(out + index * 16, result);
  store<i64>(out + index * 16, stackPointer - 32, 8);
}

// ---- traps ------------------------------------------------------------------------------------------------

const holder: usize = memory.data(16, 8);
type Unary = (a: i64) => i64;
type Binary = (a: i64, b: i64) => i64;

function binary(a: i64, b: i64): i64 {
  return a - b;
}

function endless(n: i64): i64 {
  return n == -1 ? 0 : endless(n + 1) + 1;
}

/** Fault number `index` + 1 of the ABI, after writing to the area. */
function trap(index: i32, zero: i64): void {
  memory.fill(area, 0xee, AREA_BYTES);
  switch (index + 1) {
    case abi.FAULT_UNREACHABLE:
      unreachable();
      break;
    case abi.FAULT_ABORT:
      throw new Error("on purpose");
    case abi.FAULT_MEMORY_BOUNDS:
      store<i64>(((<usize>memory.size()) << 16) - 4 + <usize>zero, 1);
      break;
    case abi.FAULT_TABLE_BOUNDS:
      store<u32>(holder, 10_000 + <u32>zero);
      store<i64>(out, changetype<Unary>(holder)(1));
      break;
    case abi.FAULT_DIVISION_BY_ZERO:
      store<i64>(out, 7 / zero);
      break;
    case abi.FAULT_INTEGER_OVERFLOW:
      store<i64>(out, i64.MIN_VALUE / (zero - 1));
      break;
    case abi.FAULT_BAD_CONVERSION:
      store<i64>(out, <i64>(1e300 + <f64>zero));
      break;
    case abi.FAULT_BAD_INDIRECT_CALL: {
      const other: Binary = zero ? changetype<Binary>(holder) : binary;
      store<u32>(holder, load<u32>(changetype<usize>(other)));
      store<i64>(out, changetype<Unary>(holder)(1));
      break;
    }
    case abi.FAULT_OUT_OF_GAS:
      while (zero == 0) store<i64>(out, load<i64>(out) + 1);
      break;
    case abi.FAULT_CALL_DEPTH:
      store<i64>(out, endless(zero));
      break;
  }
}

/** Lets copies run into every fault; word i: fault of copy i, and in the upper half its line. */
export function traps(argument: i64): i64 {
  store<i64>(area, argument);
  Parallel.of(0);
  for (let i = 0; i < abi.FAULT_CALL_DEPTH; i++) {
    failing = i;
    const child = Child.at(i);
    check(child.cloneSelf().start("runTrap", 0, GAS).put(), "copy");
  }
  for (let i = 0; i < abi.FAULT_CALL_DEPTH; i++) {
    const child = Child.at(i);
    check(child.status().merge(area, AREA_BYTES).get(), "merge after a fault");
    const status = Status.last;
    store<u32>(out + i * 8, status.fault);
    store<u32>(out + i * 8, status.line, 4);
  }
  return load<i64>(area);
}

let failing: i32 = 0;

export function runTrap(zero: i64): i64 {
  trap(failing, zero);
  return 0;
}

/** Copy `which` of four faults by number, the others add; what tryRun says, and the text. */
export function faultOf(fault: i64): i64 {
  const failed = Parallel.of(4).gas(GAS).merge(area, 4096).tryRun(faultInThird, fault);
  store<i64>(out, failed);
  store<i64>(out, keepMessage(changetype<Parallel>(0).explain()), 8);
  return load<i64>(area) + load<i64>(area, 8) + load<i64>(area, 16) + load<i64>(area, 24);
}

function faultInThird(index: i32, fault: i64): void {
  store<i64>(area + index * 8, index + 1);
  if (index == 2) trap(<i32>fault - 1, 0);
}

export function abortsInParallel(fault: i64): i64 {
  Parallel.of(4).gas(GAS).merge(area, 4096).run(faultInThird, fault);
  return 0;
}

// ---- memory operations of copies are their own ------------------------------------------------------------

let global: i64 = 3;

/** Sum of the area, of the memory size and of the global, so that every change is seen. */
function fingerprint(): i64 {
  let sum: i64 = global * 1_000_003 + memory.size();
  for (let i = 0; i < AREA_BYTES; i += 8) sum = sum * 31 + load<i64>(area + i);
  return sum;
}

/** Word 0 and 1: fingerprints before and after; word 2 to 4: what the copies saw of themselves. */
export function hidden(argument: i64): i64 {
  for (let i = 0; i < AREA_BYTES; i += 8) store<i64>(area + i, i * argument);
  const before = fingerprint();
  const pages = memoryQuota(memory.size() + 4);
  Parallel.of(3).quota(pages, 1).merge(out, 4096).run(changeEverything, argument);
  store<i64>(out, before);
  store<i64>(out, fingerprint(), 8);
  return Child.at(0).status().get();
}

function changeEverything(index: i32, argument: i64): void {
  global += index + 1;
  memory.fill(area, <u8>index, 4096);
  memory.copy(area + 4096, area + 100, 5000);
  if (index == 1) memory.grow(1);
  if (index == 2) {
    const old = memory.size();
    store<i64>(((<usize>old) << 16) - 8, argument);
    check(Child.at(0).cloneSelf().start("runTrap", 0, 0).put(), "a copy of the copy");
  }
  store<i64>(out + 16 + index * 8, fingerprint());
}

/** What this process writes after the fork is not seen by the copies, and stays. */
export function writesBehind(argument: i64): i64 {
  store<i64>(area, 1);
  store<i64>(area, 1, 8);
  check(Child.at(1).cloneSelf().start("sumArea", 0, GAS).put(), "copy");
  store<i64>(area, argument);
  check(Child.at(1).merge(area, AREA_BYTES).get(), "merge");
  return load<i64>(area) * 1_000_000 + load<i64>(area, 8);
}

export function sumArea(argument: i64): i64 {
  store<i64>(area, load<i64>(area) + load<i64>(area, 8) + 40, 8);
  return 0;
}

// ---- merging ----------------------------------------------------------------------------------------------

/** Neighbouring bytes, words of two, four and eight bytes, each written by another copy. */
export function neighbours(copies: i64): i64 {
  for (let i = 0; i < AREA_BYTES; i += 8) store<i64>(area + i, -1);
  parallel(<i32>copies, writeNeighbours, copies, area, AREA_BYTES);
  return 0;
}

function writeNeighbours(index: i32, copies: i64): void {
  for (let i = index; i < 1024; i += <i32>copies) {
    store<u8>(area + i, <u8>(index + i));
    store<u16>(area + 1024 + i * 2, <u16>(index * 257 + i));
    store<u32>(area + 4096 + i * 4, index * 65537 + i);
    store<u64>(area + 8192 + i * 8, ((<u64>index) << 40) + i);
  }
}

/** x = y beside y = x. */
export function swap(argument: i64): i64 {
  store<i32>(area, <i32>argument);
  store<i32>(area, <i32>(argument >> 32), 4);
  parallel(2, assign, 0, area, 8);
  return load<i64>(area);
}

function assign(index: i32, argument: i64): void {
  if (index == 0) store<i32>(area, load<i32>(area, 4));
  else store<i32>(area, load<i32>(area), 4);
}

/** The copies write `values`, a byte each, to the same address; what tryRun says, and the text. */
export function sameByte(values: i64): i64 {
  store<u8>(area, 0, 77);
  store<i64>(area, -1, 4096);
  const failed = Parallel.of(3)
    .merge(area + 4096, 4096)
    .merge(area, 4096)
    .tryRun(writeByte, values);
  store<i64>(out, failed);
  store<i64>(out, keepMessage(changetype<Parallel>(0).explain()), 8);
  store<i64>(out, load<i64>(area, 4096), 16);
  return load<u8>(area, 77);
}

function writeByte(index: i32, values: i64): void {
  store<u8>(area, <u8>(values >> (index * 8)), 77);
  store<u8>(area + 4096 + index, index);
}

/** A histogram by ADD, least and greatest values by MIN and MAX, over pseudo-random numbers. */
export function reduce(copies: i64): i64 {
  memory.fill(area, 0, AREA_BYTES);
  for (let i = 0; i < 8; i++) store<u32>(area + 2048 + i * 4, 1000);
  store<i64>(area, i64.MAX_VALUE, 3072);
  store<i64>(area, i64.MIN_VALUE, 3080);
  store<u32>(area, u32.MAX_VALUE, 3088);
  Parallel.of(<i32>copies)
    .merge(area, 1024, abi.MERGE_ADD_64)
    .merge(area + 2048, 32, abi.MERGE_ADD_32)
    .merge(area + 3072, 8, abi.MERGE_MIN_I64)
    .merge(area + 3080, 8, abi.MERGE_MAX_I64)
    .merge(area + 3088, 4, abi.MERGE_MIN_U32)
    .run(countPart, copies);
  return 0;
}

function countPart(index: i32, copies: i64): void {
  let state: u64 = 1;
  for (let i = 0; i < 4096; i++) {
    state = state * 6364136223846793005 + 1442695040888963407;
    if (i % <i32>copies != index) continue;
    const bucket = area + ((<usize>(state >> 57)) << 3);
    store<i64>(bucket, load<i64>(bucket) + 1);
    const small = area + 2048 + ((<usize>(state >> 61)) << 2);
    store<u32>(small, load<u32>(small) - 1);
    store<i64>(area, min<i64>(load<i64>(area, 3072), <i64>state), 3072);
    store<i64>(area, max<i64>(load<i64>(area, 3080), <i64>state), 3080);
    store<u32>(area, min<u32>(load<u32>(area, 3088), <u32>(state >> 32)), 3088);
  }
}

// ---- what cannot work -------------------------------------------------------------------------------------

export function tooMuchGas(argument: i64): i64 {
  Parallel.of(2)
    .gas(1 << 50)
    .run(writeByte, 0);
  return 0;
}

export function tooMuchMemory(argument: i64): i64 {
  Parallel.of(2)
    .quota(60_000 * 16)
    .run(writeByte, 0);
  return 0;
}

export function outside(argument: i64): i64 {
  return Parallel.of(2).merge(0xfffff000, 8).tryRun(writeByte, 0);
}

export function nobody(argument: i64): i64 {
  return Parallel.of(0).merge(area, 4096).tryRun(writeByte, 0);
}
