/**
 * The exchange's rules in plain sequential TypeScript: what the processes are compared with. It believes
 * the given results of signatures.
 */

import type { Pair, Result, Setup, Status, Token, Wish } from "./encode.ts";

/** A transaction, and what its maker knows of it. */
export interface Order {
  readonly from: Uint8Array;
  readonly key: number;
  readonly wish: Wish;
  readonly isSigned: boolean;
}

/** The holder of the pool's tokens. */
export const POOL_ADDRESS = new Uint8Array(20);

class Refused extends Error {
  readonly status: Status;

  constructor(status: Status) {
    super(status);
    this.status = status;
  }
}

export class ReferenceExchange {
  /** By address, in hexadecimal digits. */
  readonly balances: [Map<string, bigint>, Map<string, bigint>] = [new Map(), new Map()];
  /** The first key that may still be used, by address. */
  readonly keys = new Map<string, number>();
  reserves: [bigint, bigint];

  constructor({ reserves, holders }: Pick<Setup, "reserves" | "holders">) {
    this.reserves = [...reserves];
    for (const token of [0, 1] as const) {
      this.balances[token].set(hex(POOL_ADDRESS), reserves[token]);
      for (const { address, balances } of holders) this.balances[token].set(hex(address), balances[token]);
    }
    for (const { address } of holders) this.keys.set(hex(address), 0);
  }

  /** Applies one order, or leaves everything as it was. */
  apply(order: Order): Result {
    const balances = this.balances.map((each) => new Map(each));
    const reserves: Pair = [...this.reserves];
    try {
      return { status: "applied", received: this.#run(order) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.balances[0] = balances[0]!;
      this.balances[1] = balances[1]!;
      this.reserves = [...reserves];
      return { status: error.status, received: 0n };
    }
  }

  #run({ from, key, wish, isSigned }: Order): bigint {
    const sender = hex(from);
    if (!isSigned) throw new Refused("bad signature");
    if (key < (this.keys.get(sender) ?? 0)) throw new Refused("replay");
    const received = wish.kind === "transfer" ? this.#transfer(sender, wish) : this.#swap(sender, wish);
    this.keys.set(sender, key + 1);
    return received;
  }

  #transfer(sender: string, { token, to, amount }: Wish & { kind: "transfer" }): bigint {
    this.#pay(token, sender, hex(to), amount);
    return 0n;
  }

  #swap(sender: string, { token, amount, minimum }: Wish & { kind: "swap" }): bigint {
    const other = token === 0 ? 1 : 0;
    this.#pay(token, sender, hex(POOL_ADDRESS), amount);
    const counted = amount * 997n;
    const received = (this.reserves[other] * counted) / (this.reserves[token] * 1000n + counted);
    if (received < minimum) throw new Refused("slippage");
    this.reserves[token] += amount;
    this.reserves[other] -= received;
    this.#pay(other, hex(POOL_ADDRESS), sender, received);
    return received;
  }

  #pay(token: Token, from: string, to: string, amount: bigint): void {
    const balances = this.balances[token];
    const before = balances.get(from) ?? 0n;
    if (amount > before) throw new Refused("overdraft");
    balances.set(from, before - amount);
    balances.set(to, (balances.get(to) ?? 0n) + amount);
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
