/**
 * The transactions of a block of an App, from its message and its data: nothing is executed. Of signed
 * transactions the message has what the authenticator takes, so their callers and arguments are known only
 * once the block is executed again.
 */

import { programIn, type Result, readBlock, readResults } from "../app/blocks.ts";
import { described, type TracedTransaction } from "../app/trace.ts";
import { UsageError } from "../errors.ts";
import type { Block } from "../index.ts";
import type { Client, Outcome } from "../typed/client.ts";
import type { Source } from "./source.ts";

/** Where an App has its program, and what authenticates. */
const APP: readonly number[] = [1];
const AUTHENTICATOR: readonly number[] = [2];

/** What a block says of its transactions. */
export interface Transactions {
  readonly client: Client;
  readonly results: readonly Result[];
  /** What each was given; empty where that is signed. */
  readonly inputs: readonly Uint8Array[];
  readonly isSigned: boolean;
  readonly time: bigint;
}

/** A transaction, as far as the block tells. */
export type Told = Pick<TracedTransaction, "number" | "call"> & {
  readonly args: Readonly<Record<string, unknown>> | null;
  readonly from: string | null;
  /** Null: it was not run, for want of gas. */
  readonly outcome: Outcome | null;
  readonly gasWanted: number;
};

/** Null: the block is not one with transactions of an App. */
export function transactionsOf({ chain, programs }: Source, block: Block): Transactions | null {
  const begins = programIn(block.data);
  if (begins === null || block.height === 0) return null;
  const message = messageOf(chain.input(block).metadata);
  const latest = message === null ? null : chain.inspect(APP, block);
  if (message === null || latest === null) return null;
  const names = [latest.program, ...chain.rules(block).programs];
  const name = names.find((each) => each.startsWith(begins));
  const client = name === undefined ? null : programs.get(name).client;
  if (client === null) return null;
  const isSigned = chain.inspect(AUTHENTICATOR, block) !== null;
  const { entries, time } = message;
  const inputs = isSigned ? [] : entries.map(({ bytes }) => bytes);
  return { client, results: readResults(block.data), inputs, isSigned, time };
}

function messageOf(metadata: Uint8Array): ReturnType<typeof readBlock> {
  try {
    return readBlock(metadata);
  } catch (error) {
    if (error instanceof UsageError || error instanceof RangeError) return null;
    throw error;
  }
}

/** One of them. */
export function told({ client, results, inputs }: Transactions, number: number): Told {
  const result = results[number] ?? null;
  const input = inputs[number];
  const call = input === undefined ? null : described(client, input);
  const selector = result?.selector ?? -1;
  const named = client.description.functions.find((each) => each.selector === selector);
  return {
    number,
    call: call?.call ?? (named === undefined ? null : `${named.contract}.${named.name}`),
    args: call?.args ?? null,
    from: call?.from ?? null,
    outcome: result === null ? null : outcomeOf(client, result),
    gasWanted: result?.gasWanted ?? 0,
  };
}

function outcomeOf(client: Client, result: NonNullable<Result>): Outcome | null {
  try {
    return client.outcome(result.selector, result);
  } catch (error) {
    if (error instanceof RangeError) return null; // the program has no record of that event any more
    throw error;
  }
}
