/** Views beside everything else: blocks, forks, collections, deaths of threads, cancelling and closing. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, type CallOptions, programHash, type Runtime } from "../../runtime/index.ts";
import { quota, REGION, RESULTS, SCRATCH, Script } from "../driver.ts";
import { ENDLESS_GAS, guest, open, play, shrinkHeap, withRuntime } from "../fixture.ts";
import { Random } from "../program/random.ts";
import { baseSeed } from "../seed.ts";
import { withDirectory } from "../store/directory.ts";

const LENGTH = RESULTS - 8;

/** Reads the word at SCRATCH, works for a while, and changes what it has read. */
function looking(rounds: number): CallOptions {
  const script = new Script({ commands: 8 });
  script.load(SCRATCH);
  if (rounds > 0) script.spin(rounds);
  script.fill(SCRATCH, 20_000, 255);
  script.store(LENGTH, 0x40n << 32n);
  return { input: script.metadata(), inbox: REGION, outbox: LENGTH + 4, argument: REGION };
}

const LOOK = looking(0);
const seen = (output: Uint8Array): number => new DataView(output.buffer).getUint32(8, true);

/** Does not end, and is given up by the signal. */
function endless(runtime: Runtime, signal: AbortSignal, gas = 2 ** 50) {
  const script = new Script({ commands: 2 });
  script.spin(0);
  const input = script.metadata();
  return runtime.call([], "run", { input, inbox: REGION, argument: REGION, gas, signal });
}

const codeOf = (error: { readonly code: string }): string => error.code;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Until a thread runs a view. */
async function untilAtWork(runtime: Runtime): Promise<void> {
  while (runtime.engine.pool.viewsAtWork === 0) await pause(1);
}

test("beside blocks, forks, collections and deaths of threads each gives what its block holds", async (t) => {
  const random = new Random(baseSeed(t));
  const options = { workers: 2, retainBlocks: 8, memoryQuotaPages: quota(1024) };
  await withRuntime([], options, async (runtime) => {
    const { engine } = runtime;
    const gas = (await runtime.call([], "run", LOOK)).gasUsed;
    const views: Promise<void>[] = [];
    const look = (from: Runtime, block: Block, value: number): void => {
      const rounds = random.chance(25) ? 400_000 : 0;
      const view = from.call([], "run", { ...(rounds === 0 ? LOOK : looking(rounds)), block });
      const check = view.then(({ output, gasUsed }) => {
        assert.equal(seen(output), value);
        if (rounds === 0) assert.equal(gasUsed, gas);
      });
      views.push(check);
    };
    for (let i = 1; i <= 24; i++) {
      const making = play(runtime, (s) => {
        s.store(SCRATCH, BigInt(i));
        s.fill(SCRATCH + 4096, 40_000, i);
        s.spin(50_000);
      });
      for (let j = 0; j < 6; j++) {
        const block = random.pick(runtime.blocks());
        look(runtime, block, block.height);
      }
      if (i % 5 === 0) await engine.collect({ force: true });
      if (i % 7 === 0) await engine.pool.kill(random.below(3));
      if (i % 8 === 0) {
        const fork = await runtime.fork();
        const { block } = await play(fork, (s) => s.store(SCRATCH, BigInt(1000 + i)));
        look(fork, block, 1000 + i);
        await fork.close();
      }
      await making;
    }
    await Promise.all(views);
    assert.ok(views.length > 140);
    assert.ok(runtime.metrics().collections >= 4);
  });
});

test("a collection waits for no view; what ran begins again behind it, and ends some time", async () => {
  await withRuntime([], { workers: 1 }, async (runtime) => {
    const { engine } = runtime;
    const rejected = assert.rejects(endless(runtime, new AbortController().signal), {
      code: "VIEW_INTERRUPTED",
      message: /10 times/,
    });
    const behind = runtime.call([], "run", LOOK);
    const { collections, workersDied } = runtime.metrics();
    for (let i = 0; i < 10; i++) {
      await untilAtWork(runtime);
      assert.equal(await engine.collect({ force: true }), true);
    }
    await rejected;
    assert.equal((await behind).status, "returned");
    assert.equal(runtime.metrics().collections, collections + 10);
    assert.equal(runtime.metrics().workersDied, workersDied + 10);
  });
});

test("a cancelled view ends its thread, those that wait and the blocks are not harmed", async () => {
  await withRuntime([], { workers: 1 }, async (runtime) => {
    const { head } = runtime;
    const [running, waiting] = [new AbortController(), new AbortController()];
    const first = assert.rejects(endless(runtime, running.signal), (error: Error & { code: string }) => {
      assert.deepEqual([error.code, (error.cause as Error).message], ["CANCELLED", "enough"]);
      return true;
    });
    await untilAtWork(runtime);
    const [second, third, fourth] = [waiting.signal, running.signal, waiting.signal].map((signal) =>
      assert.rejects(endless(runtime, signal), { code: "CANCELLED" }),
    );
    const last = runtime.call([], "run", LOOK);
    assert.equal((await play(runtime, (s) => s.store(SCRATCH, 9n))).block.height, 1);
    waiting.abort();
    await Promise.all([second, fourth]);
    assert.equal(runtime.metrics().workersDied, 0, "they had not begun");
    running.abort(new Error("enough"));
    await Promise.all([first, third]);
    assert.equal(seen((await last).output), 0);
    assert.ok(runtime.metrics().workersDied >= 1);
    assert.equal((await play(runtime, (s) => s.store(SCRATCH, 7n))).block.height, 2);
    await assert.rejects(endless(runtime, AbortSignal.abort()), { code: "CANCELLED" });
    assert.equal(seen((await runtime.call([], "run", { ...LOOK, block: head })).output), 0);
  });
});

test("the option limits the number in flight", async () => {
  await withRuntime([], { workers: 1, viewsLimit: 2 }, async (runtime) => {
    const views = [0, 1, 2, 3].map(() => runtime.call([], "run", LOOK));
    const ended = await Promise.allSettled(views);
    assert.deepEqual(
      ended.map((end) => (end.status === "rejected" ? end.reason.code : "ended")),
      ["ended", "ended", "TOO_MANY_VIEWS", "TOO_MANY_VIEWS"],
    );
    assert.equal((await runtime.call([], "run", LOOK)).status, "returned");
  });
});

test("closing waits for views, and refuses those that come after", async () => {
  const runtime = await open();
  const fork = await runtime.fork();
  const views = [runtime.call([], "run", looking(400_000)), runtime.call([], "run", LOOK)];
  const closing = runtime.close();
  await assert.rejects(runtime.call([], "run", LOOK), { code: "CLOSED" });
  await closing;
  assert.deepEqual(
    (await Promise.all(views)).map(({ status }) => status),
    ["returned", "returned"],
  );
  assert.equal((await fork.call([], "run", LOOK)).status, "returned");
  await fork.close();
  await assert.rejects(fork.call([], "run", LOOK), { code: "CLOSED" });
});

test("its state stays until it has ended, in heap and store, though the block was pruned", async () => {
  const look = async (runtime: Runtime): Promise<void> => {
    await play(runtime, (s) => {
      s.store(SCRATCH, 77n);
      s.fill(SCRATCH + 4096, 200_000, 3);
    });
    await runtime.call([], "run", LOOK);
    const stop = new AbortController();
    const first = assert.rejects(endless(runtime, stop.signal), { code: "CANCELLED" });
    const late = runtime.call([], "run", LOOK);
    for (let i = 0; i < 3; i++) await play(runtime, (s) => s.fill(SCRATCH, 300_000, i + 1));
    await runtime.engine.collect({ force: true, evict: true });
    assert.equal((await runtime.prune(1)).blocks > 0, true);
    await runtime.engine.collect({ force: true, evict: true });
    stop.abort();
    await first;
    assert.equal(seen((await late).output), 77);
  };
  await withDirectory((store) => withRuntime([], { workers: 1, retainBlocks: 3, store }, look));
});

test("views that fill the heap cost no block", async () => {
  const forgotten: Block[] = [];
  const options = {
    ...{ workers: 1, memoryQuotaPages: quota(200), retainBlocks: 4 },
    onForget: (blocks: readonly Block[]) => forgotten.push(...blocks),
  };
  await withRuntime([], options, async (runtime) => {
    shrinkHeap(runtime, 64 << 20);
    const script = new Script({ commands: 8 });
    script.fill(SCRATCH, 200 * 4096, 5);
    const view = { input: script.metadata(), inbox: REGION, argument: REGION };
    for (let i = 0; i < 30; i++) {
      const views = Array.from({ length: 4 }, () => runtime.call([], "run", view));
      await play(runtime, (s) => s.fill(SCRATCH, 50 * 4096, i + 1));
      for (const { status } of await Promise.all(views)) assert.equal(status, "returned");
    }
    assert.ok(runtime.metrics().collections > 0, "more than the heap holds");
    assert.deepEqual([forgotten, runtime.blocks().length], [[], 4]);
  });
});

test("views for which a full heap has no room fail, mostly without a collection, until it has", async () => {
  const options = { workers: 1, memoryQuotaPages: quota(200), retainBlocks: 1000 };
  await withRuntime([], options, async (runtime) => {
    shrinkHeap(runtime, 64 << 20);
    const filling = new Script({ commands: 8 });
    filling.fill(SCRATCH, 200 * 4096, 5);
    const view = { input: filling.metadata(), inbox: REGION, argument: REGION };
    const look = () => runtime.call([], "run", view).then(({ status }) => status, codeOf);
    assert.equal(await look(), "returned");
    while ((await look()) === "returned") {
      await runtime.pin(runtime.head);
      await play(runtime, (s) => s.fill(SCRATCH, 200 * 4096, runtime.head.height + 1));
    }
    const { collections } = runtime.metrics();
    for (let i = 0; i < 100; i++) assert.equal(await look(), "HEAP_FULL");
    assert.ok(runtime.metrics().collections - collections < 40, "one or more for each of them");
    for (const block of runtime.retained().slice(1, -1)) await runtime.unpin(block);
    await runtime.prune({ below: runtime.head.height });
    assert.equal(await look(), "returned", "what was let go is collected at once");
  });
});

test("a thread that serves views does nothing else, and no other one serves them", async () => {
  const trivial = await guest("trivial");
  await withRuntime(
    [trivial],
    { workers: 2, debug: { timelineRecords: 20_000 }, gasLimit: ENDLESS_GAS },
    async (runtime) => {
      await runtime.call([], "run", LOOK);
      for (let i = 0; i < 10; i++) {
        const views = Array.from({ length: 5 }, () => runtime.call([], "run", LOOK));
        await play(runtime, (s) => {
          for (let child = 0; child < 20; child++) {
            s.put(child, { program: programHash(trivial), start: { entry: "run", gas: 1e6 } });
          }
          for (let child = 0; child < 20; child++) s.get(child, { status: true });
        });
        await Promise.all(views);
      }
      const kinds = new Map<number, Set<string>>();
      for (const { ph, tid, cat } of runtime.timeline().traceEvents) {
        if (ph !== "X") continue;
        kinds.set(tid, (kinds.get(tid) ?? new Set()).add(cat as string));
      }
      const serving = [...kinds.values()].filter((cats) => cats.has("view"));
      assert.deepEqual(serving, [new Set(["view"])]);
      assert.ok(kinds.size > 1);
    },
  );
});
