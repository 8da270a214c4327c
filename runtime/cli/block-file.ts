/**
 * Files of transactions, which `run` makes blocks of. A line is a block:
 *
 *   [transaction, …]   or   { "time": milliseconds, "transactions": [transaction, …] }
 *   transaction        { "call": "Bank.pay", "args": { … }, "from": "0x…" or "$0", "gas": N, "expect": … }
 *
 * "expect" is the wanted outcome of a transaction: "ok", or the name of a failure.
 */

import { UsageError } from "../errors.ts";
import { withAccounts } from "../node/accounts.ts";
import { isObject } from "../node/rpc.ts";
import { callNamed } from "../node/values.ts";
import { Client, type Transaction } from "../typed/client.ts";
import type { Interface } from "../typed/interface.ts";
import { parseJson } from "./app-file.ts";
import { readInput } from "./commands/files.ts";

/** A line of the file. */
export interface BlockLine {
  /** From 1 on. */
  readonly number: number;
  readonly time: number | undefined;
  readonly calls: readonly FileCall[];
}

/** A transaction of the file. */
export interface FileCall {
  readonly call: Transaction;
  readonly from: `0x${string}`;
  readonly gas: number | undefined;
  readonly expect: unknown;
}

/** Text of a file whose lines are JSON of the right form. */
interface Line extends Omit<BlockLine, "calls"> {
  readonly transactions: readonly Record<string, unknown>[];
}

/**
 * All lines of the file, checked, as calls of this program.
 *
 * @throws UsageError (BAD_OPTION, BAD_FILE, BAD_ARGUMENT) with the line
 */
export function readBlockFile(file: string): (description: Interface) => BlockLine[] {
  const lines = readLines(file, Buffer.from(readInput(file)).toString("utf8"));
  return (description) => {
    const client = new Client(description);
    return lines.map(({ transactions, ...line }) => ({
      ...line,
      calls: transactions.map((each) => callOf(file, line.number, client, each)),
    }));
  };
}

function callOf(file: string, line: number, client: Client, given: Record<string, unknown>): FileCall {
  const { call, args, from = "$0", gas, expect } = given;
  try {
    const made = callNamed(client.description, client.contracts, String(call), withAccounts(args));
    const sender = withAccounts(from) as `0x${string}`;
    client.input(made, sender);
    if (made.kind !== "transaction") throw new UsageError("BAD_ARGUMENT", `${call} is not a transaction`);
    return { call: made as Transaction, from: sender, gas: gas as number | undefined, expect };
  } catch (error) {
    if (error instanceof UsageError) error.message = `${file}:${line}: ${error.message}`;
    throw error;
  }
}

function readLines(file: string, text: string): Line[] {
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    const value = parseJson(`${file}:${i + 1}`, line);
    const { time, transactions = value } = (isObject(value) ? value : {}) as {
      time?: number;
      transactions?: unknown;
    };
    const isTime = time === undefined || Number.isSafeInteger(time);
    if (Array.isArray(transactions) && transactions.every(isObject) && isTime)
      return [{ number: i + 1, time, transactions }];
    const wanted = "a line is a list of transactions, or an object with time and transactions";
    throw new UsageError("BAD_FILE", `${file}:${i + 1}: ${wanted}`, { file });
  });
}
