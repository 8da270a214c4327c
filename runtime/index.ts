/**
 * `stillpoint`, a deterministic process runtime: runtimes, blocks, errors, admission and proofs.
 */

import "./check-node.ts";

export type { Contended } from "./batch/contended.ts";
export {
  type BatchCounters,
  type BatchReport,
  type BlockOfBatch,
  type Ending,
  PHASES,
  type Phase,
} from "./batch/evidence.ts";
export type { Hints } from "./batch/hints.ts";
export type { ArchivedBlock } from "./chain/archive.ts";
export { type Block, BlockFault } from "./chain/block.ts";
export { Candidate } from "./chain/candidates.ts";
export type { Chain, MemoryRange } from "./chain/chain.ts";
export {
  decodeRulesChange,
  encodeRulesChange,
  type Replacement,
  type RetainedInput,
  type RulesChange,
} from "./chain/change.ts";
export type { Metrics, StoreMetrics } from "./chain/engine.ts";
export type { EventFields, EventKind, EventStream, ReleaseReason, RuntimeEvent } from "./chain/events.ts";
export type { BlockInput, ExecuteOptions, ProduceOptions, ReorgOptions } from "./chain/input.ts";
export type { ChildRange, ProcessView } from "./chain/inspect.ts";
export { BLOCK_PARTS, type BlockPart, type Histogram, Times } from "./chain/latency.ts";
export type { Pruned, Reorg } from "./chain/maker.ts";
export type {
  CloseOptions,
  DebugOptions,
  ForkOptions,
  FromOptions,
  PruneOptions,
  RecordOptions,
  RuntimeOptions,
  StoreOptions,
} from "./chain/options.ts";
export type { View } from "./chain/results.ts";
export { Runtime } from "./chain/runtime.ts";
export { CARRIED } from "./chain/versions.ts";
export type { CallOptions } from "./chain/views.ts";
export { KernelPanic, LimitError, StillpointError, StoreError, UsageError } from "./errors.ts";
export type { HashedRecord } from "./image/record.ts";
export { encodeRules, type Rules } from "./image/rules.ts";
export { AdmissionError, admit, type Program, programHash } from "./program/admit.ts";
export {
  type BytesStatement,
  type NoMemoryStatement,
  type NoProcessStatement,
  type ProofDefect,
  ProofError,
  type Statement,
} from "./proof/format.ts";
export { verify } from "./proof/native.ts";
export { type HeaderStatement, type VerifyOptions, verifyHeader } from "./proof/verify.ts";
