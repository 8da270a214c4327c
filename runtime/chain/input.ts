/** What a block is made from, and the check of it. */

import { badArgument, badOption, checkNames, integer } from "../arguments.ts";
import type { Hints } from "../batch/hints.ts";
import { GAS_LIMIT } from "../limits.ts";
import type { Block } from "./block.ts";
import { Candidate } from "./candidates.ts";
import { type Change, checkChange, type RulesChange } from "./change.ts";

/** Options of one block. */
export interface ProduceOptions {
  /** Gas of this block, at most the `gasLimit` of the rules, which is the default. */
  readonly gasLimit?: number;
  /**
   * What this block changes of the rules before it runs, for itself and all that follow: docs/upgrading.md.
   */
  readonly rules?: RulesChange;
  /**
   * Dependencies that earlier runs of the block's batches found: reports of `onBatch`, with the option
   * "dependencies". Saves executions where items conflict; never changes a result.
   */
  readonly hints?: readonly Hints[];
  /**
   * Gives the block up when it is aborted, as long as it runs: the promise is rejected with CANCELLED, and
   * the runtime stands where it stood before. `AbortSignal.timeout(ms)` makes a watchdog.
   */
  readonly signal?: AbortSignal;
}

/** A block to make. */
export interface BlockInput extends ProduceOptions {
  readonly metadata: Uint8Array;
}

/** Options of `execute`. */
export interface ExecuteOptions extends ProduceOptions {
  /**
   * What the candidate stands on: a block of this chain by its height, or any retained block or candidate by
   * its value. Default: the latest block at the time of the call.
   */
  readonly on?: number | Block;
}

/** Where `reorg` goes, and what it makes there. */
export interface ReorgOptions {
  /** The block to go back to: one of this chain by height, or any retained one by its value. */
  readonly to: number | Block;
  /** Each is run, or is a candidate that stands on the one before; the first stands on `to`. */
  readonly blocks: readonly (BlockInput | Candidate)[];
}

/** The same as BlockInput, checked. */
export interface Input {
  readonly metadata: Uint8Array;
  /** Null: that of the rules. */
  readonly gasLimit: number | null;
  /** Null: none. */
  readonly change: Change | null;
  readonly hints: readonly Hints[];
  readonly signal: AbortSignal | null;
}

const KNOWN = ["gasLimit", "rules", "hints", "signal"];

/** Checks and copies the input of a block: the caller may use its array again at once. */
export function checkInput(metadata: Uint8Array, options: ProduceOptions): Input {
  checkNames(options, KNOWN);
  const gasLimit = options.gasLimit === undefined ? null : integer(options, "gasLimit", 0, 0, GAS_LIMIT);
  const signal = checkSignal(options.signal === undefined ? {} : { signal: options.signal });
  if (!(metadata instanceof Uint8Array)) {
    throw badArgument("metadata", metadata, "a Uint8Array");
  }
  const change = checkChange(options.rules);
  // Not `slice`, which copies nothing where it is a Buffer.
  return { metadata: new Uint8Array(metadata), gasLimit, change, hints: checkHints(options.hints), signal };
}

/** The signal among options that have nothing else. */
export function checkSignal(options: { readonly signal?: AbortSignal }): AbortSignal | null {
  checkNames(options, ["signal"]);
  const { signal = null } = options;
  if (signal === null || signal instanceof AbortSignal) return signal;
  throw badOption("signal", signal, "an AbortSignal");
}

/** Checks and copies what `execute` is given. */
export function checkExecute(
  metadata: Uint8Array,
  options: ExecuteOptions,
): { readonly on: number | Block | undefined; readonly input: Input } {
  checkNames(options, ["on", ...KNOWN]);
  const { on, ...rest } = options;
  return { on, input: checkInput(metadata, rest) };
}

/** Checks and copies what `reorg` is given. */
export function checkReorg(change: ReorgOptions): {
  readonly to: number | Block;
  readonly inputs: readonly (Input | Candidate)[];
} {
  checkNames(change, ["to", "blocks"]);
  const { to, blocks } = change;
  if (!Array.isArray(blocks)) throw badOption("blocks", blocks, "a list of blocks to make");
  const inputs = (blocks as ReorgOptions["blocks"]).map((block, i) => {
    if (block instanceof Candidate) return block;
    checkNames(block, ["metadata", ...KNOWN], `blocks[${i}]`);
    const { metadata, ...options } = block;
    return checkInput(metadata, options);
  });
  return { to, inputs };
}

function checkHints(value: unknown): readonly Hints[] {
  const index = (entry: unknown): boolean => Number.isInteger(entry) && (entry as number) >= 0;
  const pairs = (list: unknown): boolean =>
    list === null ||
    (Array.isArray(list) &&
      list.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(index)));
  const hash = (text: unknown): boolean =>
    text === null || (typeof text === "string" && /^[0-9a-f]{64}$/.test(text));
  const known = (hint: Partial<Hints> | null): boolean => hash(hint?.inputs) && pairs(hint?.dependencies);
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every(known)) {
    throw badOption("hints", value, "a list of reports of batches, or of their inputs and dependencies");
  }
  return value;
}
