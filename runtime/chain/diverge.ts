/**
 * Where two runs that should be the same are not: the first block that differs, and the first differences in
 * its tree. For replicas that disagree, and for the same run on two machines or two versions of Node.
 */

import { UsageError } from "../errors.ts";
import type { Block } from "./block.ts";
import { type Difference, type DiffOptions, diffLimit, diffProcesses } from "./diff.ts";
import type { Runtime } from "./runtime.ts";

/** The first block in which two runtimes differ. */
export interface Divergence {
  readonly height: number;
  /** The block of each at that height. */
  readonly blocks: readonly [Block, Block];
  /** Whether it may be an earlier block, which one of the runtimes no longer retains. */
  readonly earlier: boolean;
  /** Whether the trees differ. */
  readonly root: boolean;
  /** Whether the data that the root gave to SNAPSHOT differs. */
  readonly data: boolean;
  /**
   * How the trees differ, the first before the second; empty where root and data are equal, and so metadata
   * or gas limits were not, or earlier blocks.
   */
  readonly differences: readonly Difference[];
  /** Whether there are more differences than the limit let in. */
  readonly truncated: boolean;
}

/**
 * Finds the first block in which the chains of two runtimes of the same genesis differ, null if they agree as
 * far as both go. Ids chain, so it takes a binary search, and then a walk over two trees that skips what is
 * equal.
 *
 * @throws UsageError (OTHER_GENESIS, NOTHING_COMMON, BAD_OPTION)
 * @example
 * ```ts
 * const other = await runtime.fork();
 * await runtime.produce(Uint8Array.of(1, 2));
 * await other.produce(Uint8Array.of(1, 3));
 * const found = divergence(runtime, other);
 * console.log(found?.height, found?.differences[0]?.path);
 * await other.close();
 * ```
 */
export function divergence(a: Runtime, b: Runtime, options: DiffOptions = {}): Divergence | null {
  const limit = diffLimit(options);
  if (!a.engine.genesis.id.equals(b.engine.genesis.id)) {
    throw new UsageError(
      "OTHER_GENESIS",
      "the runtimes have different programs or rules, so their blocks can not be compared",
      { first: a.engine.genesis.id.toString("hex"), second: b.engine.genesis.id.toString("hex") },
    );
  }
  const others = new Map(b.blocks().map((block) => [block.height, block]));
  const pairs = a
    .blocks()
    .map((block) => [block, others.get(block.height)] as const)
    .filter((pair): pair is readonly [Block, Block] => pair[1] !== undefined);
  if (pairs.length === 0) {
    throw new UsageError("NOTHING_COMMON", "the runtimes retain no block of the same height");
  }
  let low = 0;
  let high = pairs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const [one, two] = pairs[middle] as readonly [Block, Block];
    if (one.id === two.id) low = middle + 1;
    else high = middle;
  }
  const found = pairs[low];
  if (found === undefined) return null;
  const [one, two] = found;
  const sides = [
    { heap: a.engine.heap, ref: a.refOf(one) },
    { heap: b.engine.heap, ref: b.refOf(two) },
  ] as const;
  return {
    height: one.height,
    blocks: found,
    earlier: one.parent !== two.parent,
    root: one.root !== two.root,
    data: !Buffer.from(one.data).equals(two.data),
    ...diffProcesses(...sides, limit),
  };
}
