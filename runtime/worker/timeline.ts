/**
 * The timeline: when and on which thread activations ran, for people who wonder where time goes. A table in
 * shared memory to which every thread appends. Nothing reads it but `spans`, so it cannot change a result;
 * what it says differs from run to run.
 *
 * A record is claimed when something begins. Those of one lane (a thread) nest, and a record that another
 * refers to has the lower number. A full table takes no more records; it counts those it did not take.
 *
 * Record, 64 bytes:
 *   word 0 kind · 1: it has ended · lane · parent (a record) · child number (-1: none)
 *   word 5 status · 6 fault · 7 first word of the program's hash
 *   f64s 4 begin and 5 end, nanoseconds of a clock that all threads share · 6 gas given · 7 gas used
 */

import type { Tracer } from "../kernel/trace.ts";

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
/** Status of an activation without an outcome: it was given up with the job it was part of. */
export const ABANDONED = -1;

const RECORD_WORDS = 16;
// Words of the header.
const NEXT = 0;
const CAPACITY = 1;
// Words of a record, and its f64s.
const KIND = 0;
const ENDED = 1;
const LANE = 2;
const PARENT = 3;
const CHILD = 4;
const STATUS = 5;
const FAULT = 6;
const PROGRAM = 7;
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
}

/** A table of at most `capacity` records; null if it is 0. The OS commits what is touched. */
export function createTimeline(capacity: number): SharedArrayBuffer | null {
  if (capacity === 0) return null;
  const memory = new SharedArrayBuffer((1 + capacity) * RECORD_WORDS * 4);
  new Int32Array(memory)[CAPACITY] = capacity;
  return memory;
}

/** What a timeline holds at this moment, by number, and how many records it did not take. */
export function spans(memory: SharedArrayBuffer): { readonly spans: Span[]; readonly dropped: number } {
  const words = new Int32Array(memory);
  const floats = new Float64Array(memory);
  const claimed = Atomics.load(words, NEXT);
  const count = Math.min(claimed, words[CAPACITY] as number);
  const found: Span[] = [];
  for (let record = 0; record < count; record++) {
    const word = (i: number): number => words[(1 + record) * RECORD_WORDS + i] as number;
    const float = (i: number): number => floats[((1 + record) * RECORD_WORDS) / 2 + i] as number;
    const kind = Atomics.load(words, (1 + record) * RECORD_WORDS + KIND);
    if (kind === 0) continue; // claimed, not written yet
    found.push({
      record,
      kind,
      ended: Atomics.load(words, (1 + record) * RECORD_WORDS + ENDED) === 1,
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
    });
  }
  return { spans: found, dropped: claimed - count };
}

/** What one thread appends. Its kernel tells it of activations, its worker of everything else. */
export class Lane implements Tracer {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #self: number;
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
  item(): void {}

  begin(gas: number, program: string): void {
    const record = this.open(SPAN_ACTIVATION, this.#parent, this.#child);
    if (record === NO_RECORD) return;
    this.#words[(1 + record) * RECORD_WORDS + PROGRAM] = Number.parseInt(program.slice(0, 8), 16);
    this.#floats[((1 + record) * RECORD_WORDS) / 2 + GAS] = gas;
  }

  end(status: number, fault: number, gasUsed: number): void {
    this.close(status, fault, gasUsed);
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
    const at = (1 + record) * RECORD_WORDS;
    this.#words[at + LANE] = this.#self;
    this.#words[at + PARENT] = parent;
    this.#words[at + CHILD] = child;
    this.#floats[at / 2 + BEGIN] = nowNs();
    Atomics.store(this.#words, at + KIND, kind);
    return record;
  }

  /** What was opened last has ended. */
  close(status = 0, fault = 0, gasUsed = 0): void {
    const record = this.#open.pop() as number;
    if (record === NO_RECORD) return;
    const at = (1 + record) * RECORD_WORDS;
    this.#words[at + STATUS] = status;
    this.#words[at + FAULT] = fault;
    this.#floats[at / 2 + GAS_USED] = gasUsed;
    this.#floats[at / 2 + END] = nowNs();
    Atomics.store(this.#words, at + ENDED, 1);
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
    return record < (this.#words[CAPACITY] as number) ? record : NO_RECORD;
  }
}

function nowNs(): number {
  return Number(process.hrtime.bigint());
}
