/**
 * Which lines of guests the calls of tests have run. What runs is a copy of each program's code that counts
 * (program/source-map/counters.ts): bytes, gas, outcomes and roots stay as they are.
 */

import { readFile } from "node:fs/promises";
import { relative, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { type CountedProgram, Counting } from "../program/source-map/counting.ts";
import { readInterface } from "../typed/interface.ts";
import { coverageOf, type FileCoverage, type FunctionCount, type NamedFunction } from "./lines.ts";
import { outlineOf, type SourceFunction } from "./outline.ts";

export type { FileCoverage, FunctionCoverage } from "./lines.ts";

/** What guest/typed/mark.ts takes for the number of a file. */
const MARK_FILE_BITS = 12;
const LIBRARY = "~lib/";
/** As `Interface.files` has files of the SDK. */
const SDK = "stillpoint/guest/";

/** What ran, as data: it can be kept, and put together with what ran elsewhere. */
export interface CoverageRecord {
  /** Absolute paths of the authors' files. */
  readonly files: readonly string[];
  /** Functions that are used in the programs, whether they have code of their own or not. */
  readonly used: readonly NamedFunction[];
  readonly functions: readonly FunctionCount[];
}

/**
 * Counts which lines of guests run, of all processes and contracts that are opened with it.
 *
 * @example
 * ```ts
 * const coverage = new Coverage();
 * const bank = await TestContract.open("bank.ts", { coverage });
 * bank.call(bank.client.Bank.mint({ to: alice, amount: 5n }));
 * await writeFile("lcov.info", await coverage.lcov());
 * ```
 */
export class Coverage extends Counting {
  /** What ran so far, by file; those of libraries are left out. */
  async files(): Promise<FileCoverage[]> {
    return filesOf([this.record()]);
  }

  /** The same in the format of lcov, which genhtml and editors read. */
  async lcov(): Promise<string> {
    return lcovOf(await this.files());
  }

  /** @internal */
  record(): CoverageRecord {
    const records = this.programs().map(recordOf);
    return {
      files: [...new Set(records.flatMap(({ files }) => files))],
      used: records.flatMap(({ used }) => used),
      functions: records.flatMap(({ functions }) => functions),
    };
  }
}

/** Names a file's functions by their paths, resolves marks, and leaves libraries out. */
function recordOf({ bytes, directory, files, used, functions }: CountedProgram): CoverageRecord {
  const own = files.filter((file) => !file.startsWith(LIBRARY));
  const paths = new Map(own.map((file) => [file, resolve(directory, file)]));
  const marked = markedFiles(bytes);
  return {
    files: [...paths.values()],
    used: used.flatMap((name) => functionOf(name, paths) ?? []),
    functions: functions.map(({ name, calls, places }) => ({
      own: functionOf(name, paths),
      calls,
      places: places.flatMap(({ file, line, column, mark, isFork, isArm, reached, count }) => {
        const noted = mark === undefined ? undefined : marked[mark & ((1 << MARK_FILE_BITS) - 1)];
        const path = paths.get(noted ?? file);
        if (path === undefined) return [];
        const at =
          noted === undefined ? { line, column } : { line: (mark as number) >>> MARK_FILE_BITS, column: 0 };
        return [{ file: path, ...at, reached, count, ...(isFork && { isFork }), ...(isArm && { isArm }) }];
      }),
    })),
  };
}

function markedFiles(bytes: Uint8Array): readonly string[] {
  try {
    return readInterface(bytes).files.map((file) => (file.startsWith(SDK) ? "" : file));
  } catch (error) {
    if (error instanceof UsageError && error.code === "NO_INTERFACE") return [];
    throw error;
  }
}

/** The file and name of an author's function, of what the compiler calls "contracts/bank/Bank#pay". */
function functionOf(compiled: string, paths: ReadonlyMap<string, string>): NamedFunction | null {
  const name = compiled.replace(/<.*/, "");
  for (const [file, path] of paths) {
    const prefix = `${file.replace(/\.ts$/, "")}/`;
    if (name.startsWith(prefix)) return { file: path, name: name.slice(prefix.length) };
  }
  return null;
}

/** What ran of each file, of all these records together. Files that are not there any more are left out. */
export async function filesOf(records: readonly CoverageRecord[]): Promise<FileCoverage[]> {
  const outlines = new Map<string, readonly SourceFunction[]>();
  for (const path of [...new Set(records.flatMap(({ files }) => files))].sort()) {
    const text = await readFile(path, "utf8").catch(() => null);
    if (text !== null) outlines.set(path, await outlineOf(path, text));
  }
  const isThere = (file: string): boolean => outlines.has(file);
  const functions = records.flatMap((record) =>
    record.functions.map(({ places, ...rest }) => ({
      ...rest,
      // What the runtime has generated is in no file.
      places: places.map((place) => (place !== null && isThere(place.file) ? place : null)),
    })),
  );
  const used = records.flatMap((record) => record.used);
  return coverageOf(outlines, functions, used).filter(({ lines }) => lines.size > 0);
}

/** In the format of lcov, as its manual page geninfo(1) has it; paths begin in `directory`. */
export function lcovOf(files: readonly FileCoverage[], directory = process.cwd()): string {
  const text = files.map(({ file, functions, lines, branches }) => {
    const path = relative(directory, file);
    const hit = [...lines.values()].filter((count) => count > 0).length;
    const ways = branches.flatMap(({ counts }) => counts);
    const called = functions.filter(({ calls }) => calls > 0).length;
    return [
      "TN:",
      `SF:${path.startsWith("..") ? file : path}`,
      ...functions.map(({ name, line }) => `FN:${line},${name}`),
      ...functions.map(({ name, calls }) => `FNDA:${calls},${name}`),
      `FNF:${functions.length}`,
      `FNH:${called}`,
      ...branches.flatMap(({ line, counts }, block) =>
        // "-" is of a condition that was never looked at.
        counts.map((count, way) => `BRDA:${line},${block},${way},${count ?? "-"}`),
      ),
      `BRF:${ways.length}`,
      `BRH:${ways.filter((count) => count !== null && count > 0).length}`,
      ...[...lines].map(([line, count]) => `DA:${line},${count}`),
      `LF:${lines.size}`,
      `LH:${hit}`,
      "end_of_record",
      "",
    ].join("\n");
  });
  return text.join("");
}
