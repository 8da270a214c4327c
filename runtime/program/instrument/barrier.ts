/**
 * Where stores mark pages as written.
 *
 * Which pages a body marks, and at which of its stores, is a rule of consensus: the first mark of a page is
 * paid (marks.ts), in both variants by this one plan. Whatever changes it raises REWRITER_VERSION.
 *
 * After a store, the byte of aux memory that stands for the page of its lowest address is set. The page after
 * it is not marked when the store, or a group of stores, runs over its end: a reader of the marks compares
 * the first REACH bytes of page i + 1 whenever page i is marked and page i + 1 is not.
 *
 * Stores whose address comes from the same local, global or constant form a group: the first marks its page,
 * and those that follow write nothing outside of the REACH bytes from there, so they need no mark of their
 * own. A mark counts as long as every way to the later store leads through it, the local or global has not
 * been written since, and no call was made in between through which the kernel could take marks away. A mark
 * made before a loop counts in the loop if nothing in the loop ends it: that frees the inner loops of
 * AssemblyScript from marking its shadow stack.
 */

import { type Body, NOBODY } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";
import { Ways } from "./ways.ts";

/** Bytes from a mark's address on that it stands for. */
export const REACH = 64;

export const NO_MARK = 0;
export const MARK_LOCAL = 1; //    the address is in local `ids[place]`
export const MARK_GLOBAL = 2; //   the address is in global `ids[place]`
export const MARK_CONSTANT = 3; // the address is `ids[place]`
export const MARK_SAVED = 4; //    the address is saved in temporary `ids[place]` after it is made
export const MARK_SPILLED = 5; //  the address must be fetched from below the value

/**
 * Addresses that may wait on the stack, each in a temporary of its own, while the value of a store is
 * computed.
 */
export const SAVED_LIMIT = 4;
const GROUPS = 8;

export interface Marks {
  /** For each store how to find its address when it is made, by place. */
  readonly kinds: Uint8Array;
  /** 1 for stores that another one's mark stands for. */
  readonly covered: Uint8Array;
  readonly ids: Int32Array;
  /** For an instruction that makes an address: one more than the temporary to save it in, or 0. */
  readonly saves: Uint8Array;
}

/** For bodies of up to `capacity` instructions. */
export function emptyMarks(capacity: number): Marks {
  return {
    kinds: new Uint8Array(capacity),
    covered: new Uint8Array(capacity),
    ids: new Int32Array(capacity),
    saves: new Uint8Array(capacity),
  };
}

/** A mark that was made: the address `low` above what `key` held in its `version`. */
interface Group {
  readonly kind: number;
  readonly id: number;
  readonly version: number;
  readonly epoch: number;
  readonly low: number;
}

/**
 * 1 for the functions, and the types of call_indirect, through which the kernel may be called and take marks
 * away.
 */
export interface Reach {
  readonly functions: Uint8Array;
  readonly types: Uint8Array;
}

/** Places of a loop's code, for the question what is written in it. */
export interface Writes {
  readonly locals: ReadonlyMap<number, number[]>;
  readonly globals: ReadonlyMap<number, number[]>;
  /** Calls of any kind: the callee may write globals. */
  readonly calls: readonly number[];
  /** Calls that end all marks. */
  readonly kernelCalls: readonly number[];
  /** By place of a loop: its end. */
  readonly loopEnds: ReadonlyMap<number, number>;
}

function isKernelCall(body: Body, place: number, reach: Reach): boolean {
  const target = body.a[place] as number;
  return body.ops[place] === op.CALL ? reach.functions[target] === 1 : reach.types[target] === 1;
}

export function writesOf(body: Body, reach: Reach): Writes {
  const locals = new Map<number, number[]>();
  const globals = new Map<number, number[]>();
  const calls: number[] = [];
  const kernelCalls: number[] = [];
  const loopEnds = new Map<number, number>();
  const frames: number[] = [];
  const note = (map: Map<number, number[]>, key: number, place: number) => {
    const places = map.get(key);
    if (places === undefined) map.set(key, [place]);
    else places.push(place);
  };
  for (let place = 0; place < body.length; place++) {
    switch (body.ops[place]) {
      case op.LOCAL_SET:
      case op.LOCAL_TEE:
        note(locals, body.a[place] as number, place);
        break;
      case op.GLOBAL_SET:
        note(globals, body.a[place] as number, place);
        break;
      case op.CALL:
      case op.CALL_INDIRECT:
        calls.push(place);
        if (isKernelCall(body, place, reach)) kernelCalls.push(place);
        break;
      case op.BLOCK:
      case op.LOOP:
      case op.IF:
        frames.push(place);
        break;
      case op.END: {
        const start = frames.pop();
        if (start !== undefined && body.ops[start] === op.LOOP) loopEnds.set(start, place);
      }
    }
  }
  return { locals, globals, calls, kernelCalls, loopEnds };
}

/** Whether one of the ascending `places` lies in [from, end). */
function hits(places: readonly number[] | undefined, from: number, end: number): boolean {
  if (places === undefined) return false;
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((places[middle] as number) < from) low = middle + 1;
    else high = middle;
  }
  return low < places.length && (places[low] as number) < end;
}

/** Whether a base holds the same in all of [from, end). */
export function unwritten(
  { kind, id }: { kind: number; id: number },
  writes: Writes,
  from: number,
  end: number,
) {
  if (kind === MARK_LOCAL) return !hits(writes.locals.get(id), from, end);
  if (kind === MARK_GLOBAL) return !hits(writes.globals.get(id), from, end) && !hits(writes.calls, from, end);
  return true;
}

/** Where the base of an access can be found again when the access is made. */
export interface Base {
  /** MARK_SPILLED if nowhere but on the stack. */
  readonly kind: number;
  readonly id: number;
  /** Two bases of one kind, id and version are equal. */
  readonly version: number;
}

const SPILLED: Base = { kind: MARK_SPILLED, id: 0, version: 0 };

/** Follows what a body writes, place by place. */
export class Bases {
  readonly #body: Body;
  readonly #locals = new Map<number, number>();
  readonly #globals = new Map<number, number>();
  #lastCall = NOBODY;

  constructor(body: Body) {
    this.#body = body;
  }

  /** Notes what the instruction writes, if anything. */
  pass(place: number): void {
    switch (this.#body.ops[place]) {
      case op.LOCAL_SET:
      case op.LOCAL_TEE:
        this.#locals.set(this.#body.a[place] as number, place);
        break;
      case op.GLOBAL_SET:
        this.#globals.set(this.#body.a[place] as number, place);
        break;
      case op.CALL:
      case op.CALL_INDIRECT:
        this.#lastCall = place;
    }
  }

  /** The place that wrote the local last, and where a global may have been. */
  versionOfLocal(local: number): number {
    return this.#locals.get(local) ?? NOBODY;
  }

  versionOfGlobal(global: number): number {
    // Calls count as writes of every global.
    return Math.max(this.#globals.get(global) ?? NOBODY, this.#lastCall);
  }

  /** Of the access at `place`. */
  of(place: number): Base {
    const body = this.#body;
    const maker = body.first[place] as number;
    const made = maker === NOBODY ? op.NOP : (body.ops[maker] as number);
    const id = maker === NOBODY ? 0 : (body.a[maker] as number);
    if (made === op.LOCAL_GET || made === op.LOCAL_TEE) {
      const version = this.versionOfLocal(id);
      if (version <= maker) return { kind: MARK_LOCAL, id, version };
    } else if (made === op.GLOBAL_GET) {
      const version = this.versionOfGlobal(id);
      if (version < maker) return { kind: MARK_GLOBAL, id, version };
    } else if (made === op.I32_CONST) {
      return { kind: MARK_CONSTANT, id, version: NOBODY };
    }
    return SPILLED;
  }
}

/** Numbers the temporaries in which addresses wait until the values of their stores are there. */
class Waiting {
  readonly #addresses: { readonly maker: number; readonly level: number }[] = [];

  /**
   * The temporary for the address that `maker` makes. Waiting addresses nest, as the stack does: this one's
   * differs from those that are used while it waits.
   */
  enter(maker: number): number {
    let level = 0;
    for (let last = this.#addresses.at(-1); last !== undefined && last.maker > maker; ) {
      this.#addresses.pop();
      level = Math.max(level, last.level + 1);
      last = this.#addresses.at(-1);
    }
    this.#addresses.push({ maker, level });
    return level;
  }
}

/** `groupReach` is REACH, but for a test that plants a defect. */
export function planMarks(body: Body, reach: Reach, marks: Marks, groupReach = REACH): void {
  const { kinds, ids, saves, covered } = marks;
  kinds.fill(NO_MARK, 0, body.length);
  saves.fill(0, 0, body.length);
  covered.fill(0, 0, body.length);
  const bases = new Bases(body);
  const writes = writesOf(body, reach);
  const groups = new Ways<Group>(body, (known, place) => {
    const end = writes.loopEnds.get(place) as number;
    return hits(writes.kernelCalls, place, end)
      ? []
      : known.filter((group) => unwritten(group, writes, place, end));
  });
  const waiting = new Waiting();
  let epoch = NOBODY; // place of the last call that may have reached the kernel

  for (let place = 0; place < body.length; place++) {
    const opcode = body.ops[place] as number;
    bases.pass(place);
    if (groups.pass(place)) continue;
    const isCall = opcode === op.CALL || opcode === op.CALL_INDIRECT;
    if (isCall && isKernelCall(body, place, reach)) epoch = place;
    if (op.IS_STORE[opcode] === 0) continue;
    const { kind, id, version } = bases.of(place);
    kinds[place] = kind;
    ids[place] = id;
    if (kind === MARK_SPILLED) {
      const maker = body.first[place] as number;
      const level = maker === NOBODY ? SAVED_LIMIT : waiting.enter(maker);
      if (level >= SAVED_LIMIT) continue;
      kinds[place] = MARK_SAVED;
      ids[place] = level;
      saves[maker] = level + 1;
      continue;
    }
    const offset = (body.b[place] as number) >>> 0;
    const width = 1 << (op.WIDTH[opcode] as number);
    // For constants the whole address is the offset, so that neighbours share a group.
    const key = kind === MARK_CONSTANT ? 0 : id;
    const low = kind === MARK_CONSTANT ? (id >>> 0) + offset : offset;
    const group: Group = { kind, id: key, version, epoch, low };
    if (groups.known.some((other) => standsFor(other, group, groupReach - width))) {
      covered[place] = 1;
      continue;
    }
    if (groups.known.length === GROUPS) groups.known.shift();
    groups.known.push(group);
  }
}

/** Whether the mark of a group stands for an address that is at most so many bytes behind its own. */
function standsFor(group: Group, { kind, id, version, epoch, low }: Group, bytes: number): boolean {
  const same = group.kind === kind && group.id === id && group.version === version;
  return same && group.epoch === epoch && low >= group.low && low <= group.low + bytes;
}
