/**
 * Stillpoint: a deterministic process runtime. The public face for embedders.
 */

export { programHash } from "./chain/genesis.ts";
export type { ProcessView } from "./chain/inspect.ts";
export type { RuntimeOptions } from "./chain/options.ts";
export { type Block, BlockFault, type ProduceOptions, Runtime } from "./chain/runtime.ts";
export { KernelPanic, LimitError, StillpointError, UsageError } from "./errors.ts";
export { AdmissionError, admit, type Program } from "./program/admit.ts";
