/** What a job is, and how it stands. */

import type { Ref } from "../heap/heap.ts";

/** The number of no entry of the board. */
export const NO_ENTRY = -1;

/**
 * ACTIVATE: run `start` to its return point. RESUME: the root, with metadata and a budget. COLLECT: free what
 * the heap's roots do not reach, and pages that lie in one of the stores whose bits are in `metadata`.
 */
export const JOB_ACTIVATE = 0;
export const JOB_RESUME = 1;
export const JOB_COLLECT = 2;
/**
 * As RESUME (or ACTIVATE without metadata), on this thread alone; the result is a BLOB with the trace as
 * JSON.
 */
export const JOB_TRACE = 3;
/** Help with the batch whose number is in `metadata`, until it ends. */
export const JOB_ASSIST = 4;
/** Help to hash what `start` names; 0: pages that are captured just now (image/captures.ts). */
export const JOB_HASH = 5;
/**
 * A view, on a thread that serves them: `start` is a root, `metadata` the BLOB of the request, the result
 * that of the answer (view.ts).
 */
export const JOB_VIEW = 6;

export interface Job {
  readonly kind: number;
  readonly start: Ref;
  /** Where in the tree its process is: the numbers of children from the root on. */
  readonly path: readonly number[];
  readonly metadata: Ref;
  readonly gas: number;
  /** The kit of the rules by which it runs (kernel/kit.ts); 0: whatever they are. */
  readonly rules: Ref;
  /** RESUME and TRACE: the BLOB of what is done to the state before (upgrade.ts), 0: nothing. */
  readonly upgrade: Ref;
  /** The entry of the activation that posted this, NO_ENTRY: none. */
  readonly parent: number;
  /** The block's number that it descends from (chain/reports.ts), 0: none. */
  readonly run: number;
  /** The START in the timeline (timeline.ts), NO_RECORD: none. */
  readonly origin: number;
}

/** What the main thread posts: of the root, or of no process. */
export type NewJob = Pick<Job, "kind" | "start" | "metadata" | "gas"> &
  Partial<Pick<Job, "run" | "rules" | "upgrade">>;

/** How a job stands, for who waits for it. */
export type Outcome =
  | { readonly state: "claimed" }
  | { readonly state: "lost" }
  | { readonly state: "pending" }
  | { readonly state: "failed"; readonly error: string }
  | { readonly state: "done"; readonly result: Ref };

/** A speculative job, as a collection needs it. */
export interface Memo {
  readonly entry: number;
  readonly start: Ref;
  readonly result: Ref;
}
