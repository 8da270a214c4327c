/**
 * The tree of processes of a block: one process with its children, what the block changed of them, and the
 * pages of its memory as cells of a heat map. However many there are, an answer has at most 48 children and
 * 512 cells.
 */

import {
  type Cells,
  changedPages,
  type Surveyed,
  surveyAt,
  surveyChildren,
  surveyed,
  surveyPages,
} from "../../chain/survey.ts";
import { UsageError } from "../../errors.ts";
import type { Block } from "../../index.ts";
import { PAGE_BYTES } from "../../limits.ts";
import type { Names } from "../programs.ts";
import type { Query } from "../query.ts";
import type { Source } from "../source.ts";
import { type Compared, withStates } from "./states.ts";
import { clipped } from "./text.ts";

const CHILDREN = 48;
const CHILD_CELLS = 128;
const PAGE_CELLS = 512;
const PAGES = 40;

export interface ProcessesView {
  readonly block: string;
  readonly height: number;
  readonly path: readonly number[];
  readonly compared: Compared;
  readonly self: Omit<Surveyed, "number" | "damage">;
  /** Names of contracts, if the program has any. */
  readonly contracts: readonly string[];
  readonly children: {
    readonly rows: readonly Surveyed[];
    readonly from: number;
    /** Whether only those that differ are listed. */
    readonly changed: boolean;
    readonly next: number | null;
    readonly cells: Cells;
  };
}

export function processesView(source: Source, query: Query): ProcessesView {
  const block = source.block(query.id());
  const path = query.path();
  const from = query.integer("from", 0, 0, 2 ** 20);
  const changed = query.flag("changed");
  return withStates(source, block, query.id("base"), (states, compared) => {
    const self = surveyAt(states, path);
    if (self.view === null) throw noProcess(block, path);
    const cells = surveyChildren(states, path, CHILD_CELLS) ?? NONE;
    const rows = surveyed(states, path, { from, limit: CHILDREN + 1, changed });
    const next = rows[CHILDREN]?.number ?? null;
    return {
      ...{ block: block.id, height: block.height, path, compared, self },
      contracts: contractsOf(source, self.view.program),
      children: { rows: rows.slice(0, CHILDREN), from, changed, next, cells },
    };
  });
}

const NONE: Cells = { span: 1, cells: [], present: 0, changed: 0 };

function noProcess(block: Block, path: readonly number[]): UsageError {
  const text = `block ${block.height} has no process /${path.join("/")}`;
  return new UsageError("NO_PROCESS", text, { path: path.join("/") });
}

function contractsOf({ programs }: Source, program: string): string[] {
  return Object.keys(programs.get(program).client?.contracts ?? {});
}

/** Pages of a process that a block changed, and what lies there. */
export interface ChangedPage {
  readonly page: number;
  readonly address: number;
  readonly name: string | null;
}

export interface PagesView {
  readonly block: string;
  readonly path: readonly number[];
  readonly compared: Compared;
  readonly pageBytes: number;
  readonly memoryBytes: number;
  readonly cells: Cells;
  /** The first 40 from `from` on. */
  readonly pages: readonly ChangedPage[];
  readonly from: number;
  readonly next: number | null;
}

export function pagesView(source: Source, query: Query): PagesView {
  const block = source.block(query.id());
  const path = query.path();
  const from = query.integer("from", 0, 0, 2 ** 20);
  const found = withStates(source, block, query.id("base"), (states, compared) => {
    const { view } = surveyAt(states, path);
    const cells = surveyPages(states, path, PAGE_CELLS);
    if (view === null || cells === null) throw noProcess(block, path);
    const numbers = changedPages(states, path, from, PAGES + 1);
    return { compared, cells, memoryBytes: view.memoryBytes, numbers };
  });
  const { numbers, ...rest } = found;
  const names = source.programs.namesOf(path, block);
  return {
    ...{ block: block.id, path, pageBytes: PAGE_BYTES, ...rest },
    pages: numbers.slice(0, PAGES).map((page) => changedPage(page, names)),
    from,
    next: numbers[PAGES] ?? null,
  };
}

function changedPage(page: number, names: Names | null): ChangedPage {
  const address = page * PAGE_BYTES;
  return { page, address, name: clipped(names?.at(address, PAGE_BYTES) ?? null) };
}
