/** Blocks that are cancelled while they run. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { play, withRuntime } from "../fixture.ts";

for (const workers of [1, 3]) {
  test(`a cancelled block leaves the runtime where it was, ${workers} workers`, async () => {
    await withRuntime([], { workers, gasLimit: 2 ** 50 }, async (runtime) => {
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
      await new Promise((resolve) => setTimeout(resolve, 30));
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
