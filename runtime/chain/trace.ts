/** Tracing: a block that is retained, or one that is only tried, is run once more on one thread. */

import { checkNames } from "../arguments.ts";
import { assert, UsageError } from "../errors.ts";
import { type Block, inputOf, type Retained } from "./block.ts";
import { checkChange, type RetainedInput } from "./change.ts";
import type { Engine } from "./engine.ts";
import { type BlockInput, checkInput, checkSignal, type Input } from "./input.ts";
import type { Journal } from "./journal.ts";
import type { Maker } from "./maker.ts";
import type { Trace } from "./results.ts";
import { type RulesOfBlock, rulesOf, unchanged } from "./upgrade.ts";

/** A block that is only tried. */
export interface TriedBlock extends BlockInput {
  /** On what: a block of this chain by height, or any retained block or candidate. Default: the latest. */
  readonly on?: number | Block;
}

/** What to trace, checked. */
export type Traced =
  | { readonly block: number | Block; readonly input: null; readonly signal: AbortSignal | null }
  | { readonly on: number | Block | undefined; readonly input: Input };

export function checkTraced(
  block: number | Block | TriedBlock,
  options: { readonly signal?: AbortSignal },
): Traced {
  const signal = checkSignal(options);
  if (typeof block !== "object" || block === null || !("metadata" in block))
    return { block, input: null, signal };
  checkNames(block, ["metadata", "on", "gasLimit", "rules", "hints", "signal"], "block");
  const { metadata, on, ...more } = block;
  const input = checkInput(metadata, more);
  return { on, input: { ...input, signal: input.signal ?? signal } };
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
    return journal.withState(parent, input.signal, async () => {
      const { ref, rules, gasLimit } = await maker.prepare(parent, input);
      return engine.trace(ref, input.metadata, gasLimit, rules, input.signal);
    });
  }
  const { signal } = traced;
  const entry = journal.find(traced.block);
  const { height, parent, root } = entry.block;
  if (height === 0 && engine.genesis.origin !== null) {
    throw new UsageError("NOT_RETAINED", "block 0 of a chain that began with a state of another ran nothing");
  }
  const before = height === 0 ? null : journal.find({ ...entry.block, id: parent, height: height - 1 });
  const run = async (): Promise<Trace> => {
    const start = before === null ? await engine.inTurn(() => engine.startOf(entry.rules)) : before.ref;
    const rules =
      before === null || entry.change === 0
        ? unchanged(entry.rules)
        : await rulesAgain(engine, before, inputOf(engine.heap, entry));
    return engine.trace(start, entry.metadata, entry.budget, rules, signal);
  };
  const trace = await (before === null ? run() : journal.withState(before, signal, run));
  assert(trace.root === root, "trace: the block came out differently");
  return trace;
}

/** The rules of a block that changed them. */
function rulesAgain(engine: Engine, before: Retained, { rules }: RetainedInput): Promise<RulesOfBlock> {
  const { rulebook, genesis, settings } = engine;
  const change = checkChange(rules);
  return engine.inTurn(() => rulesOf(rulebook, before.rules, change, genesis.entry, settings));
}
