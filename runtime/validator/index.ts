/** `stillpoint/validator`: a runtime or an App as an application of CometBFT. */

import "../check-node.ts";

export type { AppChain } from "./app.ts";
export type { BlockResults } from "./machine.ts";
export type { BlockContext, Place } from "./message.ts";
export { blockMessage, genesisMessage, placeOf } from "./message.ts";
export type { CheckLimits } from "./pending.ts";
export type { ValidatorChain } from "./plain.ts";
export { HEADER_PROOF, MEMORY_PROOF } from "./query.ts";
export { TRANSACTION_CODES, TRANSACTION_CODESPACE } from "./results.ts";
export { HOST_CODESPACE, type SyncOptions, Validator, validator } from "./validator.ts";
