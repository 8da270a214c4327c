/**
 * What a request asks: names of parameters are known, and each value is checked before anything is looked at.
 */

import { badArgument, unknownName } from "../arguments.ts";
import { described } from "../errors.ts";

const ID = /^[0-9a-f]{64}$/;
const PATH = /^\/(\d{1,7}(\/\d{1,7}){0,254})?$/;
const TEXT_MAX = 300;

/** The parameters of a request. Values that are not what they must be are refused (BAD_ARGUMENT). */
export class Query {
  readonly #given: URLSearchParams;

  /** @throws UsageError BAD_ARGUMENT: a parameter that is not one of `known`, or is given twice */
  constructor(given: URLSearchParams, known: readonly string[]) {
    this.#given = given;
    for (const name of new Set(given.keys())) {
      if (!known.includes(name)) throw unknownName("parameter", described(name), known);
      if (given.getAll(name).length > 1) throw badArgument(name, given.getAll(name), "given once");
    }
  }

  /** A whole number, decimal or with 0x. */
  integer(name: string, fallback: number, minimum: number, maximum: number): number {
    const text = this.#given.get(name);
    if (text === null) return fallback;
    const value = /^(\d{1,16}|0x[\da-f]{1,13})$/i.test(text) ? Number(text) : Number.NaN;
    if (value >= minimum && value <= maximum) return value;
    throw badArgument(name, text, `a whole number from ${minimum} to ${maximum}`);
  }

  flag(name: string): boolean {
    const text = this.#given.get(name);
    if (text === null || text === "1") return text === "1";
    throw badArgument(name, text, '"1", or left out');
  }

  /** The id of a block; null if it is left out. */
  id(name = "block"): string | null {
    const text = this.#given.get(name);
    if (text === null || ID.test(text)) return text;
    throw badArgument(name, text, "the id of a block, 64 hexadecimal digits");
  }

  /** Child numbers from the root: "/", "/1/7". */
  path(name = "path"): number[] {
    const text = this.#given.get(name) ?? "/";
    if (!PATH.test(text)) throw badArgument(name, text, "numbers of children from the root, as /1/7");
    return text === "/" ? [] : text.slice(1).split("/").map(Number);
  }

  text(name: string): string | null {
    const text = this.#given.get(name);
    if (text === null || text.length <= TEXT_MAX) return text;
    throw badArgument(name, text, `at most ${TEXT_MAX} characters`);
  }
}
