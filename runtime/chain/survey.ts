/**
 * Counting what a process has and what a block changed of it, by stretches of page numbers and of child
 * numbers: what a picture of it needs, however large it is. Reads nodes of tables, and no pages.
 */

import { StoreError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { findProcess } from "../image/path.ts";
import { loadProcess } from "../image/process.ts";
import { PAGE_BYTES, WASM_PAGE_BYTES } from "../limits.ts";
import { inspectProcess, type ProcessView } from "./inspect.ts";
import { eachDifference, eachLeaf, type Side, sameObject } from "./tables.ts";

/** What became of something from one block to another; "unknown": there is nothing to compare with. */
export type Change = "same" | "changed" | "added" | "removed" | "unknown";

/** A stretch of pages, or of child numbers: how many are there, and how many differ. */
export interface Cell {
  readonly first: number;
  present: number;
  changed: number;
}

export interface Cells {
  /** Numbers that a cell covers: a power of two. */
  readonly span: number;
  /** Those with anything in them, ascending. */
  readonly cells: readonly Cell[];
  readonly present: number;
  readonly changed: number;
}

/** A process beside the same one in another block. */
export interface Surveyed {
  readonly number: number;
  readonly change: Change;
  /** Null: its record cannot be read; `damage` has the reason. */
  readonly view: Omit<ProcessView, "children"> | null;
  readonly damage: string | null;
  /** Pages of its own memory, and children, that differ. */
  readonly pagesChanged: number;
  readonly childrenChanged: boolean;
}

type Table = "memory" | "children";

/** Two states of a tree; `before` null: unknown. */
export interface States {
  readonly before: Side | null;
  readonly after: Side;
}

/** The pages of the process at `path`, in at most `most` cells; null: there is no such process. */
export function surveyPages(states: States, path: readonly number[], most: number): Cells | null {
  const found = findProcess(states.after.heap, states.after.ref, path);
  if (found === null) return null;
  const pages = (found.process.memoryPages * WASM_PAGE_BYTES) / PAGE_BYTES;
  return count(states, path, "memory", spanFor(pages, most));
}

/** The children of the process at `path`, in at most `most` cells; null: there is no such process. */
export function surveyChildren(states: States, path: readonly number[], most: number): Cells | null {
  const { after } = states;
  const found = findProcess(after.heap, after.ref, path);
  if (found === null) return null;
  let last = 0;
  eachLeaf({ heap: after.heap, ref: found.process.children }, (number) => {
    last = number;
    return true;
  });
  return count(states, path, "children", spanFor(last + 1, most));
}

function spanFor(count: number, most: number): number {
  let span = 1;
  while (count / span > most) span *= 2;
  return span;
}

function count({ before, after }: States, path: readonly number[], table: Table, span: number): Cells {
  const cells = new Map<number, Cell>();
  const total = { present: 0, changed: 0 };
  const add = (index: number, what: "present" | "changed"): boolean => {
    const first = index - (index % span);
    const cell = cells.get(first) ?? { first, present: 0, changed: 0 };
    cells.set(first, cell);
    cell[what]++;
    total[what]++;
    return true;
  };
  const now = tableAt(after, path, table);
  eachLeaf(now, (index) => add(index, "present"));
  if (before !== null) eachDifference(tableAt(before, path, table), now, (index) => add(index, "changed"));
  return { span, cells: [...cells.values()].sort((a, b) => a.first - b.first), ...total };
}

/** Numbers of the pages of a process that differ: the first `limit` from `from` on. */
export function changedPages(states: States, path: readonly number[], from: number, limit: number): number[] {
  return numbers(states, path, "memory", { from, limit, changed: true });
}

/** Which children to look at: all, or those that differ. */
export interface Chosen {
  readonly from: number;
  readonly limit: number;
  readonly changed: boolean;
}

/** The children of a process, as surveyed, ascending. */
export function surveyed(states: States, path: readonly number[], chosen: Chosen): Surveyed[] {
  return numbers(states, path, "children", chosen).map((number) => survey(states, path, number));
}

function numbers(
  { before, after }: States,
  path: readonly number[],
  table: Table,
  { from, limit, changed }: Chosen,
): number[] {
  const found: number[] = [];
  const take = (number: number): boolean => {
    if (found.length < limit) found.push(number);
    return found.length < limit;
  };
  const now = tableAt(after, path, table);
  if (!changed) eachLeaf(now, take, from);
  else if (before !== null) eachDifference(tableAt(before, path, table), now, take, from);
  return found;
}

/** One process, the last of whose path is `number`; -1: the root. */
function survey(states: States, parent: readonly number[], number: number): Surveyed {
  const path = [...parent, number];
  try {
    return { number, damage: null, ...surveyAt(states, path) };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const nothing = { view: null, pagesChanged: 0, childrenChanged: false };
    return { number, change: "unknown", damage: error.message, ...nothing };
  }
}

/** The process at `path` beside the same one before. */
export function surveyAt(
  { before, after }: States,
  path: readonly number[],
): Omit<Surveyed, "number" | "damage"> {
  const shown = inspectProcess(after.heap, after.ref, path, 0);
  const old = before === null ? null : refAt(before, path);
  const now = refAt(after, path);
  const view = shown ?? (before === null ? null : inspectProcess(before.heap, before.ref, path, 0));
  const whole = { view, pagesChanged: 0, childrenChanged: false };
  if (before === null || old === null) return { change: "unknown", ...whole };
  if (now === 0 || old === 0)
    return { change: now === old ? "same" : now === 0 ? "removed" : "added", ...whole };
  if (sameObject(before.heap, old, after.heap, now)) return { change: "same", ...whole };
  const [was, is] = [loadProcess(before.heap, old), loadProcess(after.heap, now)];
  let pagesChanged = 0;
  eachDifference(sideOf(before.heap, was.memory), sideOf(after.heap, is.memory), () => {
    pagesChanged++;
    return true;
  });
  const childrenChanged = !sameObject(before.heap, was.children, after.heap, is.children);
  return { change: "changed", view, pagesChanged, childrenChanged };
}

/** A table of the process at `path`; empty if there is no such process. */
function tableAt({ heap, ref }: Side, path: readonly number[], table: Table): Side {
  return sideOf(heap, findProcess(heap, ref, path)?.process[table] ?? 0);
}

function refAt({ heap, ref }: Side, path: readonly number[]): Ref {
  return findProcess(heap, ref, path)?.ref ?? 0;
}

function sideOf(heap: Heap, ref: Ref): Side {
  return { heap, ref };
}
