/**
 * Spans for OpenTelemetry, from the events of a runtime: a span for each block that runs, with its batches
 * and its write below it, and for views, collections, checkpoints and recomputations. Times are those of the
 * events; nothing is measured, and nothing runs, where nobody asks for spans.
 */

import { type Attributes, type Context, context, type Span, type Tracer, trace } from "@opentelemetry/api";
import { badArgument, checkNames } from "../arguments.ts";
import type { Runtime, RuntimeEvent } from "../index.ts";

/** What `exportSpans` takes. */
export interface SpanOptions {
  /** Where spans begin. Default: that of the global provider, named "stillpoint". */
  readonly tracer?: Tracer;
}

/** Spans that are being made. */
export interface SpanExport {
  /** Ends it, behind the events that have happened. */
  stop(): Promise<void>;
}

/** Blocks whose batches and writes may still come. */
const KEPT = 256;

/**
 * Makes spans of what a runtime does from now on, until it is stopped or the runtime is closed. Needs
 * @opentelemetry/api.
 *
 * @throws UsageError BAD_ARGUMENT
 * @example
 * ```ts
 * const spans = exportSpans(runtime);
 * await runtime.produce(Uint8Array.of(1));
 * await spans.stop();
 * ```
 */
export function exportSpans(runtime: Runtime, options: SpanOptions = {}): SpanExport {
  checkNames(options, ["tracer"]);
  const { tracer = trace.getTracer("stillpoint") } = options;
  if (typeof tracer?.startSpan !== "function")
    throw badArgument("tracer", tracer, "a Tracer of OpenTelemetry");
  const events = runtime.events();
  const spans = new Spans(tracer);
  const done = (async () => {
    for await (const event of events) spans.take(event);
  })();
  return {
    async stop() {
      await new Promise(setImmediate); // those that have happened are taken in this turn
      await events.return();
      await done;
    },
  };
}

class Spans {
  readonly #tracer: Tracer;
  /** Of the blocks that ran last, by id. */
  readonly #blocks = new Map<string, Context>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  take(event: RuntimeEvent): void {
    switch (event.kind) {
      case "run": {
        const span = this.#span("block", event, event.milliseconds, {});
        this.#keep(event.block as string, trace.setSpan(context.active(), span));
        return;
      }
      case "batch": {
        const { entry, process, items, parallel, executions, aborts, milliseconds } = event.report;
        const attributes = { entry, process: `/${process.join("/")}`, items, parallel, executions, aborts };
        this.#span("batch", event, milliseconds, attributes);
        return;
      }
      case "write":
        this.#span("write", event, event.milliseconds, {});
        return;
      case "view": {
        const { entry, status, gasUsed, error, milliseconds } = event;
        const attributes = { entry, status, gas_used: gasUsed, ...(error === null ? {} : { error }) };
        this.#span("view", event, milliseconds, attributes);
        return;
      }
      case "collect":
        this.#span("collect", event, event.milliseconds, { heap_used_bytes: event.heapUsedBytes });
        return;
      case "checkpoint":
        this.#span("checkpoint", event, event.milliseconds, {});
        return;
      case "recompute":
        this.#span("recompute", event, event.milliseconds, { blocks: event.blocks });
    }
  }

  /** A span that has just ended, below that of its block. */
  #span(name: string, event: RuntimeEvent, milliseconds: number, own: Attributes): Span {
    const end = Date.now();
    const { height, block } = event;
    const of = (attributes: Attributes): Attributes =>
      Object.fromEntries(Object.entries(attributes).map(([key, value]) => [`stillpoint.${key}`, value]));
    const attributes = of({
      ...(height === null ? {} : { height }),
      ...(block === null ? {} : { block }),
      ...own,
    });
    const parent = (block === null ? undefined : this.#blocks.get(block)) ?? context.active();
    const options = { startTime: end - milliseconds, attributes };
    const span = this.#tracer.startSpan(`stillpoint.${name}`, options, parent);
    span.end(end);
    return span;
  }

  #keep(block: string, of: Context): void {
    this.#blocks.set(block, of);
    for (const [oldest] of this.#blocks) if (this.#blocks.size > KEPT) this.#blocks.delete(oldest);
  }
}
