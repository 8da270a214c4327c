/**
 * From a place in instrumented code back to the instruction of the original that it was made for: for stack
 * traces. The program is instrumented once more, which gives the same code, and this listens.
 */

import { admit, type Program } from "../admit.ts";
import { Reader } from "../decode/reader.ts";
import { KERNEL_IMPORTS } from "../instrument/glue.ts";
import { type CountersAt, type Places, withCounters } from "./counters.ts";

/** An instruction of a program: its function, and its byte offset in the module. */
export interface Position {
  readonly functionIndex: number;
  readonly offset: number;
}

/** Which instructions of a program get a counter; `bodyOf` says where the body of a function begins. */
export type Count = (
  program: Program,
  origins: ReadonlyMap<number, Places>,
  bodyOf: (functionIndex: number) => number,
) => CountersAt;

const CODE_SECTION = 10;

export class Positions {
  readonly program: Program;
  /** By function of the original, imports first. */
  readonly #origins: ReadonlyMap<number, Places>;
  /** By function of the instrumented module, imports apart: where its body begins. */
  readonly #bodies: readonly number[];
  /** The same of the original. */
  readonly #starts: readonly number[];
  /** How many functions the original imports. */
  readonly #imports: number;

  /**
   * Admits a program, and keeps the positions; with `count` those of its code with counters, which
   * `program` has then. It is given the offsets of the original's instructions, by function.
   *
   * @throws AdmissionError
   */
  constructor(bytes: Uint8Array, count: Count | null = null) {
    const origins = new Map<number, Places>();
    const program = admit(bytes, { origins: (functionIndex, places) => origins.set(functionIndex, places) });
    this.#imports = Math.min(...origins.keys());
    this.#starts = bodiesOf(program.bytes);
    const counters = count?.(program, origins, (functionIndex) => this.bodyOf(functionIndex)) ?? null;
    const made =
      counters === null ? { code: program.code, origins } : withCounters(program.code, origins, counters);
    this.program = counters === null ? program : { ...program, code: made.code };
    this.#origins = made.origins;
    this.#bodies = bodiesOf(made.code);
  }

  /** Where the body of a function of the original begins. */
  bodyOf(functionIndex: number): number {
    return this.#starts[functionIndex - this.#imports] as number;
  }

  /** What stands at `offset` of the instrumented module was made for; null: for no instruction. */
  locate(functionIndex: number, offset: number): Position | null {
    const defined = functionIndex - KERNEL_IMPORTS.length;
    const index = this.#imports + defined;
    const origins = this.#origins.get(index);
    const body = this.#bodies[defined];
    if (origins === undefined || body === undefined) return null;
    return { functionIndex: index, offset: before(origins, offset - body) };
  }
}

/** The last origin of those that begin at `place` or before it. */
function before(origins: readonly number[], place: number): number {
  let low = 0;
  for (let high = origins.length / 2; high - low > 1; ) {
    const middle = (low + high) >> 1;
    if ((origins[2 * middle] as number) <= place) low = middle;
    else high = middle;
  }
  return origins[2 * low + 1] as number;
}

/** Where the bodies of a module's functions begin, behind their sizes. */
function bodiesOf(code: Uint8Array): number[] {
  const reader = new Reader(code, 8);
  for (;;) {
    const id = reader.u8();
    const size = reader.u32();
    if (id === CODE_SECTION) break;
    reader.skip(size);
  }
  return Array.from({ length: reader.u32() }, () => {
    const size = reader.u32();
    return reader.skip(size);
  });
}
