/**
 * How long a block is held back while a checkpoint is being made, so that the checkpoint ends in time: a
 * restart is to take no longer than twice `checkpointMs`. Blocks are slowed for that, each by little; only
 * where a checkpoint takes three times as long, they wait until it has ended.
 */

/** Maximum time for which a block is held back, as a multiple of what the blocks before it took. */
const TIMES_MAX = 1.5;

/** How things stand when a block comes, in milliseconds. */
export interface Standing {
  readonly checkpointMs: number;
  /** For how long the oldest block that is not in a checkpoint has waited for one, pauses left out. */
  readonly waitedMs: number;
  /** Since the checkpoint in progress began. */
  readonly elapsedMs: number;
  /** What the one before took. */
  readonly lastMs: number;
  /** What a block takes on average. */
  readonly blockMs: number;
}

/** How long to hold a block back; null: until the checkpoint has ended. */
export function holdMs({ checkpointMs, waitedMs, elapsedMs, lastMs, blockMs }: Standing): number | null {
  if (waitedMs >= 3 * checkpointMs) return null;
  const leftMs = Math.max(2 * checkpointMs - waitedMs, 1);
  // What it still needs: as the last one, or a quarter more than it has taken.
  const neededMs = Math.max(lastMs - elapsedMs, elapsedMs / 4);
  return Math.max(0, Math.min(neededMs / leftMs - 1, TIMES_MAX)) * blockMs;
}
