/** A reader finds blocks by height and by value; it reads as many records in a long history as in a short. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, Runtime } from "../../runtime/index.ts";
import { Database } from "../../runtime/store/database.ts";
import { openReader, repairStore, verifyStore } from "../../runtime/store.ts";
import { open } from "../fixture.ts";
import { everyState, withDirectory } from "./directory.ts";
import { replacing, writing } from "./failing.ts";

const OPTIONS = { workers: 1, runner: "sequential", retainBlocks: 300 } as const;

const outcome = <T>(look: () => T): unknown => {
  try {
    return look();
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test("reverts, side branches, pins and pruned blocks are found as the writer finds them", async () => {
  await withDirectory(async (store) => {
    const runtime = await open([], { ...OPTIONS, store: everyState(store) });
    const reader = await openReader(store);
    const seen = new Map<string, Block>();
    const check = (): void => {
      assert.deepEqual(reader.head, runtime.head);
      assert.deepEqual(reader.blocks(), runtime.blocks());
      assert.deepEqual(reader.retained(), runtime.retained());
      for (const block of runtime.retained()) seen.set(block.id, block);
      for (const target of [-1, 0, 1, 2, 3, 4, 5, 6, 7, 0.5, ...seen.values()]) {
        const hash = (from: Runtime | typeof reader) => outcome(() => from.inspect([], target)?.hash);
        assert.equal(hash(reader), hash(runtime), `block ${JSON.stringify(target)}`);
      }
    };
    for (let i = 0; i < 5; i++) await runtime.produce(writing(i));
    check();
    await runtime.revert(2);
    check();
    await runtime.produce(writing(10));
    const side = runtime.head;
    check();
    await runtime.reorg({ to: 1, blocks: [11, 12, 13, 14].map((value) => ({ metadata: writing(value) })) });
    check();
    await runtime.pin(2);
    await runtime.prune(3);
    check();
    await runtime.revert(runtime.retained().find(({ height }) => height === 2) as Block);
    check();
    assert.equal(
      outcome(() => reader.inspect([], side)),
      "NOT_RETAINED",
    );
    await runtime.produce(writing(20));
    check();
    await reader.close();
    await runtime.close();
  });
});

test("the records that a call reads do not grow with the history", async () => {
  await withDirectory(async (store) => {
    const runtime = await open([], { ...OPTIONS, store: everyState(store) });
    const reader = await openReader(store);
    const { block } = Database.prototype;
    let records = 0;
    const counting = function (this: Database, id: Buffer): Buffer | undefined {
      records++;
      return block.call(this, id);
    };
    const count = (look: () => unknown): number => {
      records = 0;
      look();
      return records;
    };
    const work = (): number[] => {
      const { head } = runtime;
      return [
        count(() => reader.head),
        count(() => reader.read([], 0, 8)),
        count(() => reader.read([], 0, 8, head.height >> 1)),
        count(() => reader.inspect([], head)),
        count(() => reader.prove([], 0, 8, 1)),
      ];
    };
    await replacing(Database.prototype, { block: counting }, async () => {
      for (let i = 0; i < 5; i++) await runtime.produce(writing(i));
      const short = work();
      for (let i = 5; i < 150; i++) await runtime.produce(writing(i));
      assert.deepEqual(work(), short);
      assert.ok(short.every((read) => read === 1));
    });
    await reader.close();
    await runtime.close();
  });
});

test("a damaged table of the chain is an error, which is found and repaired", async () => {
  await withDirectory(async (store) => {
    const runtime = await open([], { ...OPTIONS, store: everyState(store) });
    for (let i = 0; i < 5; i++) await runtime.produce(writing(i));
    await runtime.close();
    const database = new Database(store);
    database.transaction(() => database.putChain(2, Buffer.alloc(32, 7)));
    await database.close();
    const reader = await openReader(store);
    assert.throws(() => reader.inspect([], 2), { code: "STORE_CORRUPT" });
    assert.equal(reader.inspect([], 3)?.hash, runtime.blocks()[3]?.root);
    await reader.close();
    const { damages } = await verifyStore(store);
    assert.deepEqual(
      damages.map(({ part }) => part),
      ["head"],
    );
    await repairStore(store);
    assert.deepEqual((await verifyStore(store)).damages, []);
    const again = await openReader(store);
    assert.deepEqual(again.blocks(), runtime.blocks());
    await again.close();
  });
});
