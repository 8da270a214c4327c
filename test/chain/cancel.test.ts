/** Blocks that are cancelled while they run. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { programHash } from "../../runtime/index.ts";
import { Board } from "../../runtime/worker/board.ts";
import { quota, Script } from "../driver.ts";
import { ENDLESS_GAS, guest, play, withRuntime } from "../fixture.ts";

const spin = await guest("spin");

for (const workers of [1, 3]) {
  test(`a cancelled block leaves the runtime where it was, ${workers} workers`, async () => {
    await withRuntime([], { workers, gasLimit: ENDLESS_GAS }, async (runtime) => {
      const head = runtime.head;
      const cancel = new AbortController();
      const endless = play(runtime, (script) => script.spin(2 ** 31 - 1), { signal: cancel.signal });
      const rejected = assert.rejects(endless, (error: Error & { code: string }) => {
        assert.equal(error.code, "CANCELLED");
        assert.equal((error.cause as Error).message, "enough");
        return true;
      });
      // Those that come after it wait, and are not harmed.
      const next = play(runtime, (script) => script.out(0, 8));
      const { pool } = runtime.engine;
      while (pool.threadsAtWork < 1) await new Promise((resolve) => setTimeout(resolve, 1));
      cancel.abort(new Error("enough"));
      await rejected;
      const { block } = await next;
      assert.equal(block.parent, head.id);
      assert.equal(runtime.metrics().workersDied, 1);
    });
  });
}

test("a signal that is aborted already keeps the block from being made", async () => {
  await withRuntime([], { workers: 1 }, async (runtime) => {
    const signal = AbortSignal.abort();
    await assert.rejects(
      play(runtime, (script) => script.out(0, 8), { signal }),
      { code: "CANCELLED" },
    );
    assert.equal(runtime.head.height, 0);
    const { block } = await play(runtime, (script) => script.out(0, 8));
    assert.equal(block.height, 1);
  });
});

test("a signal that is aborted afterwards changes nothing", async () => {
  await withRuntime([], { workers: 1 }, async (runtime) => {
    const cancel = new AbortController();
    const { block } = await play(runtime, (script) => script.out(0, 8), { signal: cancel.signal });
    cancel.abort();
    assert.deepEqual(runtime.head, block);
    assert.equal(runtime.metrics().workersDied, 0);
  });
});

test("after a cancelled block whose children ran everywhere, all threads are idle", async () => {
  const options = { workers: 3, gasLimit: ENDLESS_GAS, memoryQuotaPages: quota(4096) };
  await withRuntime([spin], options, async (runtime) => {
    const { pool } = runtime.engine;
    const cancel = new AbortController();
    const endless = play(
      runtime,
      (script) => {
        for (let i = 0; i < 6; i++) {
          const start = { entry: "run", gas: ENDLESS_GAS / 8 };
          script.put(i, { program: programHash(spin), start });
        }
        for (let i = 0; i < 6; i++) script.get(i, { status: true });
      },
      { signal: cancel.signal },
    );
    const rejected = assert.rejects(endless, { code: "CANCELLED" });
    while (pool.threadsAtWork < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    cancel.abort();
    await rejected;
    assert.equal(pool.threadsAtWork, 0, "nobody runs a child of it any more");
    const { collections } = runtime.metrics();
    assert.equal(await runtime.engine.collect({ force: false }), true);
    assert.equal(runtime.metrics().collections, collections + 1);
    const { block } = await play(runtime, (script) => script.out(0, 8));
    assert.equal(block.height, 1);
  });
});

test("a thread that takes the block in the moment in which it is cancelled is ended as well", async (t) => {
  const sleep = new Int32Array(new SharedArrayBuffer(4));
  await withRuntime([], { workers: 1, gasLimit: ENDLESS_GAS }, async (runtime) => {
    const { withdraw } = Board.prototype;
    t.mock.method(Board.prototype, "withdraw", function (this: Board, entry: number): number {
      // Who looked for a thread before this moment saw none.
      Atomics.wait(sleep, 0, 0, 50);
      return withdraw.call(this, entry);
    });
    const cancel = new AbortController();
    const endless = play(runtime, (script) => script.spin(2 ** 31 - 1), { signal: cancel.signal });
    cancel.abort();
    await assert.rejects(endless, { code: "CANCELLED" });
    assert.equal(runtime.engine.pool.threadsAtWork, 0);
    const { block } = await play(runtime, (script) => script.out(0, 8));
    assert.equal(block.height, 1);
  });
});

test("a trace that is cancelled ends, of a retained block and of a tried one", async () => {
  await withRuntime([], { workers: 1, gasLimit: ENDLESS_GAS }, async (runtime) => {
    const { pool } = runtime.engine;
    const { block } = await play(runtime, (script) => script.spin(200_000_000));
    const script = new Script({ commands: 1 });
    script.spin(2 ** 31 - 1);
    const endless = script.metadata();
    const traces = [
      (signal: AbortSignal) => runtime.trace(block, { signal }),
      (signal: AbortSignal) => runtime.trace({ metadata: endless, signal }),
      (signal: AbortSignal) => runtime.trace({ metadata: endless }, { signal }),
    ];
    for (const trace of traces) {
      const cancel = new AbortController();
      const rejected = assert.rejects(trace(cancel.signal), { code: "CANCELLED" });
      while (pool.threadsAtWork < 1) await new Promise((resolve) => setTimeout(resolve, 1));
      cancel.abort();
      await rejected;
    }
    assert.equal(runtime.metrics().workersDied, traces.length);
    assert.equal((await runtime.trace(block)).root, block.root);
    await assert.rejects(runtime.trace(block, { signal: 1 as never }), { code: "BAD_OPTION" });
  });
});
