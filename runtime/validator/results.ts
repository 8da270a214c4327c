/** What became of the transactions of an App's block, in CometBFT's terms: functions of the block's data. */

import type { Answer } from "../abci/index.ts";
import { type Result, resultIn } from "../app/blocks.ts";
import { prefixedHex } from "../text.ts";
import type { Client, Event, Outcome } from "../typed/client.ts";

/** The result of a transaction: what FinalizeBlock and CheckTx say of it. */
export interface TxResult {
  readonly code?: number;
  readonly codespace?: string;
  readonly log?: string;
  readonly gasWanted?: bigint;
  readonly gasUsed?: bigint;
}

type AbciEvent = NonNullable<Awaited<Answer<"ResponseFinalizeBlockSchema">>["events"]>[number];

/** The same in a block, with what the transaction returned, encoded, and its events. */
export interface BlockTxResult extends TxResult {
  readonly data?: Uint8Array;
  readonly events?: AbciEvent[];
}

/** The codespace of `TRANSACTION_CODES`. */
export const TRANSACTION_CODESPACE = "app";

/**
 * Codes of transactions of an App by what became of them. "failed": the contract failed with words of its
 * own, or of the SDK; "fault": it faulted otherwise than by an abort or for want of gas. 0: it succeeded.
 */
export const TRANSACTION_CODES = {
  failed: 1,
  "out of gas": 2,
  abort: 3,
  fault: 4,
  "not run": 5,
  "no such function": 6,
  input: 7,
  refused: 8,
  "bad signature": 9,
  "other chain": 10,
  expired: 11,
  used: 12,
  "too many senders": 13,
  "not authenticated": 14,
} as const satisfies Readonly<Record<string, number>>;

/** Whether an honest proposer puts a transaction with this result into a block: it was let in, and ran. */
export function isProper(result: Result): boolean {
  return result !== null && result.refusal === undefined;
}

/** The outcome of a result; null: it was not run. */
export function outcomeOf(client: Client, result: Result): Outcome | null {
  return result && client.outcome(result.selector, result);
}

/** The result of a transaction. */
export function txResult(client: Client, result: Result): BlockTxResult {
  const outcome = outcomeOf(client, result);
  if (result === null || outcome === null)
    return { code: TRANSACTION_CODES["not run"], codespace: TRANSACTION_CODESPACE, log: "not run" };
  const gas = { gasWanted: BigInt(result.gasWanted), gasUsed: BigInt(result.gasUsed) };
  if (outcome.ok) return { ...gas, data: resultIn(result), events: outcome.events.map(eventOf) };
  const { error, at, reason } = outcome;
  const log = [error, at && `at ${at}`, reason].filter((text) => text !== undefined).join(" ");
  const code = TRANSACTION_CODES[nameOf(result, error)];
  return { ...gas, code, codespace: TRANSACTION_CODESPACE, log };
}

function nameOf({ refusal, fault }: NonNullable<Result>, error: string): keyof typeof TRANSACTION_CODES {
  if (refusal !== undefined) return refusal;
  if (fault === "out-of-gas") return "out of gas";
  if (fault !== "abort") return "fault";
  return error === "abort" || error === "no such function" ? error : "failed";
}

/** An event, all of whose fields CometBFT indexes: integers in decimal, bytes in hex, lists as JSON. */
export function eventOf({ name, fields }: Event): AbciEvent {
  const attributes = Object.entries(fields).map(([key, value]) => ({
    key,
    value: textOf(value),
    index: true,
  }));
  return { type: name, attributes };
}

function textOf(value: unknown): string {
  const plain = plainOf(value);
  return typeof plain === "string" ? plain : JSON.stringify(plain);
}

/** A value without bytes and large integers, which JSON does not have. */
function plainOf(value: unknown): unknown {
  if (value instanceof Uint8Array) return prefixedHex(value);
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return value.map(plainOf);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plainOf(each)]));
}
