/**
 * What the exchange's processes and its host say to each other, little-endian. The host's side is
 * ../encode.ts.
 *
 * Metadata: a head, then for KIND_SETUP the setup with its accounts, for KIND_TRANSACTIONS transactions.
 * Data of a block of transactions: a result for each.
 */

export const MESSAGE_VERSION: u32 = 1;
export const KIND_SETUP: u32 = 0;
export const KIND_TRANSACTIONS: u32 = 1;

// ---- head: u32 version, u32 kind, u32 count of what follows, u32 zero ------------------------------------

export const HEAD_BYTES: u32 = 16;

// ---- setup: then accounts --------------------------------------------------------------------------------

export const SETUP_BYTES: u32 = 144;
export const SETUP_VERIFIER: usize = 0; //        [32] hash of the program
export const SETUP_ROUTER: usize = 32; //         [32]
export const SETUP_TOKEN: usize = 64; //          [32]
export const SETUP_POOL: usize = 96; //           [32]
export const SETUP_RESERVES: usize = 128; //      u64 × 2, what the pool begins with of each token

export const HOLDER_BYTES: u32 = 40;
export const HOLDER_BALANCES: usize = 24; //      u64 × 2, of each token; the address stands at 0

// ---- transaction -----------------------------------------------------------------------------------------

export const TRANSACTION_BYTES: u32 = 2424;
export const TRANSACTION_KIND: usize = 20; //     u32  TRANSFER or SWAP; the sender's address stands at 0
export const TRANSACTION_TO: usize = 24; //       [20] of a transfer
export const TRANSACTION_TOKEN: usize = 44; //    u32  the token that is given, 0 or 1
export const TRANSACTION_AMOUNT: usize = 48; //   u64
export const TRANSACTION_MINIMUM: usize = 56; //  u64  of a swap: what must be received at least
export const TRANSACTION_SIGNED: u32 = 64; //     so many bytes are signed; the signature follows

export const TRANSFER: u32 = 0;
export const SWAP: u32 = 1;

// ---- order: a transaction that was signed by its sender, as the verifier hands it on ---------------------

export const ORDER_BYTES: u32 = 72;
export const ORDER_KEY: usize = 64; //            u32  number of the key; what was signed stands before

// ---- payment, as the router gives it to a token ----------------------------------------------------------

export const PAYMENT_BYTES: u32 = 48;
export const PAYMENT_TO: usize = 20; //           [20]; the payer's address stands at 0
export const PAYMENT_AMOUNT: usize = 40; //       u64

// ---- result ----------------------------------------------------------------------------------------------

export const RESULT_BYTES: u32 = 16;
export const RESULT_STATUS: usize = 0; //         u32
export const RESULT_RECEIVED: usize = 8; //       u64  by a swap

export const STATUS_APPLIED: u32 = 0;
export const STATUS_BAD_SIGNATURE: u32 = 1;
export const STATUS_REPLAY: u32 = 2;
export const STATUS_OVERDRAFT: u32 = 3;
export const STATUS_SLIPPAGE: u32 = 4;
export const STATUS_MALFORMED: u32 = 5;

// ---- states: what a program declares and those who write to its inbox must know --------------------------

export const ROUTER_STATE_BYTES: u32 = 1 << 20;
export const TOKEN_STATE_BYTES: u32 = 1 << 20;
export const POOL_STATE_BYTES: u32 = 1 << 16;
/** Where the pool has its two reserves, u64 each. */
export const POOL_RESERVES: usize = 64;
/** Where router and tokens have their table of accounts. */
export const TABLE: usize = 64;
