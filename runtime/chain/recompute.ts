/**
 * Making states again: a block whose state is neither in the heap nor in a store is run once more, from the
 * nearest block below whose state is there.
 *
 * A block is a function of its parent and its input, and its id covers the result. So a run either makes the
 * same state as before, or is refused.
 */

import { LimitError, StoreError, UsageError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { lookAt } from "../heap/stub.ts";
import { REWRITER_VERSION } from "../program/admit.ts";
import { type Block, type BlockRun, makeBlock, type Retained } from "./block.ts";
import { decodeChange } from "./change.ts";
import type { Engine } from "./engine.ts";
import type { Genesis } from "./genesis.ts";
import { unsupported } from "./stored.ts";
import { rulesOf } from "./upgrade.ts";

const { node, v8 } = process.versions;
/** The versions that decide blocks: they explain a block that comes out with another id. */
export const BUILD = `program rewriter ${REWRITER_VERSION}, Node ${node}, V8 ${v8}`;

/** A block to run again. */
export interface Again {
  readonly block: Pick<Block, "id" | "height">;
  readonly metadata: Uint8Array;
  readonly gasLimit: number;
  /** As change.ts writes it; null: none. */
  readonly change: Uint8Array | null;
  /** The build that made it first, and the store that it was read from. */
  readonly build: string;
  readonly path: string;
}

/** How blocks are run again. */
export interface How {
  readonly engine: Engine;
  /** What their chain begins with. */
  readonly genesis: Genesis;
  /** Cancels the run when it is aborted. */
  readonly signal: AbortSignal | null;
  /** Makes room in a full heap. Resolves to 0 if it found none. */
  readonly makeRoom: () => Promise<number>;
}

/**
 * Runs a block again on the block before, whose state the caller holds, and hands it to `keep`, which must
 * make it reachable at once.
 *
 * @throws StoreError (STORE_DIVERGED), UsageError (RULES_UNKNOWN, CANCELLED), LimitError
 */
export async function runAgain(
  { engine, genesis, signal, makeRoom }: How,
  before: Retained,
  again: Again,
  keep: (entry: Retained) => void,
): Promise<Retained> {
  const { heap, settings, rulebook } = engine;
  const { block, metadata, gasLimit } = again;
  const parent = before.block.id;
  const change = again.change === null ? null : decodeChange(again.change);
  const make = (run: BlockRun): Retained => {
    const made = makeBlock(heap, genesis.id, run, block.height, parent, gasLimit);
    if (made.block.id === block.id) {
      run.reports(made.block);
      keep(made);
    }
    return made;
  };
  let entry: Retained;
  try {
    const rules = await engine.inTurn(() => rulesOf(rulebook, before.rules, change, genesis.entry, settings));
    const plan = {
      block: { height: block.height, parent },
      hints: [],
      signal,
      events: null,
      rules,
      again: block.id,
    };
    entry = await engine.run(before.ref, metadata, gasLimit, plan, make, makeRoom);
  } catch (error) {
    // An error of this host says nothing about the block.
    const isHost = error instanceof LimitError || error instanceof StoreError;
    const isCaller =
      error instanceof UsageError && (error.code === "RULES_UNKNOWN" || error.code === "CANCELLED");
    if (isHost || isCaller) throw error;
    throw diverged(again, (error as Error).message);
  }
  if (entry.block.id === block.id) return entry;
  throw diverged(again, entry.block.id);
}

export function diverged({ block: { id, height }, path, build }: Again, found: string): StoreError {
  return new StoreError(
    "STORE_DIVERGED",
    `block ${height} of the store ${path} is ${id}, and running it again gives ${found}. It was ` +
      `written by ${build}, this is ${BUILD}. Nothing was changed: open it with the build that wrote it, ` +
      'or give up the blocks that are in the log alone: "stillpoint store DIR recover", or the option ' +
      '"recover": "checkpoint"',
    { path, height, block: id, found, wroteBuild: build, build: BUILD },
  );
}

/** What `recompute` needs of the history. */
export interface Around {
  /** The entry from whose state that of another is made; null if there is none. */
  readonly below: (entry: Retained) => Retained | null;
  /** Keeps a state until the work has ended. */
  readonly holding: <T>(entry: Retained, work: () => Promise<T>) => Promise<T>;
  readonly path: string;
}

/** A report on a state that was made again: how many blocks were run for it, and how long that took. */
export interface Recomputed {
  readonly blocks: number;
  readonly milliseconds: number;
}

/**
 * Makes the state of a block again, and those of the blocks below that it is made from. The caller holds the
 * block. Resolves to null if the state was there.
 *
 * @throws as `runAgain`; StoreError (STORE_CORRUPT: what it is made from is not there)
 */
export async function recompute(
  how: How,
  entry: Retained,
  { below, holding, path }: Around,
): Promise<Recomputed | null> {
  const began = performance.now();
  let blocks = 0;
  for (; entry.ref === 0; blocks++) {
    let [next, before] = [entry, below(entry)];
    while (before !== null && before.ref === 0) [next, before] = [before, below(before)];
    if (before === null) throw unsupported(next.block, path);
    const base = before;
    const again = { ...inputAgain(how.engine.heap, next), block: next.block, build: "an earlier run", path };
    await holding(base, () =>
      runAgain(how, base, again, ({ ref }) => {
        // Another may have made it meanwhile.
        if (next.ref === 0) next.ref = ref;
      }),
    );
  }
  return blocks === 0 ? null : { blocks, milliseconds: performance.now() - began };
}

/** The input of a block, with its change of rules as bytes. */
function inputAgain(
  heap: Heap,
  { metadata, budget, change }: Retained,
): Omit<Again, "block" | "build" | "path"> {
  const bytes = (ref: Ref): Uint8Array => new Uint8Array(heap.payload(ref));
  return lookAt(heap, () => ({
    metadata: bytes(metadata),
    gasLimit: budget,
    change: change === 0 ? null : bytes(change),
  }));
}
