/**
 * How much a test does. `npm test` takes the first of two sizes, which any machine has done in minutes and
 * which still finds every planted fault; STILLPOINT_FULL=1 takes the second. What is tested is the same: only
 * counts, seeds and numbers of threads differ.
 */

/** Whether everything is wanted: long runs, data beside the repository, other toolchains. */
export const FULL = process.env.STILLPOINT_FULL === "1";

/** The size of a test: how many rounds, programs or items, or which of them. */
export function sized<T>(short: T, full: T): T {
  return FULL ? full : short;
}
