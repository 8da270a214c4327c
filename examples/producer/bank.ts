/** The contract as the host sees it: an App over guest/bank.ts, which exists once its money does. */

import { App, type AppOptions, type Query, type Transaction } from "../../runtime/app/index.ts";
import { UsageError } from "../../runtime/index.ts";
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
/** Blocks whose inputs are kept, so that a node that was away can continue from where it stood. */
const ARCHIVE = 1_000_000;

export const bankProgram = (): Promise<Uint8Array> => loadGuest("producer/bank");

/**
 * Opens the bank in a store. With `program` it must be that one, or is made with it; without, the bank is
 * there, and has the program that its last upgrade gave it. The rules are those of the default.
 */
export async function openBank(options: Omit<AppOptions, "contract">): Promise<Bank> {
  return App.open<Contract>({ archiveBlocks: ARCHIVE, gas: GAS, ...options });
}

/** Opens the bank with `program` if it is new, else with what it has; `isOther`: that is another one. */
export async function openBankWith(
  program: Uint8Array,
  options: Omit<AppOptions, "contract" | "program">,
): Promise<{ readonly bank: Bank; readonly isOther: boolean }> {
  try {
    return { bank: await openBank({ ...options, program }), isOther: false };
  } catch (error) {
    if (!(error instanceof UsageError) || error.code !== "UPGRADE") throw error;
    return { bank: await openBank(options), isOther: true };
  }
}

/** The bank has another program than the one that it is to be opened with. */
export function otherProgram(): UsageError {
  const text =
    "the bank of the store has another program than guest/bank.ts; --upgrade gives it this one, in a block";
  return new UsageError("UPGRADE", text);
}

/**
 * Makes all the money, for `founder`, unless that has been done: the first block after the program's, which
 * `produce` makes.
 */
export async function foundBank(
  bank: Bank,
  founder: Address,
  amount: bigint,
  produce: () => Promise<unknown>,
): Promise<void> {
  if (bank.state.supply?.value !== 0n) return;
  const founded = bank.submit(bank.client.Bank.found({ amount }), { from: founder });
  await produce();
  const outcome = await founded;
  if (!outcome.ok) throw new Error(`the bank cannot be founded: ${outcome.error}`);
}
