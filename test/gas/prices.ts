/**
 * What gas has to pay for a unit of work at least (runtime/work.ts), in gas: about a tenth of what the unit
 * takes on the machine where it was measured, as against what the plain loop does for a gas. The benchmark
 * "gas" fails where that is less than a twentieth.
 *
 * An object is hashed once, when somebody asks for the hash of something that has it. So whoever makes it
 * pays for that.
 */

import type { Work } from "../../runtime/work.ts";

export const UNIT_GAS: Readonly<Record<keyof Work, number>> = {
  nodesVisited: 10,
  nodesMade: 200,
  recordsRead: 300,
  recordsMade: 150,
  bytesCompared: 1 / 8,
  bytesCopied: 1 / 8,
  // The START that brought the bytes in pays for both; a row of the benchmark measures the two in turn.
  bytesCleared: 0,
  bytesMerged: 1 / 4,
  bytesHashed: 3 / 5,
  objectsHashed: 500,
  globalBytes: 1,
  marksScanned: 1 / 3,
  childNumbers: 12,
  setEntries: 20,
  items: 500,
  faults: 7_000,
  itemFaults: 1_000,
  bytesAdmitted: 1_000,
  instances: 16_000,
  tableElements: 16,
  memories: 15_000,
  memoryBytes: 1 / 32,
  memoriesLost: 20_000,
  memoryBytesLost: 1 / 160,
  // A few for each object that is made, and what it takes of the heap is paid.
  holesVisited: 0,
  // Loads from a store wait for the disk: no gas could pay for that.
  objectsLoaded: 0,
  // Space, not time.
  heapBytes: 0,
};

/** Kinds of work that are paid when the objects are made. */
const LATER: ReadonlySet<keyof Work> = new Set(["bytesHashed", "objectsHashed"]);

/** What gas has to pay for this work at least, by kind; `hashes`: with those of objects that were made. */
export function pricesOf(work: Work, hashes: boolean): Map<string, number> {
  const prices = new Map<string, number>();
  for (const kind of Object.keys(UNIT_GAS) as (keyof Work)[]) {
    if (!LATER.has(kind)) prices.set(kind, work[kind] * UNIT_GAS[kind]);
  }
  if (!hashes) return prices;
  const objects = work.nodesMade + work.recordsMade;
  prices.set("hashes to come", objects * UNIT_GAS.objectsHashed + work.heapBytes * UNIT_GAS.bytesHashed);
  return prices;
}
