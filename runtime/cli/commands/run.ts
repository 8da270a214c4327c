/** stillpoint run: blocks of transactions from a file (block-file.ts). */

import { App, type Produced } from "../../app/index.ts";
import { jsonOf } from "../../node/values.ts";
import type { Outcome } from "../../typed/client.ts";
import { loadApp } from "../app-file.ts";
import { readBlockFile } from "../block-file.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { counted, EXIT_FAILED, EXIT_OK, grouped, Progress, print, printError, toJson } from "../terminal.ts";

const SECOND_MS = 1000;

export const run: Handler<Spec<"run">> = async ({ args, options, json }) => {
  // All lines are read, and checked, before a block is made.
  const blocksOf = readBlockFile(args.BLOCKS);
  const { program, description, setup } = await loadApp(options.app, options.setup);
  const blocks = blocksOf(description);
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
  for (const [i, { number, time: given, calls }] of blocks.entries()) {
    progress.part(`line ${number}`, i, blocks.length);
    // Without a store the same file gives the same roots.
    const time = given ?? (store === undefined ? (i + 1) * SECOND_MS : undefined);
    const waiting = calls.map(({ call, from, gas }) =>
      app.submit(call, { from, ...(gas !== undefined && { gas }) }),
    );
    do {
      const made = await app.produce(time === undefined ? {} : { time });
      progress.clear();
      print(json ? toJson(jsonLine(made)) : textLine(made));
    } while (app.waiting.length > 0); // those that a block has no gas for
    const ended = await Promise.all(waiting);
    wrong += calls.filter(({ expect }, j) => differs(number, j, expect, ended[j] as Outcome)).length;
  }
  return wrong === 0 ? EXIT_OK : EXIT_FAILED;
};

function jsonLine({ block: { height, id, root, gasUsed }, outcomes }: Produced): object {
  return { height, id, root, gasUsed, outcomes: outcomes.map(jsonOf) };
}

function textLine({ block: { height, root, gasUsed }, outcomes }: Produced): string {
  return `block ${height}  ${counted(outcomes.length, "transaction")}  ${grouped(gasUsed)} gas  root ${root}`;
}

function differs(line: number, index: number, expect: unknown, outcome: Outcome): boolean {
  const is = outcome.ok ? "ok" : outcome.error;
  if (expect === undefined || expect === is) return false;
  printError(`line ${line}, transaction ${index + 1}: ${is}, expected ${expect}`);
  return true;
}
