/**
 * Where NaN results must be made canonical.
 *
 * WebAssembly leaves the bits of a NaN that arithmetic makes open, and V8's differ between its compilers and versions. The
 * bits are seen only where a value is used as something else than a number. So the result of an arithmetic instruction is
 * left alone where everything that uses it reads it as a number: other arithmetic (whose own result is made canonical where
 * it must be), comparisons, conversions to integers. `neg` and `abs` pass the question on.
 *
 * Through a local the question goes to all its readers. And where a local is only ever written by arithmetic (an
 * accumulator), its readers may canonicalise instead of its writers, which is better when they stand outside of the loop.
 * That is equal, because canonicalising is a function of the value and all written values would get it.
 *
 * Values that were loaded, reinterpreted or given as constants keep their bits: they are no results of arithmetic.
 */

import { type Body, NOBODY } from "./body.ts";
import {
  BLOCK,
  DROP,
  END,
  F32,
  F32_ABS,
  F32_NEG,
  F64,
  F64_ABS,
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
  V128,
} from "./opcodes.ts";

/** By opcode: the result holds no NaN; of constants, those whose second immediate is 0. */
const NEVER_NAN = NAMES.map((name) =>
  /^(f32|f64|f32x4|f64x2)\.convert_|^(f32|f64|v128)\.const$/.test(name ?? ""),
);

/** For each instruction the shape in which its result must be made canonical after it, or 0. */
export function canonicalisations(body: Body, fixes: Uint8Array): void {
  fixes.fill(0, 0, body.length);
  let any = false;
  for (let place = 0; place < body.length && !any; place++) any = MAKES_NAN[body.ops[place] as number] !== 0;
  if (!any) return;

  const uses = new LocalUses(body);
  for (let place = 0; place < body.length; place++) {
    const opcode = body.ops[place] as number;
    const shape = MAKES_NAN[opcode] as number;
    if (shape !== 0) {
      if (uses.seen(place, shape)) fixes[place] = shape;
    } else if (
      (opcode === LOCAL_GET || opcode === LOCAL_TEE) &&
      uses.deferred[body.a[place] as number] === 1
    ) {
      const local = uses.shapes[body.a[place] as number] as number;
      if (uses.seen(place, local)) fixes[place] = local;
    }
  }
}

class LocalUses {
  readonly #body: Body;
  /** By local: the shape of the NaNs it may hold; 0 for those that are no numbers, or vectors of several shapes. */
  readonly shapes: Uint8Array;
  /** By local: some reader looks at the bits. */
  readonly #seen: Uint8Array;
  /** By local: its readers canonicalise, not its writers. */
  readonly deferred: Uint8Array;

  constructor(body: Body) {
    this.#body = body;
    this.shapes = new Uint8Array(body.locals.length);
    this.#seen = new Uint8Array(body.locals.length);
    this.deferred = new Uint8Array(body.locals.length);
    const makers = makersOf(body);
    this.#shape(makers);
    this.#propagate();
    this.#defer(makers);
  }

  #shape(makers: Int32Array): void {
    const body = this.#body;
    for (let local = 0; local < body.locals.length; local++) {
      const type = body.locals[local];
      this.shapes[local] = type === F32 ? SHAPE_F32 : type === F64 ? SHAPE_F64 : 0;
    }
    const mixed = new Set<number>();
    for (let place = 0; place < body.length; place++) {
      const opcode = body.ops[place];
      if (opcode !== LOCAL_SET && opcode !== LOCAL_TEE) continue;
      const local = body.a[place] as number;
      if (body.locals[local] !== V128) continue;
      const maker = makers[place] as number;
      const shape = maker === NOBODY ? 0 : (MAKES_NAN[body.ops[maker] as number] as number);
      if (shape === 0) continue;
      if (this.shapes[local] !== 0 && this.shapes[local] !== shape) mixed.add(local);
      this.shapes[local] = shape;
    }
    for (const local of mixed) this.shapes[local] = 0;
    this.shapes.forEach((shape, local) => {
      if (shape === 0) this.#seen[local] = 1;
    });
  }

  /** Whether the bits of the value that `place` makes are looked at, if it is a NaN of the shape. */
  seen(place: number, shape: number): boolean {
    const body = this.#body;
    for (let maker = place; ; ) {
      const consumer = body.consumer[maker] as number;
      if (consumer === NOBODY) return true;
      const opcode = body.ops[consumer] as number;
      if (IGNORES_NAN[opcode] === shape || opcode === DROP) return false;
      const local = body.a[consumer] as number;
      switch (opcode) {
        case LOCAL_SET:
          if (this.shapes[local] !== shape) return true;
          return this.#seen[local] === 1 && this.deferred[local] === 0;
        case LOCAL_TEE:
          if (this.shapes[local] !== shape) return true;
          if (this.deferred[local] === 1) return false; // the tee itself is fixed where need be
          if (this.#seen[local] === 1) return true;
          break;
        case F32_ABS:
        case F32_NEG:
        case F64_ABS:
        case F64_NEG:
          break;
        default:
          return true;
      }
      maker = consumer;
    }
  }

  /** Marks locals whose bits are looked at, until nothing changes. */
  #propagate(): void {
    const body = this.#body;
    for (let changed = true; changed; ) {
      changed = false;
      for (let place = 0; place < body.length; place++) {
        if (body.ops[place] !== LOCAL_GET) continue;
        const local = body.a[place] as number;
        if (this.#seen[local] === 1) continue;
        if (this.seen(place, this.shapes[local] as number)) {
          this.#seen[local] = 1;
          changed = true;
        }
      }
    }
  }

  /** Finds accumulators: all writers are arithmetic of one shape, and canonicalising at the readers costs less. */
  #defer(makers: Int32Array): void {
    const body = this.#body;
    const gain = new Float64Array(body.locals.length);
    const fit = new Uint8Array(body.locals.length);
    for (let local = body.parameters; local < fit.length; local++) {
      if (this.shapes[local] !== 0 && this.#seen[local] === 1) fit[local] = 1;
    }
    const loops: boolean[] = [];
    let weight = 1;
    for (let place = 0; place < body.length; place++) {
      const opcode = body.ops[place] as number;
      if (opcode === LOOP || opcode === BLOCK || opcode === IF) {
        loops.push(opcode === LOOP);
        if (opcode === LOOP) weight *= 8;
      } else if (opcode === END) {
        if (loops.pop() === true) weight /= 8;
      } else if (opcode === LOCAL_GET || opcode === LOCAL_SET || opcode === LOCAL_TEE) {
        const local = body.a[place] as number;
        if (fit[local] === 0) continue;
        const shape = this.shapes[local] as number;
        if (opcode !== LOCAL_GET) {
          const maker = makers[place] as number;
          const made = maker === NOBODY ? 0 : (body.ops[maker] as number);
          const number = maker !== NOBODY && NEVER_NAN[made] === true && body.b[maker] === 0;
          if (maker === NOBODY || !(MAKES_NAN[made] === shape || number)) fit[local] = 0;
          gain[local] = (gain[local] as number) + weight;
        }
        if (opcode !== LOCAL_SET && this.seen(place, shape)) gain[local] = (gain[local] as number) - weight;
      }
    }
    for (let local = 0; local < fit.length; local++) {
      if (fit[local] === 1 && (gain[local] as number) > 0) this.deferred[local] = 1;
    }
  }
}

/** For local.set and local.tee: the instruction that made the value. */
function makersOf(body: Body): Int32Array {
  const makers = new Int32Array(body.length).fill(NOBODY);
  for (let place = 0; place < body.length; place++) {
    const consumer = body.consumer[place] as number;
    if (consumer !== NOBODY) makers[consumer] = place;
  }
  return makers;
}
