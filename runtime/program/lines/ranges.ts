/**
 * The batch variant: bounds of integers, so that an access whose address must lie in private memory, or in
 * state, is not compared with the bound between them.
 *
 * One pass over a body in its order. A local's bounds follow from what is written to it, from the conditions
 * on the way, and from a claim about every loop that writes it: that it never falls below what it is when the
 * loop is entered, or never rises above. Every write in the loop is held against the claim; if one breaks it,
 * a weaker claim is made and the pass is repeated. Where ways meet, what one of them may have written is
 * forgotten, but for the claims.
 */

import { type Body, NOBODY } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";
import { I32_MAX, named, POSITIVE_MAX, type Range, type Ranges, rangeOfResult, UNKNOWN } from "./fold.ts";
import type { Lines } from "./lines.ts";

/** Steps of a pass after which a body is given up, all of its values unknown. */
const WORK_LIMIT = 4_000_000;
const PASSES = 8;

/** Claims about a local in a loop, from strong to weak. */
const NOT_BELOW_POSITIVE = 0; // from its low bound to POSITIVE_MAX
const NOT_BELOW = 1; //          from its low bound on
const NOT_ABOVE = 2; //          up to its high bound
const NOTHING = 3;

/** What a comparison says of its first operand, if it holds. Signed ones need operands that are positive. */
const RELATIONS = new Map(
  ["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"].map((name) => [
    named(`i32.${name}`),
    name,
  ]),
);
const OPPOSITE: Record<string, string> = { eq: "ne", ne: "eq", lt: "ge", ge: "lt", gt: "le", le: "gt" };
const SWAPPED: Record<string, string> = { eq: "eq", ne: "ne", lt: "gt", ge: "le", gt: "lt", le: "ge" };
interface Frame {
  readonly opcode: number;
  readonly place: number;
  /** How long the trail was when it was entered. */
  readonly trail: number;
  targeted: boolean;
  /** The `then` arm of an if did not reach its end. */
  left: boolean;
  inElse: boolean;
  /** Of a loop. */
  readonly claims: Map<number, Range> | null;
}

export function planRanges(body: Body, lines: Lines, ranges: Ranges): void {
  const levels = new Map<number, Map<number, number>>();
  const passes = accesses(body) ? PASSES : 0;
  for (let pass = 0; pass < passes; pass++) {
    const analysis = new Analysis(body, lines, ranges, levels);
    const kept = analysis.run();
    if (kept === null) break;
    if (kept) return;
  }
  ranges.low.fill(0, 0, body.length);
  ranges.high.fill(Number.POSITIVE_INFINITY, 0, body.length);
}

function accesses(body: Body): boolean {
  for (let place = 0; place < body.length; place++) {
    const immediate = op.IMMEDIATES[body.ops[place] as number];
    if (immediate === op.MEMORY_ARGUMENT || immediate === op.MEMORY_LANE) return true;
  }
  return false;
}

class Analysis {
  readonly #body: Body;
  readonly #lines: Lines;
  readonly #ranges: Ranges;
  readonly #levels: Map<number, Map<number, number>>;
  readonly #low: Float64Array;
  readonly #high: Float64Array;
  readonly #lastWrite: Int32Array;
  /** What locals were before they were changed: local, low, high. */
  readonly #trail: number[] = [];
  readonly #frames: Frame[] = [];
  /** Places that write locals, ascending, and the ends of frames by their place. */
  readonly #writes: number[] = [];
  readonly #ends = new Map<number, number>();
  #broken = false;
  #work = 0;

  constructor(body: Body, lines: Lines, ranges: Ranges, levels: Map<number, Map<number, number>>) {
    this.#body = body;
    this.#lines = lines;
    this.#ranges = ranges;
    this.#levels = levels;
    const count = body.locals.length;
    this.#low = new Float64Array(count);
    this.#high = new Float64Array(count);
    this.#lastWrite = new Int32Array(count).fill(NOBODY);
    // Locals that are no parameters begin as 0.
    for (let local = 0; local < body.parameters; local++) this.#high[local] = this.#top(local);
    const open: number[] = [];
    for (let place = 0; place < body.length; place++) {
      const opcode = body.ops[place];
      if (opcode === op.LOCAL_SET || opcode === op.LOCAL_TEE) this.#writes.push(place);
      else if (opcode === op.BLOCK || opcode === op.LOOP || opcode === op.IF) open.push(place);
      else if (opcode === op.END) this.#ends.set(open.pop() ?? NOBODY, place);
    }
  }

  /** True if every claim held, false if one was made weaker; null: given up. */
  run(): boolean | null {
    const { low, high } = this.#ranges;
    for (let place = 0; place < this.#body.length; place++) {
      const range = this.#step(place);
      low[place] = range.low;
      high[place] = range.high;
      if (++this.#work > WORK_LIMIT) return null;
    }
    return !this.#broken;
  }

  #top(local: number): number {
    return this.#body.locals[local] === op.I32 ? I32_MAX : Number.POSITIVE_INFINITY;
  }

  #set(local: number, low: number, high: number): void {
    this.#trail.push(local, this.#low[local] as number, this.#high[local] as number);
    this.#low[local] = low;
    this.#high[local] = high;
  }

  #undo(length: number): void {
    const trail = this.#trail;
    this.#work += trail.length - length;
    while (trail.length > length) {
      const high = trail.pop() as number;
      const low = trail.pop() as number;
      const local = trail.pop() as number;
      this.#low[local] = low;
      this.#high[local] = high;
    }
  }

  /** The locals that are written in [from, end), each once. */
  #writtenIn(from: number, end: number): Set<number> {
    const writes = this.#writes;
    let low = 0;
    let high = writes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((writes[middle] as number) < from) low = middle + 1;
      else high = middle;
    }
    const locals = new Set<number>();
    for (; low < writes.length && (writes[low] as number) < end; low++) {
      locals.add(this.#body.a[writes[low] as number] as number);
      this.#work++;
    }
    return locals;
  }

  /** What one of several ways may have written is unknown, but for the claims. */
  #forget(from: number, end: number): void {
    for (const local of this.#writtenIn(from, end)) {
      let claim: Range | undefined;
      for (let index = this.#frames.length - 1; index >= 0 && claim === undefined; index--) {
        claim = this.#frames[index]?.claims?.get(local);
      }
      this.#set(local, claim?.low ?? 0, claim?.high ?? this.#top(local));
      this.#work += this.#frames.length;
    }
  }

  #enterLoop(place: number): void {
    let levels = this.#levels.get(place);
    if (levels === undefined) {
      levels = new Map();
      this.#levels.set(place, levels);
    }
    const claims = new Map<number, Range>();
    for (const local of this.#writtenIn(place, this.#ends.get(place) as number)) {
      const low = this.#low[local] as number;
      const high = this.#high[local] as number;
      const top = this.#top(local);
      const level = top > I32_MAX ? NOTHING : (levels.get(local) ?? NOT_BELOW_POSITIVE);
      const claim =
        level === NOT_BELOW_POSITIVE && high <= POSITIVE_MAX
          ? { low, high: POSITIVE_MAX }
          : level <= NOT_BELOW
            ? { low, high: top }
            : level === NOT_ABOVE
              ? { low: 0, high }
              : { low: 0, high: top };
      claims.set(local, claim);
      this.#set(local, claim.low, claim.high);
    }
    this.#enter(place, claims);
  }

  #enter(place: number, claims: Map<number, Range> | null): void {
    this.#frames.push({
      opcode: this.#body.ops[place] as number,
      place,
      trail: this.#trail.length,
      targeted: false,
      left: false,
      inElse: false,
      claims,
    });
  }

  #target(depth: number): void {
    const frame = this.#frames[this.#frames.length - 1 - depth];
    if (frame !== undefined) frame.targeted = true;
  }

  /** Whether the end of the arm before `place` is not reached. */
  #leavesBefore(place: number): boolean {
    const opcode = this.#body.ops[place - 1];
    return opcode === op.BR || opcode === op.BR_TABLE || opcode === op.RETURN || opcode === op.UNREACHABLE;
  }

  #else(place: number): void {
    const frame = this.#frames[this.#frames.length - 1] as Frame;
    frame.left = this.#leavesBefore(place);
    frame.inElse = true;
    this.#undo(frame.trail);
    this.#assume(this.#maker(frame.place), false, frame.place);
  }

  #end(place: number): void {
    const frame = this.#frames.pop();
    if (frame === undefined || frame.opcode === op.LOOP) return;
    if (frame.opcode === op.BLOCK && !frame.targeted) return;
    if (frame.opcode === op.IF && !frame.targeted) {
      if (frame.inElse && frame.left) return;
      if (!frame.inElse && this.#leavesBefore(place)) {
        this.#undo(frame.trail);
        return this.#assume(this.#maker(frame.place), false, frame.place);
      }
    }
    this.#undo(frame.trail);
    this.#forget(frame.place, place);
  }

  /** The instruction before, if what it makes is the only or last operand of this one. */
  #maker(place: number): number {
    return place > 0 && this.#body.consumer[place - 1] === place ? place - 1 : NOBODY;
  }

  #rangeOf(place: number, top = I32_MAX): Range {
    if (place === NOBODY) return { low: 0, high: top };
    const high = this.#ranges.high[place] as number;
    return { low: this.#ranges.low[place] as number, high: Math.min(high, top) };
  }

  /** The local that the instruction read or wrote and that still is what it was then, or NOBODY. */
  #localAt(place: number): number {
    if (place === NOBODY) return NOBODY;
    const opcode = this.#body.ops[place];
    if (opcode !== op.LOCAL_GET && opcode !== op.LOCAL_TEE) return NOBODY;
    const local = this.#body.a[place] as number;
    return (this.#lastWrite[local] as number) <= place && this.#body.locals[local] === op.I32
      ? local
      : NOBODY;
  }

  /** Takes it that the condition made at `place` holds, or does not, at the branch `at`. */
  #assume(place: number, holds: boolean, at: number): void {
    if (place === NOBODY) return;
    const { ops, first, second } = this.#body;
    const opcode = ops[place] as number;
    if (opcode === op.I32_EQZ) return this.#assume(first[place] as number, !holds, at);
    const local = this.#localAt(place);
    if (local !== NOBODY) return this.#restrict(local, holds ? "ne" : "eq", { low: 0, high: 0 }, at);
    const relation = RELATIONS.get(opcode);
    if (relation === undefined) return;
    const left = first[place] as number;
    const right = second[place] as number;
    const name = relation.slice(0, 2);
    const signed = relation.endsWith("_s");
    const stated = holds ? name : (OPPOSITE[name] as string);
    const a = this.#rangeOf(left);
    const b = this.#rangeOf(right);
    if (this.#localAt(left) !== NOBODY) this.#compare(this.#localAt(left), stated, signed, a, b, at);
    const swapped = SWAPPED[stated] as string;
    if (this.#localAt(right) !== NOBODY) this.#compare(this.#localAt(right), swapped, signed, b, a, at);
  }

  #compare(local: number, relation: string, signed: boolean, own: Range, other: Range, at: number): void {
    if (!signed) return this.#restrict(local, relation, other, at);
    if (other.high > POSITIVE_MAX) return;
    // Not less than something positive: positive itself.
    if (relation === "gt" || relation === "ge") {
      this.#restrict(local, "le", { low: 0, high: POSITIVE_MAX }, at);
    } else if (own.high > POSITIVE_MAX) return;
    this.#restrict(local, relation, other, at);
  }

  #restrict(local: number, relation: string, other: Range, at: number): void {
    // Written between the condition and the branch, or what is known says that nobody comes here.
    if ((this.#lastWrite[local] as number) >= at) return;
    let low = this.#low[local] as number;
    let high = this.#high[local] as number;
    if (relation === "lt") high = Math.min(high, other.high - 1);
    else if (relation === "le") high = Math.min(high, other.high);
    else if (relation === "gt") low = Math.max(low, other.low + 1);
    else if (relation === "ge") low = Math.max(low, other.low);
    else if (relation === "eq") {
      low = Math.max(low, other.low);
      high = Math.min(high, other.high);
    } else if (other.low === other.high && other.low === low) low++;
    if (low <= high) this.#set(local, low, high);
  }

  #write(place: number): Range {
    const local = this.#body.a[place] as number;
    const value = this.#rangeOf(this.#maker(place), this.#top(local));
    for (const { claims, place: loop } of this.#frames) {
      const claim = claims?.get(local);
      this.#work++;
      if (claim === undefined || (value.low >= claim.low && value.high <= claim.high)) continue;
      if (this.#lines.defect === "claim") continue;
      this.#broken = true;
      const levels = this.#levels.get(loop) as Map<number, number>;
      const level = levels.get(local) ?? NOT_BELOW_POSITIVE;
      const weaker = value.low < claim.low ? NOT_ABOVE : level + 1;
      levels.set(local, Math.min(NOTHING, Math.max(weaker, level + 1)));
    }
    this.#lastWrite[local] = place;
    this.#set(local, value.low, value.high);
    return value;
  }

  #step(place: number): Range {
    const body = this.#body;
    const opcode = body.ops[place] as number;
    switch (opcode) {
      case op.BLOCK:
        this.#enter(place, null);
        break;
      case op.IF:
        this.#enter(place, null);
        this.#assume(this.#maker(place), true, place);
        break;
      case op.LOOP:
        this.#enterLoop(place);
        break;
      case op.ELSE:
        this.#else(place);
        break;
      case op.END:
        this.#end(place);
        break;
      case op.BR:
        this.#target(body.a[place] as number);
        break;
      case op.BR_IF:
        this.#target(body.a[place] as number);
        this.#assume(this.#maker(place), false, place);
        break;
      case op.BR_TABLE:
        for (const depth of body.labels[body.a[place] as number] as number[]) this.#target(depth);
        break;
      case op.LOCAL_SET:
      case op.LOCAL_TEE:
        return this.#write(place);
      case op.LOCAL_GET: {
        const local = body.a[place] as number;
        return { low: this.#low[local] as number, high: this.#high[local] as number };
      }
      case op.GLOBAL_GET:
        if (this.#lines.guarded.has(body.a[place] as number))
          return { low: this.#lines.bound, high: POSITIVE_MAX };
        break;
      default:
        return this.#value(place, opcode);
    }
    return UNKNOWN;
  }

  #value(place: number, opcode: number): Range {
    const body = this.#body;
    if (opcode === op.I32_CONST) return exactly((body.a[place] as number) >>> 0);
    if (opcode === op.I64_CONST) {
      const value = body.wide[body.a[place] as number] as bigint;
      return value >= 0n && value <= Number.MAX_SAFE_INTEGER ? exactly(Number(value)) : UNKNOWN;
    }
    const operands = op.SIGNATURES[opcode]?.operands ?? [];
    const top = (index: number) => (operands[index] === op.I32 ? I32_MAX : Number.POSITIVE_INFINITY);
    const a = this.#rangeOf(body.first[place] as number, top(0));
    const b = this.#rangeOf(body.second[place] as number, top(1));
    return rangeOfResult(opcode, a, b, this.#lines.defect === "wrap");
  }
}

function exactly(value: number): Range {
  return { low: value, high: value };
}
