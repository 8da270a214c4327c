/**
 * Writes loads and stores: in the sequential variant a store and its mark, in the batch variant also the
 * checks that lines.ts has planned.
 */

import type { Body } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";
import { type Check, type LinePlan, type Lines, NO_CHECK, PRIVATE, STATE } from "../lines/lines.ts";
import {
  MARK_CONSTANT,
  MARK_GLOBAL,
  MARK_LOCAL,
  MARK_SPILLED,
  type Marks,
  NO_MARK,
  SAVED_LIMIT,
} from "./barrier.ts";
import type { Code } from "./code.ts";
import type { Defect } from "./defects.ts";
import { type Address, mark, payPage } from "./marks.ts";
import { checkTags, checkTagsAt, isState } from "./touch.ts";

/** What writing accesses takes of the function's writer. */
interface Means {
  /** Gives a local by name. */
  readonly temporary: (name: string, type: number) => number;
  /** Takes the gas of a page that is touched. */
  readonly pay: () => void;
}

interface Surroundings {
  readonly lines: Lines | null;
  readonly defect: Defect | null;
}

/** A store: where its base is found, and where its value is kept meanwhile. */
interface Store {
  readonly kind: number;
  readonly id: number;
  readonly base: () => void;
  /** What it marks; null: another one's mark stands for it. */
  readonly marked: Address | null;
  readonly value: () => number;
}

export class Accesses {
  readonly #code: Code;
  readonly #surroundings: Surroundings;
  readonly #body: Body;
  readonly #marks: Marks;
  readonly #plan: LinePlan;
  readonly #temporary: Means["temporary"];
  readonly #pay: Means["pay"];

  constructor(
    code: Code,
    surroundings: Surroundings,
    body: Body,
    marks: Marks,
    plan: LinePlan,
    { temporary, pay }: Means,
  ) {
    this.#code = code;
    this.#surroundings = surroundings;
    this.#body = body;
    this.#marks = marks;
    this.#plan = plan;
    this.#temporary = temporary;
    this.#pay = surroundings.defect === "pay" ? () => {} : pay;
  }

  /** The instruction itself. */
  #access(place: number, opcode: number): void {
    const body = this.#body;
    const a = body.a[place] as number;
    this.#code.access(opcode, 0, (body.b[place] as number) >>> 0, a & 0xff);
    if (op.IMMEDIATES[opcode] === op.MEMORY_LANE) this.#code.u8(a >> 8);
  }

  /** Puts the base on the stack, from where barrier.ts has found it; `id` numbers a temporary too. */
  #base(kind: number, id: number): () => void {
    const code = this.#code;
    return () => {
      if (kind === MARK_LOCAL) code.get(id);
      else if (kind === MARK_GLOBAL) code.index(op.GLOBAL_GET, id);
      else if (kind === MARK_CONSTANT) code.i32(id);
      else code.get(this.#temporary(`address${id}`, op.I32));
    };
  }

  #checkAt(place: number): Check | null {
    const { checks, checkAt } = this.#plan;
    const number = checkAt[place] as number;
    return number === NO_CHECK ? null : (checks[number] as Check);
  }

  load(place: number, opcode: number): void {
    const { lines } = this.#surroundings;
    const check = lines === null ? null : this.#checkAt(place);
    if (lines === null || check === null) return this.#access(place, opcode);
    const code = this.#code;
    const kind = this.#plan.kinds[place] as number;
    const id = kind === MARK_SPILLED ? SAVED_LIMIT : (this.#plan.ids[place] as number);
    const base = this.#base(kind, id);
    // Of a load into a lane, the vector lies over the base.
    const over = kind === MARK_SPILLED && op.SIGNATURES[opcode]?.operands.length === 2;
    const vector = over ? this.#temporary("vector", op.V128) : 0;
    if (over) code.set(vector);
    if (kind === MARK_SPILLED) code.tee(this.#temporary(`address${id}`, op.I32));
    if (kind === MARK_CONSTANT) {
      checkTagsAt(code, lines, check);
    } else if (this.#plan.where[place] === STATE) {
      checkTags(code, lines, base, check);
    } else {
      isState(code, lines, base, check.low);
      code.open(op.IF);
      checkTags(code, lines, base, check);
      code.end();
    }
    if (over) code.get(vector);
    this.#access(place, opcode);
  }

  store(place: number, opcode: number): void {
    const { lines } = this.#surroundings;
    const { kinds, ids, covered } = this.#marks;
    const kind = kinds[place] as number;
    if (kind === NO_MARK) return this.#access(place, opcode);
    const code = this.#code;
    const id = kind === MARK_SPILLED ? SAVED_LIMIT : (ids[place] as number);
    const base = this.#base(kind, id);
    const marks = covered[place] === 0 && !(this.#surroundings.defect === "mark" && opcode === op.I64_STORE);
    const offset = (this.#body.b[place] as number) >>> 0;
    const address: Address =
      kind === MARK_CONSTANT ? { base: null, offset: (id >>> 0) + offset } : { base, offset };
    const type = op.SIGNATURES[opcode]?.operands[1] as number;
    const value = () => this.#temporary(`value${type}`, type);
    if (lines !== null && this.#plan.where[place] !== PRIVATE) {
      return this.#storeAnywhere(place, opcode, lines, {
        kind,
        id,
        base,
        marked: marks ? address : null,
        value,
      });
    }
    if (kind === MARK_SPILLED) {
      code.set(value());
      code.tee(this.#temporary(`address${id}`, op.I32));
      code.get(value());
    }
    this.#access(place, opcode);
    if (marks) mark(code, lines?.bound ?? 0, address, this.#pay);
  }

  /** A store that is not known to be private, in the batch variant. */
  #storeAnywhere(
    place: number,
    opcode: number,
    lines: Lines,
    { kind, id, base, marked, value }: Store,
  ): void {
    const code = this.#code;
    const check = this.#checkAt(place);
    /** What is written lies in a line, which needs no mark; its page is paid all the same. */
    const payState = () => {
      if (marked !== null && lines.defect !== "state-pay") payPage(code, lines.bound, marked, this.#pay);
    };
    if (kind === MARK_CONSTANT) {
      if (check !== null) checkTagsAt(code, lines, check);
      this.#access(place, opcode);
      return payState();
    }
    if (kind === MARK_SPILLED) {
      code.set(value());
      code.set(this.#temporary(`address${id}`, op.I32));
      base();
      code.get(value());
    }
    if (this.#plan.where[place] === STATE) {
      if (check !== null) checkTags(code, lines, base, check);
      this.#access(place, opcode);
      return payState();
    }
    if (marked === null) {
      if (check !== null) {
        isState(code, lines, base, check.low);
        code.open(op.IF);
        checkTags(code, lines, base, check);
        code.end();
      }
      return this.#access(place, opcode);
    }
    if (check === null) {
      this.#access(place, opcode);
      isState(code, lines, base, (this.#body.b[place] as number) >>> 0);
      code.open(op.IF);
      payState();
      code.op(op.ELSE);
      mark(code, lines.bound, marked, this.#pay);
      return code.end();
    }
    // Twice, so that one comparison is enough.
    code.set(value());
    code.op(op.DROP);
    const store = () => {
      base();
      code.get(value());
      this.#access(place, opcode);
    };
    isState(code, lines, base, check.low);
    code.open(op.IF);
    checkTags(code, lines, base, check);
    store();
    payState();
    code.op(op.ELSE);
    store();
    mark(code, lines.bound, marked, this.#pay);
    code.end();
  }
}
