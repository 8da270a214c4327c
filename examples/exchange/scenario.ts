/**
 * A made-up day on the exchange: holders who swap and pay each other, and now and then somebody who tries
 * what is not allowed. Equal seeds make equal days.
 */

import { type Holder, type Pair, signTransaction, type Token, type Wish } from "./encode.ts";
import type { Order } from "./reference.ts";
import { KEYS, Wallet } from "./wallet.ts";

export interface Scenario {
  readonly reserves: Pair;
  readonly holders: readonly Holder[];
  /** Transactions as they are sent, and as the reference gets them. */
  readonly transactions: readonly { readonly bytes: Uint8Array; readonly order: Order }[];
}

const BALANCE = 1_000_000n;
const RESERVES: Pair = [5_000_000n, 20_000_000n];

/** A day with so many wallets, each of which uses up its keys. */
export function makeScenario(seed: number, wallets: number): Scenario {
  const next = numbers(seed);
  const pick = (count: number): number => next() % count;
  const owners = Array.from({ length: wallets }, (_, i) => new Wallet(`wallet ${seed} ${i}`));
  const transactions: { bytes: Uint8Array; order: Order }[] = [];
  const wish = (): Wish => {
    const token = pick(2) as Token;
    const amount = BigInt(pick(10) === 0 ? pick(4_000_000) : pick(40_000));
    if (pick(3) === 0) return { kind: "transfer", token, to: owners[pick(wallets)]!.address, amount };
    const expected = token === 0 ? amount * 4n : amount / 4n;
    return { kind: "swap", token, amount, minimum: (expected * BigInt(70 + pick(35))) / 100n };
  };
  const used = owners.map(() => 0);
  while (used.some((key) => key < KEYS)) {
    const i = pick(wallets);
    const owner = owners[i]!;
    const key = used[i]!;
    if (key === KEYS) continue;
    used[i] = key + 1;
    const order = { from: owner.address, key, wish: wish(), isSigned: true };
    const bytes = signTransaction(owner, key, order.wish);
    const trick = pick(20);
    if (trick === 0) {
      const forged = forge(bytes, pick(2300), pick(8));
      transactions.push({ bytes: forged, order: { ...order, from: forged.slice(0, 20), isSigned: false } });
    } else {
      transactions.push({ bytes, order });
    }
    if (trick === 1) transactions.push(transactions[pick(transactions.length)]!);
  }
  const holders = owners.map(({ address }) => ({ address, balances: [BALANCE, BALANCE] as const }));
  return { reserves: RESERVES, holders, transactions };
}

/** Flips a bit of what is signed or of the signature, but none of the key's number. */
function forge(bytes: Uint8Array, place: number, bit: number): Uint8Array {
  const forged = bytes.slice();
  const at = place < 64 ? place : place + 20;
  forged[at] = (forged[at] as number) ^ (1 << bit);
  return forged;
}

/** A small generator of random 31-bit numbers. */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state ^ (state >>> 15)) >>> 1;
  };
}
