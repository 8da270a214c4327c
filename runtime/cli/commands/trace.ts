/** stillpoint inspect DIR trace: runs a block once more, in a runtime in memory from its parent. */

import { formatTransactions } from "../../app/index.ts";
import { traceTried } from "../../app/trace.ts";
import { formatFaults, type TraceEvent } from "../../debug.ts";
import { UsageError } from "../../errors.ts";
import { Runtime } from "../../index.ts";
import { jsonOf } from "../../node/values.ts";
import { openReader } from "../../store.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_OK, grouped, print, toJson, withProgress } from "../terminal.ts";
import { blockNamed, HEAP_BYTES, pathText } from "./naming.ts";

export const trace: Handler<Spec<"inspect trace">> = async ({ args, options, json }) => {
  await using reader = await openReader(args.DIR);
  const block = blockNamed(reader, args.BLOCK);
  if (block.height === 0)
    throw new UsageError("NOT_RETAINED", "block 0 has no parent to run it from: trace a later one");
  const parent = reader.retained().find(({ id }) => id === block.parent);
  if (parent === undefined) {
    const text = `the store does not hold block ${block.height - 1} any more, on which this one was made`;
    throw new UsageError("NOT_RETAINED", text, { height: block.height - 1 });
  }
  const input = reader.input(block);
  const traced = await withProgress("tracing", async () => {
    await using runtime = await Runtime.open({
      from: { store: args.DIR, block: parent.id },
      workers: 1,
      views: 1,
      heapBytes: HEAP_BYTES,
    });
    return await traceTried(runtime, input, options.app); // before it is closed
  });
  const events = traced.events.filter((event) => !options.faults || isFault(event));
  const transactions = traced.transactions.filter(({ outcome }) => !options.faults || !outcome.ok);
  if (json) {
    for (const event of events) print(toJson(event));
    for (const each of transactions) print(toJson({ what: "transaction", ...(jsonOf(each) as object) }));
    return EXIT_OK;
  }
  if (options.faults) print(formatFaults(events) || "nothing faulted");
  else for (const event of events) print(lineOf(event));
  if (transactions.length > 0) print(`\nTransactions:\n${formatTransactions({ transactions })}`);
  return EXIT_OK;
};

function isFault(event: TraceEvent): boolean {
  return "stack" in event && event.fault !== "none";
}

function lineOf(event: TraceEvent): string {
  const indent = "  ".repeat(event.path.length);
  const who = pathText(event.path);
  switch (event.what) {
    case "begin":
      return `${indent}${who} begins, with ${grouped(event.gas)} gas`;
    case "end":
      return `${indent}${who} ${event.status}, ${grouped(event.gasUsed)} gas${faultOf(event)}`;
    case "item":
      return `${indent}${who} item ${event.item}, ${grouped(event.gasUsed)} gas${faultOf(event)}`;
    case "grow":
      return `${indent}${who} grows from ${event.result} pages of 64 KiB`;
    default:
      return `${indent}${who} ${event.what} ${event.child}: ${event.result}`;
  }
}

function faultOf({ fault, text }: { readonly fault: string; readonly text: string }): string {
  return fault === "none" ? "" : `, ${fault}${text && `: ${text}`}`;
}
