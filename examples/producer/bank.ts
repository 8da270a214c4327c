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
const OTHER_PROGRAM =
  "the bank of the store has another program than guest/bank.ts; --upgrade gives it this one, in a block";
/** Blocks whose inputs are kept, so that a node that was away can go on from where it stood. */
const ARCHIVE = 1_000_000;

export const bankProgram = (): Promise<Uint8Array> => loadGuest("producer/bank");

/**
 * Opens the bank in a store. With `program` it must be that one, or is made with it; without, the bank is
 * there, and has the program that its last upgrade gave it. The rules are those of the default.
 */
export async function openBank(options: Omit<AppOptions, "contract">): Promise<Bank> {
  return App.open<Contract>({ archiveBlocks: ARCHIVE, gas: GAS, ...options });
}

/** Opens the bank with `program`, and upgrades it if it has another and `isUpgrade` says so. */
export async function openBankWith(
  program: Uint8Array,
  options: Omit<AppOptions, "contract" | "program">,
  isUpgrade: boolean,
): Promise<Bank> {
  try {
    return await openBank({ ...options, program });
  } catch (error) {
    if (!(error instanceof UsageError) || error.code !== "UPGRADE") throw error;
    if (!isUpgrade) throw new UsageError("UPGRADE", OTHER_PROGRAM, error.facts, { cause: error });
  }
  const bank = await openBank(options);
  try {
    await bank.upgrade({ program });
    return bank;
  } catch (error) {
    await bank.close();
    throw error;
  }
}

/** Makes all the money, for `founder`, unless that has been done: the first block after the program's. */
export async function foundBank(bank: Bank, founder: Address, amount: bigint): Promise<void> {
  if (bank.state.supply?.value !== 0n) return;
  const founded = bank.submit(bank.client.Bank.found({ amount }), { from: founder });
  await bank.produce();
  const outcome = await founded;
  if (!outcome.ok) throw new Error(`the bank cannot be founded: ${outcome.error}`);
}
