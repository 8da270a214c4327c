/** stillpoint inspect DIR trace: runs a block once more, in a runtime in memory from its parent. */

import { type AppTrace, formatTrace } from "../../app/index.ts";
import { traceTried } from "../../app/trace.ts";
import { isLocked, Remade } from "../../chain/remade.ts";
import { formatFaults, readRecording, type TraceEvent } from "../../debug.ts";
import { UsageError } from "../../errors.ts";
import { type Block, type BlockInput, Runtime } from "../../index.ts";
import { jsonOf } from "../../node/values.ts";
import { openReader, type Reader } from "../../store.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_OK, hasColors, print, toJson, withProgress } from "../terminal.ts";
import { blockNamed, HEAP_BYTES } from "./naming.ts";
import { failedOf } from "./recording.ts";

/** What to run, and on which block. */
export interface Tried {
  readonly parent: Block;
  readonly input: BlockInput;
}

export const trace: Handler<Spec<"inspect trace">> = async ({ args, options, json }) => {
  await using reader = await openReader(args.DIR);
  const { parent, input } = options.failed
    ? await failed(args.DIR, reader, args.BLOCK)
    : made(reader, args.BLOCK);
  const traced = await withProgress("tracing", async () => {
    await using begun = await beginWith(reader, parent);
    return await traceTried(begun.runtime, input, options.app); // before it is closed
  });
  show(traced, options, json);
  return EXIT_OK;
};

/**
 * A runtime in memory that begins with a block of a store. Where another process has the store open, the
 * state is copied (chain/remade.ts), under names of its own.
 */
export async function beginWith(
  reader: Reader,
  block: Block,
): Promise<AsyncDisposable & { readonly runtime: Runtime }> {
  try {
    const from = { store: reader.path, block: block.id };
    const runtime = await Runtime.open({ from, workers: 1, views: 1, heapBytes: HEAP_BYTES });
    return { runtime, [Symbol.asyncDispose]: () => runtime.close() };
  } catch (error) {
    if (!isLocked(error)) throw error;
    return Remade.of(reader, block);
  }
}

/** What a block of the store was made of, and on which. */
export function made(reader: Reader, text: string | undefined): Tried {
  const block = blockNamed(reader, text);
  return { parent: reader.parentOf(block), input: reader.input(block) };
}

/** An attempt that failed, by its height; default: the latest. */
async function failed(store: string, reader: Reader, text: string | undefined): Promise<Tried> {
  const recordings = await readRecording(store);
  const recording = recordings.read(failedOf(recordings.entries(), text));
  const metadata = recording?.failure?.metadata ?? null;
  if (recording === null || metadata === null) {
    const why = "its metadata was not recorded: it is longer than a mebibyte, or it changes rules";
    throw new UsageError("NOT_RETAINED", `the attempt cannot be run again: ${why}`, {});
  }
  const { gasLimit } = recording;
  const input = { metadata: new Uint8Array(Buffer.from(metadata, "base64")), gasLimit };
  return { parent: reader.parentOf(recording), input };
}

interface Shown {
  readonly faults: boolean;
  readonly calls: boolean;
}

function show(traced: AppTrace, { faults, calls }: Shown, json: boolean): void {
  const events = traced.events.filter((event) => !faults || isFault(event));
  const transactions = traced.transactions.filter(({ outcome }) => !faults || !outcome.ok);
  if (json) {
    for (const event of events) print(toJson(event));
    for (const each of transactions) print(toJson({ what: "transaction", ...(jsonOf(each) as object) }));
  } else if (faults) {
    print(formatFaults(events) || "nothing faulted");
  } else {
    print(formatTrace(traced, { colors: hasColors(), calls }));
  }
}

function isFault(event: TraceEvent): boolean {
  return "stack" in event && event.fault !== "none";
}
