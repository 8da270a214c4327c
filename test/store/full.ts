/**
 * A runtime on a disk that becomes full, and that has room again later: a program of its own, for the limit
 * holds for its process. full.test.ts starts it and looks at what it says, a JSON object.
 *
 *   node full.ts DIRECTORY DURABILITY
 *
 * The disk is what takes no more than some megabytes in DIRECTORY. When the program's standard input ends
 * there is room.
 */

import assert from "node:assert/strict";
import { writeSync } from "node:fs";
import type { Block, Runtime } from "../../runtime/index.ts";
import { verifyStore } from "../../runtime/store.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";

/** What it says, in this order. */
export type Said =
  | { readonly what: "full"; readonly code: string; readonly message: string; readonly height: number }
  | { readonly what: "end"; readonly height: number; readonly root: string; readonly lost: number };

const [path, durability] = process.argv.slice(2) as [string, "block" | "logged"];
const options = { workers: 2, runner: "sequential", store: { path, durability, logBytes: 1 << 16 } } as const;
const BLOCKS_LIMIT = 5000;
/** Blocks that follow when there is room. */
const MORE = 8;
const say = (said: Said): void => void writeSync(1, `${JSON.stringify(said)}\n`);

const acknowledged: Block[] = [];

/** Makes blocks up to `height`, which are acknowledged. */
async function produce(runtime: Runtime, height: number): Promise<void> {
  while (runtime.head.height < height) {
    acknowledged.push(await runtime.produce(metadata(runtime.head.height + 1, 0)));
  }
}

/** How a block fails; it must, and the runtime must stand where it can continue. */
async function failure(runtime: Runtime, height: number): Promise<{ code: string; message: string }> {
  const error = await produce(runtime, height).then(
    () => assert.fail("the disk is never full"),
    (error) => error,
  );
  assert.equal(runtime.head.id, acknowledged.at(-1)?.id);
  assert.equal(runtime.inspect([])?.hash, runtime.head.root);
  return error;
}

const runtime = await open([], options);
const { code, message } = await failure(runtime, BLOCKS_LIMIT);
assert.equal((await failure(runtime, BLOCKS_LIMIT)).code, code, "it is the same every time");
say({ what: "full", code, message, height: runtime.head.height });

for await (const _ of process.stdin);
await produce(runtime, runtime.head.height + MORE);
await runtime.close();

const again = await open([], options);
const retained = new Set(again.retained().map(({ id }) => id));
const lost = acknowledged.slice(-50).filter(({ id }) => !retained.has(id)).length;
const { height, root } = again.head;
await produce(again, height + 1);
await again.close();
assert.deepEqual((await verifyStore(path)).damages, []);
say({ what: "end", height, root, lost });
