/**
 * The specification's half that knows lines: what incarnations read and leave (versions.ts, accumulate.ts
 * of the core).
 */

import { STATE_ABORTING, STATE_EXECUTING } from "../../runtime/batch/layout.ts";
import {
  type Defect,
  type Entry,
  finished,
  kindOf,
  type Node,
  type Operation,
  type Version,
  type Window,
  type Word,
} from "./spec-window.ts";
import { Shared, type Steps } from "./steps.ts";

/** What a worker reads and leaves: its log, and the versions of lines. */
export class Incarnation {
  protected readonly window: Window;
  /** The item of the last EXECUTE, its incarnation and log, and the item whose estimate it met. */
  protected item = -1;
  protected incarnation = 0;
  protected log: Entry[] = [];
  protected met = -1;

  constructor(window: Window) {
    this.window = window;
  }

  protected defect(defect: Defect): boolean {
    return this.window.defect === defect;
  }

  /** Not a step: nothing depends on how early it is seen. */
  protected stopped(): boolean {
    return this.window.poison !== 0 || this.window.stop !== 0;
  }

  // ---- reads and deltas -----------------------------------------------------------------------------------

  /** The first touch of a line by this incarnation, and the value to show; null: give up. */
  *lookup(line: number): Steps<[Entry, shown: number] | null> {
    if (this.stopped()) return null;
    const own = this.#ownDeltas(line);
    const read = yield* this.#settled(line);
    if (read === null) return null;
    const [version, value] = read;
    if (own === undefined) {
      const entry: Entry = { line, version, value, written: null, withdrawn: null };
      this.log.push(entry);
      return [entry, value];
    }
    const shown = replay(value, own.written!.operations!);
    if (shown === null) return null;
    own.version = version ?? "sum";
    own.value = value;
    own.written = null;
    return [own, shown];
  }

  #ownDeltas(line: number): Entry | undefined {
    return this.log.find((entry) => entry.line === line && entry.version === "unread");
  }

  /** Adds to a line that this incarnation has not looked up; whether it was applied, null: give up. */
  *accumulate(line: number, delta: number, min: number, max: number): Steps<boolean | null> {
    if (this.stopped()) return null;
    let entry = this.#ownDeltas(line);
    if (entry === undefined) {
      const value = (yield* this.#sum(line, this.item, true)) as number;
      entry = { line, version: "unread", value, written: this.#make(0, []), withdrawn: null };
      this.log.push(entry);
    }
    const applied = fits(entry.value, delta, min, max);
    entry.written!.operations!.push({ delta, min, max, applied });
    if (applied) entry.value += delta;
    return applied;
  }

  /** The incarnation leaves none of its deltas. */
  withdraw(): void {
    for (const entry of this.log) {
      if (entry.version !== "unread") continue;
      entry.withdrawn = entry.written!.operations;
      entry.written = null;
    }
  }

  /**
   * What the line holds before `item`: a full version or base, and the deltas above; or an estimate's node.
   */
  *#sum(line: number, item: number, lenient: boolean): Steps<number | Node> {
    for (;;) {
      const deltas: Operation[][] = [];
      let lowest: [Node, Word] | null = null;
      let full: Version | null = null;
      let node = yield* this.window.nodes(line).load();
      for (; node !== null && full === null; node = node === null ? null : yield* node.next.load()) {
        if (node.item >= item) continue;
        const word = yield* node.word.load();
        if (word === null) continue;
        if (word.estimate && !lenient) return node;
        if (word.version.operations === null) {
          full = word.version;
          break;
        }
        deltas.push(word.version.operations);
        lowest = [node, word];
      }
      let value = full === null ? yield* this.#base(line) : full.value;
      // A commit makes a full version of the lowest deltas before it changes base: so base was without them.
      if (
        full === null &&
        lowest !== null &&
        !this.defect("a sum does not look at the lowest deltas again")
      ) {
        if ((yield* lowest[0].word.load()) !== lowest[1]) continue;
      }
      for (const operations of deltas.reverse()) value = accumulateAll(value, operations);
      return value;
    }
  }

  *#base(line: number): Steps<number> {
    yield;
    const value = this.window.base(line);
    Shared.observe?.(value);
    return value;
  }

  /** What the incarnation reads, and from where. Null: an estimate, and waiting for it was in vain. */
  *#settled(line: number): Steps<[Version | null | "sum", number] | null> {
    const { items, spinLimit } = this.window;
    for (let spins = 0; ; ) {
      let [node, word] = yield* this.#below(line, this.item);
      if (node === null || word === null) return [null, yield* this.#base(line)];
      if (!word.estimate) {
        if (word.version.operations === null) return [word.version, word.version.value];
        const sum = yield* this.#sum(line, this.item, false);
        if (typeof sum === "number") return ["sum", sum];
        node = sum;
      }
      const kind = kindOf(yield* items[node.item]!.state.load());
      if (finished(kind)) continue;
      const runs = kind === STATE_EXECUTING || kind === STATE_ABORTING;
      if (!runs || spins === spinLimit || this.stopped()) {
        this.met = node.item;
        return null;
      }
      spins++;
    }
  }

  /** The node of the highest item below `item` that writes the line, and what it says. */
  *#below(line: number, item: number): Steps<[Node | null, Word | null]> {
    let node = yield* this.window.nodes(line).load();
    while (node !== null) {
      if (node.item < item) {
        const word = yield* node.word.load();
        if (word !== null) return [node, word];
      }
      node = yield* node.next.load();
    }
    return [null, null];
  }

  /** This incarnation leaves `value` in the line of `entry`. */
  version(entry: Entry, value: number): void {
    entry.written = this.#make(value, null);
  }

  #make(value: number, operations: Operation[] | null): Version {
    return { item: this.item, incarnation: this.incarnation, value, operations, node: null };
  }

  // ---- what it leaves -------------------------------------------------------------------------------------

  /** Makes the log's versions those of the item, in place of those of `old`; whether anything changed. */
  protected *publish(old: readonly Entry[]): Steps<boolean> {
    const replaced = new Map<number, Version>();
    for (const { line, written } of old) if (written !== null) replaced.set(line, written);
    let changes = false;
    for (const entry of this.log) {
      if (entry.written === null) continue;
      const before = replaced.get(entry.line);
      if (before !== undefined && same(before, entry.written)) {
        entry.written = before;
        yield* before.node!.word.store({ version: before, estimate: false });
      } else {
        changes = true;
        yield* this.#insert(entry.line, entry.written);
      }
      replaced.delete(entry.line);
    }
    for (const version of replaced.values()) {
      changes = true;
      if (!this.defect("lines not written any more stay")) yield* version.node!.word.store(null);
      else yield* version.node!.word.store({ version, estimate: false });
    }
    return changes;
  }

  *#insert(line: number, version: Version): Steps<void> {
    let link = this.window.nodes(line);
    const word = { version, estimate: false };
    for (;;) {
      let next: Node | null = yield* link.load();
      while (next !== null && next.item > this.item) {
        link = next.next;
        next = yield* link.load();
      }
      if (next !== null && next.item === this.item) {
        version.node = next;
        yield* next.word.store(word);
        return;
      }
      version.node = { item: this.item, next: new Shared(next), word: new Shared<Word | null>(word) };
      if (yield* link.swap(next, version.node)) return;
    }
  }

  // ---- validation and commit ------------------------------------------------------------------------------

  protected *unchanged(item: number, log: readonly Entry[]): Steps<boolean> {
    for (const { line, version, value } of log) {
      if (version === "unread") continue;
      const [, word] = yield* this.#below(line, item);
      if (word === null) {
        if (version !== null && (yield* this.#base(line)) !== value) return false;
      } else if (word.estimate) {
        return false;
      } else if (word.version !== version) {
        let now: number | Node = word.version.value;
        if (word.version.operations !== null) now = yield* this.#sum(line, item, false);
        if (now !== value) return false;
      }
    }
    return true;
  }

  /** Whether what the item was told of its deltas is what the exact sums say. All lower items are in base. */
  protected *toldRight(item: number, log: readonly Entry[]): Steps<boolean> {
    for (const { line, version, written, withdrawn } of log) {
      if (version !== "unread") continue;
      const value = (yield* this.#sum(line, item, true)) as number;
      if (replay(value, withdrawn ?? written!.operations!) === null) return false;
    }
    return true;
  }

  /** Makes full versions of the deltas of an item that is final. */
  protected *makeFull(item: number, log: readonly Entry[]): Steps<void> {
    for (const entry of log) {
      if (entry.version !== "unread" || entry.written === null) continue;
      const { incarnation, operations, node } = entry.written;
      const value = accumulateAll((yield* this.#sum(entry.line, item, true)) as number, operations!);
      entry.written = { item, incarnation, value, operations: null, node };
      yield* node!.word.store({ version: entry.written, estimate: false });
    }
  }
}

/** A guess may lie below zero, where nothing can be applied. */
const fits = (value: number, delta: number, min: number, max: number): boolean =>
  value >= 0 && value + delta >= min && value + delta <= max;

/** The value after all operations; null if one of them does something else than it was told. */
function replay(value: number, operations: readonly Operation[]): number | null {
  let sum = value;
  for (const { delta, min, max, applied } of operations) {
    if (fits(sum, delta, min, max) !== applied) return null;
    if (applied) sum += delta;
  }
  return sum;
}

function accumulateAll(value: number, operations: readonly Operation[]): number {
  return operations.reduce((sum, { delta, applied }) => (applied ? sum + delta : sum), value);
}

function same(a: Version, b: Version): boolean {
  if (a.operations === null || b.operations === null) {
    return a.operations === b.operations && a.value === b.value;
  }
  return JSON.stringify(a.operations) === JSON.stringify(b.operations);
}
