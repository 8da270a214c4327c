/**
 * History against a model: reverts, reorgs, pins, pruning, forks and restarts in random order. The model
 * keeps the state of every block there ever was, and a second runtime without a store does the same without
 * restarts.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, Chain, Runtime, StoreOptions } from "../../runtime/index.ts";
import { openReader, verifyStore } from "../../runtime/store.ts";
import { quota, REGION, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH, open, play, withRuntime } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { sized } from "../sizes.ts";
import { everyState, withDirectory } from "./directory.ts";

const OPTIONS = { workers: 1, runner: "sequential", retainBlocks: 12, archiveBlocks: 7 } as const;
const AT = SCRATCH + 0x80000;
const WINDOW = 64 * 4096;
const OPERATIONS = sized(40, 90);

/** A block that writes here and there; what it writes follows from `value`. */
function writing(value: number): Uint8Array {
  const next = random(value);
  const script = new Script();
  for (let i = 1 + next(5); i > 0; i--) script.fill(AT + next(60) * 4096, 1 + next(9000), next(256));
  script.store(AT, BigInt(value));
  return script.metadata();
}

function failing(): Uint8Array {
  const script = new Script();
  script.fill(AT, 5000, 77);
  script.trap();
  return script.metadata();
}

/** Both have the same of the archive, at a height and by an id. */
async function checkArchive(one: Chain, other: Runtime, height: number, id: string): Promise<void> {
  for (const target of [height, id]) {
    const found = await one.archived(target);
    assert.deepEqual(found, await other.archived(target));
    if (found !== null && !other.retained().some((block) => block.id === found.block.id)) {
      await assert.rejects(other.revert(found.block), { code: "NOT_RETAINED", message: /has no state/ });
    }
  }
}

/** The runtime under test, opened again now and then, beside one in memory. */
class Pair {
  readonly #store: StoreOptions;
  readonly plain: Runtime;
  durable: Runtime;
  /** The memory of the root in every block. */
  readonly states = new Map<string, Buffer>();

  constructor(durable: Runtime, plain: Runtime, store: StoreOptions) {
    this.durable = durable;
    this.plain = plain;
    this.#store = store;
  }

  async restart(): Promise<void> {
    await this.durable.close();
    this.durable = await open([], { ...OPTIONS, store: this.#store });
  }

  /** Does the same with both; what came out of it must be the same, errors too. */
  async both(what: (runtime: Runtime) => Promise<unknown>): Promise<void> {
    const outcome = (runtime: Runtime): Promise<unknown> =>
      what(runtime).then(
        (value) => ({ value }),
        (error) => ({ code: error.code }),
      );
    const [one, two] = [await outcome(this.durable), await outcome(this.plain)];
    assert.deepEqual(one, two);
  }

  async check(next: (limit: number) => number): Promise<void> {
    const { durable, plain } = this;
    assert.deepEqual(durable.head, plain.head);
    assert.deepEqual(durable.blocks(), plain.blocks());
    assert.deepEqual(durable.retained(), plain.retained());
    if (!this.states.has(plain.head.id))
      this.states.set(plain.head.id, Buffer.from(plain.read([], AT, WINDOW)));
    const retained = durable.retained();
    const block = retained[next(retained.length)] as Block;
    const known = this.states.get(block.id);
    if (known !== undefined)
      assert.ok(known.equals(durable.read([], AT, WINDOW, block)), `block ${block.height}`);
    const ids = [...this.states.keys()];
    await checkArchive(durable, plain, next(plain.head.height + 1), ids[next(ids.length)] as string);
    assert.equal(durable.inspect([], block)?.hash, block.root);
  }
}

test("any order of reverts, reorgs, pins, prunings and restarts", async (t) => {
  const seed = baseSeed(t);
  for (let round = 0; round < sized(1, 2); round++) {
    const next = random(seed + round * 7);
    await withDirectory(async (path) => {
      await withRuntime([], OPTIONS, async (plain) => {
        const place = { path, durability: "block" } as const;
        const pair = new Pair(await open([], { ...OPTIONS, store: place }), plain, place);
        let value = 0;
        for (let i = 0; i < OPERATIONS; i++) {
          const kind = next(16);
          const blocks = plain.retained();
          const some = blocks[next(blocks.length)] as Block;
          if (kind === 0) await pair.restart();
          else if (kind < 3) await pair.both((runtime) => runtime.revert(some));
          else if (kind === 3) await pair.both((runtime) => runtime.revert(some.height));
          else if (kind < 6) {
            const inputs = Array.from({ length: 1 + next(3) }, () => ({
              metadata: writing(next(4) + some.height),
            }));
            if (next(3) === 0) inputs.push({ metadata: failing() });
            await pair.both((runtime) => runtime.reorg({ to: some, blocks: inputs }));
          } else if (kind === 6) await pair.both((runtime) => runtime.pin(some));
          else if (kind === 7) await pair.both((runtime) => runtime.unpin(some));
          else if (kind === 8) {
            const keep = 1 + next(12);
            await pair.both(async (runtime) => (await runtime.prune(keep)).blocks);
          } else if (kind === 9) await pair.both((runtime) => runtime.produce(failing()));
          else if (kind === 10) await pair.durable.engine.collect({ evict: next(2) === 0 });
          else {
            // Now and then the very same block as before.
            const metadata = writing(next(3) === 0 ? value : ++value);
            await pair.both((runtime) => runtime.produce(metadata));
          }
          await pair.check(next);
        }
        const found = await verifyStore(path);
        assert.deepEqual(found.damages, []);
        const reader = await openReader(path);
        assert.deepEqual(reader.blocks(), plain.blocks());
        assert.deepEqual(reader.retained(), plain.retained());
        for (const id of pair.states.keys()) await checkArchive(reader, plain, next(99), id);
        for (let height = 0; height <= plain.head.height; height++) {
          await checkArchive(reader, plain, height, plain.head.id);
        }
        await reader.close();
        // What is freed is really gone: nothing is left but what retained blocks reach.
        await pair.durable.prune(1);
        await pair.restart();
        assert.equal(pair.durable.inspect([])?.hash, plain.head.root);
        await pair.durable.close();
      });
    });
  }
});

test("forks with stores of their own, without, and closed in any order", async () => {
  await withDirectory(async (path) => {
    const first = await open([], { ...OPTIONS, store: path });
    for (let i = 1; i < 8; i++) await first.produce(writing(i));
    await first.close();
    const runtime = await open([], { ...OPTIONS, store: path });
    const branch = await runtime.fork({ store: `${path}-branch` });
    const passing = await runtime.fork();
    await assert.rejects(runtime.fork({ store: `${path}-branch` }), { code: "STORE_LOCKED" });
    const other = await branch.produce(writing(100));
    const own = await runtime.produce(writing(200));
    await runtime.prune(1);
    await runtime.close();
    // What the first store forgot is still there for those that hold it.
    assert.equal((await passing.produce(writing(200))).id, own.id);
    await passing.revert(3);
    assert.equal(passing.inspect([])?.hash, passing.head.root);
    await passing.produce(writing(4));
    await passing.close();
    assert.equal(branch.head.id, other.id);
    await branch.revert(2);
    await branch.close();
    const again = await open([], { ...OPTIONS, store: `${path}-branch` });
    assert.equal(again.head.height, 2);
    assert.equal(again.inspect([], other)?.hash, other.root);
    await assert.rejects(again.fork({ store: path }), { code: "STORE_NOT_EMPTY" });
    await again.close();
    assert.deepEqual((await verifyStore(`${path}-branch`)).damages, []);
    assert.deepEqual((await verifyStore(path)).damages, []);
  });
});

test("pruning says what it freed, and the space is used again", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { ...OPTIONS, retainBlocks: 1000, store: everyState(path) });
    const blocks = Array.from({ length: 30 }, (_, i) => writing(i));
    for (const metadata of blocks) await runtime.produce(metadata);
    const freed = await runtime.prune(2);
    assert.equal(freed.blocks, 29);
    assert.ok(freed.objects > 100 && freed.bytes > 100_000, JSON.stringify(freed));
    assert.deepEqual(await runtime.prune(2), { blocks: 0, objects: 0, bytes: 0 });
    assert.equal((await verifyStore(path)).blocks.length, 2);
    await runtime.close();
  });
});

test("what is left running is run again from its START after a restart", async () => {
  const start = (script: Script): void => {
    const inner = new Script({ commands: 16 });
    inner.spin(200_000);
    inner.store(SCRATCH, 77n);
    script.put(1, {
      program: DRIVER_HASH,
      memoryQuotaPages: quota(80),
      ranges: [{ source: inner.metadata(), target: REGION }],
      start: { entry: "run", argument: BigInt(REGION), gas: 1_000_000_000 },
    });
  };
  await withDirectory(async (store) => {
    const run = async (
      options: object,
      restart: (runtime: Runtime) => Promise<Runtime>,
    ): Promise<Block[]> => {
      let runtime = await open([], { workers: 2, ...options });
      const blocks = [(await play(runtime, start)).block];
      runtime = await restart(runtime);
      assert.equal(runtime.inspect([1])?.status, "runnable");
      blocks.push((await play(runtime, (script) => script.store(AT, 1n))).block);
      blocks.push((await play(runtime, (script) => script.get(1, { status: true, hash: true }))).block);
      assert.equal(runtime.inspect([1])?.status, "returned");
      await runtime.close();
      return blocks;
    };
    const expected = await run({}, async (runtime) => runtime);
    const seen = await run({ store }, async (runtime) => {
      await runtime.close();
      return open([], { workers: 2, store });
    });
    assert.deepEqual(seen, expected);
  });
});

test("pruning below a height keeps the head, what is pinned, and all from there on", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { ...OPTIONS, store: path });
    for (let i = 1; i <= 4; i++) await runtime.produce(writing(i));
    await runtime.revert(2);
    for (let i = 3; i <= 6; i++) await runtime.produce(writing(10 + i));
    await runtime.pin(1);
    const heights = (): number[] => runtime.retained().map(({ height }) => height);
    assert.deepEqual(heights(), [0, 1, 2, 3, 3, 4, 4, 5, 6]);
    assert.equal((await runtime.prune({ below: 4 })).blocks, 4);
    assert.deepEqual(heights(), [1, 4, 4, 5, 6]);
    assert.equal((await runtime.prune({ below: 100 })).blocks, 3);
    assert.deepEqual(heights(), [1, 6]);
    await runtime.close();
    assert.deepEqual((await verifyStore(path)).damages, []);
  });
});
