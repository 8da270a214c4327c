/** What differs between two blocks, down to bytes, and where two stores part. */

import type { Diff, Difference, FieldDifference } from "../../debug.ts";
import { diffBetween, divergence } from "../../debug.ts";
import { UsageError } from "../../errors.ts";
import type { Block, Chain } from "../../index.ts";
import { KnownPrograms, type Names } from "../programs.ts";
import type { Query } from "../query.ts";
import type { Source } from "../source.ts";
import { clipped } from "./text.ts";

/** Differences that are looked at, and of one process: most are in one row with their neighbours. */
const LIMITS = { limit: 8000, limitOfProcess: 1000 };
/** Rows of ranges: of all processes, and of one of several. */
const ROWS = 60;
const ROWS_OF_ONE = 30;
const GROUPS = 40;
/** Ranges with at most this many equal bytes between them are one row. */
const GAP = 16;
/** Bytes of a range that are shown. */
const SHOWN = 16;

/** What differs in a process. */
export interface ProcessDifference {
  readonly path: readonly number[];
  readonly kind: "added" | "removed" | "changed";
  readonly ranges: number;
  readonly bytes: number;
  /** Fields of its record, as "gasUsed 5 → 7". */
  readonly fields: readonly string[];
}

/** A range of bytes that differ, those close together as one. */
export interface RangeDifference {
  readonly path: readonly number[];
  readonly address: number;
  readonly length: number;
  readonly bytes: number;
  readonly name: string | null;
  /** The first bytes of it on both sides, in hex; null: not there. */
  readonly before: string | null;
  readonly after: string | null;
}

export interface DifferenceView {
  readonly a: Named;
  readonly b: Named;
  readonly processes: readonly ProcessDifference[];
  readonly ranges: readonly RangeDifference[];
  /** Whether there is more than is shown. */
  readonly truncated: boolean;
}

interface Named {
  readonly id: string;
  readonly height: number;
  readonly root: string;
}

export function diffView(source: Source, query: Query): DifferenceView {
  const b = source.block(query.id("b"));
  const a = source.block(query.id("a") ?? (b.height === 0 ? b.id : b.parent));
  const { chain } = source;
  return shown({ chain, block: a }, { chain, block: b }, chain.diff(a, b, LIMITS), query.text("path"));
}

export interface PartView extends DifferenceView {
  /** Null: they are the same, as far as both go. */
  readonly height: number | null;
  readonly names: readonly [string, string];
  /** Whether it may be an earlier block, which one of the two no longer retains. */
  readonly earlier: boolean;
  readonly common: number | null;
}

/** Where two chains part: the first block that differs, and what differs there. */
export function partView(source: Source, query: Query): PartView {
  const name = query.text("other");
  const other = source.other(name);
  const names = [source.name, name as string] as const;
  const found = divergence(source.chain, other, LIMITS);
  const heads = [source.chain.head, other.head] as const;
  if (found === null) {
    const common = Math.min(heads[0].height, heads[1].height);
    const same = { processes: [], ranges: [], truncated: false, earlier: false };
    return { height: null, names, common, a: named(heads[0]), b: named(heads[1]), ...same };
  }
  const [a, b] = found.blocks;
  const parts = shown(
    { chain: source.chain, block: a },
    { chain: other, block: b },
    found,
    query.text("path"),
  );
  return { height: found.height, names, earlier: found.earlier, common: found.height - 1, ...parts };
}

interface Side {
  readonly chain: Chain;
  readonly block: Block;
}

/** Two blocks of any two chains, those behind the first that differs among them. */
export function diffOther(source: Source, query: Query): DifferenceView {
  const other = source.other(query.text("other"));
  const height = query.integer("height", 0, 0, Number.MAX_SAFE_INTEGER);
  const [a, b] = [source.chain, other].map((chain): Side => {
    const block = chain.blocks().find((each) => each.height === height);
    if (block !== undefined) return { chain, block };
    throw new UsageError("NOT_RETAINED", `one of the two has no block of height ${height}`, { height });
  }) as [Side, Side];
  const found = diffBetween(a.chain, a.block, b.chain, b.block, LIMITS);
  return shown(a, b, found, query.text("path"));
}

/** `only`: the path of the process whose ranges are listed; null: the first of each. */
function shown(a: Side, b: Side, { differences, truncated }: Diff, only: string | null): DifferenceView {
  const processes = new Map<string, ProcessDifference>();
  const ranges = new Map<string, Range[]>();
  for (const difference of differences) {
    const { path } = difference;
    const key = `/${path.join("/")}`;
    const known = processes.get(key) ?? { path, kind: "changed", ranges: 0, bytes: 0, fields: [] };
    processes.set(key, withDifference(known, difference));
    if (difference.kind !== "memory" || (only !== null && key !== only)) continue;
    if (!ranges.has(key)) ranges.set(key, []);
    addRange(ranges.get(key) as Range[], difference);
  }
  const most = only === null ? ROWS_OF_ONE : ROWS;
  const names = namesOf(a, b, [...ranges.values()]);
  // What has names is what people look for.
  const sorted = [...ranges].sort(([one], [other]) => Number(names.has(other)) - Number(names.has(one)));
  const listed = sorted.flatMap(([key, each]) => each.slice(0, most).map((range) => ({ key, range })));
  const isCut = sorted.some(([, { length }]) => length > most);
  return {
    ...{ a: namedBlock(a), b: namedBlock(b) },
    processes: [...processes.values()].slice(0, GROUPS),
    ranges: listed.slice(0, ROWS).map(({ key, range }) => withBytes(a, b, range, names.get(key) ?? null)),
    truncated: truncated || isCut || processes.size > GROUPS || listed.length > ROWS,
  };
}

/** Names of processes whose programs have any, by path: of the second block, or else of the first. */
function namesOf(a: Side, b: Side, ranges: readonly (readonly Range[])[]): Map<string, Names> {
  const found = new Map<string, Names>();
  const [first, second] = [new KnownPrograms(a.chain), new KnownPrograms(b.chain)];
  for (const [{ path }] of ranges.slice(0, GROUPS) as [Range][]) {
    const names = second.namesOf(path, b.block) ?? first.namesOf(path, a.block);
    if (names !== null && names.program.variables.length > 0) found.set(`/${path.join("/")}`, names);
  }
  return found;
}

type Range = Omit<RangeDifference, "name" | "before" | "after">;

/** Ranges come in order; one that is close to the last is a part of it. */
function addRange(ranges: Range[], { path, address, length }: MemoryDifference): void {
  const last = ranges.at(-1);
  if (last === undefined || address - (last.address + last.length) > GAP) {
    ranges.push({ path, address, length, bytes: length });
    return;
  }
  const joined = { ...last, length: address + length - last.address, bytes: last.bytes + length };
  ranges[ranges.length - 1] = joined;
}

type MemoryDifference = Extract<Difference, { kind: "memory" }>;

function withDifference(known: ProcessDifference, difference: Difference): ProcessDifference {
  if (difference.kind === "memory")
    return { ...known, ranges: known.ranges + 1, bytes: known.bytes + difference.length };
  if (difference.kind === "changed") return { ...known, fields: difference.fields.map(fieldText) };
  return { ...known, kind: difference.kind };
}

function fieldText({ field, before, after }: FieldDifference): string {
  const text = (value: FieldDifference["before"]): string =>
    value === null ? "none" : typeof value === "string" ? `${value.slice(0, 8)}…` : String(value);
  return `${field} ${text(before)} → ${text(after)}`;
}

function withBytes(a: Side, b: Side, range: Range, names: Names | null): RangeDifference {
  const { path, address, length } = range;
  const shown = Math.min(length, SHOWN);
  return {
    ...range,
    name: clipped(names?.at(address, length) ?? null),
    before: bytesOf(a, path, address, shown),
    after: bytesOf(b, path, address, shown),
  };
}

function bytesOf(
  { chain, block }: Side,
  path: readonly number[],
  address: number,
  length: number,
): string | null {
  const size = chain.inspect(path, block)?.memoryBytes ?? 0;
  const there = Math.min(length, size - address);
  return there <= 0 ? null : Buffer.from(chain.read(path, address, there, block)).toString("hex");
}

function namedBlock({ block }: Side): Named {
  return named(block);
}

function named({ id, height, root }: Block): Named {
  return { id, height, root };
}
