/**
 * A recording as it lies in memory and in files: what the threads have noted down, and reports, before
 * anybody has made sense of it. That is done when it is read.
 */

import { ACCESS_WORDS, FROM_NOBODY, type Touched } from "../batch/accesses.ts";
import type { BatchReport } from "../batch/evidence.ts";
import { readSpans } from "../worker/timeline.ts";
import type { AccessRecord, BatchRecord, BlockRecording, PlaceRecord } from "./shapes.ts";
import { spanRecords } from "./spans.ts";

/** A report of a batch, and what goes beside it. */
export interface Reported {
  readonly report: BatchReport;
  readonly touched: Touched | null;
}

/** A recording before anybody has made sense of it. */
export interface RawRecording {
  readonly head: Head;
  /** Records of the timeline (worker/timeline.ts). */
  readonly spans: Int32Array;
  /** Accesses of the batches, one behind the other (batch/accesses.ts). */
  readonly accesses: Int32Array;
}

/** Plain data. */
export interface Head extends Omit<BlockRecording, "version" | "source" | "batches" | "spans"> {
  /** The number under which it ran (worker/job.ts), and when it began, on the clock of the spans. */
  readonly run: number;
  readonly beginNs: number;
  /** The block had been made before. */
  readonly again?: true;
  /** Number of the first record of the timeline. */
  readonly firstSpan: number;
  readonly batches: readonly {
    readonly report: BatchReport;
    /** The activation, a record of the timeline. */
    readonly span: number | null;
    /** How many numbers its accesses are. */
    readonly accesses: number;
    readonly cut: boolean;
    readonly places: readonly PlaceRecord[];
  }[];
}

/** What a recording says. */
export function recordingOf({ head, spans: words, accesses }: RawRecording): BlockRecording {
  const { run, beginNs, firstSpan: first, batches, again = false, ...block } = head;
  const found = readSpans({ words, first, dropped: head.spansLost });
  const activations = batches.map(({ span }) => span);
  const { spans, batchSpans } = spanRecords(found, run, activations, beginNs);
  let at = 0;
  const records = batches.map(({ report, accesses: count, cut, places }, i): BatchRecord => {
    at += count;
    return {
      report,
      span: batchSpans[i] as number,
      accesses: accessRecords(accesses.subarray(at - count, at)),
      accessesCut: cut,
      places,
    };
  });
  return { version: 1, source: again ? "again" : "recorded", ...block, batches: records, spans };
}

function accessRecords(numbers: Int32Array): AccessRecord[] {
  return Array.from({ length: numbers.length / ACCESS_WORDS }, (_, i) => {
    const at = i * ACCESS_WORDS;
    const from = numbers[at + 2] as number;
    return {
      item: numbers[at] as number,
      line: numbers[at + 1] as number,
      from: from === FROM_NOBODY ? null : from,
      wrote: numbers[at + 3] === 1,
    };
  });
}
