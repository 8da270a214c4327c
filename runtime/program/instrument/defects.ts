/** What tests plant into the instrumentation, to see that it is found. */

/** Deliberate defects, for tests that must find them. */
export type Defect = SequentialDefect | LineDefect;
type SequentialDefect =
  | "gas"
  | "nan"
  | "nan-shape"
  | "mark"
  | "pay"
  | "depth"
  | "group"
  | "bulk-mark"
  | "bulk-pay"
  | "bulk-page-group"
  | "exit"
  | "flush"
  | SuspensionDefect;
/** Those of programs that can suspend. */
type SuspensionDefect = "operand" | "index" | "local" | "address" | "base" | "charge" | "kept-nan";
/** Those of the batch variant alone. */
type LineDefect =
  | "straddle"
  | "bound-offset"
  | "bulk-touch"
  | "write-tag"
  | "state-pay"
  | "span"
  | "guard"
  | "wrap"
  | "claim"
  | "version";
