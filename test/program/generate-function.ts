/**
 * Random bodies of functions over the whole instruction table. Loops are counted down and calls go to later
 * functions only, so that every program ends.
 */

import * as op from "../../runtime/program/decode/opcodes.ts";
import { Code } from "../../runtime/program/instrument/code.ts";
import { ARITHMETIC_SHAPES } from "./arithmetic.ts";
import type { Types } from "./build.ts";
import { constant } from "./generate-constant.ts";
import { valueAroundPoints } from "./generate-points.ts";
import { ABORT, ARITHMETIC, GET, GLOBALS, IMPORTED, MAKERS, POINTER, PUT, TYPES } from "./generate-tables.ts";
import { accumulate, bulk, movePointer, STORES, sum, walk } from "./generate-walk.ts";
import type { Random } from "./random.ts";

const { I32, I64, V128 } = op;
/** Of the values in programs that can suspend, so many are made around calls of ret. */
const POINTS_PERCENT = 12;

/** Code, or a place where the reference has more: a result to make canonical, an entry or a turn to count. */
export type Token = Uint8Array | { nan: number } | { count: true };

/** Writes the body of one function at random, for both variants at once. */
export class FunctionGenerator {
  readonly #random: Random;
  readonly #types: Types;
  readonly #self: number;
  readonly #suspending: boolean;
  readonly #functions: readonly { parameters: number[]; results: number[] }[];
  readonly tokens: Token[] = [];
  readonly locals: number[] = [];
  readonly #parameters: number[];
  #code = new Code();
  #budget: number;
  #nesting: number[][] = []; // results of open labels, innermost last
  #counters = 0;

  constructor(
    random: Random,
    types: Types,
    self: number,
    functions: readonly { parameters: number[]; results: number[] }[],
    budget: number,
    suspending: boolean,
  ) {
    this.#suspending = suspending;
    this.#random = random;
    this.#types = types;
    this.#self = self;
    this.#functions = functions;
    this.#parameters = (functions[self] as { parameters: number[] }).parameters;
    this.#budget = budget;
    for (const type of TYPES) for (let index = 0; index < 3; index++) this.locals.push(type);
  }

  #flush(): void {
    if (this.#code.length > 0) this.tokens.push(this.#code.finish());
    this.#code.clear();
  }

  #mark(token: Token): void {
    this.#flush();
    this.tokens.push(token);
  }

  #local(type: number): number {
    const all = [...this.#parameters, ...this.locals.slice(0, 15)];
    const fit = all.flatMap((local, index) => (local === type ? [index] : []));
    return this.#random.pick(fit);
  }

  body(): void {
    this.#mark({ count: true });
    this.#statements(3);
    for (const type of this.#functions[this.#self]?.results ?? []) this.#value(type, 3);
    this.#flush();
  }

  // ---- values ---------------------------------------------------------------------------------------------

  #constant(type: number): void {
    constant(this.#random, this.#code, type);
  }

  /** An address: mostly inside of the memory, now and then anywhere. */
  #address(depth: number): void {
    if (this.#random.chance(25)) {
      this.#code.get(this.#local(I32));
      if (this.#random.chance(60)) return;
    } else {
      this.#value(I32, depth - 1);
    }
    if (this.#random.chance(4)) return;
    this.#code.i32(0xffff);
    this.#code.op(op.I32_AND);
  }

  #immediates(opcode: number): void {
    const random = this.#random;
    const immediate = op.IMMEDIATES[opcode];
    if (immediate === op.MEMORY_ARGUMENT || immediate === op.MEMORY_LANE) {
      this.#code.u32(random.below((op.WIDTH[opcode] as number) + 1));
      this.#code.u32(
        random.chance(80) ? random.below(130) : random.chance(90) ? random.below(9000) : random.next(),
      );
    }
    if (immediate === op.LANE || immediate === op.MEMORY_LANE)
      this.#code.u8(random.below(op.LANES[opcode] as number));
  }

  #value(type: number, depth: number): void {
    const random = this.#random;
    const code = this.#code;
    this.#budget--;
    if (depth <= 0 || this.#budget < 0) {
      if (random.chance(60)) return code.get(this.#local(type));
      return this.#constant(type);
    }
    if (this.#suspending && random.chance(POINTS_PERCENT)) return this.#aroundPoints(type, depth);
    const roll = random.below(100);
    if (roll < 8) return code.get(this.#local(type));
    if (roll < 12) return this.#constant(type);
    if (roll < 16) {
      const global = random.pick(GLOBALS.flatMap((found, index) => (found === type ? [index] : [])));
      return code.index(op.GLOBAL_GET, global);
    }
    if (roll < 20) {
      this.#value(type, depth - 1);
      return code.tee(this.#local(type));
    }
    if (roll < 24) {
      this.#value(type, depth - 1);
      this.#value(type, depth - 1);
      this.#value(I32, depth - 1);
      return code.op(op.SELECT);
    }
    if (roll < 28) return this.#ifValue(type, depth);
    if (roll < 31) return this.#blockValue(type, depth);
    if (roll < 34) return this.#callValue(type, depth);
    if (type === I32 && roll < 36) return this.#importCall(depth);
    const arithmetic = ARITHMETIC.get(type) as number[];
    const opcode =
      roll < 62 && arithmetic.length > 0
        ? random.pick(arithmetic)
        : random.pick(MAKERS.get(type) as number[]);
    const { operands } = op.SIGNATURES[opcode] as op.Signature;
    const name = op.NAMES[opcode] as string;
    // Instructions that trap get operands that seldom do.
    if (/\.trunc_f/.test(name) && random.chance(80)) return this.#constant(type);
    const access = op.WIDTH[opcode] !== 0 || op.IMMEDIATES[opcode] === op.MEMORY_ARGUMENT;
    operands.forEach((operand, index) => {
      if (access && index === 0) this.#address(depth);
      else this.#value(operand, depth - 1);
      if (index === 1 && /\.(div|rem)_/.test(name) && random.chance(95)) {
        this.#constant(operand);
        code.op(operand === I32 ? op.I32_OR : op.I64_OR);
        if (operand === I32) code.i32(1);
        else code.i64(1n);
        code.op(operand === I32 ? op.I32_OR : op.I64_OR);
      }
    });
    code.op(opcode);
    this.#immediates(opcode);
    this.#arithmetic(opcode);
  }

  /** Where the reference makes a result canonical. */
  #arithmetic(opcode: number): void {
    const shape = ARITHMETIC_SHAPES.get(opcode);
    if (shape !== undefined) this.#mark({ nan: shape });
  }

  #ifValue(type: number, depth: number): void {
    this.#value(I32, depth - 1);
    this.#code.open(op.IF, type);
    this.#nesting.push([type]);
    if (this.#random.chance(40)) this.#statement(depth - 1);
    this.#value(type, depth - 1);
    this.#code.op(op.ELSE);
    this.#value(type, depth - 1);
    this.#nesting.pop();
    this.#code.end();
  }

  /** A block with two results by its type; one of them is dropped. */
  #blockValue(type: number, depth: number): void {
    const other = this.#random.pick<number>(TYPES);
    this.#value(other, depth - 1);
    this.#code.u8(op.BLOCK);
    this.#code.s32(this.#types.index([other], [other, type]));
    this.#nesting.push([other, type]);
    if (this.#random.chance(30)) {
      this.#value(type, depth - 1);
      this.#value(I32, depth - 1);
      this.#code.index(op.BR_IF, 0);
      this.#code.op(op.DROP);
    }
    this.#value(type, depth - 1);
    this.#nesting.pop();
    this.#code.end();
    const keep = this.#local(type);
    this.#code.set(keep);
    this.#code.op(op.DROP);
    this.#code.get(keep);
  }

  #callValue(type: number, depth: number): void {
    const callees = this.#functions.flatMap((fn, index) =>
      index > this.#self && fn.results[0] === type ? [index] : [],
    );
    if (callees.length === 0 || this.#random.chance(this.#suspending ? 10 : 50)) return this.#constant(type);
    const callee = this.#random.pick(callees);
    const { parameters, results } = this.#functions[callee] as { parameters: number[]; results: number[] };
    for (const parameter of parameters) this.#value(parameter, depth - 1);
    if (this.#random.chance(this.#suspending ? 60 : 30)) {
      // The table holds the later functions by number; now and then another, or none.
      if (this.#random.chance(96)) this.#code.i32(callee);
      else this.#code.i32(this.#self + 1 + this.#random.below(this.#functions.length));
      this.#code.index(op.CALL_INDIRECT, this.#types.index(parameters, results));
      this.#code.u32(0);
    } else {
      this.#code.index(op.CALL, IMPORTED + callee);
    }
    for (let extra = 1; extra < results.length; extra++) this.#code.op(op.DROP);
  }

  #importCall(depth: number): void {
    if (this.#random.chance(50)) {
      this.#value(I32, depth - 1);
      this.#value(I32, depth - 1);
      return this.#code.index(op.CALL, PUT);
    }
    if (!this.#suspending) {
      this.#value(I32, depth - 1);
      this.#value(I32, depth - 1);
      return this.#code.index(op.CALL, GET);
    }
    this.#value(I64, depth - 1);
    this.#code.index(op.CALL, GET);
    this.#code.op(op.I32_WRAP_I64);
  }

  // ---- statements -----------------------------------------------------------------------------------------

  #statements(depth: number): void {
    const count = 1 + this.#random.below(4);
    for (let index = 0; index < count && this.#budget > 0; index++) this.#statement(depth);
  }

  #statement(depth: number): void {
    const random = this.#random;
    const code = this.#code;
    this.#budget -= 2;
    if (depth <= 0 || this.#budget < 0) return;
    const roll = random.below(100);
    if (roll < 14) {
      const type = random.pick(TYPES);
      this.#value(type, depth);
      return code.set(this.#local(type));
    }
    if (roll < 20) {
      const index = random.below(GLOBALS.length);
      this.#value(GLOBALS[index] as number, depth);
      return code.index(op.GLOBAL_SET, index);
    }
    if (roll < 36) return this.#store(depth);
    if (roll < 50) return this.#burst(depth);
    if (roll < 60) {
      this.#value(I32, depth - 1);
      code.open(op.IF);
      this.#nesting.push([]);
      this.#statements(depth - 1);
      if (random.chance(40)) {
        code.op(op.ELSE);
        this.#statements(depth - 1);
      }
      this.#nesting.pop();
      return code.end();
    }
    if (roll < 66) {
      code.open(op.BLOCK);
      this.#nesting.push([]);
      this.#statements(depth - 1);
      this.#value(I32, depth - 1);
      code.index(op.BR_IF, 0);
      this.#statements(depth - 1);
      this.#nesting.pop();
      return code.end();
    }
    if (roll < 70) return this.#walk();
    if (roll < 73) return this.#accumulate(depth);
    if (roll < 80) return this.#loop(depth);
    if (roll < 86) return this.#bulk(depth);
    if (roll < 88) {
      code.i32(random.below(2));
      code.op(op.MEMORY_GROW);
      code.u8(0);
      return code.op(op.DROP);
    }
    if (roll < 92) {
      this.#importCall(depth);
      return code.op(op.DROP);
    }
    if (roll < 96) return this.#leave(depth);
    const type = random.pick(TYPES);
    this.#value(type, depth);
    code.op(op.DROP);
  }

  #store(depth: number): void {
    const opcode = this.#random.pick(STORES);
    this.#address(depth);
    this.#value((op.SIGNATURES[opcode] as op.Signature).operands[1] as number, depth - 1);
    this.#code.op(opcode);
    this.#immediates(opcode);
  }

  /** Stores around one address, with things between them that must end a group or must not. */
  #burst(depth: number): void {
    const random = this.#random;
    const code = this.#code;
    const base = this.#local(I32);
    // Often right below the end of a page, so that groups run over it.
    if (random.chance(70)) {
      code.i32(4096 * random.below(15) + (random.chance(60) ? 4096 - random.below(100) : random.below(4096)));
      code.set(base);
    } else {
      this.#value(I32, depth - 1);
      code.i32(0xefff);
      code.op(op.I32_AND);
      code.set(base);
    }
    const kind = random.below(10);
    const reach = random.pick([60, 100, 200]);
    if (kind === 2) movePointer(random, code);
    if (kind === 0) {
      code.get(base);
      code.index(op.GLOBAL_SET, 5);
    }
    for (let count = 2 + random.below(6); count > 0; count--) {
      const opcode = random.pick(STORES);
      if (kind === 0) code.index(op.GLOBAL_GET, 5);
      else if (kind === 1) code.i32(4096 * 3 - 40);
      else if (kind === 2) code.index(op.GLOBAL_GET, POINTER);
      else if (kind === 3) sum(code, base, 128);
      else code.get(base);
      const value = (op.SIGNATURES[opcode] as op.Signature).operands[1] as number;
      if (random.chance(80)) this.#constant(value);
      else this.#value(value, depth - 1);
      code.op(opcode);
      code.u32(0);
      code.u32(random.chance(85) ? random.below(reach) : random.below(5000));
      if (op.IMMEDIATES[opcode] === op.MEMORY_LANE) code.u8(random.below(op.LANES[opcode] as number));
      if (random.chance(12)) this.#statement(depth - 1);
      if (kind === 3 && random.chance(20)) {
        sum(code, base, 64 * random.below(9));
        code.set(base);
      }
      if (random.chance(8)) {
        this.#importCall(1);
        code.op(op.DROP);
      }
    }
  }

  #loop(depth: number): void {
    if (this.#counters >= 2) return;
    this.#turns(() => this.#statements(depth - 1));
  }

  /** A loop that is counted down. */
  #turns(turn: () => void): void {
    const code = this.#code;
    this.#counters++;
    const counter = this.#parameters.length + this.locals.length;
    this.locals.push(I32);
    code.i32(1 + this.#random.below(12));
    code.set(counter);
    code.open(op.LOOP);
    this.#nesting.push([-1]); // its label takes nothing, but must not be branched to by chance
    this.#mark({ count: true });
    turn();
    code.get(counter);
    code.i32(1);
    code.op(op.I32_SUB);
    code.tee(counter);
    code.index(op.BR_IF, 0);
    this.#nesting.pop();
    code.end();
    this.#counters--;
  }

  #accumulate(depth: number): void {
    if (this.#counters >= 2) return;
    const local = this.#parameters.length + this.locals.push(V128) - 1;
    accumulate(this.#random, this.#code, local, {
      value: (type) => this.#value(type, depth - 1),
      made: (opcode) => this.#arithmetic(opcode),
      turns: (turn) => this.#turns(turn),
    });
  }

  #walk(): void {
    if (this.#counters >= 2) return;
    const counter = this.#parameters.length + this.locals.length;
    this.locals.push(I32, I32);
    walk(this.#random, this.#code, {
      counter,
      index: counter + 1,
      results: this.#parameters.length + this.locals.indexOf(I32),
      turn: () => this.#mark({ count: true }),
      constant: (type) => this.#constant(type),
    });
  }

  #bulk(depth: number): void {
    bulk(
      this.#random,
      this.#code,
      () => this.#address(depth),
      () => this.#value(I32, depth - 1),
    );
  }

  /** A value made around calls of ret. */
  #aroundPoints(type: number, depth: number): void {
    const ownLocal = (one: number) => this.#parameters.length + this.locals.push(one) - 1;
    valueAroundPoints(
      {
        random: this.#random,
        code: this.#code,
        types: this.#types,
        value: (one) => this.#value(one, depth - 1),
        local: (one) => this.#local(one),
        ownLocal,
        within: (types, write) => {
          this.#nesting.push([...types]);
          write();
          this.#nesting.pop();
        },
        turn: () => this.#mark({ count: true }),
      },
      type,
    );
  }

  /** Leaves a block, the function or the activation, under a condition. */
  #leave(depth: number): void {
    const random = this.#random;
    const code = this.#code;
    this.#value(I32, depth - 1);
    code.open(op.IF);
    const depths = this.#nesting.flatMap((results, index) =>
      results[0] === -1 ? [] : [{ depth: this.#nesting.length - index, results }],
    );
    if (depths.length > 0 && random.chance(60)) {
      const target = random.pick(depths);
      for (const type of target.results) this.#value(type, 1);
      if (target.results.length === 0 && random.chance(50)) {
        this.#value(I32, 1);
        const empty = depths.filter((found) => found.results.length === 0);
        code.op(op.BR_TABLE);
        code.u32(2);
        for (let index = 0; index < 3; index++) code.u32(random.pick(empty).depth);
      } else {
        code.index(op.BR, target.depth);
      }
    } else if (random.chance(60)) {
      for (const type of this.#functions[this.#self]?.results ?? []) this.#value(type, 1);
      code.op(op.RETURN);
    } else {
      for (let count = 0; count < 4; count++) this.#value(I32, 1);
      if (random.chance(70)) code.index(op.CALL, ABORT);
      code.op(op.UNREACHABLE);
    }
    if (random.chance(20)) code.op(op.UNREACHABLE);
    code.end();
  }
}
