/**
 * The ledger's two messages, little-endian: a block's metadata, of which the root hands on the parts as
 * they are, and the data of the block that the root commits. The host's side is ../encode.ts.
 *
 * Metadata: a header, then accounts in strictly ascending order of address, then transactions in order.
 */

export const METADATA_VERSION: u32 = 1;

/** State of the ledger process: what root and ledger must agree on to exchange batches. */
export const LEDGER_STATE_BYTES: u32 = 16 << 20;

// ---- header -----------------------------------------------------------------------------------------------

export const HEADER_BYTES: u32 = 128;
export const HEADER_ACCOUNTS: usize = 4; //       u32  number of accounts
export const HEADER_TRANSACTIONS: usize = 8; //   u32  number of transactions
export const HEADER_ZERO: usize = 12; //          u32  zero
export const HEADER_NUMBER: usize = 16; //        u64
export const HEADER_TIMESTAMP: usize = 24; //     u64
export const HEADER_PROGRAM: usize = 32; //       [32] SHA-256 of the ledger program
export const HEADER_BASE_FEE: usize = 64; //      u256 per gas
export const HEADER_MINER: usize = 96; //         [20]
export const HEADER_PADDING: usize = 116; //      zero

// ---- account ----------------------------------------------------------------------------------------------

export const ACCOUNT_BYTES: u32 = 64;
export const ACCOUNT_FLAGS: usize = 20; //        u32  ACCOUNT_CONTRACT; the address stands at 0
export const ACCOUNT_NONCE: usize = 24; //        u64
export const ACCOUNT_BALANCE: usize = 32; //      u256

export const ACCOUNT_CONTRACT: u32 = 1;

// ---- transaction ------------------------------------------------------------------------------------------

export const TRANSACTION_BYTES: u32 = 128;
export const TRANSACTION_TO: usize = 20; //       [20] zero for a creation; the sender's address stands at 0
export const TRANSACTION_FLAGS: usize = 40; //    u32  TRANSACTION_CREATION
export const TRANSACTION_INPUT_BYTES: usize = 44; // u32
export const TRANSACTION_NONCE: usize = 48; //    u64
export const TRANSACTION_GAS_LIMIT: usize = 56; // u64
export const TRANSACTION_VALUE: usize = 64; //    u256
export const TRANSACTION_GAS_PRICE: usize = 96; // u256 base fee included

export const TRANSACTION_CREATION: u32 = 1;

// ---- result: then one status byte for each transaction ----------------------------------------------------

export const RESULT_BYTES: u32 = 128;
export const RESULT_NUMBER: usize = 0; //         u64
export const RESULT_TRANSACTIONS: usize = 8; //   u32
export const RESULT_APPLIED: usize = 12; //       u32
export const RESULT_BAD_NONCE: usize = 16; //     u32
export const RESULT_INSUFFICIENT: usize = 20; //  u32
export const RESULT_BURNED: usize = 32; //        u256
export const RESULT_DIGEST: usize = 64; //        [32]
export const RESULT_PROCESS: usize = 96; //       [32] hash of the ledger process, filled in by the root

export const STATUS_APPLIED: u8 = 0;
export const STATUS_BAD_NONCE: u8 = 1;
export const STATUS_INSUFFICIENT: u8 = 2;
