/**
 * Comparing two states: which processes came, went or changed, and which bytes of their memories.
 *
 * Walks two process trees side by side, as tables.ts walks two tables: the cost follows the difference. The
 * trees may lie in two heaps.
 */

import { badArgument, checkNames, integer } from "../arguments.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { hashObject, writeRecord } from "../image/hash.ts";
import { readPage } from "../image/memory.ts";
import { loadProcess } from "../image/process.ts";
import { decodeRecord, type FieldName, HASHED_FIELDS, type HashedRecord } from "../image/record.ts";
import { FAULT_NAMES, STATUS_NAMES } from "../kernel/faults.ts";
import { PAGE_BYTES } from "../limits.ts";
import { eachDifference, type Side, sameObject } from "./tables.ts";

/** A field of a process that two blocks do not agree in. */
export interface FieldDifference {
  readonly field: FieldName;
  readonly before: string | number | bigint | null;
  readonly after: string | number | bigint | null;
}

/** One difference between two blocks. */
export type Difference =
  | { readonly kind: "added" | "removed"; readonly path: readonly number[]; readonly process: HashedRecord }
  | {
      readonly kind: "changed";
      readonly path: readonly number[];
      /** All but "memory" and "children", whose differences stand on their own. */
      readonly fields: readonly FieldDifference[];
    }
  | {
      /** Every byte of the range differs; what only one memory is long enough to have counts as zero. */
      readonly kind: "memory";
      readonly path: readonly number[];
      readonly address: number;
      readonly length: number;
    };

/** What differs between two blocks, processes in the order of their paths, a parent before its children. */
export interface Diff {
  readonly differences: readonly Difference[];
  /** Whether there are more differences than the limits let in. */
  readonly truncated: boolean;
}

/** Options of `diff`. */
export interface DiffOptions {
  /** Maximum number of differences. Default 1,000. */
  readonly limit?: number;
  /**
   * Maximum number of ranges of memory that one process has among them, so that the processes behind one that
   * changed much are seen too. Default: as many as `limit`.
   */
  readonly limitOfProcess?: number;
}

/** The first differences between two processes and what is below them. */
export function diffProcesses(a: Side, b: Side, limits: Required<DiffOptions>): Diff {
  return new Walk(a.heap, b.heap, limits).run(a.ref, b.ref);
}

/** The options, checked. */
export function diffLimits(options: DiffOptions): Required<DiffOptions> {
  checkNames(options, ["limit", "limitOfProcess"]);
  const limit = integer(options, "limit", 1000, 0, Number.MAX_SAFE_INTEGER);
  return { limit, limitOfProcess: integer(options, "limitOfProcess", limit, 0, Number.MAX_SAFE_INTEGER) };
}

class Walk {
  readonly #a: Heap;
  readonly #b: Heap;
  readonly #limits: Required<DiffOptions>;
  readonly #differences: Difference[] = [];
  #truncated = false;
  /** There is more than `limit` lets in. */
  #isFull = false;
  /** Ranges of the process that is compared. */
  #ranges = 0;
  readonly #path: number[] = [];
  readonly #pageA = Buffer.alloc(PAGE_BYTES);
  readonly #pageB = Buffer.alloc(PAGE_BYTES);
  /** A range of memory that may continue in the next page. */
  #rangeFrom = 0;
  #rangeTo = 0;

  constructor(a: Heap, b: Heap, limits: Required<DiffOptions>) {
    this.#a = a;
    this.#b = b;
    this.#limits = limits;
  }

  run(a: Ref, b: Ref): Diff {
    hashObject(this.#a, a);
    hashObject(this.#b, b);
    if (!sameObject(this.#a, a, this.#b, b)) this.#process(a, b);
    return { differences: this.#differences, truncated: this.#truncated };
  }

  #process(a: Ref, b: Ref): void {
    if (this.#isFull) return;
    const before = a === 0 ? null : loadProcess(this.#a, a);
    const after = b === 0 ? null : loadProcess(this.#b, b);
    if (before === null) this.#emit({ kind: "added", path: [...this.#path], process: recordOf(this.#b, b) });
    if (after === null) this.#emit({ kind: "removed", path: [...this.#path], process: recordOf(this.#a, a) });
    if (before !== null && after !== null) {
      this.#fields(recordOf(this.#a, a), recordOf(this.#b, b));
      this.#ranges = 0;
      this.#table(before.memory, after.memory, (page, left, right) => this.#page(page, left, right));
      this.#endRange();
    }
    this.#table(before?.children ?? 0, after?.children ?? 0, (number, left, right) => {
      this.#path.push(number);
      this.#process(left, right);
      this.#path.pop();
      return !this.#isFull;
    });
  }

  #fields(before: HashedRecord, after: HashedRecord): void {
    const fields: FieldDifference[] = [];
    for (const [field] of HASHED_FIELDS) {
      if (field === "memory" || field === "children" || before[field] === after[field]) continue;
      fields.push({ field, before: before[field], after: after[field] });
    }
    if (fields.length > 0) this.#emit({ kind: "changed", path: [...this.#path], fields });
  }

  /** Calls `visit` for the leaves that differ, ascending, until it says that there are enough. */
  #table(a: Ref, b: Ref, visit: (index: number, a: Ref, b: Ref) => boolean): void {
    if (!this.#isFull) eachDifference({ heap: this.#a, ref: a }, { heap: this.#b, ref: b }, visit);
  }

  /** Whether the process may have more. */
  #page(page: number, a: Ref, b: Ref): boolean {
    const left = this.#pageA;
    const right = this.#pageB;
    readPage(this.#a, a, left);
    readPage(this.#b, b, right);
    for (let i = 0; i < PAGE_BYTES; i++) {
      if (left[i] === right[i]) continue;
      const address = page * PAGE_BYTES + i;
      if (address !== this.#rangeTo) {
        this.#endRange();
        this.#rangeFrom = address;
      }
      this.#rangeTo = address + 1;
    }
    return !this.#isFull && this.#ranges <= this.#limits.limitOfProcess;
  }

  #endRange(): void {
    const address = this.#rangeFrom;
    const length = this.#rangeTo - address;
    this.#rangeFrom = 0;
    this.#rangeTo = 0;
    if (length === 0) return;
    if (++this.#ranges > this.#limits.limitOfProcess) this.#truncated = true;
    else this.#emit({ kind: "memory", path: [...this.#path], address, length });
  }

  #emit(difference: Difference): void {
    if (this.#differences.length < this.#limits.limit) this.#differences.push(difference);
    else [this.#truncated, this.#isFull] = [true, true];
  }
}

function recordOf(heap: Heap, ref: Ref): HashedRecord {
  return decodeRecord(writeRecord(heap, ref));
}

/** Ranges with at most this many equal bytes between them share a line of text. */
const TEXT_GAP = 64;

/**
 * A diff as text: a line for each process that came, went or changed, and for each stretch of memory with
 * differences close together.
 *
 * @example
 * ```ts
 * const before = runtime.head;
 * const after = await runtime.produce(Uint8Array.of(7));
 * console.log(formatDiff(runtime.diff(before, after)));
 * // /    presentPages … → …, gasUsed … → …, continuation … → …, text … → …
 * // /    memory 0x… to 0x…: 3 bytes in 2 ranges
 * ```
 */
export function formatDiff(diff: Diff): string {
  const lines: string[] = [];
  const { differences } = diff ?? {};
  if (!Array.isArray(differences)) throw badArgument("diff", diff, "what diff or divergence gave");
  for (let i = 0; i < differences.length; i++) {
    const difference = differences[i] as Difference;
    const path = `/${difference.path.join("/")}`.padEnd(4);
    if (difference.kind !== "memory") {
      lines.push(`${path} ${textOf(difference)}`);
      continue;
    }
    let { address, length: bytes } = difference;
    let end = address + bytes;
    let ranges = 1;
    for (let next = differences[i + 1]; continues(difference, end, next); next = differences[i + 1]) {
      end = next.address + next.length;
      bytes += next.length;
      ranges++;
      i++;
    }
    const where = `0x${address.toString(16)} to 0x${(end - 1).toString(16)}`;
    lines.push(`${path} memory ${where}: ${count(bytes, "byte")} in ${count(ranges, "range")}`);
  }
  return [...lines, ...(diff.truncated ? ["and more"] : [])].join("\n");
}

function continues(
  first: Difference,
  end: number,
  next: Difference | undefined,
): next is Difference & { readonly kind: "memory" } {
  return next?.kind === "memory" && next.path.join() === first.path.join() && next.address - end <= TEXT_GAP;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function textOf(difference: Exclude<Difference, { kind: "memory" }>): string {
  if (difference.kind === "changed") {
    return difference.fields
      .map(({ field, before, after }) => `${field} ${valueText(field, before)} → ${valueText(field, after)}`)
      .join(", ");
  }
  const { program, status, memoryPages } = difference.process;
  const state = valueText("status", status);
  return `${difference.kind}: ${state}, ${memoryPages} × 64 KiB, program ${valueText("program", program)}`;
}

function valueText(field: FieldName, value: string | number | bigint | null): string {
  if (value === null) return "none";
  if (field === "status") return STATUS_NAMES[value as number] as string;
  if (field === "fault") return FAULT_NAMES[value as number] as string;
  return typeof value === "string" ? `${value.slice(0, 8)}…` : String(value);
}
