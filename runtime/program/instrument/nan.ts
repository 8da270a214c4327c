/**
 * Where NaN results must be made canonical.
 *
 * WebAssembly leaves the bits of a NaN that arithmetic makes open, and V8's differ between its compilers and
 * versions. The bits are seen only where a value is used as something else than a number. So the result of an
 * arithmetic instruction is left alone where everything that uses it reads it as a number: other arithmetic
 * (whose own result is made canonical where it must be), comparisons, conversions to integers. `neg` and
 * `abs` pass the question on.
 *
 * Through a local the question goes to all its readers. And where a local is only ever written by arithmetic
 * (an accumulator), its readers may canonicalise instead of its writers, which is better when they stand
 * outside of the loop. That is equal, because canonicalising is a function of the value and all written
 * values would get it.
 *
 * Where a function can be suspended, what it keeps is seen: locals that are saved, which are canonical when
 * they are written, and operands that wait for a later instruction.
 *
 * Values that were loaded, reinterpreted or given as constants keep their bits: they are not results of
 * arithmetic.
 */

import { type Body, NOBODY } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";
import {
  BLOCK,
  DROP,
  END,
  F32,
  F32_ABS,
  F32_CONST,
  F32_NEG,
  F64,
  F64_ABS,
  F64_CONST,
  F64_NEG,
  IF,
  IGNORES_NAN,
  LOCAL_GET,
  LOCAL_SET,
  LOCAL_TEE,
  LOOP,
  MAKES_NAN,
  NAMES,
  SHAPE_F32,
  SHAPE_F64,
  SHAPES,
  V128,
  V128_CONST,
} from "../decode/opcodes.ts";
import type { Sites } from "../suspend/sites.ts";
import type { Code } from "./code.ts";

/** What a function keeps while it is suspended: at which calls, and, by local, 1 for those that are saved. */
export interface Kept {
  readonly sites: Sites;
  readonly locals: Uint8Array;
}

/** Turns that a loop is taken to make. */
const LOOP_WEIGHT = 8;
/**
 * By opcode: the shape in which the result never holds a NaN, else 0. In another shape the same bits may well
 * be one: the low halves of doubles, say, read as singles.
 */
const NEVER_NAN = NAMES.map((name) => {
  const shape = /^(f32|f64|f32x4|f64x2)\.convert_/.exec(name ?? "")?.[1];
  return shape === undefined ? 0 : (SHAPES[shape] as number);
});

/**
 * For each instruction the shape in which its result must be made canonical after it, or 0. Linear in the
 * body. `shapeless` is a planted defect, for tests: conversions count as free of NaNs in every shape.
 */
export function canonicalisations(body: Body, fixes: Uint8Array, kept: Kept | null, shapeless = false): void {
  fixes.fill(0, 0, body.length);
  for (let place = 0; place < body.length; place++) {
    if (MAKES_NAN[body.ops[place] as number] === 0) continue;
    new Uses(body, kept, shapeless).fix(fixes);
    return;
  }
}

/** Who looks at the bits of which value. */
class Uses {
  readonly #body: Body;
  /** For local.set, local.tee, neg and abs: the instruction that made the operand. */
  readonly #makers: Int32Array;
  /**
   * By local: the shape of the NaNs it may hold; 0 for those that are no numbers, or vectors of several
   * shapes.
   */
  readonly #shapes: Uint8Array;
  /** By instruction: the bits of its result are looked at. */
  readonly #seen: Uint8Array;
  /** By local: some reader looks at the bits. */
  readonly #seenLocals: Uint8Array;
  /** By local: its readers canonicalise, not its writers. */
  readonly #deferred: Uint8Array;
  readonly #kept: Kept | null;
  /** By place: how many suspension points come before it. */
  readonly #points: Int32Array;
  readonly #shapeless: boolean;

  constructor(body: Body, kept: Kept | null, shapeless: boolean) {
    this.#body = body;
    this.#kept = kept;
    this.#points = new Int32Array(kept === null ? 0 : body.length);
    for (let place = 1; place < this.#points.length; place++) {
      const passed = kept?.sites.numbers.has(place - 1) ? 1 : 0;
      this.#points[place] = (this.#points[place - 1] as number) + passed;
    }
    this.#shapeless = shapeless;
    this.#makers = new Int32Array(body.length).fill(NOBODY);
    for (let place = 0; place < body.length; place++) {
      const consumer = body.consumer[place] as number;
      if (consumer !== NOBODY) this.#makers[consumer] = place;
    }
    this.#shapes = this.#localShapes();
    this.#seen = new Uint8Array(body.length);
    this.#seenLocals = new Uint8Array(body.locals.length);
    this.#deferred = new Uint8Array(body.locals.length);
    this.#look();
    this.#defer();
  }

  /** A float local has its type's shape; a vector local that of the arithmetic that writes it. */
  #localShapes(): Uint8Array {
    const body = this.#body;
    const shapes = new Uint8Array(body.locals.length);
    for (let local = 0; local < shapes.length; local++) {
      const type = body.locals[local];
      shapes[local] = type === F32 ? SHAPE_F32 : type === F64 ? SHAPE_F64 : 0;
    }
    const mixed = new Set<number>();
    for (let place = 0; place < body.length; place++) {
      if (!isWrite(body.ops[place] as number)) continue;
      const local = body.a[place] as number;
      if (body.locals[local] !== V128) continue;
      const maker = this.#makers[place] as number;
      const shape = maker === NOBODY ? 0 : (MAKES_NAN[body.ops[maker] as number] as number);
      if (shape === 0) continue;
      if (shapes[local] !== 0 && shapes[local] !== shape) mixed.add(local);
      shapes[local] = shape;
    }
    for (const local of mixed) shapes[local] = 0;
    return shapes;
  }

  /** The shape of the NaN that an instruction may leave; 0 where that is no question. */
  #shapeAt(place: number): number {
    const opcode = this.#body.ops[place] as number;
    switch (opcode) {
      case LOCAL_GET:
      case LOCAL_TEE:
        return this.#shapes[this.#body.a[place] as number] as number;
      case F32_ABS:
      case F32_NEG:
        return SHAPE_F32;
      case F64_ABS:
      case F64_NEG:
        return SHAPE_F64;
      default:
        return MAKES_NAN[opcode] as number;
    }
  }

  /** What the consumer by itself does with the bits: looks at them, or not, or passes them on. */
  #consumerLooks(place: number, shape: number): boolean {
    const body = this.#body;
    const consumer = body.consumer[place] as number;
    if (consumer === NOBODY) return true;
    if (this.#waits(place, consumer)) return true;
    const opcode = body.ops[consumer] as number;
    if (IGNORES_NAN[opcode] === shape || opcode === DROP || isTransparent(opcode)) return false;
    if (isWrite(opcode)) return this.#shapes[body.a[consumer] as number] !== shape;
    return true;
  }

  /** Whether a value is on the operand stack while the function may be suspended. */
  #waits(maker: number, consumer: number): boolean {
    return this.#kept !== null && this.#points[consumer] !== this.#points[maker + 1];
  }

  #isSaved(local: number): boolean {
    return this.#kept?.locals[local] === 1;
  }

  /** Goes from those who look back to all values that reach them. */
  #look(): void {
    const body = this.#body;
    const writers = new Map<number, number[]>();
    const queue: number[] = [];
    for (let place = 0; place < body.length; place++) {
      if (isWrite(body.ops[place] as number)) {
        const local = body.a[place] as number;
        const known = writers.get(local);
        if (known === undefined) writers.set(local, [place]);
        else known.push(place);
      }
      const shape = this.#shapeAt(place);
      if (shape !== 0 && this.#consumerLooks(place, shape)) {
        this.#seen[place] = 1;
        queue.push(place);
      }
    }
    const add = (place: number) => {
      if (place === NOBODY || this.#seen[place] === 1) return;
      this.#seen[place] = 1;
      queue.push(place);
    };
    for (const [local, places] of writers) {
      if (!this.#isSaved(local)) continue;
      this.#seenLocals[local] = 1;
      for (const place of places) add(this.#makers[place] as number);
    }
    for (let place = queue.pop(); place !== undefined; place = queue.pop()) {
      const opcode = body.ops[place] as number;
      if (opcode === LOCAL_GET) {
        const local = body.a[place] as number;
        if (this.#seenLocals[local] === 1) continue;
        this.#seenLocals[local] = 1;
        for (const writer of writers.get(local) ?? []) add(this.#makers[writer] as number);
      } else if (opcode === LOCAL_TEE || isTransparent(opcode)) {
        add(this.#makers[place] as number);
      }
    }
  }

  /**
   * Finds accumulators: all writers are arithmetic of one shape, and canonicalising at the readers costs
   * less.
   */
  #defer(): void {
    const body = this.#body;
    const gain = new Float64Array(body.locals.length);
    const fit = new Uint8Array(body.locals.length);
    for (let local = body.parameters; local < fit.length; local++) {
      if (this.#shapes[local] !== 0 && this.#seenLocals[local] === 1 && !this.#isSaved(local)) fit[local] = 1;
    }
    const loops: boolean[] = [];
    let weight = 1;
    for (let place = 0; place < body.length; place++) {
      const opcode = body.ops[place] as number;
      if (opcode === LOOP || opcode === BLOCK || opcode === IF) {
        loops.push(opcode === LOOP);
        if (opcode === LOOP) weight *= LOOP_WEIGHT;
      } else if (opcode === END) {
        if (loops.pop() === true) weight /= LOOP_WEIGHT;
      } else if (opcode === LOCAL_GET || isWrite(opcode)) {
        const local = body.a[place] as number;
        if (fit[local] === 0) continue;
        if (opcode !== LOCAL_GET) {
          if (!this.#isArithmetic(this.#makers[place] as number, this.#shapes[local] as number))
            fit[local] = 0;
          gain[local] = (gain[local] as number) + weight;
        }
        if (opcode !== LOCAL_SET && this.#seen[place] === 1) gain[local] = (gain[local] as number) - weight;
      }
    }
    for (let local = 0; local < fit.length; local++) {
      if (fit[local] === 1 && (gain[local] as number) > 0) this.#deferred[local] = 1;
    }
  }

  /** The value may be canonicalised late: it is made by arithmetic of that shape, or holds no NaN of it. */
  #isArithmetic(maker: number, shape: number): boolean {
    if (maker === NOBODY) return false;
    const opcode = this.#body.ops[maker] as number;
    // The second immediate of a constant says whether it may hold a NaN, of whatever shape (validate.ts).
    if (isConstant(opcode)) return this.#body.b[maker] === 0;
    const never = NEVER_NAN[opcode] as number;
    return MAKES_NAN[opcode] === shape || never === shape || (this.#shapeless && never !== 0);
  }

  /**
   * Writes down what is to be canonicalised. Consumers come after makers, so that one pass from the end
   * decides.
   */
  fix(fixes: Uint8Array): void {
    const body = this.#body;
    const seen = new Uint8Array(body.length);
    for (let place = body.length - 1; place >= 0; place--) {
      const shape = this.#shapeAt(place);
      if (shape === 0) continue;
      seen[place] = this.#finallySeen(place, shape, seen) ? 1 : 0;
      const opcode = body.ops[place] as number;
      const deferred =
        (opcode === LOCAL_GET || opcode === LOCAL_TEE) && this.#deferred[body.a[place] as number] === 1;
      if (seen[place] === 1 && (MAKES_NAN[opcode] !== 0 || deferred)) fixes[place] = shape;
    }
  }

  #finallySeen(place: number, shape: number, seen: Uint8Array): boolean {
    if (this.#consumerLooks(place, shape)) return true;
    const body = this.#body;
    const consumer = body.consumer[place] as number;
    const opcode = body.ops[consumer] as number;
    if (isTransparent(opcode)) return seen[consumer] === 1;
    if (!isWrite(opcode)) return false;
    const local = body.a[consumer] as number;
    if (this.#deferred[local] === 1) return false; // readers, and a tee itself, canonicalise
    return this.#seenLocals[local] === 1 || (opcode === LOCAL_TEE && seen[consumer] === 1);
  }
}

function isConstant(opcode: number): boolean {
  return opcode === F32_CONST || opcode === F64_CONST || opcode === V128_CONST;
}

function isWrite(opcode: number): boolean {
  return opcode === LOCAL_SET || opcode === LOCAL_TEE;
}

/** Instructions that pass a NaN on, changed in its sign only. */
function isTransparent(opcode: number): boolean {
  return opcode === F32_ABS || opcode === F32_NEG || opcode === F64_ABS || opcode === F64_NEG;
}

const CANONICAL_F32 = Uint8Array.of(0, 0, 0xc0, 0x7f);
const CANONICAL_F64 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0xf8, 0x7f);

/** Replaces a NaN of that shape on the stack by the canonical one; `temporary` gives a local by name. */
export function writeCanonical(
  code: Code,
  shape: number,
  temporary: (name: string, type: number) => number,
): void {
  switch (shape) {
    case SHAPE_F32:
    case SHAPE_F64: {
      const single = shape === SHAPE_F32;
      const value = temporary(single ? "f32" : "f64", single ? F32 : F64);
      code.tee(value);
      code.op(single ? op.F32_CONST : op.F64_CONST);
      code.bytes(single ? CANONICAL_F32 : CANONICAL_F64);
      code.get(value);
      code.get(value);
      code.op(single ? op.F32_EQ : op.F64_EQ);
      return code.op(op.SELECT);
    }
    default: {
      const single = shape === op.SHAPE_F32X4;
      const value = temporary("v128", V128);
      code.tee(value);
      code.op(op.V128_CONST);
      const lane = single ? CANONICAL_F32 : CANONICAL_F64;
      for (let bytes = 0; bytes < 16; bytes += lane.length) code.bytes(lane);
      code.get(value);
      code.get(value);
      code.op(single ? op.F32X4_EQ : op.F64X2_EQ);
      return code.op(op.V128_BITSELECT);
    }
  }
}
