/**
 * How much gas code costs, and where it is charged.
 *
 * A piece of straight code (pieces.ts) costs what its instructions cost by the table, and at least a gas for
 * each INSTRUCTIONS_PER_GAS of them: no instruction is free. What is charged follows the way that is taken,
 * but not to the unit. A charge takes time, so one is made only where ways differ by more than a few
 * instructions. Two numbers of each piece say where:
 *
 *   need  what pays for the piece and for the way on from it: its cost, and the greatest `due` of the pieces
 *         that its ways lead to
 *   due   how much of its need has been paid when it begins; it charges the rest itself
 *
 *     A, cost 5 ──┬──► B, need 8, due 8       A needs 5 + 12. On the way to B 4 gas are paid in vain, on the
 *                 ├──► C, need 12, due 12     way to C none. D is dearer than B, the cheapest way, by more
 *                 └──► D, need 90, due 8      than the slack: 8 are due as for B, and D charges 82.
 *
 * The first piece of a function and the header of a loop charge all of their need, each time they begin.
 *
 * Invariant: on every way through a region, the charges passed in it cover all pieces passed in it, the
 * current one to its end. So each instruction is paid before it runs, and every loop charges. Beyond its cost
 * a way pays at each branch no more than the slack: SLACK_IN_LOOP in a loop, where a charge would be made
 * often, else SLACK; and once more SLACK at most in a turn that leaves its loop, for turns are compared with
 * other turns first. Each charge is rounded up.
 *
 * The plan depends on the body alone, also where a function can be suspended (suspend/). So both variants
 * charge alike, and an abort gives back whatever the way to it has not charged. The plan takes
 * time linear in the size of the body.
 *
 * Bulk instructions also pay by length as they run: one gas for each BULK_GAS_BYTES. The first store to a
 * page since the activation or item began pays PAGE_TOUCH_GAS, where the page is marked (marks.ts).
 */

import { assert } from "../../errors.ts";
import type { Body } from "../decode/body.ts";
import { type Pieces, piecesOf } from "./pieces.ts";

/** What entering a function costs besides its instructions. */
export const ENTRY_GAS = 3;
/** Locals for one gas: they must be set to zero. */
export const LOCALS_PER_GAS = 4;
/** What a turn of a loop costs besides its instructions. */
export const LOOP_GAS = 1;
/** Instructions for which a piece of straight code costs at least one gas. */
export const INSTRUCTIONS_PER_GAS = 4;
/**
 * Bytes that memory.copy, memory.fill and memory.init move for one gas. The shift is its binary logarithm.
 */
export const BULK_GAS_BYTES = 8;
export const BULK_GAS_SHIFT = 3;

/**
 * The first store to a page since the activation or item began: the page must be compared with what it was,
 * and put back if that faults. For an item it is copied before, so that there is something to put back.
 */
export const PAGE_TOUCH_GAS = 1664;

/** The cost table that is used where none is named. */
export const FIRST_COSTS = "1";
/** By version of the cost table: how often all of these prices are paid. A power of two. */
export const CODE_PRICES: Readonly<Record<string, number>> = { "1": 1, doubled: 2 };

/** Ways from one branch that differ by no more than this are paid alike. */
export const SLACK_IN_LOOP = 16;
export const SLACK = 64;
/** Passes after which a plan that has not settled is given up. Code of compilers takes one or two. */
const PASSES = 4;

/** By place in the body: what is charged before the instruction there. `price`: see CODE_PRICES. */
export type Charges = ReadonlyMap<number, number>;

export function chargesOf(body: Body, price = 1): Charges {
  const pieces = piecesOf(body);
  const plan = new Plan(pieces, costsOf(pieces, body));
  let settled = false;
  for (let pass = 0; pass < PASSES && !settled; pass++) settled = plan.pass();
  if (!settled) plan.payEachPiece();
  const charges = new Map<number, number>();
  for (let piece = 0; piece < pieces.count; piece++) {
    const rest = (plan.need[piece] as number) - (pieces.opens[piece] ? 0 : (plan.due[piece] as number));
    assert(rest >= 0, "no more is due than what is needed");
    if (rest > 0) charges.set(pieces.places[piece] as number, price * Math.ceil(rest));
  }
  return charges;
}

/** By piece: what it costs to run it. */
function costsOf({ count, weights, instructions, opens }: Pieces, body: Body): readonly number[] {
  const entry = ENTRY_GAS + Math.floor((body.locals.length - body.parameters) / LOCALS_PER_GAS);
  const costs: number[] = [];
  for (let piece = 0; piece < count; piece++) {
    const opening = piece === 0 ? entry : opens[piece] ? LOOP_GAS : 0;
    const least = (instructions[piece] as number) / INSTRUCTIONS_PER_GAS;
    costs.push(Math.max((weights[piece] as number) + opening, least));
  }
  return costs;
}

/**
 * What is due and needed, by piece. A pass goes from the last piece to the first, so against all ways. Where
 * a branch lowers what is due of a piece, others that lead to it have been seen with more: they are put right
 * in the next pass.
 */
class Plan {
  need: number[];
  readonly due: number[];
  readonly #pieces: Pieces;
  readonly #costs: readonly number[];
  /** Whether some way on from the piece turns, and whether some way leaves. If neither, all ways trap. */
  readonly #turns: boolean[] = [];
  readonly #leaves: boolean[] = [];

  constructor(pieces: Pieces, costs: readonly number[]) {
    this.#pieces = pieces;
    this.#costs = costs;
    this.need = [...costs];
    this.due = new Array<number>(pieces.count).fill(Number.POSITIVE_INFINITY);
  }

  /** Returns whether the plan has settled: no branch lowered what is due, so `need` agrees with `due`. */
  pass(): boolean {
    const { need, due } = this;
    const { count, ways, inLoop } = this.#pieces;
    let settled = true;
    for (let piece = count - 1; piece >= 0; piece--) {
      const base = this.#base(piece);
      const limit = base + (inLoop[piece] ? SLACK_IN_LOOP : SLACK);
      let most = 0;
      for (const way of ways[piece] as number[]) {
        if ((due[way] as number) > limit) {
          due[way] = base;
          settled = false;
        }
        most = Math.max(most, due[way] as number);
      }
      need[piece] = (this.#costs[piece] as number) + most;
      due[piece] = Math.min(due[piece] as number, need[piece] as number);
    }
    return settled;
  }

  /** What the cheapest way on takes: of those that end in another turn, unless leaving is far cheaper. */
  #base(piece: number): number {
    const { due } = this;
    const { ways, turns, leaves } = this.#pieces;
    let turning = turns[piece] ? 0 : Number.POSITIVE_INFINITY;
    let leaving = leaves[piece] ? 0 : Number.POSITIVE_INFINITY;
    for (const way of ways[piece] as number[]) {
      if (this.#turns[way]) turning = Math.min(turning, due[way] as number);
      else if (this.#leaves[way]) leaving = Math.min(leaving, due[way] as number);
    }
    this.#turns[piece] = turning < Number.POSITIVE_INFINITY;
    this.#leaves[piece] = leaving < Number.POSITIVE_INFINITY;
    return this.#turns[piece] && turning - leaving <= SLACK ? turning : leaving;
  }

  /** Each piece pays for itself: exact, only slower to run. */
  payEachPiece(): void {
    this.need = [...this.#costs];
    this.due.fill(0);
  }
}
