/**
 * What the kernel asks of the code that spreads activations over threads (worker/). It cannot change a
 * result.
 */

import type { Ref } from "../heap/heap.ts";

/** A started child that other threads may take: the job's number, or NO_TICKET. */
export type Ticket = number;
export const NO_TICKET: Ticket = -1;

/** What a thread that takes a job finds: its result, that it is the taker's to run, or no such job. */
export type Taken =
  | { readonly state: "done"; readonly result: Ref }
  | { readonly state: "claimed" }
  | { readonly state: "lost" };

/** Where started children wait for a thread. */
export interface Jobs {
  /**
   * Offers a started child, of this number among its parent's, to other threads; NO_TICKET if nobody would
   * come. `publish` writes its START image.
   */
  post(publish: () => Ref, child: number): Ticket;
  /** Takes the job that runs `start` from the board. Waits if another thread has it. */
  take(ticket: Ticket, start: Ref): Taken;
  /** The parent's activation ends and leaves the child started: its job may be done speculatively. */
  keep(ticket: Ticket): void;
  /** The speculative job that runs the published image `start`, or NO_TICKET. */
  find(start: Ref): Ticket;
  /** The job that `take` left to the caller has ended. */
  finish(ticket: Ticket): void;
  /** Nobody wants the result any more. */
  withdraw(ticket: Ticket): void;
  /** Hashes a published image, with others if that is much; or leaves it to the caller. */
  hash(image: Ref): void;
  /**
   * Says that the child of that number runs here now, and which job it is, so that jobs it posts are known as
   * its descendants; NO_TICKET: none of its own. Returns the one before, with which it is left.
   */
  enter(ticket: Ticket, child: number): Ticket;
  leave(outer: Ticket): void;
}

/** One thread alone: a child runs when it is joined. */
export const NOBODY_ELSE: Jobs = {
  post: () => NO_TICKET,
  take: () => ({ state: "claimed" }),
  keep: () => {},
  find: () => NO_TICKET,
  finish: () => {},
  withdraw: () => {},
  hash: () => {},
  enter: () => NO_TICKET,
  leave: () => {},
};
