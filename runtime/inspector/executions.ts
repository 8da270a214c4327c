/**
 * Blocks that are executed again for those who look at them: one at a time, and the last few are kept. A
 * store is not opened for that: the state of the block before is made in memory (chain/remade.ts). So it
 * works while somebody writes to the store, and nothing can come back into it.
 */

import type { AppTrace } from "../app/index.ts";
import { traceTried } from "../app/trace.ts";
import { recordRemade } from "../chain/record-block.ts";
import { Remade } from "../chain/remade.ts";
import { UsageError } from "../errors.ts";
import type { Block } from "../index.ts";
import type { BlockRecording } from "../record/shapes.ts";
import type { Reader } from "../store.ts";
import { SharedRun } from "./shared-run.ts";

/** What is kept of blocks that were executed. */
const KEPT = 4;

/** Runs a block again; what it gives up rejects. */
export type Run<T> = (block: Block, signal: AbortSignal) => Promise<T>;

/**
 * Runs something for blocks, one after the other, and remembers what came of the last few. What nobody waits
 * for any more, for all of their signals were aborted, is given up.
 */
export class Executions<T> {
  readonly #run: Run<T>;
  readonly #known = new Map<string, SharedRun<T>>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(run: Run<T>) {
    this.#run = run;
  }

  of(block: Block, signal: AbortSignal | null = null): Promise<T> {
    const known = this.#known.get(block.id);
    return (known?.isGivenUp === false ? known : this.#begin(block)).wait(signal);
  }

  #begin(block: Block): SharedRun<T> {
    const running = new SharedRun((signal) =>
      this.#turn.then(() => {
        if (signal.aborted) throw new UsageError("CANCELLED", "nobody waits for the block any more");
        return this.#run(block, signal);
      }),
    );
    this.#turn = running.result.catch(() => {
      // What failed is tried again when it is asked for again.
      if (this.#known.get(block.id) === running) this.#known.delete(block.id);
    });
    this.#known.set(block.id, running);
    if (this.#known.size > KEPT) this.#known.delete(this.#known.keys().next().value as string);
    return running;
  }
}

/** Traces a block of a store. */
export async function traceOfStore(reader: Reader, block: Block, signal: AbortSignal): Promise<AppTrace> {
  await using made = await Remade.of(reader, reader.parentOf(block), signal);
  return await traceTried(made.runtime, { ...reader.input(block), signal }, undefined); // before it is closed
}

/** Executes a block of a store again with all threads. */
export function recordOfStore(reader: Reader, block: Block, signal: AbortSignal): Promise<BlockRecording> {
  return recordRemade(reader, block, { debug: { force: true }, signal });
}
