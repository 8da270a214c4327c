/** `stillpoint/validator`: a runtime as an application of CometBFT. */

export type { BlockContext, Place } from "./message.ts";
export { blockMessage, genesisMessage, placeOf } from "./message.ts";
export { type BlockResults, HOST_CODESPACE, type ValidatorChain, validator } from "./validator.ts";
