/** Two runs with a planted difference: where it shows first is found. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { divergence } from "../../runtime/debug.ts";
import type { Runtime } from "../../runtime/index.ts";
import { quota, REGION, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH, open, play } from "../fixture.ts";
import { randomTree } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";

const OPTIONS = { memoryQuotaPages: quota(60_000), processQuota: 4000, gasLimit: 4_000_000_000 };

async function produce(runtime: Runtime, seed: number, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    await runtime.produce(randomTree(seed + i, { depth: 2, children: 2 }).metadata());
  }
}

test("one byte of the metadata of one block: its height, the root, the address of the byte", async (t) => {
  const seed = baseSeed(t);
  const a = await open([], OPTIONS);
  const b = await open([], { ...OPTIONS, workers: 2 });
  try {
    assert.equal(divergence(a, b), null);
    await produce(a, seed, 0, 9);
    await produce(b, seed, 0, 4);
    assert.equal(divergence(a, b), null, "as far as both go");
    // An address between two commands: nothing reads it.
    const metadata = randomTree(seed + 4, { depth: 2, children: 2 }).metadata();
    const at = metadata.length;
    const longer = Buffer.concat([metadata, Uint8Array.of(0xa5)]);
    assert.equal(a.read([], REGION + at, 1, 5)[0] === 0xa5, false);
    await b.produce(longer);
    await produce(b, seed, 5, 9);
    const found = divergence(a, b);
    assert.ok(found);
    assert.equal(found.height, 5);
    assert.equal(found.earlier, false);
    assert.equal(found.root, true);
    assert.deepEqual(found.blocks, [a.blocks()[5], b.blocks()[5]]);
    const memory = found.differences.filter((difference) => difference.kind === "memory");
    assert.ok(memory.some(({ path, address }) => path.length === 0 && address === REGION + at));
    const other = divergence(b, a);
    assert.deepEqual([other?.height, other?.blocks[0].id], [5, found.blocks[1].id]);
  } finally {
    await a.close();
    await b.close();
  }
});

test("a byte that reaches a child is found in the child", async () => {
  const a = await open();
  const b = await open();
  try {
    for (const [runtime, byte] of [
      [a, 1],
      [b, 2],
    ] as const) {
      await play(runtime, (script) => {
        script.put(7, { program: DRIVER_HASH, memoryQuotaPages: quota(80) });
        script.put(7, { ranges: [{ source: Uint8Array.of(9, 9, byte, 9), target: SCRATCH }] });
      });
    }
    const memory = divergence(a, b)?.differences.filter((difference) => difference.kind === "memory");
    assert.deepEqual(memory?.at(-1), { kind: "memory", path: [7], address: SCRATCH + 2, length: 1 });
    assert.deepEqual(divergence(a, b, { limit: 0 })?.truncated, true);
  } finally {
    await a.close();
    await b.close();
  }
});

test("blocks that are no longer retained may have differed earlier", async () => {
  const block = (value: number) => {
    const script = new Script();
    script.store(SCRATCH, BigInt(value));
    return script.metadata();
  };
  const a = await open([], { retainBlocks: 2 });
  const b = await open([], { retainBlocks: 3 });
  try {
    for (const value of [1, 2, 3, 4]) {
      await a.produce(block(value));
      await b.produce(block(value === 2 ? 9 : value));
    }
    assert.deepEqual(
      [divergence(a, b)?.height, divergence(a, b)?.earlier, divergence(b, a)?.height],
      [3, true, 3],
    );
    // The trees are the same again, the ids are not.
    assert.equal(divergence(a, b)?.root, false);
    assert.deepEqual(divergence(a, b)?.differences, []);
    const c = await open([], { retainBlocks: 1 });
    assert.throws(() => divergence(a, c), { code: "NOTHING_COMMON" });
    await c.close();
  } finally {
    await a.close();
    await b.close();
  }
});

test("runtimes of another genesis are refused", async () => {
  const a = await open();
  const b = await open([], { gasLimit: 5_000_000_000 });
  try {
    assert.throws(() => divergence(a, b), { name: "UsageError", code: "OTHER_GENESIS" });
    assert.throws(() => divergence(a, "store" as never), { code: "BAD_ARGUMENT", message: /got "store"/ });
  } finally {
    await a.close();
    await b.close();
  }
});

test("a different gas limit of a block is a divergence without a difference", async () => {
  const a = await open();
  const b = await a.fork();
  try {
    const metadata = randomTree(1, { depth: 1, children: 1 }).metadata();
    const one = await a.produce(metadata);
    const two = await b.produce(metadata, { gasLimit: 3_000_000_000 });
    assert.notEqual(one.id, two.id);
    assert.equal(one.root, two.root);
    const found = divergence(a, b);
    assert.deepEqual([found?.height, found?.root, found?.data, found?.differences], [1, false, false, []]);
  } finally {
    await b.close();
    await a.close();
  }
});
