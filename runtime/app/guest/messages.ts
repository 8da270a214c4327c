/**
 * The messages between the host and the ready-made root. Host and guest compile this file. All little-endian.
 *
 * The first block makes the process of the app, and that of the authenticator if the chain has one:
 *   u32 MESSAGE_GENESIS · u32 bytes of state · u32 pages of 64 KiB at first · u32 pages of 4 KiB that
 *   it is to have besides, if there are so many · [32] program
 *   u32 bytes of state · u32 pages of 64 KiB at first · u32 sendersMax · u32 0 · [32] program, of the
 *   authenticator, all zero if there is none · [32] chain
 *   u32 count · u32 0 · count × transaction, as below: inputs of setups, which are run before all else
 * Every other runs transactions:
 *   u32 MESSAGE_BLOCK · u32 count · u64 time
 *   count × (u64 gas · u32 length · u32 0 · transaction, padded to 8 bytes)
 * A transaction is an input of the app's program or, where there is an authenticator, what that makes one of;
 * what stands for its gas counts for nothing then, since it names its own.
 * One after whose change of rules the app may have another program has no transactions:
 *   u32 MESSAGE_UPGRADE · u32 bytes of state · u64 time · [32] program
 * A block of a network, whose heights are not the runtime's, and which may do both:
 *   u32 MESSAGE_NETWORK · u32 count · u64 time · u64 height · u32 bytes of state · u32 flags · [32] program ·
 *   [32] hash of what else the network says of the block
 *   count × transaction, as above
 * Bytes of state and program are zero unless the app may have another program. With NETWORK_CALL the first
 * transaction is a call of the network itself: an input of the program that nobody has signed, from an
 * address of zeros. NETWORK_FIRST is for the host alone.
 *
 * A block carries what became of its transactions, and the first bytes of the program's name:
 *   u32 count · [4] program · count × record · outputs, one after the other
 */

export const MESSAGE_GENESIS = 1;
export const MESSAGE_BLOCK = 2;
export const MESSAGE_UPGRADE = 3;
export const MESSAGE_NETWORK = 4;

export const GENESIS_STATE = 4;
export const GENESIS_PAGES = 8;
export const GENESIS_ROOM = 12;
export const GENESIS_PROGRAM = 16;
export const GENESIS_AUTHENTICATOR_STATE = 48;
export const GENESIS_AUTHENTICATOR_PAGES = 52;
export const GENESIS_SENDERS = 56;
export const GENESIS_AUTHENTICATOR = 64;
export const GENESIS_CHAIN = 96;
export const GENESIS_COUNT = 128;
export const GENESIS_BYTES = 136;

export const BLOCK_COUNT = 4;
export const BLOCK_TIME = 8;
export const BLOCK_BYTES = 16;

export const UPGRADE_STATE = 4;
export const UPGRADE_TIME = 8;
export const UPGRADE_PROGRAM = 16;
export const UPGRADE_BYTES = 48;

export const NETWORK_COUNT = 4;
export const NETWORK_TIME = 8;
export const NETWORK_HEIGHT = 16;
export const NETWORK_STATE = 24;
export const NETWORK_FLAGS = 28;
export const NETWORK_PROGRAM = 32;
export const NETWORK_HASH = 64;
export const NETWORK_BYTES = 96;
/** The first transaction is the network's own. */
export const NETWORK_CALL = 1;
/** The block before the network's first. */
export const NETWORK_FIRST = 2;

export const ITEM_GAS = 0;
export const ITEM_LENGTH = 8;
export const ITEM_BYTES = 16;
/** Bytes of a transaction, at most: what an item's inbox takes. */
export const TRANSACTION_BYTES_MAX = 32768;

/**
 * Of a record: how the item ended, as in the outcomes of a batch; the length of its output; its selector; the
 * gas that it asked for.
 */
export const RESULT_STATUS = 0;
export const RESULT_FAULT = 4;
export const RESULT_CODE = 8;
export const RESULT_GAS_USED = 16;
export const RESULT_LENGTH = 24;
export const RESULT_SELECTOR = 28;
export const RESULT_GAS_WANTED = 32;
export const RESULT_BYTES = 40;
/** Where the first bytes of the program's name are, and where the records begin. */
export const RESULTS_PROGRAM = 4;
export const RESULTS_BYTES = 8;
/** A status besides those of items: the transaction was not let in; the code is the reason. */
export const STATUS_NOT_ADMITTED = 16;

/** What an authenticator returns for a transaction that it lets in. */
export const ADMITTED = 0;
/** Reasons that an authenticator returns, and those of the root. Others mean REASON_OTHER. */
export const REASON_INPUT = 1;
export const REASON_SIGNATURE = 2;
export const REASON_CHAIN = 3;
export const REASON_OTHER = 4;
export const REASON_EXPIRED = 5;
export const REASON_USED = 6;
export const REASON_SENDERS = 7;
/** The block's gas did not reach so far. */
export const REASON_NOT_RUN = 8;

/** What an authenticator puts out: head, then the input of the app's program. */
export const ADMISSION_NONCE = 0;
export const ADMISSION_GAS = 8;
export const ADMISSION_LAST_HEIGHT = 16;
export const ADMISSION_BYTES = 24;
/** The input begins with u32 selector · [20] sender. */
export const INPUT_SENDER = 4;
export const INPUT_BYTES = 24;

/** Gas of an authentication. */
export const AUTHENTICATION_GAS = 8_000_000;

/** What the host may send for one block. */
export const REGION_BYTES = 16 << 20;
/** What a block may carry. */
export const DATA_BYTES = 48 << 20;
