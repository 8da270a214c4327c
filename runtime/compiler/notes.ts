/**
 * What an optimised module does not tell any more, so that it is read before.
 *
 * Where libraries keep their scratch: address and length of each `memory.data(length, align)` to which they
 * give a name. A trace leaves it out of what an item has changed in vain (chain/stack.ts).
 *
 * And which of the author's functions are used: one that has no code of its own left is one that others have
 * taken over, or one that nobody calls. Coverage tells them apart (coverage/lines.ts).
 */

import type { Transform } from "assemblyscript/asc";
import type { Scratch } from "../program/source-map/sources.ts";

const LIBRARY = "~lib/";
/** Zeros; with values it is a table of constants. */
const ZEROS = /^memory\.data\(/;

type Program = Transform["program"];
/** The one that asc has loaded. */
type Binaryen = typeof import("assemblyscript/binaryen").default;

/** What is used of a module of binaryen's; its own types are of another version. */
interface UnoptimisedModule {
  getGlobal(name: string): number;
  getNumDataSegments(): number;
  getDataSegmentByIndex(index: number): number;
  getDataSegmentInfo(segment: number): {
    readonly offset: number;
    readonly data: { readonly byteLength: number };
  };
}

/** Notes it in two steps of asc's. */
export class Notes {
  readonly #binaryen: Binaryen;
  #program: Program | null = null;
  /** Where libraries have scratch. */
  scratch: Scratch = [];
  /** Names of the author's functions. */
  functions: readonly string[] = [];

  constructor(binaryen: Binaryen) {
    this.#binaryen = binaryen;
  }

  /** All files have been parsed. */
  afterInitialize(program: Program): void {
    this.#program = program;
  }

  /** The module is complete, and not optimised yet. */
  afterCompile(module: UnoptimisedModule): void {
    const lengths = new Map<number, number>();
    for (let i = 0; i < module.getNumDataSegments(); i++) {
      const { offset, data } = module.getDataSegmentInfo(module.getDataSegmentByIndex(i));
      lengths.set(offset, data.byteLength);
    }
    this.scratch = [...namesOf(this.#program as Program)].flatMap((name) => {
      const address = addressOf(this.#binaryen, module.getGlobal(name));
      const length = lengths.get(address);
      return length === undefined ? [] : [[address, length] as const];
    });
    this.functions = functionsOf(this.#program as Program);
  }
}

/** The author's functions that something calls, or exports; of generic ones their names alone. */
function functionsOf({ instancesByName }: Program): string[] {
  const names = [...instancesByName].flatMap(([name, element]) => {
    const isFunction = "signature" in element && !name.startsWith(LIBRARY);
    return isFunction ? [name.replace(/<.*/, "")] : [];
  });
  return [...new Set(names)].sort();
}

/** Of the globals that libraries begin with a stretch of zeros. */
function* namesOf(program: Program): Generator<string> {
  for (const [name, element] of program.elementsByName) {
    if (!name.startsWith(LIBRARY)) continue;
    const { initializerNode } = element as { initializerNode?: { readonly range: object } | null };
    if (initializerNode && ZEROS.test(initializerNode.range.toString())) yield name;
  }
}

/** The value of a constant global; NaN for any other, and for one that is not used, which is none: 0. */
function addressOf({ getExpressionInfo, getGlobalInfo }: Binaryen, global: number): number {
  if (global === 0) return Number.NaN;
  const { value } = getExpressionInfo(getGlobalInfo(global).init) as { readonly value?: unknown };
  return typeof value === "number" ? value : Number.NaN;
}
