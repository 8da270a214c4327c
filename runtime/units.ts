/** Sizes that the runtime is built on. Imports nothing: the verifier of proofs runs in browsers. */

/** A page, the unit in which states are shared, stored and compared. */
export const PAGE_BYTES = 4096;
/** A page of WebAssembly, in which memories grow. */
export const WASM_PAGE_BYTES = 65536;
export const PAGES_PER_WASM_PAGE = WASM_PAGE_BYTES / PAGE_BYTES;
/** A line, the unit in which items of a batch conflict. */
export const LINE_SHIFT = 6;
export const LINE_BYTES = 1 << LINE_SHIFT;
export const PAGE_LINES = PAGE_BYTES / LINE_BYTES;
/** Shift from the number of a line to that of its page. */
export const PAGE_LINES_SHIFT = 6;
/** A SHA-256. */
export const HASH_BYTES = 32;
/** Tables of pages and of children: numbers below this one, five bits at each level of four. */
export const TABLE_LIMIT = 1 << 20;
/** Shift of a table's top level. */
export const TOP_SHIFT = 15;
