/** Tracing: a block that is retained, or one that is only tried, is run once more on one thread. */

import { checkNames } from "../arguments.ts";
import { assert } from "../errors.ts";
import type { TraceEvent } from "../kernel/trace.ts";
import type { Block } from "./block.ts";
import type { Engine } from "./engine.ts";
import { type BlockInput, checkInput, type Input } from "./input.ts";
import type { Journal } from "./journal.ts";
import type { Maker } from "./maker.ts";
import type { Settings } from "./options.ts";

/** What happened in a block, and what became of it. */
export interface Trace {
  /** SHA-256 root of the process tree, in hex; null if the root process faulted: then there is no block. */
  readonly root: string | null;
  /** The bytes that the root process gave to SNAPSHOT. */
  readonly data: Uint8Array;
  /** Every activation and call, in the order of a run on one thread. */
  readonly events: readonly TraceEvent[];
}

/** A block that is only tried. */
export interface TriedBlock extends BlockInput {
  /** On what: a block of this chain by height, or any retained block or candidate. Default: the latest. */
  readonly on?: number | Block;
}

/** What to trace, checked. */
export type Traced =
  | { readonly block: number | Block; readonly input: null }
  | { readonly on: number | Block | undefined; readonly input: Input };

export function checkTraced(settings: Settings, block: number | Block | TriedBlock): Traced {
  if (typeof block !== "object" || block === null || !("metadata" in block)) return { block, input: null };
  checkNames(block, ["metadata", "on", "gasLimit", "hints", "signal"], "block");
  const { metadata, on, ...options } = block;
  return { on, input: checkInput(settings, metadata, options) };
}

/** Runs it; nothing of it is kept. */
export async function traceBlock(
  engine: Engine,
  journal: Journal,
  maker: Maker,
  traced: Traced,
): Promise<Trace> {
  if (traced.input !== null) {
    const { input, on } = traced;
    const parent = on === undefined ? journal.history.head : journal.find(on);
    return engine.trace(maker.stateFor(parent, input.metadata), input.metadata, input.gasLimit);
  }
  const entry = journal.find(traced.block);
  const { height, parent, root } = entry.block;
  const before =
    height === 0 ? engine.genesis.start : journal.find({ ...entry.block, id: parent, height: height - 1 });
  const trace = await engine.trace(before.ref, entry.metadata, entry.budget);
  assert(trace.root === root, "trace: the block came out differently");
  return trace;
}
