/**
 * From a place in instrumented code back to the instruction of the original that it was made for: for stack
 * traces. The program is instrumented once more, which gives the same code, and this listens.
 *
 * Programs that stand still go through binaryen first, which tells nothing of places. But it keeps functions
 * and the order of what can trap: the k-th call of a function, or load of some offset, is that of the
 * original where both have equally many. For other instructions the one before that can be told stands.
 */

import { assert } from "../../errors.ts";
import { admit, type Checked, type Origins, type Program } from "../admit.ts";
import { Body } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";
import { Reader } from "../decode/reader.ts";
import { readBody } from "../decode/validate.ts";
import { KERNEL_IMPORTS } from "../instrument/glue.ts";

/** An instruction of a program: its function, and its byte offset in the module. */
export interface Position {
  readonly functionIndex: number;
  readonly offset: number;
}

const CODE_SECTION = 10;

export class Positions implements Origins {
  #original: Checked | null = null;
  #form: Checked | null = null;
  /** By function of the form. */
  readonly #origins = new Map<number, readonly number[]>();
  /** By function of the instrumented module, imports apart: where its body begins. */
  #bodies: readonly number[] = [];

  #program: Program | null = null;

  private constructor() {}

  /**
   * Admits a program, and keeps the positions.
   *
   * @throws AdmissionError
   */
  static async of(bytes: Uint8Array): Promise<Positions> {
    const positions = new Positions();
    positions.#program = await admit(bytes, { origins: positions });
    positions.#bodies = bodiesOf(positions.#program.code);
    return positions;
  }

  get program(): Program {
    return this.#program as Program;
  }

  begin(original: Checked, form: Checked): void {
    this.#original = original;
    this.#form = form;
  }

  add(functionIndex: number, origins: readonly number[]): void {
    this.#origins.set(functionIndex, origins);
  }

  /** What stands at `offset` of the instrumented module was made for; null: for no instruction. */
  locate(functionIndex: number, offset: number): Position | null {
    const { original, form } = { original: this.#original, form: this.#form };
    assert(original !== null && form !== null, "locate: the program was not instrumented");
    const defined = functionIndex - KERNEL_IMPORTS.length;
    const index = form.module.imports.length + defined;
    const origins = this.#origins.get(index);
    const body = this.#bodies[defined];
    // Asyncify adds functions behind the program's.
    if (origins === undefined || body === undefined || index >= original.module.functions.length) return null;
    const at = before(origins, offset - body);
    if (form === original) return { functionIndex: index, offset: at };
    return { functionIndex: index, offset: inOriginal(original, form, index, at) };
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

/** The place in `original` of what stands at `at` in the same function of `form`. */
function inOriginal(original: Checked, form: Checked, index: number, at: number): number {
  const [before, after] = [original, form].map((checked) => bodyOf(checked, index)) as [Body, Body];
  const [known, made] = [before, after].map(placesByKind) as [Map<string, number[]>, Map<string, number[]>];
  let best = -1;
  let found = before.at[0] as number;
  for (const [kind, places] of made) {
    const same = known.get(kind);
    if (same?.length !== places.length) continue;
    places.forEach((place, k) => {
      const offset = after.at[place] as number;
      if (offset > at || offset <= best) return;
      best = offset;
      found = before.at[same[k] as number] as number;
    });
  }
  return found;
}

/** Calls, accesses and everything else that can trap or charge, in order, by what they do. */
function placesByKind(body: Body): Map<string, number[]> {
  const places = new Map<string, number[]>();
  for (let place = 0; place < body.length; place++) {
    const opcode = body.ops[place] as number;
    const kind = kindOf(body, place, opcode);
    if (kind === null) continue;
    const list = places.get(kind);
    if (list === undefined) places.set(kind, [place]);
    else list.push(place);
  }
  return places;
}

function kindOf(body: Body, place: number, opcode: number): string | null {
  const immediates = op.IMMEDIATES[opcode];
  if (immediates === op.MEMORY_ARGUMENT || immediates === op.MEMORY_LANE)
    return body.memory[place] === 0 ? `${opcode}+${body.b[place]}` : null;
  if (opcode === op.CALL) return `call ${body.a[place]}`;
  if (opcode === op.CALL_INDIRECT) return `call indirect ${body.a[place]} ${body.b[place]}`;
  const plain = immediates === op.NO_IMMEDIATE || opcode === op.UNREACHABLE || opcode === op.LOOP;
  const memory = opcode >= op.MEMORY_INIT && opcode <= op.MEMORY_FILL;
  return plain || memory ? `${opcode}` : null;
}

function bodyOf({ bytes, module }: Checked, index: number): Body {
  const body = new Body(4096);
  const range = module.bodies[index - module.imports.length];
  assert(range !== undefined, "locate: no such function");
  readBody(new Reader(bytes, range.start, range.end), module, index, body);
  return body;
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
