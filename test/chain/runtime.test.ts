/**
 * The embedding API: options and their errors, the queue of calls, blocks, reverts, forks, faults, a full
 * heap, killed workers. What a block computes is tested in test/kernel.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type Block,
  BlockFault,
  programHash,
  type Reorg,
  Runtime,
  type RuntimeOptions,
} from "../../runtime/index.ts";
import { quota, SCRATCH, Script } from "../driver.ts";
import { driver, guest, open, play, shrinkHeap, withRuntime } from "../fixture.ts";
import { checkTree } from "../kernel/invariants.ts";

const trivial = await guest("trivial");
const spin = await guest("spin");
const nested = await guest("nested");
const TRIVIAL = programHash(trivial);
const SPIN = programHash(spin);
const GAS = 5_000_000;

/** A block that writes `value` into the root's memory. */
function storing(value: number): Uint8Array {
  const script = new Script();
  script.store(SCRATCH, BigInt(value));
  return script.metadata();
}

const stored = (runtime: Runtime): number =>
  new DataView(runtime.read([], SCRATCH, 8).buffer).getUint32(0, true);

/** Runs a child without end and is given so much gas. */
function endless(gas: number): Uint8Array {
  const script = new Script();
  script.put(1, { program: SPIN, start: { entry: "run", gas } });
  script.get(1, { status: true });
  return script.metadata();
}

describe("options that cannot be used are named", () => {
  const cases: readonly [name: string, options: object, code: string, text: RegExp][] = [
    [
      "an unknown option",
      { rooot: driver },
      "BAD_OPTION",
      /there is no option "rooot"; there are: root, programs/,
    ],
    ["root of text", { root: "a.wasm" }, "BAD_OPTION", /option "root" must be a Uint8Array.*"a\.wasm"/],
    [
      "programs that are none",
      { programs: [trivial, 5] },
      "BAD_OPTION",
      /option "programs" must be an array/,
    ],
    ["an empty entry", { entry: "" }, "BAD_OPTION", /option "entry" must be/],
    ["an entry that is not there", { entry: "walk" }, "NO_ENTRY", /no entry "walk".*Its entries: main, run/],
    ["negative gas", { gasLimit: -1 }, "BAD_OPTION", /option "gasLimit" must be an integer from 0/],
    ["half a unit of gas", { gasLimit: 0.5 }, "BAD_OPTION", /option "gasLimit"/],
    ["more gas than numbers hold", { gasLimit: 2 ** 53 }, "BAD_OPTION", /option "gasLimit"/],
    ["gas as text", { gasLimit: "5" }, "BAD_OPTION", /option "gasLimit" must be an integer.*got "5"/],
    ["no workers", { workers: 0 }, "BAD_OPTION", /option "workers" must be an integer from 1 to/],
    ["no memory", { memoryQuotaPages: 0 }, "BAD_OPTION", /option "memoryQuotaPages"/],
    [
      "too little memory for the root",
      { memoryQuotaPages: 1283 },
      "QUOTA",
      /80 pages.*1284 pages.*"memoryQuotaPages".*1283/,
    ],
    [
      "more memory than heap",
      { memoryQuotaPages: 1 << 24 },
      "BAD_OPTION",
      /a block may need .*memoryQuotaPages 16777216 .*Open with more "heapBytes"/,
    ],
    ["a heap that is not a number", { heapBytes: Number.NaN }, "BAD_OPTION", /option "heapBytes"/],
    ["no blocks retained", { retainBlocks: 0 }, "BAD_OPTION", /option "retainBlocks"/],
    ["a cache that is no directory name", { programCache: 5 }, "BAD_OPTION", /option "programCache"/],
    ["a root that is no module", { root: new Uint8Array(7) }, "E_BAD_PROGRAM", /./],
    ["a program that is no module", { programs: [trivial.subarray(0, 50)] }, "E_BAD_PROGRAM", /byte/],
  ];
  for (const [name, options, code, text] of cases) {
    test(name, async () => {
      await assert.rejects(
        Runtime.open({ root: driver, workers: 1, ...options } as RuntimeOptions),
        (error: Error & { code: string }) => {
          assert.equal(error.code, code);
          assert.match(error.message, text);
          return true;
        },
      );
    });
  }

  test("nothing at all", async () => {
    await assert.rejects(Runtime.open(undefined as unknown as RuntimeOptions), { code: "BAD_OPTION" });
    await assert.rejects(Runtime.open(null as unknown as RuntimeOptions), { code: "BAD_OPTION" });
  });

  test("those of produce", async () => {
    await withRuntime([], {}, async (runtime) => {
      for (const gasLimit of [-1, 0.5, 2 ** 53, "5" as unknown as number]) {
        await assert.rejects(runtime.produce(storing(1), { gasLimit }), { code: "BAD_OPTION" });
      }
      const above = runtime.produce(storing(1), { gasLimit: 10_000_000_001 });
      await assert.rejects(above, {
        code: "GAS_LIMIT",
        message: /10000000001, above the 10000000000 that the rules allow.*change of "rules"/,
      });
      const blocks = [{ metadata: storing(1), gasLimit: 2 ** 50 }];
      await assert.rejects(runtime.reorg({ to: 0, blocks }), { code: "GAS_LIMIT" });
      assert.equal(runtime.head.height, 0);
      await assert.rejects(runtime.produce("text" as unknown as Uint8Array), { code: "BAD_ARGUMENT" });
      const long = new Uint8Array(0x100001);
      await assert.rejects(runtime.produce(long), {
        code: "METADATA_TOO_LONG",
        message: /1048577 bytes.*1048576/,
      });
      assert.equal(runtime.head.height, 0);
      assert.equal((await runtime.produce(storing(1))).height, 1);
    });
  });
});

test("calls queue in the order in which they were made, failures included", async () => {
  await withRuntime([], {}, async (runtime) => {
    const failing = new Script();
    failing.trap();
    const results = await Promise.allSettled([
      runtime.produce(storing(1)),
      runtime.produce(storing(2)),
      runtime.produce(failing.metadata()),
      runtime.produce(storing(3)),
      runtime.revert(1),
      runtime.produce(storing(4)),
      runtime.fork(),
    ]);
    assert.deepEqual(
      results.map((result) =>
        result.status === "rejected"
          ? result.reason.code
          : "height" in result.value
            ? result.value.height
            : "fork",
      ),
      [1, 2, "BLOCK_FAULT", 3, 1, 2, "fork"],
    );
    assert.equal(stored(runtime), 4);
    assert.equal(runtime.head.height, 2);
    const fork = (results[6] as PromiseFulfilledResult<Runtime>).value;
    assert.equal(fork.head, runtime.head);
    await fork.close();
  });
});

test("a block is a value: it names its parent, its root and its data, and cannot be changed", async () => {
  await withRuntime([], {}, async (runtime) => {
    const [zero, one, two] = [
      runtime.head,
      await runtime.produce(storing(1)),
      await runtime.produce(storing(2)),
    ];
    assert.deepEqual([zero?.height, one?.height, two?.height], [0, 1, 2]);
    assert.deepEqual([one?.parent, two?.parent], [zero?.id, one?.id]);
    assert.equal(new Set([zero?.id, one?.id, two?.id, zero?.root, one?.root, two?.root]).size, 6);
    for (const text of [one?.id, one?.root]) assert.match(text as string, /^[0-9a-f]{64}$/);
    assert.ok(Object.isFrozen(one));
    await runtime.revert(1);
    const again = await runtime.produce(storing(2));
    assert.deepEqual(again, two);
    await runtime.revert(1);
    assert.notEqual((await runtime.produce(storing(2), { gasLimit: 1_000_000_000 })).id, two?.id);
  });
});

test("reverting goes to any retained block, also to one that was left", async () => {
  await withRuntime([], { retainBlocks: 6 }, async (runtime) => {
    const blocks = [runtime.head];
    for (let i = 1; i <= 4; i++) blocks.push(await runtime.produce(storing(i)));
    await runtime.revert(2);
    assert.equal(stored(runtime), 2);
    const other = await runtime.produce(storing(9));
    assert.equal(other.parent, blocks[2]?.id);
    assert.equal((await runtime.revert(blocks[4] as never)).height, 4);
    assert.equal(stored(runtime), 4);
    await runtime.revert(3);
    assert.equal(stored(runtime), 3, "heights are those of the chain one stands on");
    await runtime.revert(other);
    await runtime.revert(2);
    assert.equal(runtime.head, blocks[2]);
    for (const target of [3, -1, 1.5, Number.NaN, 2 ** 40, { id: "0".repeat(64) }]) {
      await assert.rejects(runtime.revert(target as never), {
        code: "NOT_RETAINED",
        message: /holds heights 0 to 2/,
      });
      assert.equal(runtime.head, blocks[2]);
    }
    for (let i = 0; i < 10; i++) await runtime.produce(storing(i));
    assert.equal(runtime.head.height, 12);
    await assert.rejects(runtime.revert(6), { code: "NOT_RETAINED", message: /7 to 12.*"retainBlocks"/ });
    await assert.rejects(runtime.revert(other), { code: "NOT_RETAINED" });
    await runtime.revert(7);
    assert.equal(stored(runtime), 4);
  });
});

test("a root that returns or calls RET ends its chain with a last block", async () => {
  for (const [program, entry] of [
    [trivial, "run"],
    [nested, "immediate"],
  ] as const) {
    const runtime = await Runtime.open({ root: program, entry, workers: 1 });
    assert.ok(runtime.head.ended);
    assert.equal(runtime.inspect([])?.status, "ended");
    await assert.rejects(runtime.produce(new Uint8Array()), { code: "ENDED" });
    await runtime.revert(0);
    await assert.rejects(runtime.produce(new Uint8Array()), { code: "ENDED" });
    checkTree(runtime);
    await runtime.close();
  }
  await withRuntime([], {}, async (runtime) => {
    await assert.rejects(
      play(runtime, (s) => s.abort()),
      BlockFault,
    );
    const script = new Script();
    script.ret(55n);
    const last = await runtime.produce(script.metadata());
    assert.deepEqual([last.ended, last.height], [true, 1]);
    assert.equal(runtime.inspect([])?.code, 55n);
    await assert.rejects(runtime.produce(storing(1)), { code: "ENDED" });
    await runtime.revert(0);
    assert.equal((await runtime.produce(storing(1))).ended, false);
  });
});

test("closing waits for calls in progress, can be repeated, and refuses later calls", async () => {
  const runtime = await open();
  const blocks = [runtime.produce(storing(1)), runtime.produce(storing(2))];
  const closing = [runtime.close(), runtime.close()];
  await assert.rejects(runtime.produce(storing(3)), { code: "CLOSED" });
  await assert.rejects(runtime.revert(0), { code: "CLOSED" });
  await assert.rejects(runtime.fork(), { code: "CLOSED" });
  await Promise.all(closing);
  assert.deepEqual(
    (await Promise.all(blocks)).map((block) => block.height),
    [1, 2],
  );
  await runtime.close();
  assert.equal(stored(runtime), 2, "what was retained can still be looked at");
});

test("forks go their own ways, and each can be closed first", async () => {
  const runtime = await open([trivial], { workers: 2 });
  await runtime.produce(storing(1));
  const fork = await runtime.fork();
  const grandfork = await fork.fork();
  const [a, b] = await Promise.all([
    Promise.all([2, 3, 4].map((i) => runtime.produce(storing(i)))),
    Promise.all([5, 6].map((i) => fork.produce(storing(i)))),
  ]);
  assert.deepEqual([stored(runtime), stored(fork), stored(grandfork)], [4, 6, 1]);
  await assert.rejects(fork.revert(a[0] as never), { code: "NOT_RETAINED" });
  await runtime.close();
  await fork.revert(1);
  assert.equal((await fork.produce(storing(5))).id, b[0]?.id);
  await fork.close();
  assert.equal((await grandfork.produce(storing(2))).id, a[0]?.id);
  await grandfork.close();
});

test("inspecting and reading processes and ranges that do not exist", async () => {
  await withRuntime([trivial], {}, async (runtime) => {
    await play(runtime, (s) => s.put(1, { program: TRIVIAL }));
    assert.equal(runtime.inspect([1])?.status, "fresh");
    for (const path of [[0], [1, 0], [-1], [0.5], [1 << 20], [Number.NaN]])
      assert.equal(runtime.inspect(path), null);
    assert.throws(() => runtime.read([2], 0, 1), { code: "NO_PROCESS" });
    for (const [address, length] of [
      [65530, 7],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [2 ** 53, 1],
      [65537, 0],
    ] as const)
      assert.throws(() => runtime.read([1], address, length), { code: "RANGE" });
    assert.equal(runtime.read([1], 65536, 0).length, 0);
  });
});

describe("a small heap", () => {
  /** Pages of new random contents: so much the block adds to the heap. */
  const filling = (pages: number, seed: number): Uint8Array => {
    const script = new Script({ commands: 2 * pages });
    for (let i = 0; i < pages; i++) {
      script.fill(SCRATCH + i * 4096, 4096, (seed + i) & 255);
      script.store(SCRATCH + i * 4096, BigInt(seed * 1000 + i));
    }
    return script.metadata();
  };
  const SMALL = { memoryQuotaPages: quota(512), retainBlocks: 4 };

  test("stays bounded over thousands of blocks", async (t) => {
    await withRuntime([], { ...SMALL, workers: 2 }, async (runtime) => {
      shrinkHeap(runtime, 64 << 20);
      let most = 0;
      for (let i = 0; i < 2000; i++) {
        await runtime.produce(i % 4 === 0 ? filling(40, i) : storing(i));
        most = Math.max(most, runtime.engine.heap.usedBytes);
      }
      t.diagnostic(`at most ${most >> 20} MiB in use, ${runtime.engine.heap.generation} collections`);
      assert.ok(runtime.engine.heap.generation > 0, "it was collected");
      await runtime.revert(1998);
      const block = await runtime.produce(storing(1999));
      assert.equal(block.height, 1999);
    });
  });

  test("that is full makes the oldest blocks go, and says which", async () => {
    const gone: number[] = [];
    const onForget = (blocks: readonly Block[]): unknown => gone.push(...blocks.map(({ height }) => height));
    const options = {
      memoryQuotaPages: quota(512),
      retainBlocks: 1000,
      workers: 2,
      // Room is made for whatever a block may do: for little.
      gasLimit: 30_000_000,
      onForget,
    };
    await withRuntime([], options, async (runtime) => {
      shrinkHeap(runtime, 40 << 20);
      await runtime.produce(filling(200, 0));
      await runtime.pin(1);
      for (let i = 1; i < 60; i++) await runtime.produce(filling(200, i));
      assert.equal(runtime.head.height, 60);
      const retained = runtime.retained().map(({ height }) => height);
      assert.ok(gone.length > 5, `${gone.length} blocks are gone`);
      assert.deepEqual(
        [...gone, ...retained].sort((a, b) => a - b),
        Array.from({ length: 61 }, (_, height) => height),
      );
      assert.ok(retained.includes(1), "the pinned one stays");
      assert.ok(Math.max(...gone) < Math.min(...retained.filter((height) => height !== 1)));
      const { reorg } = await reorganised(runtime);
      assert.equal(reorg.head.height, runtime.head.height);
      checkTree(runtime);
    });
  });

  /** The last three blocks made again, each larger: what a reorg needs stays, whatever it has to forget. */
  async function reorganised(runtime: Runtime): Promise<{ reorg: Reorg }> {
    const to = runtime.head.height - 3;
    const blocks = [70, 71, 72, 73, 74, 75].map((seed) => ({ metadata: filling(200, seed) }));
    return { reorg: await runtime.reorg({ to, blocks }) };
  }

  test("that is full of blocks that must stay is a clear error, and nothing is lost", async () => {
    const options = { memoryQuotaPages: quota(512), retainBlocks: 1000, workers: 2 };
    await withRuntime([], options, async (runtime) => {
      shrinkHeap(runtime, 40 << 20);
      let full = 0;
      for (let i = 0; i < 60 && full === 0; i++) {
        const before = runtime.head;
        await runtime.pin(before);
        try {
          await runtime.produce(filling(200, i));
        } catch (error) {
          full++;
          assert.equal((error as { code: string }).code, "HEAP_FULL");
          assert.match((error as Error).message, /heap is full.*"retainBlocks".*"heapBytes"/);
          assert.equal(runtime.head, before);
        }
      }
      assert.equal(full, 1);
      const { head } = runtime;
      await runtime.revert(2);
      await runtime.revert(head);
      assert.equal(runtime.head.root, head.root);
      checkTree(runtime);
      for (const block of runtime.retained()) await runtime.unpin(block);
      assert.equal((await runtime.produce(filling(200, 99))).height, head.height + 1);
    });
  });

  test("that is full keeps as many blocks as the option says", async () => {
    const options = {
      memoryQuotaPages: quota(512),
      retainBlocks: 1000,
      retainBlocksMin: 1000,
      workers: 1,
    };
    await withRuntime([], options, async (runtime) => {
      shrinkHeap(runtime, 40 << 20);
      const produce = async (): Promise<void> => {
        for (let i = 0; i < 60; i++) await runtime.produce(filling(200, i));
      };
      await assert.rejects(produce(), { code: "HEAP_FULL" });
      assert.equal(runtime.retained().length, runtime.head.height + 1);
    });
  });
});

test("metadata is copied at once, of a Buffer too", async () => {
  await withRuntime([], {}, async (runtime) => {
    for (const bytes of [storing(5), Buffer.from(storing(5))]) {
      const making = runtime.produce(bytes);
      const remaking = runtime.reorg({ to: 0, blocks: [{ metadata: bytes }] });
      bytes.fill(0);
      const block = await making;
      assert.equal((await remaking).head.id, block.id);
      await runtime.revert(0);
      assert.equal((await runtime.produce(storing(5))).id, block.id);
      await runtime.revert(0);
    }
  });
});

test("the event loop continues while a block runs", async () => {
  await withRuntime([spin], {}, async (runtime) => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await runtime.produce(endless(700_000_000));
    clearInterval(timer);
    assert.ok(ticks >= 3, `${ticks} ticks`);
  });
});

describe("a worker that is killed", () => {
  for (const workers of [1, 2]) {
    test(`before, during and after blocks changes nothing, ${workers} of them`, async () => {
      const blocks = [storing(1), endless(300_000_000), storing(2)];
      const expected = await withRuntime([spin], { workers }, async (runtime) => {
        const ids: string[] = [];
        for (const block of blocks) ids.push((await runtime.produce(block)).id);
        return ids;
      });
      await withRuntime([spin], { workers }, async (runtime) => {
        const { pool } = runtime.engine;
        await pool.kill(0); // while it waits for work
        assert.equal((await runtime.produce(blocks[0] as Uint8Array)).id, expected[0]);
        const running = runtime.produce(blocks[1] as Uint8Array);
        for (let i = 0; i < 3; i++) {
          await new Promise((resolve) => setTimeout(resolve, 60));
          await pool.kill(i); // while it, or its child, runs
        }
        assert.equal((await running).id, expected[1]);
        for (let i = 0; i < workers; i++) void pool.kill(i); // all of them, as the block begins
        assert.equal((await runtime.produce(blocks[2] as Uint8Array)).id, expected[2]);
        const collecting = runtime.engine.collect();
        for (let i = 0; i < workers; i++) void pool.kill(i); // while the heap is collected
        await collecting;
        await runtime.revert(1);
        assert.equal((await runtime.produce(blocks[1] as Uint8Array)).id, expected[1]);
        checkTree(runtime);
      });
    });
  }

  test("while blocks are retried after faults", async () => {
    await withRuntime([spin], { workers: 2 }, async (runtime) => {
      for (let i = 0; i < 4; i++) {
        const running = runtime.produce(endless(100_000_000), { gasLimit: 90_000_000 + GAS });
        await new Promise((resolve) => setTimeout(resolve, 10));
        await runtime.engine.pool.kill(i);
        await running;
        await runtime.revert(0);
      }
      assert.equal(runtime.head.height, 0);
    });
  });
});
