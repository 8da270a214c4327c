/** Limits of the ready-made root, and how they relate to those of the runtime, asserted when it is loaded. */

import { BATCH_LIMIT, MAIL_BYTES } from "../../syscalls/abi.ts";
import { assert } from "../errors.ts";
import { BATCH_BYTES_LIMIT, DATA_BYTES_LIMIT, GAS_LIMIT } from "../limits.ts";
import * as message from "./guest/messages.ts";

/** The option "gas" of a transaction by default. */
export const TRANSACTION_GAS = 10_000_000;

/**
 * Gas of a block, 33 times what a runtime gives by default: contracts are the embedder's own, and only
 * what is in transactions comes from strangers. All work of a block ends with it.
 */
export const APP_GAS_LIMIT = 10_000_000_000;
/** What all setups together may use of the first block's gas. */
export const SETUP_SHARE = 0.75;

/** A sender takes 64 bytes, and at most twice as much in the index: less than a quarter of the quota. */
export const SENDERS_PER_PAGE = 4;
export const SENDERS_MAX = 1 << 24;

const ITEM_BYTES_MAX = message.ITEM_BYTES + message.TRANSACTION_BYTES_MAX;

const RELATIONS: Readonly<Record<string, boolean>> = {
  "an inbox takes every transaction": message.TRANSACTION_BYTES_MAX <= MAIL_BYTES / 2,
  "a transaction has room for its head": message.INPUT_BYTES < message.TRANSACTION_BYTES_MAX,
  "an authentication fits into an outbox": message.ADMISSION_BYTES + message.INPUT_BYTES <= MAIL_BYTES / 2,
  "a block takes the largest transaction": message.NETWORK_BYTES + ITEM_BYTES_MAX <= message.REGION_BYTES,
  "a block takes what the host may send": message.REGION_BYTES <= DATA_BYTES_LIMIT,
  "a batch takes all transactions of a block": message.REGION_BYTES <= BATCH_BYTES_LIMIT,
  "a block may carry its results": message.DATA_BYTES <= DATA_BYTES_LIMIT,
  "as many results as a batch has items fit":
    message.RESULTS_BYTES + BATCH_LIMIT * message.RESULT_BYTES <= message.DATA_BYTES,
  "half a block's gas authenticates": message.AUTHENTICATION_GAS <= APP_GAS_LIMIT / 2,
  "a block pays for a transaction": TRANSACTION_GAS <= APP_GAS_LIMIT && APP_GAS_LIMIT <= GAS_LIMIT,
};

for (const [relation, holds] of Object.entries(RELATIONS)) assert(holds, `limits of apps: ${relation}`);
