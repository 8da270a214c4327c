/**
 * `stillpoint/debug`: where states differ and what ran. Differences of blocks and of runtimes, traces, stacks
 * with source lines, timelines, recordings.
 */

import "./check-node.ts";

export {
  type FormatTraceOptions,
  formatTrace,
  formatTree,
  type ItemText,
  type TreeOptions,
} from "./chain/call-tree.ts";
export type { ChromeEvent, ChromeTrace } from "./chain/chrome.ts";
export {
  type Diff,
  type Difference,
  type DiffOptions,
  type FieldDifference,
  formatDiff,
} from "./chain/diff.ts";
export {
  type Divergence,
  type DivergenceOptions,
  diffBetween,
  divergence,
  type Parting,
  parting,
} from "./chain/diverge.ts";
export { flameGraph } from "./chain/flame-graph.ts";
export {
  type FormatProfileOptions,
  formatProfile,
  joinProfiles,
  type Profile,
  type ProfileFrame,
  type ProfileOptions,
  type ProfileRow,
  type ProfileSample,
  profileFunctions,
  profileLines,
  samplingOf,
  speedscope,
} from "./chain/profile.ts";
export { type RecordBlockOptions, readRecording, recordBlock } from "./chain/record-block.ts";
export type { ByteRange, ChangedLine, Frame, Lost, Trace, TraceEvent } from "./chain/results.ts";
export { formatFaults } from "./chain/stack.ts";
export type { TriedBlock } from "./chain/trace.ts";
export { addSources, type Place, type Sources } from "./program/source-map/sources.ts";
export type { Recordings } from "./record/recorder.ts";
export type * from "./record/shapes.ts";
