/**
 * A runtime over a few blocks of random trees, and all its processes: what proofs and diffs are tested on.
 */

import type { Block, Runtime } from "../../runtime/index.ts";
import { quota } from "../driver.ts";
import { withRuntime } from "../fixture.ts";
import { randomTree } from "../kernel/trees.ts";

export type Path = readonly number[];

/** Produces `count` blocks of random trees and hands the runtime over. */
export function withTrees<T>(
  seed: number,
  count: number,
  use: (runtime: Runtime, blocks: readonly Block[]) => Promise<T> | T,
): Promise<T> {
  const options = { memoryQuotaPages: quota(60_000), processQuota: 4000, gasLimit: 4_000_000_000 };
  return withRuntime([], options, async (runtime) => {
    for (let i = 0; i < count; i++) {
      await runtime.produce(randomTree(seed + i, { depth: 4, children: 3 }).metadata());
    }
    return use(runtime, runtime.blocks());
  });
}

/** Paths of all processes of a block, a parent before its children. */
export function pathsOf(runtime: Runtime, block: Block, path: Path = []): Path[] {
  const { children } = runtime.inspect(path, block) ?? { children: [] };
  return [path, ...children.flatMap((number) => pathsOf(runtime, block, [...path, number]))];
}
