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
  const { where, kinds, ids, checkAt } = plan;
  const checks: Check[] = [];
  plan.checks = checks;
  const bases = new Bases(body);
  const writes = writesOf(body, reach);
  const values = new Values(body, bases, lines.defect === "version");
  let groups: Group[] = [];
  let run = 0;
  const span = lines.defect === "span" ? 4 * SPAN : SPAN;
  const frames: { opcode: number; before: Group[]; targeted: boolean }[] = [];
  const target = (depth: number) => {
    const frame = frames[frames.length - 1 - depth];
    if (frame !== undefined) frame.targeted = true;
  };

  /** Whether a check that was made covers the access, or can be made to. */
  const covered = (base: Base, value: number, low: number, high: number, write: boolean): boolean => {
    for (const group of groups) {
      const { kind, id, version } = group;
      const same = kind !== MARK_SPILLED && kind === base.kind && id === base.id && version === base.version;
      if (!same && (value === NOBODY || value !== group.value)) continue;
      const check = checks[group.number] as Check;
      if (low >= check.low && high <= check.high && (check.write || !write)) return true;
      if (group.run !== run) continue;
      if (Math.max(high, check.high) - Math.min(low, check.low) > span) continue;
      check.low = Math.min(low, check.low);
      check.high = Math.max(high, check.high);
      check.aligned &&= low === check.low && high === check.high;
      check.write ||= write;
      return true;
    }
    return false;
  };

  for (let place = 0; place < body.length; place++) {
    const opcode = body.ops[place] as number;
    bases.pass(place);
    values.pass(place, run);
    switch (opcode) {
      case op.BLOCK:
        frames.push({ opcode, before: groups.slice(), targeted: false });
        continue;
      case op.IF:
        run++;
        frames.push({ opcode, before: groups.slice(), targeted: false });
        continue;
      case op.LOOP:
        run++;
        frames.push({ opcode, before: [], targeted: false });
        groups = groups
          .filter(({ kind }) => kind !== MARK_SPILLED)
          .filter((group) => unwritten(group, writes, place, writes.loopEnds.get(place) as number))
          .map((group) => ({ ...group, value: NOBODY }));
        continue;
      case op.ELSE: {
        const frame = frames[frames.length - 1] as (typeof frames)[0];
        run++;
        frame.targeted = true;
        groups = frame.before.slice();
        continue;
      }
      case op.END: {
        // A loop's label is its header, so its end is no place where ways meet.
        const frame = frames.pop();
        if (frame !== undefined && frame.opcode !== op.LOOP && (frame.targeted || frame.opcode === op.IF)) {
          run++;
          groups = frame.before;
        }
        continue;
      }
      case op.BR:
      case op.BR_IF:
        target(body.a[place] as number);
        continue;
      case op.BR_TABLE:
        for (const depth of body.labels[body.a[place] as number] as number[]) target(depth);
        continue;
    }
    const immediate = op.IMMEDIATES[opcode];
    if (immediate !== op.MEMORY_ARGUMENT && immediate !== op.MEMORY_LANE) continue;
    const base = bases.of(place);
    const constant = base.kind === MARK_CONSTANT;
    kinds[place] = base.kind;
    ids[place] = base.id;
    checkAt[place] = NO_CHECK;
    const offset = (body.b[place] as number) >>> 0;
    // For constants the whole address is the offset, so that neighbours share a check.
    const low = constant ? (base.id >>> 0) + offset : offset;
    const width = op.WIDTH[opcode] as number;
    const high = low + (1 << width);
    const maker = body.first[place] as number;
    const least = maker === NOBODY ? 0 : (plan.low[maker] as number);
    const most = maker === NOBODY ? Number.POSITIVE_INFINITY : (plan.high[maker] as number);
    where[place] = least + offset >= lines.bound ? PRIVATE : most + offset < lines.bound ? STATE : ANYWHERE;
    if (where[place] === PRIVATE) continue;
    const write = op.IS_STORE[opcode] === 1;
    const key = constant ? { ...base, id: 0 } : base;
    // What is known of constants is the whole address.
    const value = constant || maker === NOBODY ? NOBODY : values.of(maker);
    if (covered(key, value, low, high, write)) continue;
    checkAt[place] = checks.length;
    const aligned = ((body.a[place] as number) & 0xff) === width;
    checks.push({ low, high, write, aligned });
    if (base.kind === MARK_SPILLED && value === NOBODY) continue;
    if (groups.length === GROUPS) groups.shift();
    groups.push({ ...key, value, number: checks.length - 1, run });
  }
}
