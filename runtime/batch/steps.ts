/**
 * What tests of schedules hook into: a module whose functions every thread calls on its way through a window.
 * It holds threads up, or makes them do something else than they would, to see that this changes no result or
 * that it is noticed.
 */

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/**
 * Where a thread is held up: before an incarnation runs, before it looks up a line, before its versions are
 * made and before they are published; before a validation reads and before its verdict counts; before a
 * committed item goes to the base; before a page comes into the base.
 */
export type Point = "execute" | "lookup" | "settle" | "publish" | "validate" | "verdict" | "apply" | "load";

export interface Steps {
  /** The thread has come to `point`. */
  pause(point: Point): void;
  /** An incarnation of an item is about to run. Its input may be changed if no verdict lets it pass then. */
  input(bytes: Buffer, item: number, incarnation: number): void;
  /** What counts instead of `valid`, for the item's incarnation or a later one. */
  verdict(valid: number, item: number, incarnation: number): number;
  /** How much gas an incarnation may spend instead of `lease`. Left out: that. */
  lease?(lease: number): number;
  /** What counts instead of `valid` for an incarnation whose lease has expired. Left out: that. */
  recheck?(valid: number, item: number, incarnation: number): number;
  /** How many items the loop runs next; 0: they run in parallel. Left out: what the runner decides. */
  plan?(): number;
  /** Whether the item is one that can only run in the loop. Left out: none is but those that are. */
  sequential?(item: number): boolean;
}

/** The steps that the module at the URL exports as `steps`; null for null. */
export function loadSteps(url: string | null): Steps | null {
  if (url === null) return null;
  return createRequire(import.meta.url)(fileURLToPath(url)).steps as Steps;
}
