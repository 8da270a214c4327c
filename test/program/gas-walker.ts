/**
 * Goes through function bodies at random and keeps the accounts: what has been charged, and what the
 * instructions passed cost by the table. It knows the rule that runtime/program/instrument/gas.ts promises to
 * keep, and nothing of how it plans: it follows labels instruction by instruction.
 *
 * The function has an account, and so has each loop that is open: charges inside of a loop pay for that loop
 * only. An account is settled when the loop turns, and closed when it is left.
 */

import { Body } from "../../runtime/program/decode/body.ts";
import { decodeModule } from "../../runtime/program/decode/module.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import { Reader } from "../../runtime/program/decode/reader.ts";
import { readBody } from "../../runtime/program/decode/validate.ts";
import type { Random } from "./random.ts";

/** The rule, by numbers of its own. */
const ENTRY = 3;
const LOCALS = 4;
const TURN = 1;
const INSTRUCTIONS = 4;
const SLACK = { function: 64, loop: 16 };

type Charges = ReadonlyMap<number, number>;

/** Calls `see` with each body of a module. */
export function eachBody(bytes: Uint8Array, see: (body: Body) => void): void {
  const reader = new Reader(bytes);
  const body = new Body(4096);
  decodeModule(reader, {
    body: (module, index) => {
      readBody(reader, module, index, body);
      see(body);
    },
  });
}

interface Account {
  charged: number;
  /** How often: each charge may be rounded up. */
  charges: number;
  weights: number;
  instructions: number;
  /** The same of straight code since control flow was passed last, and what all before it costs at most. */
  piece: { weights: number; instructions: number };
  cost: number;
  /** What branches may have made the way pay in vain. */
  slack: number;
}

interface Label {
  readonly opcode: number;
  readonly place: number;
  /** Of a loop: its own account. */
  readonly account: Account | null;
}

const opened = (weights: number): Account => ({
  charged: 0,
  charges: 0,
  weights,
  instructions: 0,
  piece: { weights, instructions: 0 },
  cost: 0,
  slack: 0,
});

/** Ends a piece of straight code. */
function cut(account: Account): void {
  const { weights, instructions } = account.piece;
  account.cost += Math.max(weights, instructions / INSTRUCTIONS);
  account.piece = { weights: 0, instructions: 0 };
}

/** Instructions that only name a place, and are none. */
const PLACES = new Set([op.BLOCK, op.ELSE, op.END, op.NOP]);
const CUTS = new Set([op.LOOP, op.IF, op.ELSE, op.END, op.BR, op.BR_IF, op.BR_TABLE, op.RETURN]);

export class Walker {
  readonly #body: Body;
  readonly #charges: Charges;
  readonly #random: Random;
  /** By place of a block, loop or if: its `end`; by place of an if: its `else`. */
  readonly #ends = new Map<number, number>();
  readonly #elses = new Map<number, number>();
  #labels: Label[] = [];
  #place = 0;
  /** Instructions passed, of all walks. */
  steps = 0;
  /** The first breach of the rule that was seen. */
  problem: string | null = null;

  constructor(body: Body, charges: Charges, random: Random) {
    this.#body = body;
    this.#charges = charges;
    this.#random = random;
    const open: number[] = [];
    for (let place = 0; place < body.length; place++) {
      const opcode = body.ops[place] as number;
      if (opcode === op.BLOCK || opcode === op.LOOP || opcode === op.IF) open.push(place);
      else if (opcode === op.ELSE) this.#elses.set(open[open.length - 1] as number, place);
      else if (opcode === op.END && open.length > 0) this.#ends.set(open.pop() as number, place);
    }
  }

  /** Once from the function's entry to an end of it, or so many steps. */
  walk(steps: number): void {
    const { locals, parameters } = this.#body;
    const account = opened(ENTRY + Math.floor((locals.length - parameters) / LOCALS));
    this.#labels = [{ opcode: op.BLOCK, place: -1, account }];
    this.#place = 0;
    for (let step = 0; step < steps && this.problem === null; step++) {
      const opcode = this.#body.ops[this.#place] as number;
      this.#pass(opcode);
      this.steps++;
      if (this.#follow(opcode)) return;
    }
  }

  get #account(): Account {
    return this.#labels.findLast((label) => label.account !== null)?.account as Account;
  }

  #pass(opcode: number): void {
    const account = this.#account;
    const charge = this.#charges.get(this.#place);
    if (charge !== undefined) {
      account.charged += charge;
      account.charges++;
    }
    for (const sum of [account, account.piece]) {
      sum.weights += op.GAS[opcode] as number;
      if (!PLACES.has(opcode)) sum.instructions++;
    }
    if (CUTS.has(opcode)) cut(account);
    const { charged, weights, instructions } = account;
    if (charged < weights || charged < instructions / INSTRUCTIONS)
      this.#report(`${charged} charged for ${weights} gas and ${instructions} instructions`);
  }

  #report(what: string): void {
    this.problem ??= `at ${this.#place}, ${op.NAMES[this.#body.ops[this.#place] as number]}: ${what}`;
  }

  /** Takes one of the ways behind the instruction; returns whether the walk is over. */
  #follow(opcode: number): boolean {
    const place = this.#place;
    const labels = this.#labels;
    const immediate = this.#body.a[place] as number;
    const heads = this.#random.chance(50);
    switch (opcode) {
      case op.BLOCK:
        labels.push({ opcode, place, account: null });
        break;
      case op.LOOP:
        this.#branches();
        labels.push({ opcode, place, account: opened(TURN) });
        break;
      case op.IF: {
        this.#branches();
        const otherwise = this.#elses.get(place);
        if (heads || otherwise !== undefined) labels.push({ opcode, place, account: null });
        if (!heads) this.#place = otherwise ?? (this.#ends.get(place) as number);
        break;
      }
      case op.ELSE:
        return this.#jump(0);
      case op.END: {
        const { account } = labels.pop() as Label;
        if (account !== null) this.#close(account, labels.length > 0);
        if (labels.length === 0) return true;
        break;
      }
      case op.BR:
        return this.#jump(immediate);
      case op.BR_IF:
        this.#branches();
        if (heads) return this.#jump(immediate);
        break;
      case op.BR_TABLE:
        this.#branches();
        return this.#jump(this.#random.pick(this.#body.labels[immediate] as number[]));
      case op.RETURN:
        return this.#jump(labels.length - 1);
      case op.UNREACHABLE:
        return true;
    }
    this.#place++;
    return false;
  }

  #branches(): void {
    this.#account.slack += this.#account === this.#labels[0]?.account ? SLACK.function : SLACK.loop;
  }

  #jump(label: number): boolean {
    const target = this.#labels.length - 1 - label;
    while (this.#labels.length - 1 > target) {
      const { account } = this.#labels.pop() as Label;
      if (account !== null) this.#close(account, true);
    }
    const { opcode, place, account } = this.#labels[target] as Label;
    if (opcode === op.LOOP) {
      this.#close(account as Account, false);
      Object.assign(account as Account, opened(TURN));
      this.#place = place + 1;
      return false;
    }
    this.#labels.pop();
    if (account !== null) this.#close(account, false);
    this.#place = (this.#ends.get(place) ?? 0) + 1;
    return target === 0;
  }

  /** Nothing more was charged than the rule allows. */
  #close({ charged, charges, cost, slack }: Account, left: boolean): void {
    const most = cost + charges + slack + (left ? SLACK.function : 0);
    if (charged > most) this.#report(`${charged} charged where ${cost} gas are due, at most ${most}`);
  }
}
