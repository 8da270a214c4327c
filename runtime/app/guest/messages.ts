/**
 * What the host and the ready-made root tell each other. Host and guest compile this file. All little-endian.
 *
 * The first block makes the process of the app:
 *   u32 MESSAGE_GENESIS · u32 bytes of state · u32 pages of 64 KiB at first · u32 0 · [32] program
 * Every other runs transactions:
 *   u32 MESSAGE_BLOCK · u32 count · u64 time
 *   count × (u64 gas · u32 length · u32 0 · input, padded to 8 bytes)
 * and carries what became of them:
 *   u32 count · u32 0 · count × record · outputs, one after the other
 */

export const MESSAGE_GENESIS = 1;
export const MESSAGE_BLOCK = 2;

export const GENESIS_STATE = 4;
export const GENESIS_PAGES = 8;
export const GENESIS_PROGRAM = 16;
export const GENESIS_BYTES = 48;

export const BLOCK_COUNT = 4;
export const BLOCK_TIME = 8;
export const BLOCK_BYTES = 16;

export const ITEM_GAS = 0;
export const ITEM_LENGTH = 8;
export const ITEM_BYTES = 16;

/** Of a record: how the item ended, as in the outcomes of a batch, and the length of its output. */
export const RESULT_STATUS = 0;
export const RESULT_FAULT = 4;
export const RESULT_CODE = 8;
export const RESULT_GAS_USED = 16;
export const RESULT_LENGTH = 24;
export const RESULT_BYTES = 32;
/** Where the records begin. */
export const RESULTS_BYTES = 8;

/** What the host may send for one block. */
export const REGION_BYTES = 16 << 20;
/** What a block may carry. */
export const DATA_BYTES = 48 << 20;
