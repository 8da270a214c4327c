/**
 * Taking entries of a log, one after the other: the next block is made again, and is committed if it is the
 * same. Where it is not, the height is found from the ids in the log.
 */

import type { Block, Runtime } from "../index.ts";
import { lowestHeight } from "./entry.ts";
import { LogError, truncated } from "./errors.ts";
import type { BlockLog, Numbered } from "./log.ts";
import type { Replica } from "./replica.ts";

/** The block that a log and a replica make of the same differs. */
export interface Divergence {
  readonly height: number;
  /** Id of the block in the log, and of that here, in hex. */
  readonly logged: string;
  readonly made: string;
}

/** The error of it. */
export function diverged({ height, logged, made }: Divergence): LogError {
  const text =
    `block ${height} is ${logged} in the log and ${made} here: find the wrong one before you continue. ` +
    "This replica stands at the last block that is the same";
  return new LogError("LOG_DIVERGED", text, { height, logged, made });
}

/**
 * Takes an entry: makes the next block again and commits it, or sees that a block below is the same. Returns
 * the block that it has made.
 *
 * @throws LogError (LOG_GENESIS, LOG_DIVERGED, LOG_TRUNCATED); as `execute` and `commit`
 */
export async function take(
  replica: Replica<unknown[], unknown>,
  log: BlockLog,
  { entry }: Numbered,
): Promise<Block | null> {
  const { runtime } = replica;
  checkGenesis(runtime, entry.genesis);
  const { head } = runtime;
  const { height, id } = entry;
  if (height <= head.height) {
    const made = idAt(runtime, height);
    if (made !== undefined && made !== id)
      throw diverged(await firstDifference(runtime, log, { height, id }));
    return null;
  }
  if (entry.kind === "term") throw truncated(head.height + 1, height + 1);
  if (height !== head.height + 1) throw truncated(head.height + 1, height);
  if (entry.parent !== head.id)
    throw diverged(await firstDifference(runtime, log, { height: head.height, id: entry.parent }));
  const made = await replica.repeat(entry);
  if (made.block.id !== id) {
    await runtime.release(made.block);
    throw diverged({ height, logged: id, made: made.block.id });
  }
  await replica.commit(made);
  return runtime.head;
}

/** @throws LogError LOG_GENESIS */
export function checkGenesis({ genesis }: Runtime, logged: string): void {
  if (genesis === logged) return;
  const text =
    `the log is of another chain: its genesis is ${logged}, and here it is ${genesis}. Give the replica ` +
    "the programs and rules of the log's, or take another log";
  throw new LogError("LOG_GENESIS", text, { logged, here: genesis });
}

/** Id of a block of the chain; undefined if it is not retained. */
function idAt(runtime: Runtime, height: number): string | undefined {
  return height === runtime.head.height
    ? runtime.head.id
    : runtime.blocks().find((block) => block.height === height)?.id;
}

/** The lowest height at which the chain is not that of the log, which is not so at `known`: ids chain. */
async function firstDifference(
  runtime: Runtime,
  log: BlockLog,
  known: Pick<Block, "height" | "id">,
): Promise<Divergence> {
  const logged = async (height: number): Promise<string> => {
    if (height === known.height) return known.id;
    for await (const { entry } of log.read({ height })) if (entry.height === height) return entry.id;
    throw truncated(height, height + 1);
  };
  const lowest = lowestHeight(((await log.first()) as Numbered).entry);
  const blocks = runtime.blocks().filter(({ height }) => height >= lowest && height <= known.height);
  let low = 0;
  for (let high = blocks.length - 1; low < high; ) {
    const middle = (low + high) >> 1;
    const { height, id } = blocks[middle] as Block;
    if ((await logged(height)) === id) low = middle + 1;
    else high = middle;
  }
  const { height, id } = blocks[low] ?? runtime.head;
  return { height, logged: await logged(height), made: id };
}
