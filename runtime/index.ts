/**
 * Stillpoint: a deterministic process runtime. The public face for embedders.
 */

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
export { type Block, BlockFault, type RetainedInput } from "./chain/block.ts";
export { Candidate } from "./chain/candidates.ts";
export type { Chain, MemoryRange } from "./chain/chain.ts";
export type { ChromeEvent, ChromeTrace } from "./chain/chrome.ts";
export {
  type Diff,
  type Difference,
  type DiffOptions,
  type FieldDifference,
  formatDiff,
} from "./chain/diff.ts";
export { type Divergence, divergence } from "./chain/diverge.ts";
export type { Metrics } from "./chain/engine.ts";
export type { EventFields, EventKind, EventStream, ReleaseReason, RuntimeEvent } from "./chain/events.ts";
export type { FollowEvent } from "./chain/follow.ts";
export type { BlockInput, ExecuteOptions, ProduceOptions, ReorgOptions } from "./chain/input.ts";
export type { ProcessView } from "./chain/inspect.ts";
export {
  type Damage,
  repairStore,
  salvageStore,
  type Verification,
  type VerifiedBlock,
  verifyStore,
} from "./chain/maintenance.ts";
export type { Pruned, Reorg } from "./chain/maker.ts";
export type {
  CloseOptions,
  DebugOptions,
  ForkOptions,
  RuntimeOptions,
  StoreOptions,
} from "./chain/options.ts";
export { type FollowOptions, openReader, Reader, type ReaderOptions } from "./chain/reader.ts";
export {
  type ByteRange,
  type Frame,
  Runtime,
  type TraceEvent,
} from "./chain/runtime.ts";
export { formatFaults } from "./chain/stack.ts";
export type { Trace, TriedBlock } from "./chain/trace.ts";
export {
  type ExportManifest,
  type ExportOptions,
  exportBlock,
  exportManifest,
  Importer,
  type ImportPin,
  openImport,
} from "./chain/transfer.ts";
export type { CallOptions, View } from "./chain/views.ts";
export { KernelPanic, LimitError, StillpointError, StoreError, UsageError } from "./errors.ts";
export type { HashedRecord } from "./image/record.ts";
export { AdmissionError, admit, type Program, programHash } from "./program/admit.ts";
export { addSources, type Place, type Sources } from "./program/source-map/sources.ts";
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
