/**
 * The transactions of a block of an App, from its message and its data: nothing is executed. Of those that an
 * authenticator has let in the message has what that takes: it is read if it is `signed()`'s.
 */

import { programIn, type Result, readBlock, readResults } from "../app/blocks.ts";
import { INPUT_BYTES } from "../app/guest/messages.ts";
import { readSigned } from "../app/signer.ts";
import { described, type TracedTransaction } from "../app/trace.ts";
import { UsageError } from "../errors.ts";
import type { Block } from "../index.ts";
import type { Client, Outcome } from "../typed/client.ts";
import { BlockData } from "./layout.ts";
import type { Source } from "./source.ts";

/** Where an App has its program, and what authenticates. */
const APP: readonly number[] = [1];
const AUTHENTICATOR: readonly number[] = [2];

/** What a block says of its transactions. */
export interface Transactions {
  readonly client: Client;
  readonly results: readonly Result[];
  /** What each was given; null where an author's own authenticator knows that alone, or has refused it. */
  readonly inputs: readonly (Uint8Array | null)[];
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
export function transactionsOf(source: Source, block: Block): Transactions | null {
  const found = readableOf(source, block);
  if (found === null || source.chain.inspect(APP, block) === null) return null;
  const isAuthenticated = source.chain.inspect(AUTHENTICATOR, block) !== null;
  const { entries, time } = found.message;
  const results = readResults(block.data);
  const inputs = entries.map(({ bytes }, number) =>
    isAuthenticated ? inputOfSigned(bytes, results[number]?.selector) : bytes,
  );
  return { client: found.client, results, inputs, time };
}

/** The input of a signed transaction; it is one only if it has called what the block says. */
function inputOfSigned(bytes: Uint8Array, called: number | undefined): Uint8Array | null {
  const signed = readSigned(bytes);
  if (signed === null || signed.selector !== called) return null;
  const input = Buffer.alloc(INPUT_BYTES + signed.args.length);
  input.writeUInt32LE(signed.selector);
  input.write(signed.sender.slice(2), 4, "hex");
  input.set(signed.args, INPUT_BYTES);
  return input;
}

/** How many transactions a block has, and how many of them failed: without a look at its state. */
export function countsOf(source: Source, block: Block): { count: number; failed: number } | null {
  if (readableOf(source, block) === null) return null;
  const results = readResults(block.data);
  return { count: results.length, failed: results.filter(isFailed).length };
}

export function isFailed(result: Result): boolean {
  return result === null || result.fault !== "none" || result.refusal !== undefined;
}

/** The message of a block of an App, and the client of the program that ran it; null: it is not one. */
function readableOf({ chain, programs }: Source, block: Block) {
  const begins = programIn(block.data);
  if (begins === null || block.height === 0) return null;
  const message = messageOf(chain.input(block).metadata);
  const name = chain.rules(block).programs.find((each) => each.startsWith(begins));
  const client = name === undefined ? null : programs.get(name).client;
  return message === null || client === null ? null : { message, client };
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
  const call = input == null ? null : described(client, input);
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

/** The data of a block, if the program of the root tells what it is. No state is looked at. */
export function blockDataOf({ chain, programs }: Source, block: Block): BlockData | null {
  for (const name of chain.rules(block).programs) {
    const { dataLayout } = programs.get(name);
    if (dataLayout !== null) return new BlockData(dataLayout, block.data);
  }
  return null;
}
