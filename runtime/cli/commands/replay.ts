/** stillpoint replay: runs the blocks of a store again, from their inputs, and compares the results. */

import { UsageError } from "../../errors.ts";
import { type Block, Runtime } from "../../index.ts";
import { openReader } from "../../store.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { counted, EXIT_FAILED, EXIT_OK, grouped, Progress, print, printError, toJson } from "../terminal.ts";
import { HEAP_BYTES } from "./naming.ts";

export const replay: Handler<Spec<"replay">> = async ({ args, options, json }) => {
  await using reader = await openReader(args.DIR);
  const blocks = reader.blocks();
  const first = Math.max(options.from ?? 0, (blocks[0] as Block).height + 1);
  const chosen = blocks.filter(({ height }) => height >= first && height <= (options.to ?? Infinity));
  const base = blocks.find(({ height }) => height === first - 1);
  if (base === undefined || chosen.length === 0) {
    const heights = `${(blocks[0] as Block).height + 1} to ${reader.head.height}`;
    throw new UsageError(
      "NOT_RETAINED",
      `there is nothing to replay: the store can replay the heights ${heights}`,
    );
  }
  const { workers, runner } = options;
  await using runtime = await Runtime.open({
    from: { store: args.DIR, block: base.id },
    views: 0,
    heapBytes: HEAP_BYTES,
    ...(workers !== undefined && { workers }),
    ...(runner !== undefined && { runner }),
  });
  const progress = new Progress();
  const start = performance.now();
  for (const [i, block] of chosen.entries()) {
    progress.part(`block ${grouped(block.height)}`, i, chosen.length);
    const { metadata, ...rest } = reader.input(block);
    const again = await runtime.produce(metadata, rest);
    if (json)
      print(toJson({ height: block.height, id: block.id, root: again.root, same: isSame(block, again) }));
    if (isSame(block, again)) continue;
    progress.clear();
    const roots = `root ${again.root}, the store has ${block.root}`;
    printError(`stillpoint replay: block ${block.height} came out differently: ${roots}`);
    return EXIT_FAILED;
  }
  progress.clear();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (!json)
    print(`${counted(chosen.length, "block")} made again in ${seconds} s, to the same roots and data`);
  return EXIT_OK;
};

function isSame(a: Block, b: Block): boolean {
  return a.root === b.root && a.gasUsed === b.gasUsed && Buffer.compare(a.data, b.data) === 0;
}
