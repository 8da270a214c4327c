/** Recordings for those who look at them: what was recorded, or the same of a block that runs once more. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { badArgument, checkNames, flag, integer } from "../arguments.ts";
import { assert, UsageError } from "../errors.ts";
import { type Recordings, StoredRecordings } from "../record/recorder.ts";
import { directoryOf } from "../record/segments.ts";
import type { BlockRecording } from "../record/shapes.ts";
import type { Block } from "./block.ts";
import type { Chain } from "./chain.ts";
import { checkSignal } from "./input.ts";
import { type FromOptions, HEAP_BYTES_LIMIT } from "./options.ts";
import { openReader, type Reader } from "./reader.ts";
import { isLocked, Remade } from "./remade.ts";
import { Runtime } from "./runtime.ts";

/**
 * What was recorded by a runtime with the option "record": of one that is open, or of the store in a
 * directory, also while a runtime writes to it. There may be nothing.
 *
 * @throws UsageError (BAD_ARGUMENT, NO_RECORDING: that runtime does not record)
 * @example
 * ```ts
 * const recorded = await Runtime.open({ root: await compileGuest("root.ts"), record: true });
 * await recorded.produce(Uint8Array.of(1));
 * const recordings = await readRecording(recorded);
 * console.log(recordings.entries().length, recordings.read(1).failure); // 2 null
 * await recorded.close();
 * ```
 */
export async function readRecording(source: string | Runtime): Promise<Recordings> {
  if (typeof source === "string") return new StoredRecordings(directoryOf(source));
  if (!(source instanceof Runtime)) throw badArgument("source", source, "a store's directory, or a Runtime");
  const { recorder } = source.engine;
  if (recorder === null)
    throw new UsageError("NO_RECORDING", 'the runtime does not record: open it with the option "record"');
  await recorder.flush();
  return recorder.recordings;
}

/** Options of `recordBlock`. */
export interface RecordBlockOptions {
  /** Worker threads. Default: as for `Runtime.open`. */
  readonly workers?: number;
  /**
   * Whether all items run in parallel that can, whatever it costs: then each has its accesses. Default true;
   * else as the runner decides.
   */
  readonly parallel?: boolean;
  /** Gives it up. Default: none. */
  readonly signal?: AbortSignal;
}

/**
 * The recording of a block that runs once more for it, in a runtime of its own: from its parent, which must
 * be retained, and its input. `source` is "again".
 *
 * @throws UsageError (NOT_RETAINED, BAD_OPTION, CANCELLED); as `Runtime.open`
 * @example
 * ```ts
 * await runtime.produce(Uint8Array.of(1));
 * const { source, id } = await recordBlock(runtime, 1);
 * console.log(source, id === runtime.head.id); // again true
 * ```
 */
export async function recordBlock(
  source: string | Runtime,
  block: number | string | Block,
  options: RecordBlockOptions = {},
): Promise<BlockRecording> {
  checkNames(options, ["workers", "parallel", "signal"]);
  const signal = checkSignal(options.signal === undefined ? {} : { signal: options.signal });
  const workers = options.workers === undefined ? {} : { workers: integer(options, "workers", 1, 1, 256) };
  const force = options.parallel === undefined || flag(options, "parallel");
  if (typeof source === "string") {
    await using reader = await openReader(source);
    const found = blockOf(reader, block);
    const how = { ...workers, debug: { force }, signal };
    try {
      return await recordFrom({ store: source, block: found.parent }, reader, found, how);
    } catch (error) {
      if (!isLocked(error)) throw error;
      return await recordRemade(reader, found, how);
    }
  }
  const found = blockOf(source, block);
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-record-"));
  try {
    const store = join(directory, "store");
    await copyAlone(source, source.parentOf(found), store);
    const from = { store, block: found.parent };
    return await recordFrom(from, source, found, { ...workers, debug: { force }, signal });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The same of a block of a store that another process may write to, from a copy of the state. @internal */
export async function recordRemade(reader: Reader, block: Block, how: How): Promise<BlockRecording> {
  await using made = await Remade.of(reader, reader.parentOf(block), how.signal);
  const store = join(made.directory, "fork");
  const fork = await made.runtime.fork({ store });
  await fork.close();
  await made.runtime.close(); // which keeps stores of its forks open
  return await recordFrom({ store }, reader, block, how);
}

/** Makes a store with the state of a block, and of no others. */
async function copyAlone(source: Runtime, block: Block, store: string): Promise<void> {
  await using branch = await source.fork({ at: block });
  await branch.prune(1); // but for what is pinned
  const copy = await branch.fork({ store });
  await copy.close();
}

type How = Pick<Parameters<typeof Runtime.open>[0], "workers" | "debug"> & {
  readonly signal: AbortSignal | null;
};

/** Runs a block of a chain again, from a store that has its parent's state under any name. @internal */
export async function recordFrom(
  from: FromOptions,
  chain: Chain,
  block: Block,
  { signal, ...how }: How,
): Promise<BlockRecording> {
  const parent = chain.parentOf(block);
  const { metadata, ...input } = chain.input(block);
  await using runtime = await Runtime.open({
    ...how,
    from,
    views: 0,
    heapBytes: HEAP_BYTES_LIMIT,
    record: { limitBytes: HEAP_BYTES_LIMIT },
  });
  const made = await runtime.produce(metadata, { ...input, ...(signal === null ? {} : { signal }) });
  assert(made.root === block.root, "recording: the block came out differently");
  const recording = (await readRecording(runtime)).read(made.id);
  assert(recording !== null, "recording: the block was not recorded");
  const { height, id } = block;
  // Its own chain counts from the parent on.
  const batches = recording.batches.map(({ report, ...batch }) => ({
    ...batch,
    report: { ...report, block: { height, parent: parent.id, id } },
  }));
  return { ...recording, source: "again", height, id, parent: parent.id, batches };
}

function blockOf(chain: Chain, block: number | string | Block): Block {
  const named = typeof block === "object" ? block.id : block;
  const found =
    typeof named === "number"
      ? chain.blocks().find(({ height }) => height === named)
      : chain.retained().find(({ id }) => id === named);
  if (found !== undefined) return found;
  throw new UsageError("NOT_RETAINED", `block ${named} is not retained`, { block: named });
}
