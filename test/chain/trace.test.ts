/** Traces of blocks: what they list, and that they are the same whoever made the block. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { TraceEvent } from "../../runtime/debug.ts";
import { Process } from "../../runtime/image/process.ts";
import { NO_REASON } from "../../runtime/kernel/explain.ts";
import { BlockTracer } from "../../runtime/kernel/trace.ts";
import { TRACE_FRAMES_LIMIT } from "../../runtime/limits.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, REGION, SCRATCH, Script } from "../driver.ts";
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
    const { events, root, data } = await runtime.trace(block);
    assert.deepEqual([root, data], [block.root, block.data]);
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
      { workers, memoryQuotaPages: quota(60_000), processQuota: 4000, gasLimit: 4e9 },
      async (runtime) => {
        const first = [(await runtime.trace(0)).events];
        for (let i = 0; i < 3; i++) {
          const block = await runtime.produce(randomTree(seed + i, { depth: 3, children: 3 }).metadata());
          first.push((await runtime.trace(block)).events);
        }
        await runtime.revert(1);
        await runtime.engine.collect();
        assert.deepEqual((await runtime.trace()).events, first[1]);
        assert.deepEqual((await runtime.trace(0)).events, first[0]);
        traces.push(first);
      },
    );
  }
  assert.deepEqual(traces[0], traces[1]);
  assert.ok(traces.flat(2).length > 40);
});

test("a block whose parent is not retained has no trace", async () => {
  await withRuntime([], { workers: 1, retainBlocks: 1 }, async (runtime) => {
    const { block } = await play(runtime, (s) => s.store(0x200000, 1n));
    await assert.rejects(runtime.trace(block), { code: "NOT_RETAINED" });
  });
});

test("tracing an input on any block shows the block it would make", async () => {
  await withRuntime([], { workers: 1 }, async (runtime) => {
    const store = (value: bigint): Uint8Array => {
      const script = new Script();
      script.store(SCRATCH, value);
      script.out(SCRATCH, 8);
      return script.metadata();
    };
    const first = await runtime.produce(store(1n));
    await runtime.produce(store(2n));
    const { head } = runtime;
    const candidate = await runtime.execute(store(3n), { on: first });
    for (const on of [first, 1, candidate, undefined]) {
      const input = { metadata: store(7n), gasLimit: 1e9 };
      const tried = await runtime.trace(on === undefined ? input : { ...input, on });
      const made = await runtime.execute(store(7n), { gasLimit: 1e9, on: on ?? head });
      assert.deepEqual([tried.root, tried.data], [made.root, made.data]);
      const last = tried.events.at(-1);
      assert.equal(last?.what === "end" && last.gasUsed, made.gasUsed);
    }
    assert.equal(runtime.head, head);
    const unknown = { ...head, id: "0".repeat(64) };
    await assert.rejects(runtime.trace({ metadata: store(1n), on: unknown }), { code: "NOT_RETAINED" });
    await assert.rejects(runtime.trace({ metadata: store(1n), by: 1 } as never), { code: "BAD_OPTION" });
  });
});

test("stacks of a trace have a maximum number of functions in all; later faults have none", () => {
  const tracer = new BlockTracer();
  const deep = Array.from({ length: 64 }, (_, i) => `    at wasm-function[${i}]:0x1f`).join("\n");
  const faults = TRACE_FRAMES_LIMIT / 64 + 10;
  for (let i = 0; i < faults; i++) {
    tracer.fault(deep, NO_REASON, null);
    const ended = Object.assign(new Process(), { status: abi.STATUS_FAULTED, fault: abi.FAULT_UNREACHABLE });
    tracer.end(Object.assign(ended, { gasUsed: 1 }), () => []);
  }
  const stacks = tracer.take().map((event) => (event.what === "end" ? event.stack.length : -1));
  assert.deepEqual([stacks.length, stacks.at(-11), stacks.at(-10)], [faults, 64, 0]);
});
