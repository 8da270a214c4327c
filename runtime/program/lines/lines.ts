/**
 * The batch variant: which accesses must look whether they meet state, and whether its lines are there.
 *
 * State is the memory below a bound known at admission. Before an access its effective address, base plus
 * offset without wrapping, is compared with the bound; below it, the tags of the first and the last line
 * accessed must have the bit that the access needs, else `touch` is called. The contract is that of
 * layout.ts. What that takes is written by touch.ts; here is decided where it can be left out:
 *
 * - An access whose base is known to lie above the bound is private, and one below is state: constants, stack
 *   pointers (guards.ts), and what follows from them (ranges.ts).
 * - Accesses with one base (values.ts), within SPAN bytes, share the check of the first of them, which covers
 *   what they all read and write. It holds on every way that leads through it, for tags only grow. It may
 *   touch a line that is not accessed then, because a branch left or a trap came, or as written though it is
 *   only read: that changes no result, and who looks at lines compares their bytes.
 */

import { type Body, NOBODY } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";
import {
  type Base,
  Bases,
  MARK_CONSTANT,
  MARK_SPILLED,
  type Reach,
  unwritten,
  writesOf,
} from "../instrument/barrier.ts";
import type { Defect } from "../instrument/defects.ts";
import { Ways } from "../instrument/ways.ts";
import type { Ranges } from "./fold.ts";
import { Values } from "./values.ts";

/** What a check covers at most: no more than two lines. */
const SPAN = 64;
const GROUPS = 8;
export const NO_CHECK = -1;

/** Where an access lies. */
export const ANYWHERE = 0;
export const PRIVATE = 1;
export const STATE = 2;

/** What the batch variant of a module knows of its state. */
export interface Lines {
  /** Where state ends, in bytes: a multiple of 4096 below 2^32. */
  readonly bound: number;
  /** Globals whose every value is seen to lie above the bound. */
  readonly guarded: ReadonlySet<number>;
  readonly defect: Defect | null;
  /** The function that a check calls for lines that may lack what is needed. */
  readonly miss: (write: boolean) => number;
}

/** A range of addresses, from a base on. */
export interface Check {
  low: number;
  high: number;
  write: boolean;
  /** Of a single access that is said to be aligned to its width. */
  aligned: boolean;
}

export interface LinePlan extends Ranges {
  /** By place of an access: ANYWHERE, PRIVATE or STATE. */
  readonly where: Uint8Array;
  /** By place of an access: where its base is found, as for a mark. */
  readonly kinds: Uint8Array;
  readonly ids: Int32Array;
  /** By place of an access: the number of the check before it, or NO_CHECK. */
  readonly checkAt: Int32Array;
  checks: Check[];
}

export function emptyLines(capacity: number): LinePlan {
  return {
    where: new Uint8Array(capacity),
    kinds: new Uint8Array(capacity),
    ids: new Int32Array(capacity),
    checkAt: new Int32Array(capacity),
    low: new Float64Array(capacity),
    high: new Float64Array(capacity),
    checks: [],
  };
}

/** A check that was made. */
interface Group extends Base {
  /** The number of the base's value, or NOBODY. */
  readonly value: number;
  readonly number: number;
  /** It stands where no way has led in since. */
  readonly run: number;
}

export function planLines(body: Body, reach: Reach, lines: Lines, plan: LinePlan): void {
  plan.checks = [];
  const bases = new Bases(body);
  const writes = writesOf(body, reach);
  const values = new Values(body, bases, lines.defect === "version");
  const groups = new Ways<Group>(body, (known, place) =>
    known
      .filter(({ kind }) => kind !== MARK_SPILLED)
      .filter((group) => unwritten(group, writes, place, writes.loopEnds.get(place) as number))
      .map((group) => ({ ...group, value: NOBODY })),
  );
  const checks = new Checks(plan.checks, groups, lines.defect === "span" ? 4 * SPAN : SPAN);
  for (let place = 0; place < body.length; place++) {
    bases.pass(place);
    values.pass(place, groups.run);
    if (groups.pass(place)) continue;
    const opcode = body.ops[place] as number;
    const immediate = op.IMMEDIATES[opcode];
    if (immediate !== op.MEMORY_ARGUMENT && immediate !== op.MEMORY_LANE) continue;
    const base = bases.of(place);
    plan.kinds[place] = base.kind;
    plan.ids[place] = base.id;
    plan.checkAt[place] = NO_CHECK;
    const where = whereOf(body, place, lines.bound, plan);
    plan.where[place] = where;
    if (where === PRIVATE) continue;
    const maker = body.first[place] as number;
    const isConstant = base.kind === MARK_CONSTANT;
    // For constants the whole address is the offset, so that neighbours share a check, and is what is known.
    const low = (isConstant ? base.id >>> 0 : 0) + ((body.b[place] as number) >>> 0);
    const width = op.WIDTH[opcode] as number;
    plan.checkAt[place] = checks.cover(
      isConstant ? { ...base, id: 0 } : base,
      isConstant || maker === NOBODY ? NOBODY : values.of(maker),
      {
        low,
        high: low + (1 << width),
        write: op.IS_STORE[opcode] === 1,
        aligned: ((body.a[place] as number) & 0xff) === width,
      },
    );
  }
}

/** Where an access lies, by what is known of its base. */
function whereOf(body: Body, place: number, bound: number, { low, high }: Ranges): number {
  const maker = body.first[place] as number;
  const offset = (body.b[place] as number) >>> 0;
  const least = maker === NOBODY ? 0 : (low[maker] as number);
  const most = maker === NOBODY ? Number.POSITIVE_INFINITY : (high[maker] as number);
  if (least + offset >= bound) return PRIVATE;
  return most + offset < bound ? STATE : ANYWHERE;
}

/** The checks of a body, each in a group with what the accesses that share it have in common. */
class Checks {
  readonly #checks: Check[];
  readonly #groups: Ways<Group>;
  readonly #span: number;

  constructor(checks: Check[], groups: Ways<Group>, span: number) {
    this.#checks = checks;
    this.#groups = groups;
    this.#span = span;
  }

  /** The number of the new check that an access needs; NO_CHECK if one that was made covers it, or can. */
  cover(base: Base, value: number, wanted: Check): number {
    if (this.#covers(base, value, wanted)) return NO_CHECK;
    const number = this.#checks.push(wanted) - 1;
    if (base.kind === MARK_SPILLED && value === NOBODY) return number;
    const { known, run } = this.#groups;
    if (known.length === GROUPS) known.shift();
    known.push({ ...base, value, number, run });
    return number;
  }

  #covers(base: Base, value: number, { low, high, write }: Check): boolean {
    const { known, run } = this.#groups;
    for (const group of known) {
      const { kind, id, version } = group;
      const same = kind !== MARK_SPILLED && kind === base.kind && id === base.id && version === base.version;
      if (!same && (value === NOBODY || value !== group.value)) continue;
      const check = this.#checks[group.number] as Check;
      if (low >= check.low && high <= check.high && (check.write || !write)) return true;
      if (group.run !== run) continue;
      if (Math.max(high, check.high) - Math.min(low, check.low) > this.#span) continue;
      check.low = Math.min(low, check.low);
      check.high = Math.max(high, check.high);
      check.aligned &&= low === check.low && high === check.high;
      check.write ||= write;
      return true;
    }
    return false;
  }
}
