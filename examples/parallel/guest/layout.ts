/**
 * Where the data of a digest begins, in the metadata and in a worker's message: on a page, so that pages are
 * shared.
 */
export const DATA_OFFSET: u32 = 4096;
