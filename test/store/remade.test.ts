/** States that a store does not have, made for a reader while a runtime has the store open. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { Remade, stateOf } from "../../runtime/chain/remade.ts";
import type { Block, Runtime } from "../../runtime/index.ts";
import { openReader, type Reader } from "../../runtime/store.ts";
import { open } from "../fixture.ts";
import { withDirectory } from "./directory.ts";
import { AT, WINDOW, writing } from "./failing.ts";

/** Hands over a runtime with blocks 1 to 10 and the states of 0, 4, 8 and 10 in its store, and a reader. */
async function withStore(use: (runtime: Runtime, reader: Reader) => Promise<void>): Promise<void> {
  await withDirectory(async (path) => {
    const store = { path, durability: "logged", checkpointMs: 3_600_000, logBytes: 1 << 20 } as const;
    await using runtime = await open([], { workers: 1, runner: "sequential", store });
    for (let height = 1; height <= 10; height++) {
      // With rules that change on the way.
      await runtime.produce(writing(height), height === 6 ? { rules: { gasLimit: 200_000_000 } } : {});
      if (height % 4 === 0) await runtime.checkpoint();
    }
    await runtime.checkpoint();
    await using reader = await openReader(path);
    await use(runtime, reader);
  });
}

test("the state of every block is there, beside the runtime that writes", async () => {
  await withStore(async (runtime, reader) => {
    for (const block of reader.blocks()) {
      await using state = await stateOf(reader, block);
      assert.deepEqual(state.chain.read([], AT, WINDOW, state.block), runtime.read([], AT, WINDOW, block));
      assert.equal(state.block.root, block.root);
      assert.equal(state.chain === reader, [0, 4, 8, 10].includes(block.height));
    }
  });
});

test("a state that is made has those on the way, and its directory is removed", async () => {
  await withStore(async (runtime, reader) => {
    const made = await Remade.of(reader, reader.blocks()[7] as Block);
    for (const block of reader.blocks()) {
      const name = made.nameOf(block.id);
      assert.equal(name !== undefined, block.height >= 4 && block.height <= 7);
      if (name === undefined) continue;
      assert.deepEqual(made.runtime.read([], AT, WINDOW, name), runtime.read([], AT, WINDOW, block));
    }
    assert.ok(existsSync(made.directory));
    await made[Symbol.asyncDispose]();
    assert.equal(existsSync(made.directory), false);
  });
});

test("a block that was pruned still supports the states above, and one that is pruned has none", async () => {
  await withStore(async (runtime, reader) => {
    const [lost, kept] = [reader.blocks()[5] as Block, reader.blocks()[7] as Block];
    const bytes = runtime.read([], AT, WINDOW, kept);
    await runtime.prune({ below: 6 });
    await runtime.checkpoint();
    assert.equal(reader.retained()[0]?.height, 6);
    await using state = await stateOf(reader, kept);
    assert.deepEqual(state.chain.read([], AT, WINDOW, state.block), bytes);
    await assert.rejects(stateOf(reader, lost), { code: "NOT_RETAINED" });
  });
});

test("a block that comes out with another root is refused, and both are named", async () => {
  await withStore(async (_, reader) => {
    const block = reader.blocks()[7] as Block;
    const way = reader.wayTo(block);
    reader.wayTo = () => ({
      ...way,
      above: way.above.map((each) => ({
        ...each,
        input: () => ({ ...each.input(), metadata: writing(99) }),
      })),
    });
    const { root } = reader.blocks()[5] as Block;
    await assert.rejects(stateOf(reader, block), ({ code, facts }) => {
      assert.deepEqual([code, facts.height, facts.root], ["STORE_DIVERGED", 5, root]);
      assert.match(facts.found, /^[0-9a-f]{64}$/);
      return facts.found !== root;
    });
  });
});
