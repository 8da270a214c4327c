/** stillpoint inspect DIR trace: runs a block once more, in a runtime in memory from its parent. */

import { formatFaults, type TraceEvent } from "../../debug.ts";
import { UsageError } from "../../errors.ts";
import { Runtime } from "../../index.ts";
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
  const { events } = await withProgress("tracing", async () => {
    await using runtime = await Runtime.open({
      from: { store: args.DIR, block: parent.id },
      workers: 1,
      views: 0,
      heapBytes: HEAP_BYTES,
    });
    return runtime.trace(input);
  });
  const shown = options.faults
    ? events.filter((event) => "stack" in event && event.fault !== "none")
    : events;
  if (json) for (const event of shown) print(toJson(event));
  else if (options.faults) print(formatFaults(shown) || "nothing faulted");
  else for (const event of shown) print(lineOf(event));
  return EXIT_OK;
};

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
