/**
 * The timeline: when and on which thread activations ran, for people who wonder where time goes. A table in
 * shared memory to which every thread appends. Nothing reads it but `spans`, so it cannot change a result;
 * what it says differs from run to run.
 *
 * A record is claimed when something begins, or of an item when it has ended. Those of one lane (a thread)
 * nest, and a record that another refers to has the lower number. A full table takes no more records; it
 * counts those it did not take. A ring, whose capacity is a power of two, forgets the oldest instead: numbers
 * continue, modulo 2^32, and a record is there as long as its place has its number.
 *
 * Record, 80 bytes:
 *   word 0 kind · 1: it has ended · lane · parent (a record) · child or item (-1: none)
 *   word 5 status, or incarnation · 6 fault, or how it ended · 7 first word of the program's hash
 *   f64s 4 begin and 5 end, nanoseconds of a clock that all threads share · 6 gas given · 7 gas used
 *   word 16 its number · 17 the block that it was for, by its number (worker/job.ts)
 */

import type { ItemLog } from "../batch/item-log.ts";
import type { Process } from "../image/process.ts";
import type { TracedProgram, Tracer } from "../kernel/trace.ts";

export const NO_RECORD = -1;

/** An activation. Its parent is the activation that ran it inline, or the START that another thread took. */
export const SPAN_ACTIVATION = 1;
/** A child was started and offered to other threads: a moment. Its parent is the caller's activation. */
export const SPAN_START = 2;
/** A join waits, and may help with other work. Its parent is the START it waits for. */
export const SPAN_WAIT = 3;
export const SPAN_COLLECTION = 4;
/** The hashes of a new block are computed; with a parent, by a thread that helps with that. */
export const SPAN_HASH = 6;
/** A block is run once more for its trace. */
export const SPAN_TRACE = 5;
/** A thread helps with the batch of its parent, an activation that another thread leads. */
export const SPAN_ASSIST = 7;
/** A view. */
export const SPAN_VIEW = 8;
/** An incarnation of an item in a window. Its parent is the activation or SPAN_ASSIST around it. */
export const SPAN_ITEM = 9;
/** Its reads are looked at again; fault 1: they were wrong. */
export const SPAN_VALIDATION = 10;
/** A thread in a window has nothing to do. */
export const SPAN_IDLE = 11;
/** An item in the loop. */
export const SPAN_LOOP = 12;
/** Status of an activation without an outcome: it was given up with the job it was part of. */
export const ABANDONED = -1;

const RECORD_WORDS = 20;
// Words of the header.
const NEXT = 0;
const CAPACITY = 1;
/** 1: it is a ring. */
const RING = 2;
// Words of a record, and its f64s.
const KIND = 0;
const ENDED = 1;
const LANE = 2;
const PARENT = 3;
const CHILD = 4;
const STATUS = 5;
const FAULT = 6;
const PROGRAM = 7;
const NUMBER = 16;
const RUN = 17;
const BEGIN = 4;
const END = 5;
const GAS = 6;
const GAS_USED = 7;

export interface Span {
  readonly record: number;
  readonly kind: number;
  readonly ended: boolean;
  readonly lane: number;
  readonly parent: number;
  readonly child: number;
  readonly status: number;
  readonly fault: number;
  /** The first four bytes of the program's hash, in hex. */
  readonly program: string;
  readonly beginNs: number;
  readonly endNs: number;
  readonly gas: number;
  readonly gasUsed: number;
  readonly run: number;
}

/**
 * A table of at most `capacity` records, or a ring of so many, a power of two; null if it is 0. The OS
 * commits what is touched.
 */
export function createTimeline(capacity: number, isRing = false): SharedArrayBuffer | null {
  if (capacity === 0) return null;
  const memory = new SharedArrayBuffer((1 + capacity) * RECORD_WORDS * 4);
  const words = new Int32Array(memory);
  words[CAPACITY] = capacity;
  words[RING] = isRing ? 1 : 0;
  return memory;
}

/** The number of the next record. */
export function nextRecord(memory: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(memory), NEXT);
}

/** What a timeline holds at this moment, by number, and how many records it has not. */
export function spans(memory: SharedArrayBuffer): { readonly spans: Span[]; readonly dropped: number } {
  const words = new Int32Array(memory);
  const next = nextRecord(memory);
  const count = Math.min(next >>> 0, words[CAPACITY] as number);
  const first = words[RING] === 1 ? (next - count) | 0 : 0;
  const at = (i: number): number => (1 + placeOf((first + i) | 0, words)) * RECORD_WORDS;
  return { spans: read(words, first, count, at), dropped: (next >>> 0) - count };
}

/** Records of a ring, as they lie there: `words` has RECORD_WORDS for each, from number `first` on. */
export interface RawSpans {
  readonly words: Int32Array;
  readonly first: number;
  readonly dropped: number;
}

/** What a ring holds at this moment from number `since` on. */
export function copySpans(memory: SharedArrayBuffer, since: number): RawSpans {
  const words = new Int32Array(memory);
  const capacity = words[CAPACITY] as number;
  const next = nextRecord(memory);
  const all = (next - since) >>> 0;
  const count = Math.min(all, capacity);
  const first = (next - count) | 0;
  const copy = new Int32Array(count * RECORD_WORDS);
  const place = placeOf(first, words);
  const before = Math.min(count, capacity - place);
  const range = (from: number, records: number): Int32Array =>
    words.subarray((1 + from) * RECORD_WORDS, (1 + from + records) * RECORD_WORDS);
  copy.set(range(place, before));
  copy.set(range(0, count - before), before * RECORD_WORDS);
  return { words: copy, first, dropped: all - count };
}

/** What `copySpans` has copied. */
export function readSpans({ words, first }: RawSpans): Span[] {
  return read(words, first, words.length / RECORD_WORDS, (i) => i * RECORD_WORDS);
}

/** `count` records from number `first` on; `at` says where each lies. */
function read(words: Int32Array, first: number, count: number, at: (i: number) => number): Span[] {
  const floats = new Float64Array(words.buffer, words.byteOffset, words.length >>> 1);
  const found: Span[] = [];
  for (let i = 0; i < count; i++) {
    const record = (first + i) | 0;
    const word = (offset: number): number => words[at(i) + offset] as number;
    const float = (offset: number): number => floats[at(i) / 2 + offset] as number;
    const kind = Atomics.load(words, at(i) + KIND);
    if (kind === 0 || word(NUMBER) !== record) continue; // claimed, not written yet; or written over
    found.push({
      record,
      kind,
      ended: Atomics.load(words, at(i) + ENDED) === 1,
      lane: word(LANE),
      parent: word(PARENT),
      child: word(CHILD),
      status: word(STATUS),
      fault: word(FAULT),
      program: (word(PROGRAM) >>> 0).toString(16).padStart(8, "0"),
      beginNs: float(BEGIN),
      endNs: float(END),
      gas: float(GAS),
      gasUsed: float(GAS_USED),
      run: word(RUN),
    });
  }
  return found;
}

function placeOf(record: number, words: Int32Array): number {
  return words[RING] === 1 ? record & ((words[CAPACITY] as number) - 1) : record;
}

/** What one thread appends. Its kernel records activations, its worker everything else. */
export class Lane implements Tracer, ItemLog {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #self: number;
  /** The number of the block that the thread works for. */
  run = 0;
  /** When the item of a loop began that runs now. */
  #loopBegan = 0;
  /** Records that have not ended, the innermost last; NO_RECORD: one that was not taken. */
  readonly #open: number[] = [];
  /** Of the activation that begins next. */
  #parent = NO_RECORD;
  #child = -1;

  constructor(memory: SharedArrayBuffer, self: number) {
    this.#words = new Int32Array(memory);
    this.#floats = new Float64Array(memory);
    this.#self = self;
  }

  // ---- for the kernel -------------------------------------------------------------------------------------

  descend(child: number): void {
    this.#parent = this.current;
    this.#child = child;
  }

  ascend(): void {}
  call(): void {}
  grow(): void {}

  beginItem(): void {
    this.#loopBegan = nowNs();
  }

  item(item: number, fault: number, gasUsed: number): void {
    this.#add(SPAN_LOOP, item, 0, fault, this.#loopBegan, gasUsed);
  }

  begin(gas: number, { hashHex }: TracedProgram): void {
    const record = this.open(SPAN_ACTIVATION, this.#parent, this.#child);
    if (record === NO_RECORD) return;
    const at = this.#at(record);
    this.#words[at + PROGRAM] = Number.parseInt(hashHex.slice(0, 8), 16);
    this.#floats[at / 2 + GAS] = gas;
  }

  end({ status, fault, gasUsed }: Process): void {
    this.close(status, fault, gasUsed);
  }

  // ---- for windows of items -------------------------------------------------------------------------------

  now(): number {
    return nowNs();
  }

  executed(item: number, incarnation: number, end: number, since: number): void {
    this.#add(SPAN_ITEM, item, incarnation, end, since);
  }

  validated(item: number, incarnation: number, valid: boolean, since: number): void {
    this.#add(SPAN_VALIDATION, item, incarnation, valid ? 0 : 1, since);
  }

  idle(since: number): void {
    this.#add(SPAN_IDLE, -1, 0, 0, since);
  }

  /** Something that has ended. */
  #add(kind: number, item: number, status: number, fault: number, since: number, gasUsed = 0): void {
    const parent = this.current;
    const record = this.#claim();
    if (record === NO_RECORD) return;
    this.#write(record, kind, parent, item, since);
    this.#finish(record, status, fault, gasUsed);
  }

  // ---- for the worker -------------------------------------------------------------------------------------

  /** The next activation is of a job that was posted with the START `origin`; NO_RECORD: the root's. */
  job(origin: number): void {
    this.#parent = origin;
    this.#child = -1;
  }

  /** The current activation offers a child to others. */
  post(child: number): number {
    const record = this.open(SPAN_START, this.current, child);
    this.close();
    return record;
  }

  open(kind: number, parent = NO_RECORD, child = -1): number {
    const record = this.#claim();
    this.#open.push(record);
    if (record === NO_RECORD) return record;
    this.#write(record, kind, parent, child, nowNs());
    return record;
  }

  #write(record: number, kind: number, parent: number, child: number, beginNs: number): void {
    const at = this.#at(record);
    const words = this.#words;
    Atomics.store(words, at + KIND, 0);
    words[at + ENDED] = 0;
    words[at + LANE] = this.#self;
    words[at + PARENT] = parent;
    words[at + CHILD] = child;
    words[at + RUN] = this.run;
    this.#floats[at / 2 + BEGIN] = beginNs;
    Atomics.store(words, at + NUMBER, record);
    Atomics.store(words, at + KIND, kind);
  }

  /** What was opened last has ended. */
  close(status = 0, fault = 0, gasUsed = 0): void {
    const record = this.#open.pop() as number;
    if (record !== NO_RECORD) this.#finish(record, status, fault, gasUsed);
  }

  #finish(record: number, status: number, fault: number, gasUsed: number): void {
    const at = this.#at(record);
    // A ring may have gone round meanwhile.
    if (Atomics.load(this.#words, at + NUMBER) !== record) return;
    this.#words[at + STATUS] = status;
    this.#words[at + FAULT] = fault;
    this.#floats[at / 2 + GAS_USED] = gasUsed;
    this.#floats[at / 2 + END] = nowNs();
    Atomics.store(this.#words, at + ENDED, 1);
  }

  #at(record: number): number {
    return (1 + placeOf(record, this.#words)) * RECORD_WORDS;
  }

  /** The record that was opened last and has not ended, NO_RECORD: none. */
  get current(): number {
    return this.#open.at(-1) ?? NO_RECORD;
  }

  /** How many spans are open, for `unwind`. */
  get depth(): number {
    return this.#open.length;
  }

  /** Something was thrown: what was opened since `depth` is given up. */
  unwind(depth: number): void {
    while (this.#open.length > depth) this.close(ABANDONED);
  }

  #claim(): number {
    const record = Atomics.add(this.#words, NEXT, 1);
    if (this.#words[RING] === 1) return record;
    return record < (this.#words[CAPACITY] as number) ? record : NO_RECORD;
  }
}

/**
 * Child numbers from the root to the process of a span, which is among others by their records; an activation
 * that another thread ran has its START's.
 */
export function pathOf(span: Span | undefined, byRecord: ReadonlyMap<number, Span>): number[] {
  const path: number[] = [];
  for (let at = span; at !== undefined; ) {
    if (at.child >= 0) path.push(at.child);
    at = at.parent === NO_RECORD ? undefined : byRecord.get(at.parent);
  }
  return path.reverse();
}

/** The clock of all timelines. */
export function nowNs(): number {
  return Number(process.hrtime.bigint());
}
