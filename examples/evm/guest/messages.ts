/**
 * The messages of host, root and the EVM. Integers are little-endian; a word is an integer of 256 bits,
 * its least significant byte first; an address is a word.
 *
 * Metadata of a block:
 *      0  u32 METADATA_VERSION     4  u32 fork (rules.ts)       8  32 bytes: hash of the EVM's program
 *     40  32 bytes: hash of the program that recovers senders
 *     72  u64 number              80  u64 timestamp            88  u64 gas limit          96  u64 excess blob
 *         gas
 *    104  u32 accounts           108  u32 slots               112  u32 codes             116  u32 block
 *         hashes
 *    120  u32 withdrawals        124  u32 transactions        128  address of the miner  160  base fee, a
 *         word
 *    192  difficulty or the beacon chain's randomness, a word
 *    224  32 bytes: root of the parent beacon block           256  u32 1 if there is one, u32 0
 *    264  accounts, slots, block hashes, withdrawals, codes, transactions, one after the other:
 *         account     address, balance, u64 nonce, u32 number of its code from 1 on (0: none), u32 1: it is
 *                     there
 *         slot        u32 number of its account from 0 on, u32 0, key, value
 *         block hash  u64 number, 32 bytes
 *         withdrawal  address, u64 amount in gwei
 *         code        32 bytes: its Keccak-256, u32 bytes, u32 0, the code, zeros: codeBytes(bytes)
 *         transaction u32 bytes, u32 0, 32 bytes 0, where the root writes who sent it, the signed transaction
 *                     as it is hashed, zeros up to a whole u64
 *
 * An item of the EVM: the sender's address, then the signed transaction. Its code is 0, or why the
 * transaction is not valid; its output:
 *      0  u32 1: it ended well     4  u32 its type              8  u64 gas used          16  u32 number of
 *         logs
 *     20  u32 bytes of the logs   24  address of the contract that it created, or 0     56  256 bytes bloom
 *    312  the logs, a list in RLP
 *
 * An item of the recovery of senders: the signed transaction. Its code is 0 or why it is not valid; its
 * output:
 *      0  the sender's address    32  32 bytes hash of the transaction    64  u64 its gas limit
 *     72  u32 1: s is low (since Homestead it must be)                    76  u32 its type
 *
 * Data of a block:
 *      0  u64 number               8  u64 gas used             16  u32 transactions       20  u32 0
 *     24  32 bytes: root of the receipts                       56  32 bytes: root of the transactions
 *     88  32 bytes: root of the EVM's process                 120  wei of fees that were burned, a word
 *    152  256 bytes bloom
 *    408  for each transaction: u32 1: it ended well, u32 number of logs, u64 gas used, address of the
 *         sender,
 *         address of a contract that it created, or 0, 32 bytes hash
 */

export const METADATA_VERSION: u32 = 3;

export const HEADER_FORK: usize = 4;
export const HEADER_EVM: usize = 8;
export const HEADER_SENDERS: usize = 40;
export const HEADER_NUMBER: usize = 72;
export const HEADER_TIMESTAMP: usize = 80;
export const HEADER_GAS_LIMIT: usize = 88;
export const HEADER_EXCESS_BLOB_GAS: usize = 96;
export const HEADER_ACCOUNTS: usize = 104;
export const HEADER_SLOTS: usize = 108;
export const HEADER_CODES: usize = 112;
export const HEADER_HASHES: usize = 116;
export const HEADER_WITHDRAWALS: usize = 120;
export const HEADER_TRANSACTIONS: usize = 124;
export const HEADER_MINER: usize = 128;
export const HEADER_BASE_FEE: usize = 160;
export const HEADER_RANDAO: usize = 192;
export const HEADER_BEACON_ROOT: usize = 224;
export const HEADER_HAS_BEACON_ROOT: usize = 256;
export const HEADER_BYTES: usize = 264;

export const ACCOUNT_BALANCE: usize = 32;
export const ACCOUNT_NONCE: usize = 64;
export const ACCOUNT_CODE: usize = 72;
export const ACCOUNT_EXISTS: usize = 76;
export const ACCOUNT_BYTES: usize = 80;

export const SLOT_KEY: usize = 8;
export const SLOT_VALUE: usize = 40;
export const SLOT_BYTES: usize = 72;

export const HASH_BYTES: usize = 40;

export const WITHDRAWAL_AMOUNT: usize = 32;
export const WITHDRAWAL_BYTES: usize = 40;

export const CODE_LENGTH: usize = 32;
export const CODE_BYTES: usize = 40;

/** Bytes in front of a transaction, for who sent it. */
export const SENDER_ROOM: u32 = 32;

export const RECEIPT_TYPE: usize = 4;
export const RECEIPT_GAS_USED: usize = 8;
export const RECEIPT_LOGS: usize = 16;
export const RECEIPT_LOGS_BYTES: usize = 20;
export const RECEIPT_CREATED: usize = 24;
export const RECEIPT_BLOOM: usize = 56;
export const RECEIPT_BYTES: usize = 312;
export const BLOOM_BYTES: usize = 256;

export const SENDER_HASH: usize = 32;
export const SENDER_GAS_LIMIT: usize = 64;
export const SENDER_IS_LOW: usize = 72;
export const SENDER_TYPE: usize = 76;
export const SENDER_BYTES: u32 = 80;

export const RESULT_GAS_USED: usize = 8;
export const RESULT_TRANSACTIONS: usize = 16;
export const RESULT_RECEIPTS_ROOT: usize = 24;
export const RESULT_TRANSACTIONS_ROOT: usize = 56;
export const RESULT_PROCESS: usize = 88;
export const RESULT_BURNED: usize = 120;
export const RESULT_BLOOM: usize = 152;
export const RESULT_BYTES: usize = 408;
export const RESULT_LINE_LOGS: usize = 4;
export const RESULT_LINE_GAS_USED: usize = 8;
export const RESULT_LINE_SENDER: usize = 16;
export const RESULT_LINE_CREATED: usize = 48;
export const RESULT_LINE_HASH: usize = 80;
export const RESULT_LINE_BYTES: usize = 112;

// Why a transaction is not valid.
export const VALID: i64 = 0;
export const MALFORMED: i64 = 1;
export const UNKNOWN_TYPE: i64 = 2;
export const WRONG_CHAIN: i64 = 3;
export const BAD_SIGNATURE: i64 = 4;
export const WRONG_NONCE: i64 = 5;
export const TOO_LITTLE_BALANCE: i64 = 6;
export const TOO_LITTLE_GAS: i64 = 7;
export const FEE_BELOW_BASE: i64 = 8;
export const TIP_ABOVE_FEE: i64 = 9;
export const SENDER_HAS_CODE: i64 = 10;
export const INIT_CODE_TOO_LONG: i64 = 11;
export const BAD_BLOBS: i64 = 12;
export const ABOVE_BLOCK_LIMIT: i64 = 13;
/** It is valid, but calls the point evaluation of EIP-4844. */
export const NOT_SUPPORTED: i64 = 14;

/** In words. */
export function reason(code: i64): string {
  switch (<i32>code) {
    case <i32>MALFORMED:
      return "its encoding is malformed";
    case <i32>UNKNOWN_TYPE:
      return "the fork does not know its type";
    case <i32>WRONG_CHAIN:
      return "it is signed for another chain";
    case <i32>BAD_SIGNATURE:
      return "its signature is not valid";
    case <i32>WRONG_NONCE:
      return "its nonce is not its sender's";
    case <i32>TOO_LITTLE_BALANCE:
      return "its sender cannot pay value and gas";
    case <i32>TOO_LITTLE_GAS:
      return "its gas limit is below what it costs at least";
    case <i32>FEE_BELOW_BASE:
      return "its fee is below the base fee";
    case <i32>TIP_ABOVE_FEE:
      return "its priority fee is above its fee";
    case <i32>SENDER_HAS_CODE:
      return "its sender is a contract";
    case <i32>INIT_CODE_TOO_LONG:
      return "its init code is longer than 49,152 bytes";
    case <i32>BAD_BLOBS:
      return "its blobs break the rules";
    default:
      return "its gas limit exceeds what the block has left";
  }
}

/** Bytes that a code takes in the message: with its padding, whole u64. */
export function codeBytes(length: u32): u32 {
  return (length + CODE_PADDING + 7) & ~7;
}

/** Zero bytes behind a code: it ends with STOP, and operands of PUSH or 64 bytes at once can be read. */
export const CODE_PADDING: u32 = 64;
