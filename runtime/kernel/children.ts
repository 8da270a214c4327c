/**
 * The children of a process while it runs: those that it touched, over those that its image has. A number
 * without a child leaves nothing here when it is only looked at, or when a child came and went.
 */

import type { Heap, Ref } from "../heap/heap.ts";
import { tableDiff, tableGet } from "../heap/table.ts";
import { childOf, loadProcess, type Process, programOf } from "../image/process.ts";
import { COUNTING, work } from "../work.ts";

const counting = COUNTING;

/** A child that the activation has used. `process` is null if there is none. */
export class Child {
  readonly number: number;
  /** As the activation found it. */
  readonly before: Process | null;
  /** Another one is put in by `Children.replace`, or by `writable`. */
  process: Process | null;
  changed = false;
  /** Started with a reference snapshot that is older than its START image. */
  keepsReference = false;
  /** The posted job of a started child, -1 if there is none. */
  ticket = -1;

  constructor(number: number, process: Process | null) {
    this.number = number;
    this.before = process;
    this.process = process;
  }

  /** The image of a child that exists, private to this activation, for changes. */
  writable(): Process {
    this.changed = true;
    const process = this.process as Process;
    if (process !== this.before && process.ref === 0) return process;
    this.process = process.copy();
    return this.process;
  }
}

export class Children {
  readonly #heap: Heap;
  readonly #table: Ref;
  readonly #gasEpoch: number;
  readonly #known: number;
  /** What earlier items of a batch made of children, null where they dropped one. */
  readonly #settled: ReadonlyMap<number, Process | null>;
  readonly #touched = new Map<number, Child>();
  #more = 0;

  /**
   * Over the table of `parent`, and those of `settled` in place of the table's; in both there are `known`.
   */
  constructor(
    heap: Heap,
    parent: Pick<Process, "children" | "gasEpoch">,
    known: number,
    settled: ReadonlyMap<number, Process | null> = new Map(),
  ) {
    this.#heap = heap;
    this.#table = parent.children;
    this.#gasEpoch = parent.gasEpoch;
    this.#known = known;
    this.#settled = settled;
  }

  /** The child of that number; it counts as touched if it exists. */
  at(number: number): Child {
    let child = this.#touched.get(number);
    if (child === undefined) {
      if (counting) work.childNumbers++;
      const before = this.before(number);
      child = new Child(number, before === null ? null : childOf(this.#gasEpoch, before));
      // One whose gas is void is written again, so that it has the hash that a call returns.
      child.changed = child.process !== before;
      if (before !== null) this.#touched.set(number, child);
    }
    return child;
  }

  /** Puts `process` in the place of a child, null: nothing. */
  replace(child: Child, process: Process | null): void {
    this.#more += (process === null ? 0 : 1) - (child.process === null ? 0 : 1);
    child.process = process;
    child.changed = true;
    child.keepsReference = false;
    if (process === null && child.before === null) this.#touched.delete(child.number);
    else this.#touched.set(child.number, child);
  }

  /** As it was written before the activation. */
  protected before(number: number): Process | null {
    const settled = this.#settled.get(number);
    if (settled !== undefined) return settled;
    const ref = tableGet(this.#heap, this.#table, number);
    return ref === 0 ? null : loadProcess(this.#heap, ref);
  }

  /** Those that were touched. */
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

  /** How many more children there are than before the activation. */
  get more(): number {
    return this.#more;
  }

  /** How many children a search looks at, at most. */
  get searched(): number {
    return this.#known + this.#touched.size;
  }

  /** A program of a child that passes the test, 0 if there is none. */
  findProgram(test: (program: Ref) => boolean): Ref {
    if (counting) work.childNumbers += this.#touched.size + this.#settled.size;
    let found: Ref = 0;
    let last: Ref = 0;
    const look = (program: Ref): void => {
      // Most neighbours are of the same program.
      if (found === 0 && program !== last && test(program)) found = program;
      last = program;
    };
    for (const { process } of this.#touched.values()) if (process !== null) look(process.program);
    for (const [number, process] of this.#settled) {
      if (process !== null && !this.#touched.has(number)) look(process.program);
    }
    tableDiff(this.#heap, 0, this.#table, (number, _none, ref) => {
      if (!this.#touched.has(number) && !this.#settled.has(number)) look(programOf(this.#heap, ref));
    });
    return found;
  }
}
