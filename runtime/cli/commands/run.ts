/**
 * stillpoint run: blocks of transactions from a file. A line is a block:
 *
 *   [transaction, …]   or   { "time": milliseconds, "transactions": [transaction, …] }
 *   transaction        { "call": "Bank.pay", "args": { … }, "from": "0x…" or "$0", "gas": N, "expect": … }
 *
 * "expect" is the wanted outcome of a transaction: "ok", or the name of a failure.
 */

import { App, type Produced } from "../../app/index.ts";
import { UsageError } from "../../errors.ts";
import { withAccounts } from "../../node/accounts.ts";
import { isObject } from "../../node/rpc.ts";
import { callNamed, jsonOf } from "../../node/values.ts";
import { Client, type Outcome, type Transaction } from "../../typed/client.ts";
import { loadApp, parseJson } from "../app-file.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_FAILED, EXIT_OK, grouped, Progress, print, printError, toJson } from "../terminal.ts";
import { readInput } from "./files.ts";

const SECOND_MS = 1000;

interface Line {
  readonly number: number;
  readonly time: number | undefined;
  readonly transactions: readonly Record<string, unknown>[];
}

export const run: Handler<Spec<"run">> = async ({ args, options, json }) => {
  // All lines are read, and checked, before a block is made.
  const lines = readLines(args.BLOCKS, Buffer.from(readInput(args.BLOCKS)).toString("utf8"));
  const { program, description, setup } = await loadApp(options.app, options.setup);
  const client = new Client(description);
  const blocks = lines.map((line) => ({ line, calls: line.transactions.map((each) => callOf(line, each)) }));
  const { workers, store, runner } = options;
  await using app = await App.open({
    program,
    setup,
    ...(store !== undefined && { store }),
    ...(workers !== undefined && { workers }),
    ...(runner !== undefined && { runner }),
  });
  const progress = new Progress();
  let wrong = 0;
  for (const [i, { line, calls }] of blocks.entries()) {
    progress.show(`block ${i + 1} of ${blocks.length}`);
    // Without a store the same file gives the same roots.
    const time = line.time ?? (store === undefined ? (i + 1) * SECOND_MS : undefined);
    const waiting = calls.map(({ call, from, gas }) =>
      app.submit(call, { from, ...(gas !== undefined && { gas }) }),
    );
    do {
      const made = await app.produce(time === undefined ? {} : { time });
      progress.clear();
      print(json ? toJson(jsonLine(made)) : textLine(made));
    } while (app.waiting.length > 0); // those that a block has no gas for
    const ended = await Promise.all(waiting);
    wrong += calls.filter(({ expect }, j) => differs(line, j, expect, ended[j] as Outcome)).length;
  }
  return wrong === 0 ? EXIT_OK : EXIT_FAILED;

  function callOf(line: Line, { call, args: given, from = "$0", gas, expect }: Record<string, unknown>) {
    try {
      const made = callNamed(description, client.contracts, String(call), withAccounts(given));
      const sender = withAccounts(from) as `0x${string}`;
      client.input(made, sender);
      if (made.kind !== "transaction") throw new UsageError("BAD_ARGUMENT", `${call} is not a transaction`);
      return { call: made as Transaction, from: sender, gas: gas as number | undefined, expect };
    } catch (error) {
      if (error instanceof UsageError) error.message = `${args.BLOCKS}:${line.number}: ${error.message}`;
      throw error;
    }
  }
};

function jsonLine({ block: { height, id, root, gasUsed }, outcomes }: Produced): object {
  return { height, id, root, gasUsed, outcomes: outcomes.map(jsonOf) };
}

function textLine({ block: { height, root, gasUsed }, outcomes }: Produced): string {
  return `block ${height}  ${grouped(outcomes.length)} transactions  ${grouped(gasUsed)} gas  root ${root}`;
}

function differs(line: Line, index: number, expect: unknown, outcome: Outcome): boolean {
  const is = outcome.ok ? "ok" : outcome.error;
  if (expect === undefined || expect === is) return false;
  printError(`line ${line.number}, transaction ${index + 1}: ${is}, expected ${expect}`);
  return true;
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
