/**
 * States of a store's blocks that are made for those who look at them: the nearest state below that is stored
 * is copied through a reader into a directory of its own, a runtime in memory begins from the copy, and the
 * blocks above run again in it. So it works while another process writes to the store, and cannot change it.
 *
 * A runtime that begins from a block names its blocks again; what is equal is their roots, which is checked.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LimitError, StoreError } from "../errors.ts";
import { cancelled } from "../worker/pool.ts";
import type { Block } from "./block.ts";
import type { Chain } from "./chain.ts";
import { exportAnchor } from "./export.ts";
import { openImport } from "./import.ts";
import type { Reader, Way } from "./reader.ts";
import { BUILD } from "./recompute.ts";
import { Runtime } from "./runtime.ts";

/** A state that is larger is not copied. */
const STATE_BYTES_MAX = 2 ** 32;
/** Address space: memory is taken as it is used. */
const HEAP_BYTES = 2 ** 36;

/** A chain that has the state of a block, and the block's name there. */
export interface HeldState extends AsyncDisposable {
  readonly chain: Chain;
  readonly block: Block;
}

/**
 * The state of a retained block of a store, which is made if the store does not have it.
 *
 * @throws as `Remade.of`
 */
export async function stateOf(reader: Reader, block: Block): Promise<HeldState> {
  if (reader.wayTo(block).above.length === 0)
    return { chain: reader, block, [Symbol.asyncDispose]: async () => {} };
  const made = await Remade.of(reader, block);
  const { runtime } = made;
  return { chain: runtime, block: runtime.head, [Symbol.asyncDispose]: () => made[Symbol.asyncDispose]() };
}

/** Whether another process has the store open, whose states can be copied all the same. */
export function isLocked(error: unknown): boolean {
  return error instanceof StoreError && error.code === "STORE_LOCKED";
}

/** The state of a block of a store in a runtime in memory, and those of the blocks that it is made from. */
export class Remade implements AsyncDisposable {
  /** Its head has the state of the block. */
  readonly runtime: Runtime;
  /** A directory that is removed in the end. */
  readonly directory: string;
  readonly #names: ReadonlyMap<string, Block>;

  private constructor(runtime: Runtime, directory: string, names: ReadonlyMap<string, Block>) {
    this.runtime = runtime;
    this.directory = directory;
    this.#names = names;
  }

  /**
   * Makes the state of a retained block. It is given up when `signal` is aborted.
   *
   * @throws UsageError (NOT_RETAINED: it was pruned meanwhile; CANCELLED), LimitError (STATE_TOO_LARGE),
   *   StoreError (STORE_DIVERGED: this build makes another state)
   */
  static async of(reader: Reader, block: Block, signal: AbortSignal | null = null): Promise<Remade> {
    const way = reader.wayTo(block);
    const directory = await mkdtemp(join(tmpdir(), "stillpoint-inspect-"));
    let runtime: Runtime | null = null;
    try {
      const copy = join(directory, "copy");
      await copyState(reader.path, way.anchor, copy, signal);
      runtime = await Runtime.open({
        from: { store: copy },
        ...{ workers: 1, views: 1, heapBytes: HEAP_BYTES, retainBlocks: way.above.length + 1 },
      });
      return new Remade(runtime, directory, await runAbove(runtime, way, reader.path, signal));
    } catch (error) {
      await runtime?.close();
      await rm(directory, { recursive: true, force: true });
      reader.blockOf(block.id); // what it is made from goes where the block is pruned
      throw error;
    }
  }

  /** What a block of the store is called in the runtime; undefined: it has no state of it. */
  nameOf(id: string): Block | undefined {
    return this.#names.get(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runtime.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Makes a store that holds a block alone. */
async function copyState(
  store: string,
  block: Block,
  copy: string,
  signal: AbortSignal | null,
): Promise<void> {
  await using importer = await openImport(copy, block.id);
  let bytes = 0;
  for await (const chunk of exportAnchor(store, block)) {
    if (signal?.aborted) throw cancelled(signal);
    bytes += chunk.length;
    if (bytes > STATE_BYTES_MAX) throw tooLarge(block);
    importer.take(chunk);
  }
  await importer.finish();
}

function tooLarge({ height }: Block): LimitError {
  const text =
    `the state of block ${height} has more than ${STATE_BYTES_MAX} bytes, too many to copy: ` +
    'stop the runtime that writes to the store, and use "stillpoint inspect DIR trace"';
  return new LimitError("STATE_TOO_LARGE", text, { height });
}

/** Runs the blocks above the one at which the runtime begins; their names there, by their ids. */
async function runAbove(
  runtime: Runtime,
  { anchor, above }: Way,
  path: string,
  signal: AbortSignal | null,
): Promise<Map<string, Block>> {
  const names = new Map([[anchor.id, runtime.head]]);
  for (const { block, input } of above) {
    const { metadata, ...options } = input();
    const made = await runtime.produce(metadata, { ...options, ...(signal === null ? {} : { signal }) });
    if (made.root !== block.root) throw otherRoot(block, made, path);
    names.set(block.id, made);
  }
  return names;
}

function otherRoot({ id, height, root }: Block, made: Block, path: string): StoreError {
  return new StoreError(
    "STORE_DIVERGED",
    `the state of block ${height} (${id}) of the store ${path} has the root ${root}, and running the block ` +
      `again gives ${made.root}. This is ${BUILD}: use the build that wrote the store`,
    { path, height, block: id, root, found: made.root, build: BUILD },
  );
}
