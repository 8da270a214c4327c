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

/** What is kept of blocks that were executed. */
const KEPT = 4;

/** Runs something for blocks, one after the other, and remembers what came of the last few. */
export class Executions<T> {
  readonly #run: (block: Block) => Promise<T>;
  readonly #known = new Map<string, Promise<T>>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(run: (block: Block) => Promise<T>) {
    this.#run = run;
  }

  of(block: Block): Promise<T> {
    const known = this.#known.get(block.id);
    if (known !== undefined) return known;
    const result = this.#turn.then(() => this.#run(block));
    this.#turn = result.catch(() => {});
    // What failed is tried again when it is asked for again.
    result.catch(() => this.#known.delete(block.id));
    this.#known.set(block.id, result);
    if (this.#known.size > KEPT) this.#known.delete(this.#known.keys().next().value as string);
    return result;
  }
}

/** The block before, from which a block is executed again. */
function parentOf(reader: Reader, { height, parent }: Block): Block {
  if (height > 0) return reader.blockOf(parent);
  throw new UsageError("NOT_RETAINED", "block 0 has no parent to execute it from: take a later one");
}

/** Traces a block of a store. */
export async function traceOfStore(reader: Reader, block: Block): Promise<AppTrace> {
  await using made = await Remade.of(reader, parentOf(reader, block));
  return await traceTried(made.runtime, reader.input(block), undefined); // before it is closed
}

/** Executes a block of a store again with all threads. */
export function recordOfStore(reader: Reader, block: Block): Promise<BlockRecording> {
  return recordRemade(reader, block, { debug: { force: true } });
}
