/** Traces of blocks: what they list, and that they are the same whoever made the block. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { TraceEvent } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, REGION, Script } from "../driver.ts";
import { DRIVER_HASH, play, withRuntime } from "../fixture.ts";
import { randomTree } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";

test("a trace lists activations and calls, of children where they are joined", async () => {
  await withRuntime([], { workers: 2 }, async (runtime) => {
    const inner = new Script({ commands: 4 });
    inner.grow(0);
    inner.trap();
    const { block } = await play(runtime, (s) => {
      s.put(3, { program: DRIVER_HASH, ranges: [{ source: inner.metadata(), target: REGION }] });
      s.put(3, { start: { entry: "run", argument: BigInt(REGION), gas: 1_000_000 } });
      s.get(9, { status: true });
      s.get(3, { status: true });
    });
    const events = await runtime.trace(block);
    const short = events.map((event) => {
      const at = event.path.join("/");
      if (event.what === "begin") return `begin [${at}]`;
      if (event.what === "end") return `end [${at}] ${event.status} ${event.fault}`;
      if (event.what === "item") return `item [${at}] ${event.item} ${event.fault}`;
      return `${event.what} [${at}] ${"child" in event ? event.child : ""} ${event.result}`;
    });
    assert.deepEqual(short, [
      "begin []",
      "put [] 3 0",
      "put [] 3 0",
      `get [] 9 ${abi.E_NO_CHILD}`,
      "begin [3]",
      "grow [3]  80",
      "end [3] faulted unreachable",
      "get [] 3 0",
      "end [] snapshot none",
    ]);
    const last = events.at(-1) as Extract<TraceEvent, { what: "end" }>;
    assert.equal(last.gasUsed, block.gasUsed);
  });
});

test("a trace is the same for any number of workers, later and after reverts", async (t) => {
  const seed = baseSeed(t) + 4000;
  const traces: (readonly TraceEvent[])[][] = [];
  for (const workers of [1, 4]) {
    await withRuntime(
      [],
      { workers, memoryQuota: quota(60_000), processQuota: 4000, gasLimit: 4e9 },
      async (runtime) => {
        const first = [await runtime.trace(0)];
        for (let i = 0; i < 3; i++) {
          const block = await runtime.produce(randomTree(seed + i, { depth: 3, children: 3 }).metadata());
          first.push(await runtime.trace(block));
        }
        await runtime.revert(1);
        await runtime.engine.collect();
        assert.deepEqual(await runtime.trace(), first[1]);
        assert.deepEqual(await runtime.trace(0), first[0]);
        traces.push(first);
      },
    );
  }
  assert.deepEqual(traces[0], traces[1]);
  assert.ok(traces.flat(2).length > 40);
});

test("a block whose parent is not retained has no trace", async () => {
  await withRuntime([], { workers: 1, retain: 1 }, async (runtime) => {
    const { block } = await play(runtime, (s) => s.store(0x200000, 1n));
    await assert.rejects(runtime.trace(block), { code: "NOT_RETAINED" });
  });
});
