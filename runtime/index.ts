/**
 * Stillpoint: a deterministic process runtime. The public face for embedders.
 */

export { BlockFault, type Block, type ProduceOptions, Runtime } from "./chain/runtime.ts";
export type { ProcessView } from "./chain/inspect.ts";
export type { RuntimeOptions } from "./chain/options.ts";
export { KernelPanic, LimitError, StillpointError, UsageError } from "./errors.ts";
export { AdmissionError, admit, type Program, programHash } from "./program/admit.ts";
