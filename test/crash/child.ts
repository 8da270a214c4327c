/**
 * What the crash harness kills: opens the store, says what is there, and produces blocks until it dies.
 * Each line of its output is a JSON object; a block is acknowledged when its line is out.
 *
 *   node child.ts DIRECTORY SEED DURABILITY RETAIN
 *
 * Durability is "block", "logged" with checkpoints all the time, or "early": "block", and a block is
 * acknowledged before it is on the disk.
 *
 * The metadata of a block follows from its height and its branch (branch 0 but for the blocks of a reorg,
 * which the next reorg takes back), so its id does as well, whatever happened in between.
 */

import { writeSync } from "node:fs";
import type { Block } from "../../runtime/index.ts";
import { verifyStore } from "../../runtime/store.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { BRANCH_AT, metadata } from "./metadata.ts";

type Durability = "block" | "logged" | "early";
const [path, seed, durability, retain] = process.argv.slice(2) as [string, string, Durability, string];
const next = random(Number(seed));
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`);

const runtime = await open([], {
  store: {
    path,
    durability: durability === "early" ? "block" : durability,
    checkpointMs: 1 + next(200),
    logBytes: 1 << 18,
    steps: new URL("steps.ts", import.meta.url).href,
  },
  retainBlocks: Number(retain),
  runner: "sequential",
  workers: 2,
});
const found = await verifyStore(path);
say({
  what: "open",
  head: runtime.head.id,
  height: runtime.head.height,
  retained: runtime.retained().map(({ id, root, height }) => ({ id, root, height })),
  damages: found.damages.length,
});

/** Counts what is done. */
let step = 0;

/** Says what is durable. */
function acknowledge({ id, root, height }: Block = runtime.head): void {
  say({ what: "block", id, root, height, step });
}

// Killed between two reorgs it stands on the other branch.
while (runtime.read([], BRANCH_AT, 1)[0] !== 0) await runtime.revert(runtime.head.height - 1);
for (;;) {
  step++;
  const kind = next(20);
  const { height } = runtime.head;
  const base = runtime.blocks()[0]?.height ?? 0;
  if (kind === 0 && height > base + 3) {
    say({ what: "leave", height: height - 2, step });
    await runtime.revert(height - 2);
    acknowledge();
  } else if (kind === 1 && height > base + 3) {
    say({ what: "leave", height: height - 2, step });
    const to = height - 2;
    const { head } = runtime;
    await runtime.pin(head);
    const other = [1, 2, 3].map((up) => ({ metadata: metadata(to + up, 1) }));
    await runtime.reorg({ to, blocks: other });
    // And back: what was left is still retained, or made again.
    await runtime.reorg({ to, blocks: [1, 2, 3].map((up) => ({ metadata: metadata(to + up, 0) })) });
    await runtime.unpin(head);
    acknowledge();
  } else if (kind === 2) {
    await runtime.prune();
  } else if (kind === 3 && height > 3) {
    await runtime.pin(runtime.head);
    await runtime.unpin(runtime.head);
  } else if (durability === "early") {
    const candidate = await runtime.execute(metadata(height + 1, 0));
    acknowledge(candidate);
    await runtime.commit(candidate);
  } else {
    await runtime.produce(metadata(height + 1, 0));
    acknowledge();
  }
}
