/**
 * Stillpoint: a deterministic process runtime. The public face for embedders.
 */

export type { ChromeEvent, ChromeTrace } from "./chain/chrome.ts";
export {
  type Diff,
  type Difference,
  type DiffOptions,
  type FieldDifference,
  formatDiff,
} from "./chain/diff.ts";
export { type Divergence, divergence } from "./chain/diverge.ts";
export { programHash } from "./chain/genesis.ts";
export type { ProcessView } from "./chain/inspect.ts";
export type { RuntimeOptions } from "./chain/options.ts";
export { type Block, BlockFault, type ProduceOptions, Runtime, type TraceEvent } from "./chain/runtime.ts";
export { KernelPanic, LimitError, StillpointError, UsageError } from "./errors.ts";
export type { HashedRecord } from "./image/record.ts";
export { AdmissionError, admit, type Program } from "./program/admit.ts";
export {
  type BytesStatement,
  type NoMemoryStatement,
  type NoProcessStatement,
  type ProofDefect,
  ProofError,
  type Statement,
} from "./proof/format.ts";
export { verify } from "./proof/native.ts";
export type { VerifyOptions } from "./proof/verify.ts";
