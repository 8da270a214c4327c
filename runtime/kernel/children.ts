/** The children of a process while it runs: those that it touched, over those that its image has. */

import type { Heap, Ref } from "../heap/heap.ts";
import { tableDiff, tableGet } from "../heap/table.ts";
import { loadProcess, type Process } from "../image/process.ts";
import { COUNTING, work } from "../work.ts";

const counting = COUNTING;

/** A child that was touched. `process` is null where there is none. */
export class Child {
  readonly number: number;
  /** As the activation found it. */
  readonly before: Process | null;
  process: Process | null;
  changed = false;
  /** The posted job of a started child, -1 if there is none. */
  ticket = -1;

  constructor(number: number, process: Process | null) {
    this.number = number;
    this.before = process;
    this.process = process;
  }

  /** How many children more there are: -1, 0 or 1. */
  get more(): number {
    return (this.process === null ? 0 : 1) - (this.before === null ? 0 : 1);
  }

  /** The child's image, private to this activation. */
  writable(): Process {
    const process = this.process as Process;
    if (process !== this.before && process.ref === 0 && !process.hasReference) return process;
    this.process = process.copy();
    return this.process;
  }
}

export class Children {
  readonly #heap: Heap;
  readonly #table: Ref;
  readonly #count: number;
  /** What earlier items of a batch made of children, null where they dropped one. */
  readonly #settled: ReadonlyMap<number, Process | null>;
  readonly #touched = new Map<number, Child>();

  /** Over a table with `count` children, and those of `settled` in place of the table's. */
  constructor(
    heap: Heap,
    table: Ref,
    count: number,
    settled: ReadonlyMap<number, Process | null> = new Map(),
  ) {
    this.#heap = heap;
    this.#table = table;
    this.#count = count;
    this.#settled = settled;
  }

  /** The child of that number; it counts as touched. */
  at(number: number): Child {
    let child = this.#touched.get(number);
    if (child === undefined) {
      if (counting) work.childNumbers++;
      child = new Child(number, this.before(number));
      this.#touched.set(number, child);
    }
    return child;
  }

  /** As it is before the activation. */
  protected before(number: number): Process | null {
    const settled = this.#settled.get(number);
    if (settled !== undefined) return settled;
    const ref = tableGet(this.#heap, this.#table, number);
    return ref === 0 ? null : loadProcess(this.#heap, ref);
  }

  /** Those that were touched, in the order in which that happened first. */
  touched(): Iterable<Child> {
    return this.#touched.values();
  }

  get isTouched(): boolean {
    return this.#touched.size > 0;
  }

  /** Those that changed, by number. */
  changed(): Child[] {
    if (counting) work.childNumbers += this.#touched.size;
    const changed = [...this.#touched.values()].filter((child) => child.changed);
    return changed.sort((a, b) => a.number - b.number);
  }

  /** How many children there are now. */
  get count(): number {
    if (counting) work.childNumbers += this.#touched.size;
    let count = this.#count;
    for (const child of this.#touched.values()) count += child.more;
    return count;
  }

  /** The child of the lowest number that passes the test. */
  find(test: (process: Process) => boolean): Process | undefined {
    if (counting) work.childNumbers += this.#touched.size + this.#settled.size;
    let found: Process | undefined;
    let lowest = Number.POSITIVE_INFINITY;
    const look = (number: number, process: Process | null): void => {
      if (process === null || number >= lowest || !test(process)) return;
      found = process;
      lowest = number;
    };
    for (const { number, process } of this.#touched.values()) look(number, process);
    for (const [number, process] of this.#settled) if (!this.#touched.has(number)) look(number, process);
    tableDiff(this.#heap, 0, this.#table, (number, _none, ref) => {
      if (number >= lowest || this.#touched.has(number) || this.#settled.has(number)) return;
      look(number, loadProcess(this.#heap, ref));
    });
    return found;
  }
}
