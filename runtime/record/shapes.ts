/**
 * What a recording holds: how a block ran, or why it failed. Plain data, as JSON has it, and nothing here is
 * loaded at run time: whatever shows recordings imports this file alone.
 *
 * A recording differs from run to run: threads, times, what was aborted. Roots, gas and outcomes do not. All
 * numbers of items are those of their batch, from 0 on; a number of a span is its place in `spans`.
 */

import type { BatchReport } from "../batch/evidence.ts";
import type { Facts } from "../errors.ts";

/** How a block ran, or an attempt at one that failed. */
export interface BlockRecording {
  /** Of this form. */
  readonly version: 1;
  /**
   * "recorded": as it ran when it was made. "again": it was run once more, for this or for its state, from
   * its parent and its input; its outcome is the same, its times and threads are others.
   */
  readonly source: "recorded" | "again";
  readonly height: number;
  /** Null: it failed. */
  readonly id: string | null;
  /** Id of the block before. */
  readonly parent: string;
  /** Root of the state, and gas used; null if it failed. */
  readonly root: string | null;
  readonly gasUsed: number | null;
  readonly gasLimit: number;
  /** Why there is no block; null if there is. */
  readonly failure: FailureRecord | null;
  /** When it began to run, in milliseconds since 1970 of the host's clock; and how long it ran. */
  readonly time: number;
  readonly milliseconds: number;
  /** Batches that ended while it ran, in that order. */
  readonly batches: readonly BatchRecord[];
  /** What threads did for it, in the order in which it was noted down. */
  readonly spans: readonly SpanRecord[];
  /** Spans that are not in there: there were more than are kept, and the oldest are missing. */
  readonly spansLost: number;
}

/** Why a block failed. */
export interface FailureRecord {
  /** That of the error: BLOCK_FAULT, CANCELLED, HEAP_FULL … */
  readonly code: string;
  readonly text: string;
  readonly facts: Facts;
  /** Whether every replica would see it. */
  readonly deterministic: boolean;
  /**
   * What it was to be made from, so that it can be traced; null if there was more than a mebibyte, or a
   * change of rules.
   */
  readonly metadata: string | null;
}

/** A batch: its report, and what its items touched. */
export interface BatchRecord {
  /** Counts, endings, contended places, dependencies. Its `block` says which block the batch belongs to. */
  readonly report: BatchReport;
  /** The activation whose batch it was, a span; -1: that is not there. */
  readonly span: number;
  /**
   * What items read and wrote that ran in parallel, by lines of 64 bytes of the process's state: of each the
   * incarnation that counts. Items that ran in the loop have none.
   */
  readonly accesses: readonly AccessRecord[];
  /** Whether there were more accesses than are kept. */
  readonly accessesCut: boolean;
  /** Lines that several items touched and at least one wrote, with what lies there. */
  readonly places: readonly PlaceRecord[];
}

/** One line that an item touched. */
export interface AccessRecord {
  readonly item: number;
  /** Its address is 64 times that. What lines beyond the state are, `places` says. */
  readonly line: number;
  /**
   * From what it was read: the item that left it; -1: the state before the batch; -2: a sum to which several
   * items have added; null: it was not read.
   */
  readonly from: number | null;
  /** Whether the item left other bytes there, or added to what is there. */
  readonly wrote: boolean;
}

/** What lies in a line. */
export interface PlaceRecord {
  readonly line: number;
  /** "accounts[17]", if the program says so; "child 3", "quotas"; or null. */
  readonly name: string | null;
}

/** Something that a thread did. Spans of one thread nest, or follow each other. */
export type SpanRecord = SpanTimes & SpanPart;

/** What it was. */
export type SpanPart =
  /** An activation of a process. */
  | {
      readonly what: "activation";
      readonly path: readonly number[];
      /** The first four bytes of the program's hash, in hex. */
      readonly program: string;
      readonly gas: number;
      readonly gasUsed: number;
      readonly status: string;
      readonly fault: string;
    }
  /** An incarnation of an item, in parallel. "finished": its reads are still to be validated. */
  | (ItemSpan & { readonly what: "item"; readonly ended: ItemEnd })
  /** What an incarnation had read was looked at again; if not `valid`, it was aborted. */
  | (ItemSpan & { readonly what: "validation"; readonly valid: boolean })
  /** An item in the loop: one after the other, on one thread. */
  | {
      readonly what: "loop";
      readonly batch: number;
      readonly item: number;
      readonly fault: string;
      readonly gasUsed: number;
    }
  /** A thread in a window of items has nothing to do; or it helps with a batch, whose items are within. */
  | { readonly what: "idle" | "help"; readonly batch: number }
  /** A join waits for the child at `path`, which another thread runs. */
  | { readonly what: "wait"; readonly path: readonly number[] }
  /** The hashes of the new state; a collection of the heap; a block is run again for its trace. */
  | { readonly what: "hash" | "collection" | "trace" };

/** How an incarnation ended. "gave-up": it met what was about to change. "expired": its lease had ended. */
export type ItemEnd = "finished" | "gave-up" | "expired";

/** Which incarnation of which item. */
export interface ItemSpan {
  /** The place of its batch in `batches`; -1: that is not there. */
  readonly batch: number;
  readonly item: number;
  readonly incarnation: number;
}

/** Where and when. */
export interface SpanTimes {
  /** Number of the thread. */
  readonly thread: number;
  /** The span that this one belongs to, which began before; -1: none, or that is not there. */
  readonly parent: number;
  /** Microseconds since the block began. */
  readonly begin: number;
  /** Null: it had not ended when the block had. */
  readonly end: number | null;
}

/** What a list of recordings says of each. */
export interface RecordingEntry {
  readonly height: number;
  /** Null: it failed. */
  readonly id: string | null;
  readonly parent: string;
  readonly time: number;
  /** What it takes in the file. */
  readonly bytes: number;
}
