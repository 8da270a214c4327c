/** Names of statuses and faults for people, by number. */

export const STATUS_NAMES = ["fresh", "returned", "ret", "runnable", "faulted", "snapshot", "ended"] as const;

export const FAULT_NAMES = [
  "none",
  "unreachable",
  "abort",
  "memory-bounds",
  "table-bounds",
  "division-by-zero",
  "integer-overflow",
  "bad-conversion",
  "bad-indirect-call",
  "out-of-gas",
  "call-depth",
  "quota",
] as const;
