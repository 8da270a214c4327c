/**
 * Where two runs that should be the same are not: the first block that differs, and the first differences in
 * its tree. For replicas that disagree, and for the same run on two machines or two versions of Node.
 */

import { badArgument, badOption } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import type { Block } from "./block.ts";
import { Chain } from "./chain.ts";
import { type Diff, type Difference, type DiffOptions, diffLimits, diffProcesses } from "./diff.ts";

/** Options of `divergence`. */
export interface DivergenceOptions extends DiffOptions {
  /**
   * "id", the default, compares two chains of one genesis. "data" compares what their roots gave to SNAPSHOT,
   * block by block, whatever their programs and rules: two versions of a program, say, that got the same
   * blocks.
   */
  readonly by?: "id" | "data";
}

/** The first block in which two chains differ, whatever their states. */
export interface Parting {
  readonly height: number;
  /** The block of each at that height. */
  readonly blocks: readonly [Block, Block];
  /** Whether it may be an earlier block, which one of the two no longer retains. */
  readonly earlier: boolean;
  /** Whether the trees differ. */
  readonly root: boolean;
  /** Whether the data that the root gave to SNAPSHOT differs. */
  readonly data: boolean;
}

/** The first block in which two chains differ, and how. */
export interface Divergence extends Parting {
  /**
   * How the trees differ, the first before the second; empty where root and data are equal, and so metadata
   * or gas limits were not, or earlier blocks.
   */
  readonly differences: readonly Difference[];
  /** Whether there are more differences than the limits let in. */
  readonly truncated: boolean;
}

/**
 * Finds the first block in which two chains of the same genesis differ, null if they agree as far as both go:
 * those of runtimes, or of stores that readers have open. Ids chain, so it takes a binary search, and then a
 * walk over two trees that skips what is equal.
 *
 * @throws UsageError (OTHER_GENESIS, NOTHING_COMMON, BAD_OPTION, BAD_ARGUMENT)
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
export function divergence(a: Chain, b: Chain, options: DivergenceOptions = {}): Divergence | null {
  const { by = "id", ...rest } = options ?? {};
  const limits = diffLimits(rest);
  const parted = parting(a, b, by);
  if (parted === null) return null;
  const [one, two] = parted.blocks;
  return {
    ...parted,
    ...a.withState(one, (left) => b.withState(two, (right) => diffProcesses(left, right, limits))),
  };
}

/**
 * Finds the first block in which two chains differ, as `divergence`, and looks at no state: a store need not
 * have those of the two blocks.
 *
 * @throws UsageError (OTHER_GENESIS, NOTHING_COMMON, BAD_OPTION, BAD_ARGUMENT)
 * @example
 * ```ts
 * const other = await runtime.fork();
 * await runtime.produce(Uint8Array.of(1, 2));
 * await other.produce(Uint8Array.of(1, 3));
 * console.log(parting(runtime, other)?.height === runtime.head.height); // true
 * await other.close();
 * ```
 */
export function parting(a: Chain, b: Chain, by: "id" | "data" = "id"): Parting | null {
  if (by !== "id" && by !== "data") throw badOption("by", by, '"id" or "data"');
  for (const chain of [a, b]) {
    if (chain instanceof Chain) continue;
    throw badArgument("chain", chain, "a runtime or a reader");
  }
  const [first, second] = [a.genesis, b.genesis];
  if (first !== second && by === "id") {
    const text =
      "the two began with different programs or rules, so their ids cannot be compared: compare what their " +
      'roots say, with the option "by": "data"';
    throw new UsageError("OTHER_GENESIS", text, { first, second });
  }
  const others = new Map(b.blocks().map((block) => [block.height, block]));
  const pairs = a
    .blocks()
    .map((block) => [block, others.get(block.height)] as const)
    .filter((pair): pair is readonly [Block, Block] => pair[1] !== undefined);
  if (pairs.length === 0) {
    throw new UsageError("NOTHING_COMMON", "the two retain no block of the same height");
  }
  const found = by === "id" ? firstOtherId(pairs) : pairs.find(([one, two]) => !sameData(one, two));
  if (found === undefined) return null;
  const [one, two] = found;
  return {
    height: one.height,
    blocks: found,
    earlier: one.parent !== two.parent,
    root: one.root !== two.root,
    data: !sameData(one, two),
  };
}

/** Ids chain: behind the first that differs all do. */
function firstOtherId(pairs: readonly (readonly [Block, Block])[]): readonly [Block, Block] | undefined {
  let low = 0;
  let high = pairs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const [one, two] = pairs[middle] as readonly [Block, Block];
    if (one.id === two.id) low = middle + 1;
    else high = middle;
  }
  return pairs[low];
}

function sameData(one: Block, two: Block): boolean {
  return Buffer.from(one.data).equals(two.data);
}

/**
 * What differs between two blocks of any two chains, runtimes or readers, as `diff` lists it for one: the
 * states that two versions of a program have left, say.
 *
 * @throws UsageError (NOT_RETAINED, BAD_ARGUMENT, BAD_OPTION)
 * @example
 * ```ts
 * const other = await runtime.fork();
 * await other.produce(Uint8Array.of(5));
 * console.log(diffBetween(runtime, runtime.head, other, other.head).differences.length > 0); // true
 * await other.close();
 * ```
 */
export function diffBetween(
  a: Chain,
  blockA: number | Block,
  b: Chain,
  blockB: number | Block,
  options: DiffOptions = {},
): Diff {
  const limits = diffLimits(options);
  for (const chain of [a, b]) {
    if (!(chain instanceof Chain)) throw badArgument("chain", chain, "a runtime or a reader");
  }
  return a.withState(blockA, (left) => b.withState(blockB, (right) => diffProcesses(left, right, limits)));
}
