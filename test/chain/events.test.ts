/** Events of a runtime: each kind, once for what it says, and streams that nobody reads. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStream } from "../../runtime/chain/events.ts";
import type { RuntimeEvent } from "../../runtime/index.ts";
import { REGION, Script } from "../driver.ts";
import { open } from "../fixture.ts";
import { withDirectory } from "../store/directory.ts";
import { FailingStore, writing } from "../store/failing.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;

test("each event is emitted once, in order, with its block", async () => {
  await withDirectory(async (path) => {
    const store = new FailingStore(path);
    const runtime = await open([], { ...OPTIONS, store: store.options });
    const stream = runtime.events();
    const other = runtime.events();
    const zero = runtime.head;
    const one = await runtime.produce(writing(1));
    await runtime.revert(0);
    store.failAfter(0, 100);
    await assert.rejects(runtime.produce(writing(2)), { code: "STORE_FULL" });
    store.failAfter(100_000, 1);
    await runtime.engine.collect({ force: true });
    await runtime.engine.pool.kill(0);
    while (runtime.metrics().workersDied === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await runtime.prune(1);
    assert.deepEqual((await other.return()).done, true);
    await runtime.close();
    const events: RuntimeEvent[] = [];
    for await (const event of stream) {
      if (event.kind !== "write" && event.kind !== "run") events.push(event);
      else {
        const { milliseconds, ...rest } = event;
        assert.ok(milliseconds > 0);
        events.push(rest as RuntimeEvent);
      }
    }
    const told = events.filter(({ kind }) => !["collect", "sweep", "sweeping"].includes(kind));
    const name = ({ id, height }: typeof zero) => ({ height, block: id });
    assert.deepEqual(told, [
      { kind: "run", ...name(one) },
      { kind: "commit", ...name(one), made: one },
      { kind: "write", ...name(one) },
      { kind: "revert", ...name(zero) },
      { kind: "write", ...name(zero) },
      // It could not be written.
      { kind: "run", height: 1, block: told[5]?.block },
      { kind: "death", height: null, block: null, workersDied: 1 },
      { kind: "forget", ...name(one) },
      { kind: "write", ...name(zero) },
      told.at(-1),
    ]);
    const pruned = told.at(-1) as RuntimeEvent;
    assert.ok(pruned.kind === "prune" && pruned.blocks === 1 && pruned.objects > 0 && pruned.height === 0);
    const collected = events.find(({ kind }) => kind === "collect");
    assert.ok(collected?.kind === "collect" && collected.heapUsedBytes > 0 && collected.milliseconds >= 0);
    assert.deepEqual(await other.next(), { value: undefined, done: true });
    assert.deepEqual(await runtime.events().next(), { value: undefined, done: true });
  });
});

test("a late reader gets the number of events it has missed, and the newest ones", async () => {
  const stream = new EventStream(() => {});
  const event = (count: number): RuntimeEvent => ({ kind: "lost", height: count, block: null, count });
  for (let i = 0; i < 25_000; i++) stream.push(event(i));
  const first = (await stream.next()).value as RuntimeEvent;
  assert.ok(first.kind === "lost" && first.height === null);
  stream.end();
  let expected = first.count;
  for await (const { height } of stream) assert.equal(height, expected++);
  assert.equal(expected, 25_000);
  assert.ok(first.count >= 15_000 && first.count <= 20_000);
});

test("each view has an event with its block, however it ends", async () => {
  const runtime = await open([], OPTIONS);
  const stream = runtime.events();
  const candidate = await runtime.execute(writing(1));
  const input = new Script({ commands: 0 }).metadata();
  const call = { input, inbox: REGION, argument: REGION } as const;
  await runtime.call([], "run", call);
  await runtime.call([], "run", { ...call, block: candidate, gas: 10 });
  await assert.rejects(runtime.call([], "nothing", call), { code: "NO_ENTRY" });
  await runtime.close();
  const told: unknown[] = [];
  for await (const event of stream) {
    if (event.kind !== "view") continue;
    assert.ok(event.milliseconds > 0 && event.gasUsed > 0 === (event.status !== "rejected"));
    told.push([event.height, event.path, event.entry, event.status, event.error]);
  }
  assert.deepEqual(told, [
    [0, [], "run", "returned", null],
    [1, [], "run", "faulted", null],
    [0, [], "nothing", "rejected", "NO_ENTRY"],
  ]);
});
