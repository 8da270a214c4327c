/** What a trace and a view give. */

import type { ByteRange, ChangedLine, Frame, Lost, TraceEvent } from "../kernel/trace.ts";

export type { ByteRange, ChangedLine, Frame, Lost, TraceEvent };

/** What happened in a block, and what became of it. */
export interface Trace {
  /** SHA-256 root of the process tree, in hex; null if the root process faulted: then there is no block. */
  readonly root: string | null;
  /** The bytes that the root process gave to SNAPSHOT. */
  readonly data: Uint8Array;
  /** Every activation and call, in the order of a run on one thread. */
  readonly events: readonly TraceEvent[];
}

/** How a view ended. */
export interface View {
  readonly path: readonly number[];
  readonly status: "returned" | "faulted";
  /**
   * What the entry returned; of an abort its line in the low half, its column in the high half; of any other
   * fault 0.
   */
  readonly code: bigint;
  readonly output: Uint8Array;
  readonly gasUsed: number;
  /** The fault's name; "none" if it did not fault. */
  readonly fault: string;
  /** The text of an abort, or the limit that it met in a sentence; else "". */
  readonly text: string;
  /** After a fault the functions that were running, the innermost first; `formatFaults` prints them. */
  readonly stack: readonly Frame[];
}
