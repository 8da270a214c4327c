/** The contract as the host sees it: an App over guest/bank.ts, which exists once its money does. */

import { App, type AppOptions, type Query, type Transaction } from "../../runtime/app/index.ts";
import { loadGuest } from "../guests.ts";

/** An address, "0x" and forty digits. */
export type Address = `0x${string}`;

/** The functions of guest/bank.ts. */
export interface Contract {
  readonly Bank: {
    found(args: { amount: bigint }): Transaction<undefined>;
    pay(args: { sequence: bigint; to: Address; amount: bigint }): Transaction<bigint>;
    total(): Query<bigint>;
    account(args: { who: Address }): Query<{ balance: bigint; sequence: bigint }>;
  };
}

export type Bank = App<Contract>;

/** Gas of a payment: it takes about 60,000. */
export const GAS = 200_000;
/** Blocks whose inputs are kept, so that a node that was away can go on from where it stood. */
const ARCHIVE = 1_000_000;

export const bankProgram = (): Promise<Uint8Array> => loadGuest("producer/bank");

/** Opens the bank in a store. All nodes have the same program, and the same rules: those of the default. */
export async function openBank(options: Omit<AppOptions, "program" | "contract">): Promise<Bank> {
  return App.open<Contract>({ program: await bankProgram(), archiveBlocks: ARCHIVE, gas: GAS, ...options });
}

/** Makes all the money, for `founder`, unless that has been done: the first block after the program's. */
export async function foundBank(bank: Bank, founder: Address, amount: bigint): Promise<void> {
  if (bank.state.supply?.value !== 0n) return;
  const founded = bank.submit(bank.client.Bank.found({ amount }), { from: founder });
  await bank.produce();
  const outcome = await founded;
  if (!outcome.ok) throw new Error(`the bank cannot be founded: ${outcome.error}`);
}
