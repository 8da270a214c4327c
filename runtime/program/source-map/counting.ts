/**
 * How often the instructions of programs were reached, by places of their sources: what line coverage is made
 * of. Counters are where a function begins, where the source map begins to tell of another place, and behind
 * each instruction that is a fork or the end of one.
 */

import { hexOf } from "../../text.ts";
import { WASM_PAGE_BYTES } from "../../units.ts";
import { programHash } from "../admit.ts";
import * as op from "../decode/opcodes.ts";
import { Reader } from "../decode/reader.ts";
import { COUNTER_BYTES, type CountersAt, type Places } from "./counters.ts";
import { nameOf } from "./names.ts";
import { type Count, Positions } from "./positions.ts";
import { type Select, selectsOf } from "./selects.ts";
import { FUNCTIONS_FIELD, isOfLibrary, mappedAt, type Place, sourcesOf } from "./sources.ts";

/** A place in a function of a program, and how often it was reached. */
export interface CountedPlace extends MarkedPlace {
  /** How often its instruction was; `count` without those whose value was not taken. */
  readonly reached: number;
  readonly count: number;
  /** It is a part of one value of a select: `reached` counts both. */
  readonly isArm?: true;
}

/** A value that a select takes or leaves: the counter of its condition, and whether it must hold. */
interface Arm {
  readonly held: number;
  readonly taken: boolean;
}

interface Way extends MarkedPlace {
  readonly arms: readonly Arm[];
}

interface MarkedPlace extends Place {
  /** An instruction that takes one of two ways, counted as such. */
  readonly isFork?: true;
  /** Where a contract notes which line of the author's comes (guest/typed/mark.ts): what it notes. */
  readonly mark?: number;
}

/** A function of a program with places of the author's in it. */
export interface CountedFunction {
  /** What the compiler calls it. */
  readonly name: string;
  /** How often it was called. */
  readonly calls: number;
  /** The places of its code, in its order; of libraries as well, that were put into it. */
  readonly places: readonly CountedPlace[];
}

/** What ran of a program. */
export interface CountedProgram {
  /** The directory that the files of its places are relative to; "": the current one. */
  readonly directory: string;
  readonly bytes: Uint8Array;
  /** Files of its source map. */
  readonly files: readonly string[];
  /** Names of the author's functions that are used, whether they have code of their own or not. */
  readonly used: readonly string[];
  readonly functions: readonly CountedFunction[];
}

/** A program to run: where its code comes from, and what it counts in. */
export interface Counted {
  readonly positions: Positions;
  /** Null: this process knows no source map of it, and nothing is counted. */
  readonly counters: WebAssembly.Memory | null;
}

interface FunctionPlaces {
  /** The counter where it begins; those of its places follow. */
  readonly first: number;
  readonly places: readonly Way[];
}

interface Known extends Counted {
  readonly bytes: Uint8Array;
  readonly directory: string;
  /** By function. */
  readonly functions: ReadonlyMap<number, FunctionPlaces>;
}

/** The file in which a contract notes its lines. */
const MARK_FILE = "~lib/stillpoint/guest/typed/mark.ts";
/** They name places, and run nothing. */
const NOTHING: ReadonlySet<number> = new Set([op.BLOCK, op.LOOP, op.ELSE, op.END, op.NOP]);
/** Behind them is another way, or the end of one. */
const FORKS: ReadonlySet<number> = new Set([
  ...[op.LOOP, op.IF, op.ELSE, op.END, op.BR, op.BR_IF, op.BR_TABLE, op.RETURN, op.UNREACHABLE],
]);

/** They take one of two ways. */
const TWO_WAYS: ReadonlySet<number> = new Set([op.IF, op.BR_IF, op.SELECT, op.SELECT_TYPED]);

/** Counts what runs of all programs that are asked of it. */
export class Counting {
  readonly #known = new Map<string, Known>();

  /** @throws AdmissionError */
  program(bytes: Uint8Array): Counted {
    const key = hexOf(programHash(bytes));
    let known = this.#known.get(key);
    if (known === undefined) {
      known = counted(bytes);
      if (known.counters !== null) this.#known.set(key, known);
    }
    return known;
  }

  /** Runs something that does not count. */
  uncounted<T>(run: () => T): T {
    const before = [...this.#known.values()].map(
      (each) => [each, new Uint8Array(countsOf(each).slice(0))] as const,
    );
    try {
      return run();
    } finally {
      for (const [each, counts] of before) new Uint8Array(countsOf(each)).set(counts);
    }
  }

  /** What was counted so far. */
  programs(): CountedProgram[] {
    return [...this.#known.values()].map((known) => {
      const counts = new BigUint64Array(countsOf(known));
      const { directory } = known;
      const { named = known.bytes, map = "{}" } = sourcesOf(known.bytes);
      const functions = [...known.functions].map(([index, { first, places }]) => ({
        name: nameOf(named, index) ?? `function ${index}`,
        calls: Number(counts[first]),
        places: places.map(({ arms, ...place }, i) => {
          const reached = Number(counts[first + 1 + i]);
          const ways = arms.map(({ held, taken }) => {
            const count = Number(counts[held]);
            return taken ? count : reached - count;
          });
          const isArm = arms.length === 1 ? ({ isArm: true } as const) : {};
          return { ...place, ...isArm, reached, count: Math.min(reached, ...ways) };
        }),
      }));
      const { sources: files = [], [FUNCTIONS_FIELD]: used = [] } = JSON.parse(map);
      return { directory, bytes: known.bytes, files, used, functions };
    });
  }
}

function countsOf({ counters }: Known): ArrayBuffer {
  return (counters as WebAssembly.Memory).buffer;
}

function counted(bytes: Uint8Array): Known {
  const functions = new Map<number, FunctionPlaces>();
  const { map, directory = "" } = sourcesOf(bytes);
  const known = { bytes, directory, functions };
  if (map === undefined) return { ...known, positions: new Positions(bytes), counters: null };
  let count = 0;
  const choose: Count = (program, origins, bodyOf): CountersAt => {
    const reached = new Map<number, readonly number[]>();
    const held = new Map<number, number>();
    const selects = selectsOf(program.bytes);
    for (const [functionIndex, pairs] of origins) {
      const found = [...placesToCount(program, bodyOf(functionIndex), pairs)];
      if (!found.some(([, place]) => !isOfLibrary(place))) continue;
      const first = count;
      for (const offset of [pairs[1] as number, ...found.map(([offset]) => offset)])
        reached.set(offset, [...(reached.get(offset) ?? []), count++]);
      const own = selects.get(functionIndex) ?? [];
      for (const { offset } of own) held.set(offset, count++);
      const places = found.map(([offset, place]) => ({ ...place, arms: armsAt(own, offset, held) }));
      functions.set(functionIndex, { first, places });
    }
    return (_, offset) => {
      const ofSelect = held.get(offset);
      return { reached: reached.get(offset) ?? [], ...(ofSelect === undefined ? {} : { held: ofSelect }) };
    };
  };
  const positions = new Positions(bytes, choose);
  const pages = Math.ceil((count * COUNTER_BYTES) / WASM_PAGE_BYTES);
  return { ...known, positions, counters: new WebAssembly.Memory({ initial: pages }) };
}

/** The values of selects that the instruction at `offset` is a part of. */
function armsAt(selects: readonly Select[], at: number, held: ReadonlyMap<number, number>): Arm[] {
  return selects.flatMap(({ offset, taken, other }): Arm[] => {
    const inside = ([from, to]: readonly [number, number]): boolean => from <= at && at <= to;
    const counter = held.get(offset) as number;
    if (inside(taken)) return [{ held: counter, taken: true }];
    return inside(other) ? [{ held: counter, taken: false }] : [];
  });
}

/** The instructions of a function, whose body begins at `start`, that get a counter. */
function* placesToCount(
  program: Positions["program"],
  start: number,
  pairs: Places,
): Generator<[offset: number, place: MarkedPlace]> {
  let told = -1;
  for (let i = 1; i < pairs.length; i += 2) {
    const offset = pairs[i] as number;
    const opcode = program.bytes[offset] as number;
    const isTold = !NOTHING.has(opcode);
    const isFork = TWO_WAYS.has(opcode);
    const mapped = isTold || isFork ? mappedAt(program, offset) : null;
    if (mapped !== null && mapped.from >= start) {
      const { from, ...place } = mapped;
      if (isTold && from !== told) {
        told = from;
        const isMark = opcode === op.GLOBAL_SET && place.file === MARK_FILE;
        const before = pairs[i - 2] as number;
        const isNoted = isMark && program.bytes[before] === op.I32_CONST;
        yield [offset, isNoted ? { ...place, mark: new Reader(program.bytes, before + 1).s32() } : place];
      }
      if (isFork) yield [offset, { ...place, isFork }];
    }
    if (FORKS.has(opcode)) told = -1;
  }
}
