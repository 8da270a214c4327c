/**
 * What reads and writes a store on the calling thread: loaded when it is wanted, for lmdb alone takes 40 ms
 * to import, and a runtime's main thread needs none of it.
 */

export { Database } from "./database.ts";
export { release, takeHold } from "./holder.ts";
export { DirectLoader } from "./load.ts";
export { packBlock, packFormat, packHash, STORE_FORMAT, unpackBlock } from "./record.ts";
export { salvage } from "./salvage.ts";
export { checkFormat, genesisOf, readState } from "./state.ts";
export { checkStructure } from "./structure.ts";
export { exportChunks, Import, refused } from "./transfer.ts";
export { Verifier } from "./verify.ts";
