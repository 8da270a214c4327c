/**
 * A block that runs, or an attempt at one: notes what is known of it until it ends, and hands that on with
 * what the threads have noted down (worker/timeline.ts). All of it is as it lies there: a block ends with a
 * copy, and whoever reads a recording makes sense of it.
 */

import { StillpointError } from "../errors.ts";
import { copySpans, nextRecord, nowNs } from "../worker/timeline.ts";
import type { Head, Reported } from "./raw.ts";
import type { Recorder } from "./recorder.ts";
import type { FailureRecord } from "./shapes.ts";

/** Metadata of failed attempts that is kept. */
const METADATA_BYTES = 1 << 20;

/** What is known of a block before it runs. */
export interface Attempted {
  readonly height: number;
  readonly parent: string;
  readonly gasLimit: number;
  readonly metadata: Uint8Array;
  /** Whether it changes rules. */
  readonly changesRules: boolean;
  /** Whether it was made before: it runs once more for its state. */
  readonly again: boolean;
}

/** What a block is known by. */
interface Made {
  readonly id: string;
  readonly root: string;
  readonly gasUsed: number;
}

export class Attempt {
  readonly #recorder: Recorder;
  readonly #timeline: SharedArrayBuffer;
  readonly #attempted: Attempted;
  readonly #since: number;
  readonly #time = Date.now();
  readonly #beginNs = nowNs();
  #hasEnded = false;

  constructor(recorder: Recorder, timeline: SharedArrayBuffer, attempted: Attempted) {
    this.#recorder = recorder;
    this.#timeline = timeline;
    this.#attempted = attempted;
    this.#since = nextRecord(timeline);
  }

  /** It became a block, which ran under that number. */
  made(run: number, block: Made, reported: readonly Reported[]): void {
    this.#end(run, block, null, reported);
  }

  /** It failed; nothing if it became a block before. */
  failed(run: number, error: unknown, reported: readonly Reported[]): void {
    this.#end(run, null, failureOf(error, this.#attempted), reported);
  }

  #end(run: number, made: Made | null, failure: FailureRecord | null, reported: readonly Reported[]): void {
    if (this.#hasEnded || !this.#recorder.isOpen) return;
    this.#hasEnded = true;
    const { height, parent, gasLimit, again } = this.#attempted;
    const { words, first, dropped } = copySpans(this.#timeline, this.#since);
    const head: Head = {
      height,
      id: made?.id ?? null,
      parent,
      root: made?.root ?? null,
      gasUsed: made?.gasUsed ?? null,
      gasLimit,
      failure,
      time: this.#time,
      ...(again && { again }),
      milliseconds: (nowNs() - this.#beginNs) / 1e6,
      spansLost: dropped,
      run,
      beginNs: this.#beginNs,
      firstSpan: first,
      batches: reported.map(({ report, touched }) => ({
        report,
        span: touched?.span ?? null,
        accesses: touched?.accesses.length ?? 0,
        cut: touched?.cut ?? false,
        places: touched?.places.map(([line, name]) => ({ line, name })) ?? [],
      })),
    };
    const parts = reported.flatMap(({ touched }) => (touched === null ? [] : [touched.accesses]));
    this.#recorder.add({ head, spans: words, accesses: joined(parts) });
  }
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function failureOf(error: unknown, { metadata, changesRules }: Attempted): FailureRecord {
  const isKept = metadata.length <= METADATA_BYTES && !changesRules;
  const kept = isKept ? Buffer.from(metadata).toString("base64") : null;
  if (error instanceof StillpointError) {
    const { code, message: text, facts, deterministic } = error;
    return { code, text, facts, deterministic, metadata: kept };
  }
  return { code: "ERROR", text: String(error), facts: {}, deterministic: false, metadata: kept };
}
