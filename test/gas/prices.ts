/**
 * What gas has to pay for a unit of work at least (runtime/work.ts), in gas: about a tenth of what the unit
 * takes on the machine where it was measured, as against what the plain loop does for a gas. The benchmark
 * "gas" fails where that is less than a twentieth.
 */

import type { Work } from "../../runtime/work.ts";

export const UNIT_GAS: Readonly<Record<keyof Work, number>> = {
  nodesVisited: 10,
  nodesMade: 200,
  records: 100,
  bytesCompared: 1 / 16,
  bytesCopied: 1 / 8,
  bytesMerged: 1,
  bytesHashed: 1 / 2,
  objectsHashed: 500,
  globalBytes: 2,
  marksScanned: 1 / 64,
  childNumbers: 10,
  setEntries: 40,
  items: 200,
  faults: 8_000,
  bytesAdmitted: 500,
  instances: 150_000,
  // Loads from a store wait for the disk: no gas could pay for that.
  objectsLoaded: 0,
  // Space, not time.
  heapBytes: 0,
};

/** What gas has to pay for this work at least. */
export function gasOf(work: Work): number {
  let gas = 0;
  for (const kind of Object.keys(UNIT_GAS) as (keyof Work)[]) gas += work[kind] * UNIT_GAS[kind];
  return gas;
}
