/**
 * What reads and writes a store on the calling thread: loaded when it is wanted, for lmdb alone takes 40 ms
 * to import, and a runtime's main thread needs none of it.
 */

export { blobOf, findRun, isArchived, readArchived } from "./archive.ts";
export { Database } from "./database.ts";
export { release, takeHold } from "./holder.ts";
export { DirectLoader } from "./load.ts";
export { openToRead, openToWrite, requireStore } from "./open.ts";
export { outlineOfStore, readableBlocks } from "./outline.ts";
export { portableChunks } from "./portable.ts";
export {
  packBlock,
  packFormat,
  packGenesis,
  packLog,
  packTotals,
  STORE_FORMAT,
  unpackArchived,
  unpackBlock,
} from "./record.ts";
export { Rehash } from "./rehash.ts";
export { salvage } from "./salvage.ts";
export {
  checkFormat,
  countTotals,
  findChain,
  genesisBytesOf,
  genesisOf,
  readAnyBlock,
  readable,
  readBlock,
  readChain,
  readHead,
  readLog,
  readRecords,
  readState,
  readTotals,
} from "./state.ts";
export { CHUNK_BYTES, exportChunks, Import, refused } from "./transfer.ts";
export { Verifier } from "./verify.ts";
