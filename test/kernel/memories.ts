/**
 * Memories that children and their parent copy, zero, clone, start, merge and hash in random order, against
 * plain byte arrays that share nothing.
 *
 * A manager (the driver) plays a script in each activation; some end with a trap. After each the model's
 * bytes must be those of every image, no child may have a reference snapshot, for all were joined, and the
 * tables must be those that the bytes alone make. No image that was there before may have changed at the end.
 * A twin plays the same scripts, its processes copied before each activation so that nothing is shared and
 * nothing is hashed: its gas and its roots must be the same.
 */

import { createHash } from "node:crypto";
import type { Heap, Ref } from "../../runtime/heap/heap.ts";
import { tableDiff, tableUpdate } from "../../runtime/heap/table.ts";
import { hashOf } from "../../runtime/image/hash.ts";
import { MemoryEdit, readMemory } from "../../runtime/image/memory.ts";
import { loadProcess, type Process, publishProcess, referenceOf } from "../../runtime/image/process.ts";
import { PAGE_BYTES } from "../../runtime/limits.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, type RangeSpec, Script } from "../driver.ts";
import { DRIVER_HASH, driver } from "../fixture.ts";
import { Scripted } from "./scripted.ts";
import { random } from "./trees.ts";

/** Pages that nothing but the model's operations writes to, in the manager and in each child. */
const AREA = 0x280000;
const PAGES = 4;
const BYTES = PAGES * PAGE_BYTES;
/** Where a child finds its script. */
const INNER = 0x2c0000;
const CHILDREN = 3;
const GAS = 20_000_000;
const QUOTA = { memoryQuotaPages: quota(100), processQuota: 0 };

type Next = (limit: number) => number;

/** Throws if the bytes, or gas, are not what they should be. */
export class Difference extends Error {}

function check(condition: boolean, text: string): asserts condition {
  if (!condition) throw new Difference(text);
}

// ---- the model --------------------------------------------------------------------------------------------

interface Bytes {
  now: Buffer;
  /** The reference snapshot's. */
  reference: Buffer | null;
}

/** The manager's bytes and its children's. */
class Model {
  own: Buffer = Buffer.alloc(BYTES);
  children = new Map<number, Bytes>();

  copy(): Model {
    const other = new Model();
    other.own = Buffer.from(this.own);
    for (const [number, { now, reference }] of this.children) {
      const kept = reference === null ? null : Buffer.from(reference);
      other.children.set(number, { now: Buffer.from(now), reference: kept });
    }
    return other;
  }
}

/** What MERGE of bytes makes of `own`; null: a conflict. */
function merged({ now, reference }: Bytes, own: Buffer, from: number, to: number): Buffer | null {
  const result = Buffer.from(own);
  for (let i = from; i < to; i++) {
    if (now[i] === (reference as Buffer)[i] || now[i] === own[i]) continue;
    if (own[i] !== (reference as Buffer)[i]) return null;
    result[i] = now[i] as number;
  }
  return result;
}

// ---- operations -------------------------------------------------------------------------------------------

/** A number, which is 0 most of the time: what meets often finds more. */
function favourite(next: Next, limit: number): number {
  return next(5) < 3 ? 0 : next(limit);
}

/** A range within the area: often whole pages, often a few bytes. */
function range(next: Next): { at: number; length: number } {
  const page = favourite(next, PAGES);
  if (next(2) === 0) {
    return { at: page * PAGE_BYTES, length: (1 + next(Math.min(2, PAGES - page))) * PAGE_BYTES };
  }
  const at = page * PAGE_BYTES + next(PAGE_BYTES);
  return { at, length: Math.min(next(3) === 0 ? next(6000) : 1 + next(8), BYTES - at) };
}

/** Adds an operation to the script, and to the model. */
function operate(s: Script, model: Model, next: Next): void {
  const number = favourite(next, CHILDREN);
  const child = model.children.get(number);
  const { at, length } = range(next);
  const choice = next(24);
  if (choice < 3) {
    const byte = next(3);
    s.fill(AREA + at, length, byte);
    model.own.fill(byte, at, at + length);
  } else if (choice === 3) {
    const from = next(PAGES) * PAGE_BYTES;
    s.copy(AREA + (at - (at % PAGE_BYTES)), AREA + from, PAGE_BYTES);
    model.own.copyWithin(at - (at % PAGE_BYTES), from, from + PAGE_BYTES);
  } else if (child === undefined || choice < 6) {
    make(s, model, next, number);
  } else if (choice < 11) {
    write(s, model, next, number, child);
  } else if (choice < 14) {
    start(s, next, number, child);
  } else if (choice < 17) {
    const source = next(2) === 0 ? at : Math.min(at + next(5), BYTES - length);
    s.get(number, { copy: [{ source: AREA + source, target: AREA + at, length }] });
    child.now.copy(model.own, at, source, source + length);
  } else if (choice < 19) {
    s.get(number, { merge: { address: AREA + at, length } });
    if (child.reference !== null) model.own = merged(child, model.own, at, at + length) ?? model.own;
  } else if (choice < 21) {
    forward(s, model, next, number, child);
  } else if (choice < 23) {
    again(s, model, next, number, child);
  } else {
    s.get(number, { hash: true });
  }
}

/** A page goes from a child to another one; before and after, the first child gets a byte of it. */
function forward(s: Script, model: Model, next: Next, number: number, child: Bytes): void {
  const at = favourite(next, PAGES) * PAGE_BYTES;
  const to = [...model.children.keys()][next(model.children.size)] as number;
  const write = (target: Bytes, name: number, from: number, length: number): void => {
    s.put(name, { ranges: [{ source: AREA + from, target: AREA + at, length }] });
    model.own.copy(target.now, at, from, from + length);
  };
  write(child, number, next(BYTES), 1);
  s.get(number, { copy: [{ source: AREA + at, target: AREA + at, length: PAGE_BYTES }] });
  child.now.copy(model.own, at, at, at + PAGE_BYTES);
  write(model.children.get(to) as Bytes, to, at, PAGE_BYTES);
  write(child, number, next(BYTES), 1);
}

/** A page goes to a child behind a START that changes nothing, often once more; and is merged back. */
function again(s: Script, model: Model, next: Next, number: number, child: Bytes): void {
  const at = favourite(next, PAGES) * PAGE_BYTES;
  const inner = new Script({ base: INNER, commands: 1 });
  const ranges = [{ source: inner.metadata(), target: INNER }];
  s.put(number, { ranges, start: { entry: "run", argument: BigInt(INNER), gas: GAS } });
  child.reference = Buffer.from(child.now);
  s.put(number, { ranges: [{ source: AREA + at, target: AREA + at, length: PAGE_BYTES }] });
  model.own.copy(child.now, at, at, at + PAGE_BYTES);
  s.get(number, { merge: { address: AREA + at, length: PAGE_BYTES } });
  model.own = merged(child, model.own, at, at + PAGE_BYTES) ?? model.own;
}

/** PROGRAM, CLONE of a child or of the manager, or DROP. */
function make(s: Script, model: Model, next: Next, number: number): void {
  const source = next(CHILDREN);
  const copied = model.children.get(source);
  const choice = next(4);
  if (choice < 2) {
    s.put(number, { clone: abi.CLONE_SELF, ...QUOTA });
    model.children.set(number, { now: Buffer.from(model.own), reference: null });
  } else if (copied !== undefined && source !== number) {
    s.put(number, { clone: source });
    model.children.set(number, { now: Buffer.from(copied.now), reference: null });
  } else if (choice === 2 && model.children.has(number)) {
    s.put(number, { drop: true });
    model.children.delete(number);
  } else {
    s.put(number, { program: DRIVER_HASH, ...QUOTA });
    model.children.set(number, { now: Buffer.alloc(BYTES), reference: null });
  }
}

/** COPY and ZERO. */
function write(s: Script, model: Model, next: Next, number: number, child: Bytes): void {
  const ranges: RangeSpec[] = [];
  for (let count = 1 + next(3); count > 0; count--) {
    const { at, length } = range(next);
    if (next(4) === 0) {
      ranges.push({ zero: true, target: AREA + at, length });
      child.now.fill(0, at, at + length);
    } else {
      const source = next(4) === 0 ? Math.min(next(BYTES), BYTES - length) : at;
      ranges.push({ source: AREA + source, target: AREA + at, length });
      model.own.copy(child.now, at, source, source + length);
    }
  }
  s.put(number, { ranges });
}

/** START and join of a child that fills a few ranges and returns, or traps. */
function start(s: Script, next: Next, number: number, child: Bytes): void {
  const inner = new Script({ base: INNER, commands: 8 });
  const traps = next(4) === 0;
  const keep = next(3) === 0;
  if (!keep || child.reference === null) child.reference = Buffer.from(child.now);
  for (let count = next(4); count > 0; count--) {
    const { at, length } = range(next);
    const byte = next(3);
    inner.fill(AREA + at, length, byte);
    child.now.fill(byte, at, at + length);
  }
  if (traps) {
    inner.trap();
    child.now = Buffer.from(child.reference);
  }
  const ranges = [{ source: inner.metadata(), target: INNER }];
  s.put(number, { ranges, start: { entry: "run", argument: BigInt(INNER), gas: GAS, keep } });
  s.get(number, { status: true });
}

// ---- the run ----------------------------------------------------------------------------------------------

export interface Ran {
  readonly activations: number;
  readonly images: number;
  /** The most heap bytes for a gas that an activation took. */
  readonly bytesPerGas: number;
}

/** Plays `count` activations; throws a Difference, or whatever a broken invariant throws. */
export async function runMemories(seed: number, count: number): Promise<Ran> {
  const next = random(seed);
  const scripted = await Scripted.open([driver]);
  const twin = await Scripted.open([driver]);
  const { heap } = scripted.solo;
  const images: { ref: Ref; digest: string }[] = [];
  let model = new Model();
  let bytesPerGas = 0;
  for (let i = 0; i < count; i++) {
    const after = model.copy();
    const traps = next(8) === 0;
    const operations = 1 + next(20);
    const seedOfThis = next(1 << 30);
    const play = (s: Script): void => {
      const choose = random(seedOfThis);
      const scratch = model.copy();
      for (let k = 0; k < operations; k++) operate(s, scratch, choose);
      if (traps) s.trap();
      after.own = scratch.own;
      after.children = scratch.children;
      for (const child of after.children.values()) child.reference = null;
    };
    twin.process = unshared(twin.solo.heap, twin.process);
    const played = scripted.play(play, GAS * 100);
    const other = twin.play(play, GAS * 100);
    check(
      played.gasUsed === other.gasUsed,
      `activation ${i}: gas ${played.gasUsed}, ${other.gasUsed} unshared`,
    );
    bytesPerGas = Math.max(bytesPerGas, played.work.heapBytes / played.gasUsed);
    if (!traps) model = after;
    const where = `activation ${i}`;
    check(traps === (played.fault !== abi.FAULT_NONE), `${where}: fault ${played.fault}`);
    compare(heap, scripted.process, model, where);
    const ref = publishProcess(heap, scripted.process);
    images.push({ ref, digest: digestOf(heap, ref) });
    if (next(3) === 0) checkRoots(heap, ref, twin, where);
  }
  for (const { ref, digest } of images) check(digestOf(heap, ref) === digest, "an earlier image has changed");
  checkRoots(heap, images.at(-1)?.ref ?? 0, twin, "the end");
  return { activations: count, images: images.length, bytesPerGas };
}

function areaOf(heap: Heap, memory: Ref): Buffer {
  const bytes = Buffer.alloc(BYTES);
  readMemory(heap, memory, AREA, bytes, 0, BYTES);
  return bytes;
}

function compare(heap: Heap, process: Process, model: Model, where: string): void {
  check(areaOf(heap, process.memory).equals(model.own), `${where}: the manager's bytes`);
  const seen = new Set<number>();
  tableDiff(heap, 0, process.children, (number, _none, ref) => {
    seen.add(number);
    const child = loadProcess(heap, ref);
    const bytes = model.children.get(number);
    check(bytes !== undefined, `${where}: child ${number} is there`);
    check(areaOf(heap, child.memory).equals(bytes.now), `${where}: bytes of child ${number}`);
    const reference = referenceOf(heap, child);
    check((reference === null) === (bytes.reference === null), `${where}: a reference of child ${number}`);
    if (reference === null || bytes.reference === null) return;
    check(areaOf(heap, reference.memory).equals(bytes.reference), `${where}: the reference of ${number}`);
  });
  check(seen.size === model.children.size, `${where}: ${seen.size} children`);
}

/** Of all bytes below an image, without its hashes. */
function digestOf(heap: Heap, ref: Ref): string {
  const digest = createHash("sha256");
  everyProcess(heap, ref, ({ memory, presentPages }) => {
    const pages = pagesOf(heap, memory);
    check(pages.length === presentPages, `${presentPages} of ${pages.length} pages are counted`);
    for (const [index, bytes] of pages) digest.update(String(index)).update(bytes);
  });
  return digest.digest("hex");
}

function everyProcess(heap: Heap, ref: Ref, visit: (process: Process) => void): void {
  const process = loadProcess(heap, ref);
  visit(process);
  if (process.referenceRef !== 0) everyProcess(heap, process.referenceRef, visit);
  tableDiff(heap, 0, process.children, (_number, _none, child) => everyProcess(heap, child, visit));
}

/** The root is the twin's, and each memory's hash is that of a table made of its bytes alone. */
function checkRoots(heap: Heap, ref: Ref, twin: Scripted, where: string): void {
  const root = Buffer.from(hashOf(heap, ref));
  const other = publishProcess(twin.solo.heap, twin.process);
  check(root.equals(hashOf(twin.solo.heap, other)), `${where}: root`);
  everyProcess(heap, ref, ({ memory }) => {
    const fresh = rebuilt(heap, memory);
    check(Buffer.from(hashOf(heap, memory)).equals(hashOf(heap, fresh)), `${where}: hash of a memory`);
  });
}

/** A memory with the same bytes that shares nothing with the old one. */
function rebuilt(heap: Heap, memory: Ref): Ref {
  const edit = new MemoryEdit(heap, 0);
  for (const [index, bytes] of pagesOf(heap, memory)) {
    if (bytes.some((byte) => byte !== 0)) edit.write(index * PAGE_BYTES, bytes, 0, PAGE_BYTES);
  }
  return edit.commit();
}

/** Pages that are there, by number. */
function pagesOf(heap: Heap, memory: Ref): [number, Buffer][] {
  const pages: [number, Buffer][] = [];
  tableDiff(heap, 0, memory, (index, _none, page) => pages.push([index, Buffer.from(heap.payload(page))]));
  return pages;
}

/** The same process, all of whose memories and records are new. */
function unshared(heap: Heap, process: Process): Process {
  const copy = process.copy();
  copy.memory = rebuilt(heap, process.memory);
  const reference = referenceOf(heap, process);
  copy.reference = reference === null ? null : unshared(heap, reference);
  copy.referenceRef = 0;
  const numbers: number[] = [];
  const refs: Ref[] = [];
  tableDiff(heap, 0, process.children, (number, _none, ref) => {
    numbers.push(number);
    refs.push(publishProcess(heap, unshared(heap, loadProcess(heap, ref))));
  });
  copy.children = tableUpdate(heap, 0, numbers, refs, numbers.length);
  return copy;
}
