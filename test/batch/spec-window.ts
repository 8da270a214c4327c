/** What the workers of the specification (spec.ts) share: the items of a window, and their versions. */

import {
  HINTS_LIMIT,
  STATE_COMMITTED,
  STATE_EXECUTED,
  STATE_KIND_BITS,
  STATE_READY,
  STATE_REFUSED,
} from "../../runtime/batch/layout.ts";
import { Shared } from "./steps.ts";

/** What an incarnation left in a line. */
export interface Version {
  readonly item: number;
  readonly incarnation: number;
  readonly value: number;
  /** Not null: not a value, but what is added to it. */
  readonly operations: Operation[] | null;
  node: Node | null;
}

/** One accumulate of an incarnation. */
export interface Operation {
  readonly delta: number;
  readonly min: number;
  readonly max: number;
  /** What the incarnation was told. */
  readonly applied: boolean;
}

/** An item that wrote a line. Once in the line's list, it stays. */
export interface Node {
  readonly item: number;
  readonly next: Shared<Node | null>;
  /** Null: the item does not write the line any more. */
  readonly word: Shared<Word | null>;
}

export interface Word {
  readonly version: Version;
  readonly estimate: boolean;
}

/** A line that an incarnation touched. */
export interface Entry {
  readonly line: number;
  /** Null: base. "sum": of deltas. "unread": the incarnation only accumulates in the line. */
  version: Version | null | "sum" | "unread";
  /** What was read; of a line that is not read: the guess. */
  value: number;
  written: Version | null;
  /** Operations that leave nothing, because the item faulted. */
  withdrawn: Operation[] | null;
}

export interface Item {
  readonly state: Shared<number>;
  readonly log: Shared<readonly Entry[] | null>;
  readonly limit: number;
  gas: number;
  outcome: number;
  /** incarnation × 2^20 + clock at which its validation began; 0: none. */
  readonly validated: Shared<number>;
  readonly changed: Shared<number>;
  reruns: number;
  /** 1 + the first item that waits for this one; 1 + the next one in the list this item waits in. */
  readonly waiters: Shared<number>;
  nextWaiter: number;
  readonly hints: number[];
}

/** Factor of the incarnation in Item.validated. */
export const CLOCK_UNIT = 2 ** 20;

/** Ways to get it wrong, for tests of the tests. */
export type Defect =
  | "a validation counts from its end"
  | "a commit takes any validation"
  | "a finish does not move the clock"
  | "a finish does not schedule validations"
  | "lines not written any more stay"
  | "every abort of an incarnation counts"
  | "who waits does not look again"
  | "waiters are looked for before the state is set"
  | "the frontier stops at the own item"
  | "the holder of the lock does not look again"
  | "a sum does not look at the lowest deltas again"
  | "a commit does not check what was told"
  | "a commit does not release the next item"
  | "who is held does not look again"
  | "the frontier passes what is not executed";

export interface WindowOptions {
  readonly limits: readonly number[];
  readonly gasTotal?: number;
  readonly gasLeft?: number;
  readonly spinLimit?: number;
  readonly rerunLimit?: number;
  readonly base: (line: number) => number;
  readonly defect?: Defect | null;
}

/** What workers share. */
export class Window {
  readonly items: Item[];
  readonly lines = new Map<number, Shared<Node | null>>();
  readonly frontier = new Shared(0);
  readonly clock = new Shared(1);
  readonly ready = new Shared(0n);
  readonly check = new Shared(0n);
  readonly commitLock = new Shared(0);
  readonly committed = new Shared(0);
  readonly applied = new Shared(0);
  cut = -1;
  poison = 0;
  stop = 0;
  lastChange = 1;
  gasLeft: number;
  readonly spinLimit: number;
  readonly rerunLimit: number;
  readonly base: (line: number) => number;
  readonly defect: Defect | null;

  constructor(options: WindowOptions) {
    const { limits, gasTotal = Infinity, gasLeft = gasTotal, spinLimit = 0, rerunLimit = 0, base } = options;
    this.gasLeft = gasLeft;
    this.spinLimit = spinLimit;
    this.rerunLimit = rerunLimit;
    this.base = base;
    this.defect = options.defect ?? null;
    this.items = limits.map((limit) => ({
      state: new Shared(limit > gasTotal ? STATE_REFUSED : STATE_READY),
      log: new Shared<readonly Entry[] | null>(null),
      limit,
      gas: 0,
      outcome: 0,
      validated: new Shared(0),
      changed: new Shared(0),
      reruns: 0,
      waiters: new Shared(0),
      nextWaiter: 0,
      hints: [],
    }));
    for (const [item, { state }] of this.items.entries()) {
      if (state.value === STATE_READY) this.ready.value |= 1n << BigInt(item);
    }
    while (this.items[this.frontier.value]?.state.value === STATE_REFUSED) this.frontier.value++;
  }

  /** The nodes of a line, highest item first. */
  nodes(line: number): Shared<Node | null> {
    const nodes = this.lines.get(line) ?? new Shared<Node | null>(null);
    this.lines.set(line, nodes);
    return nodes;
  }

  hint(item: number, lower: number): void {
    const hints = this.items[item]?.hints;
    if (hints === undefined || lower < 0 || lower >= item) return;
    if (!hints.includes(lower) && hints.length < HINTS_LIMIT) hints.push(lower);
  }
}

// ---- states of items, as layout.ts packs them -----------------------------------------------------------

export const kindOf = (state: number): number => state & ((1 << STATE_KIND_BITS) - 1);
export const incarnationOf = (state: number): number => state >>> STATE_KIND_BITS;
export const stateOf = (incarnation: number, kind: number): number => (incarnation << STATE_KIND_BITS) | kind;
export const finished = (kind: number): boolean =>
  kind === STATE_EXECUTED || kind === STATE_COMMITTED || kind === STATE_REFUSED;
