/**
 * What became of the items of a window, beside the core: records of fixed size and a pool of outputs, shared
 * by the threads. The thread that executes the item writes its record before it reports to the core; the
 * leader reads those of committed items when the window has ended.
 */

import { ITEM_FAULTED, ITEM_RETURNED } from "../../syscalls/abi.ts";
import type { OutcomesWriter } from "../kernel/items/objects.ts";
import { WINDOW_LIMIT } from "./layout.ts";

/** ITEM_OUTCOME: the item has its record. */
export const OUTCOME_DONE = 0;
/** ITEM_OUTCOME: the item must run on the sequential variant, by itself. */
export const OUTCOME_SEQUENTIAL = 1;

const RECORD_WORDS = 8;
const FAULT = 0;
const CODE_LOW = 1;
const CODE_HIGH = 2;
const OUTPUT = 3;
const OUTPUT_LENGTH = 4;
/** Leases of the item that have expired though what it had read was right. */
const EXPIRED = 5;

/**
 * Bytes of output of the incarnations of one window; an item that finds no room runs on the sequential
 * variant.
 */
const OUTPUT_BYTES = 32 << 20;
const OUTPUT_AT = WINDOW_LIMIT * RECORD_WORDS * 4;
/** The word that counts the bytes of output given away. */
const OUTPUT_TOP = OUTPUT_AT / 4;
/** Bytes of output that items may still have whose turn it is to be committed. */
const OUTPUT_ROOM = OUTPUT_TOP + 1;
/** Bytes that the process will keep, with all outputs for which there was room when the window began. */
const KEPT = OUTPUT_TOP + 2;
const OUTPUTS = OUTPUT_AT + 64;

/** Address space; what is not used is not committed. */
export function createRecords(): SharedArrayBuffer {
  return new SharedArrayBuffer(OUTPUTS + OUTPUT_BYTES);
}

export class Records {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#bytes = new Uint8Array(memory);
  }

  /**
   * A window of `items` items begins. The process keeps `kept` bytes so far; `room` more are reserved for
   * outputs.
   */
  begin(items: number, kept: number, room: number): void {
    const words = this.#words;
    words.fill(0, 0, items * RECORD_WORDS);
    words[OUTPUT_TOP] = 0;
    words[OUTPUT_ROOM] = room;
    words[KEPT] = kept + room;
  }

  /** Bytes that the process keeps, with those that are reserved for outputs of the window. */
  get kept(): number {
    return this.#words[KEPT] as number;
  }

  /**
   * Takes the output of `item`, which is committed now, out of the room; false if that is too little. Called
   * by one thread at a time, in the order of the items.
   */
  commit(item: number): boolean {
    const words = this.#words;
    const left = (words[OUTPUT_ROOM] as number) - (words[item * RECORD_WORDS + OUTPUT_LENGTH] as number);
    if (left < 0) return false;
    words[OUTPUT_ROOM] = left;
    return true;
  }

  /** How many leases of the item have expired. For the thread that executes it. */
  expired(item: number): number {
    return this.#words[item * RECORD_WORDS + EXPIRED] as number;
  }

  /** One more has expired. */
  expire(item: number): void {
    this.#words[item * RECORD_WORDS + EXPIRED] = this.expired(item) + 1;
  }

  /** Writes what became of `item`; false if there is no room for its output. */
  write(item: number, fault: number, low: number, high: number, output: Uint8Array | null): boolean {
    const words = this.#words;
    const at = item * RECORD_WORDS;
    words[at + FAULT] = fault;
    words[at + CODE_LOW] = low;
    words[at + CODE_HIGH] = high;
    const length = output?.length ?? 0;
    words[at + OUTPUT_LENGTH] = length;
    if (output === null || length === 0) return true;
    // Looked at first: what finds no room does not move the word, which would come round.
    if (Atomics.load(words, OUTPUT_TOP) > OUTPUT_BYTES - length) return false;
    const place = Atomics.add(this.#words, OUTPUT_TOP, length);
    if (place < 0 || place + length > OUTPUT_BYTES) return false;
    words[at + OUTPUT] = OUTPUTS + place;
    this.#bytes.set(output, OUTPUTS + place);
    return true;
  }

  /** Appends the outcome of `item`, which used `gas`. */
  report(item: number, gas: number, outcomes: OutcomesWriter): void {
    const words = this.#words;
    const at = item * RECORD_WORDS;
    const fault = words[at + FAULT] as number;
    outcomes.add(
      fault === 0 ? ITEM_RETURNED : ITEM_FAULTED,
      fault,
      words[at + CODE_LOW] as number,
      words[at + CODE_HIGH] as number,
      gas,
      this.#bytes,
      words[at + OUTPUT] as number,
      words[at + OUTPUT_LENGTH] as number,
    );
  }
}
