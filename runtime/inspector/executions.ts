/**
 * Blocks that are executed again for those who look at them: one at a time, and the last few are kept. A
 * store is not opened for that: the state of the block before is copied through a reader into a directory of
 * its own, where a runtime in memory begins from it. So it works while somebody writes to the store, and
 * nothing can come back into it.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AppTrace } from "../app/index.ts";
import { traceTried } from "../app/trace.ts";
import { recordFrom } from "../chain/record-block.ts";
import { LimitError, UsageError } from "../errors.ts";
import { type Block, type Chain, Runtime } from "../index.ts";
import type { BlockRecording } from "../record/shapes.ts";
import { exportBlock, openImport } from "../store.ts";

/** What is kept of blocks that were executed. */
const KEPT = 4;
/** A state that is larger is not copied. */
const STATE_BYTES_MAX = 2 ** 32;
/** Address space: memory is taken as it is used. */
const HEAP_BYTES = 2 ** 36;

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

/** Calls `work` with a store that holds a block alone: a copy, which is removed afterwards. */
export async function withCopy<T>(
  store: string,
  block: Block,
  work: (copy: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-inspect-"));
  try {
    const copy = join(directory, "store");
    await using importer = await openImport(copy, block.id);
    let bytes = 0;
    for await (const chunk of exportBlock(store, { block })) {
      bytes += chunk.length;
      if (bytes > STATE_BYTES_MAX) throw tooLarge(block);
      importer.take(chunk);
    }
    await importer.finish();
    return await work(copy);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function tooLarge({ height }: Block): LimitError {
  const text =
    `the state of block ${height} has more than ${STATE_BYTES_MAX} bytes, too many to copy: ` +
    'stop the runtime that writes to the store, and use "stillpoint inspect DIR trace"';
  return new LimitError("STATE_TOO_LARGE", text, { height });
}

/** The block before, from which a block is executed again. */
export function parentOf(chain: Chain, { height, parent }: Block): Block {
  if (height > 0) return chain.blockOf(parent);
  throw new UsageError("NOT_RETAINED", "block 0 has no parent to execute it from: take a later one");
}

/** Traces a block of a store, from a copy of its parent's state. */
export function traceOfStore(store: string, chain: Chain, block: Block): Promise<AppTrace> {
  return withCopy(store, parentOf(chain, block), async (copy) => {
    await using runtime = await Runtime.open({
      from: { store: copy },
      workers: 1,
      views: 1,
      heapBytes: HEAP_BYTES,
    });
    return await traceTried(runtime, chain.input(block), undefined); // before it is closed
  });
}

/** Executes a block of a store again with all threads, from a copy of its parent's state. */
export function recordOfStore(store: string, chain: Chain, block: Block): Promise<BlockRecording> {
  return withCopy(store, parentOf(chain, block), (copy) =>
    recordFrom(copy, chain, block, { debug: { force: true } }),
  );
}
