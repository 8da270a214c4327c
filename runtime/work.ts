/**
 * Work that the host does on behalf of guests, counted. Gas has to pay for all of it, before it is done: the
 * fuzzer "gas" compares the two for every call, activation and item (test/fuzz/gas.ts), and the benchmark
 * "gas" measures what a unit of each kind takes (test/bench/gas.ts).
 *
 * Nothing is counted unless the environment variable STILLPOINT_COUNT_WORK is 1 when this module is loaded.
 * Counts are those of the thread. The runtime only writes them, and what it computes does not depend on them.
 *
 * A module that counts has a constant of its own, `const counting = COUNTING`, and writes
 * `if (counting) work.nodesMade++`. V8 folds a module's own constants, so nothing is left of the statement in
 * optimised code; an imported binding it loads and tests each time.
 *
 * Work that ends at a place which depends on contents (a comparison stops at the first difference) counts in
 * full.
 */

/** Whether work is counted. */
export const COUNTING: boolean = process.env.STILLPOINT_COUNT_WORK === "1";

/** Units of work that this thread has done, by kind. */
export const work = {
  /** Nodes of tables of pages or children on the way of a look-up, an update or a walk. */
  nodesVisited: 0,
  nodesMade: 0,
  /** Records of processes. */
  recordsRead: 0,
  recordsMade: 0,
  /** Bytes compared, as memory is compared: many at a time. */
  bytesCompared: 0,
  /** Bytes copied or filled, as memory is copied. */
  bytesCopied: 0,
  /** Bytes of an instance's memory made zero that held another image. The loading of that image was paid. */
  bytesCleared: 0,
  /** Bytes merged, or looked at for conflicts, one after the other. */
  bytesMerged: 0,
  /** Hashing, which is done once for each object, at some time after it was made. */
  bytesHashed: 0,
  objectsHashed: 0,
  /** Bytes of globals saved to or loaded from an instance. */
  globalBytes: 0,
  /** Marks looked at to find pages that may have been written; 16 of groups of pages count as one. */
  marksScanned: 0,
  /** Child numbers remembered by an activation, or visited among those that it remembers. */
  childNumbers: 0,
  /** Entries taken out of the set of processes that an item made, at a fault. */
  setEntries: 0,
  /** Items of batches run. */
  items: 0,
  /** Activations that ended in a fault, and items, which have no instance to give up. */
  faults: 0,
  itemFaults: 0,
  /** Bytes of Wasm checked, instrumented and compiled. */
  bytesAdmitted: 0,
  instances: 0,
  /** Of the tables of instances, and of what fills them. */
  tableElements: 0,
  /** Linear memories asked of V8; it takes far longer than an instance. */
  memories: 0,
  /** Bytes that memories of instances are made with, or grow by: V8 collects its garbage the more often. */
  memoryBytes: 0,
  /** Instances whose memories are of no use any more, since they have grown beyond their image. */
  memoriesLost: 0,
  /** And their bytes. */
  memoryBytesLost: 0,
  /** Holes of the heap at which an allocation looked. */
  holesVisited: 0,
  /** Objects asked of a store. */
  objectsLoaded: 0,
  heapBytes: 0,
};

/** Counts by kind. */
export type Work = typeof work;
