/**
 * From counters of programs to lines of their sources.
 *
 * A module is optimised: the code of a function may be in several others, many times, and some statements
 * have none. So the places of each function of the module are divided into *copies*, one for the function
 * itself and one for each that was put into it. How often a line ran is the sum over its copies of the
 * largest count that it has there, and how often a function was called the sum of the first counts.
 *
 * A statement without code of its own ran as often as the one that follows it in the same block, and not at
 * all if that before it has not; a function without any code did not run if nothing calls it. What is
 * still unknown then is left out.
 */

import type { SourceBranch, SourceFunction, SourceRange, SourceStatement } from "./outline.ts";

/** A place in a file, and how often it was reached. */
export interface PlaceCount {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** How often its instruction was; `count` without those whose value was not taken. */
  readonly reached: number;
  readonly count: number;
  /** An instruction that takes one of two ways; of its place another tells as well. */
  readonly isFork?: true;
  /** Both ways are computed, and one is taken: `reached` counts both. */
  readonly isArm?: true;
}

/** A function of the author's. */
export interface NamedFunction {
  readonly file: string;
  readonly name: string;
}

/** A function of a module: the author's places in it, in the order of its code. */
export interface FunctionCount {
  /** The author's function that it is, if it is one. */
  readonly own: NamedFunction | null;
  readonly calls: number;
  /** Null: code that the runtime has generated. */
  readonly places: readonly (PlaceCount | null)[];
}

/** How often a function was called. */
export interface FunctionCoverage {
  readonly name: string;
  readonly line: number;
  readonly calls: number;
}

/** How often a condition held, and how often not; null: it was never looked at. */
export interface BranchCoverage {
  readonly line: number;
  readonly counts: readonly [held: number | null, not: number | null];
}

/** What ran of a file. */
export interface FileCoverage {
  readonly file: string;
  readonly functions: readonly FunctionCoverage[];
  /** How often each line ran that has code, by its number, ascending. */
  readonly lines: ReadonlyMap<number, number>;
  /** Branches whose ways are known, in the order of the source. */
  readonly branches: readonly BranchCoverage[];
}

/** One that stands in a function of the module. */
interface Copy {
  readonly of: SourceFunction;
  readonly first: PlaceCount;
  readonly calls: number;
  readonly lines: Map<number, number>;
  /** Of each statement with code the count where it begins. */
  readonly begins: Map<SourceStatement, number>;
  /** Its places, in the order of its code. */
  readonly places: PlaceCount[];
}

/** All files, by the functions that they declare. */
export type Outlines = ReadonlyMap<string, readonly SourceFunction[]>;

/** What ran of each file; `used` functions are called somewhere, though they may have no code left. */
export function coverageOf(
  outlines: Outlines,
  functions: readonly FunctionCount[],
  used: readonly NamedFunction[],
): FileCoverage[] {
  const copies = new Map<SourceFunction, Copy[]>();
  for (const each of functions) {
    for (const copy of copiesIn(outlines, each)) copies.set(copy.of, [...(copies.get(copy.of) ?? []), copy]);
  }
  return [...outlines].map(([file, declared]) => {
    const lines = new Map<number, number>();
    const add = (line: number, count: number) => lines.set(line, (lines.get(line) ?? 0) + count);
    const names = new Set(used.flatMap((each) => (each.file === file ? [each.name] : [])));
    const known = declared.filter((each) => copies.has(each) || !names.has(each.name));
    for (const each of known) {
      const found = copies.get(each) ?? [];
      if (found.length === 0) for (const { line } of each.statements) lines.set(line, lines.get(line) ?? 0);
      for (const copy of found) {
        for (const [line, count] of [...copy.lines, ...withoutCode(copy)]) add(line, count);
      }
    }
    const called = known.map((each) => ({
      name: each.name,
      line: each.line,
      calls: (copies.get(each) ?? []).reduce((sum, { calls }) => sum + calls, 0),
    }));
    const branches = known.flatMap((each) => branchesOf(each, copies.get(each) ?? []));
    return { file, functions: called, lines: new Map([...lines].sort(([a], [b]) => a - b)), branches };
  });
}

function copiesIn(outlines: Outlines, { own, calls: callsOfOwn, places }: FunctionCount): Copy[] {
  const all: Copy[] = [];
  /** Those that were entered and not left, the outermost first. */
  let open: Copy[] = [];
  for (const place of places) {
    const of = place === null ? undefined : innermost(outlines.get(place.file) ?? [], place.line);
    if (place === null) open = [];
    if (place === null || of === undefined) continue;
    if (place.isFork) {
      all.findLast((copy) => copy.of === of)?.places.push(place);
      continue;
    }
    const isOwn = own !== null && own.file === place.file && own.name === of.name;
    const last = all.findLast((copy) => copy.of === of);
    const isSame =
      last !== undefined &&
      (isOwn || (open.includes(last) ? !beginsAgain(last, place) : goesOn(last, place)));
    const calls = isOwn ? callsOfOwn : place.reached;
    const copy = isSame ? last : { of, first: place, calls, lines: new Map(), begins: new Map(), places: [] };
    if (!isSame) all.push(copy);
    // What it was called from stays open, unless it is one of those.
    const at = open.findIndex((each) => each.of === of);
    open = isOwn ? [] : [...(at < 0 ? open : open.slice(0, at)), copy];
    note(copy, place);
  }
  return all;
}

/** Whether the function was put there once more: it is at its first place again, from another line. */
function beginsAgain({ first, lines }: Copy, { line, column }: PlaceCount): boolean {
  return line === first.line && column === first.column && lines.size > 1;
}

/** Whether it is the rest of a copy that was left for its caller: an argument of it may come in between. */
function goesOn({ lines }: Copy, { line }: PlaceCount): boolean {
  return !lines.has(line);
}

function note({ of, lines, begins, places }: Copy, place: PlaceCount): void {
  const { line, count } = place;
  places.push(place);
  lines.set(line, Math.max(lines.get(line) ?? 0, count));
  const statement = statementAt(of, line);
  if (statement !== undefined && !begins.has(statement)) begins.set(statement, count);
}

/** Branches of a function, of all its copies together; one that a copy does not tell of is left out. */
function branchesOf({ branches }: SourceFunction, copies: readonly Copy[]): BranchCoverage[] {
  return branches.flatMap((branch): BranchCoverage[] => {
    const ways = copies.map((copy) => waysOf(branch, copy));
    let [held, not] = [0, 0];
    for (const way of ways) {
      if (way === null) return [];
      held += way[0];
      not += way[1];
    }
    const counts = held + not === 0 ? ([null, null] as const) : ([held, not] as const);
    return [{ line: branch.at.line, counts }];
  });
}

/**
 * How often a copy has gone either way. The code of each way begins behind a fork, so the first place of it
 * has a counter of its own, and the fork counts both. Null: the optimiser has left too little to tell.
 */
function waysOf(
  { at, then, otherwise }: SourceBranch,
  { places }: Copy,
): readonly [held: number, not: number] | null {
  const firstIn = (range: SourceRange | null): PlaceCount | undefined =>
    range === null ? undefined : places.find((place) => !place.isFork && isIn(range, place));
  const [whenHeld, whenNot] = [firstIn(then), firstIn(otherwise)];
  const forks = places.filter(
    ({ isFork, line, column }) => isFork && line === at.line && column === at.column,
  );
  // Where a condition has become several, nothing counts those that were looked at to the end.
  const fork = forks.length === 0 ? [whenHeld, whenNot].find((place) => place?.isArm) : forks[0];
  const all = forks.length > 1 ? undefined : fork?.reached;
  const [held, not] = [whenHeld?.count, whenNot?.count];
  if (held !== undefined && not !== undefined) return [held, not];
  if (all === undefined) return null;
  if (held !== undefined && held <= all) return [held, all - held];
  return not !== undefined && not <= all ? [all - not, not] : null;
}

function isIn({ from, to }: SourceRange, { line, column }: PlaceCount): boolean {
  const isBehind = line > from.line || (line === from.line && column >= from.column);
  return isBehind && (line < to.line || (line === to.line && column <= to.column));
}

/** Lines of statements without code, as far as others tell how often they ran. */
function withoutCode({ of, lines, begins }: Copy): [line: number, count: number][] {
  return of.statements.flatMap((statement, i): [number, number][] => {
    if (begins.has(statement) || lines.has(statement.line)) return [];
    const isNear = ({ list }: SourceStatement): boolean => list === statement.list;
    const after = of.statements.slice(i + 1).find((each) => isNear(each) && begins.has(each));
    const before = of.statements.slice(0, i).findLast((each) => isNear(each) && begins.has(each));
    const following = after && begins.get(after);
    if (following !== undefined && (following > 0 || before === undefined))
      return [[statement.line, following]];
    return before !== undefined && begins.get(before) === 0 ? [[statement.line, 0]] : [];
  });
}

/** The last that begins before the line ends, of those that hold it. */
function innermost<T extends { readonly line: number; readonly endLine: number }>(
  all: readonly T[],
  line: number,
): T | undefined {
  return all.findLast((each) => each.line <= line && line <= each.endLine);
}

function statementAt({ statements }: SourceFunction, line: number): SourceStatement | undefined {
  return innermost(statements, line);
}
