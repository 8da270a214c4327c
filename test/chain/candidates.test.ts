/** Candidates: blocks that are run and not yet part of the history. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Candidates } from "../../runtime/chain/candidates.ts";
import { type Candidate, type Runtime, type RuntimeEvent, verify } from "../../runtime/index.ts";
import { openReader } from "../../runtime/store.ts";
import { SCRATCH, Script } from "../driver.ts";
import { ENDLESS_GAS, open, withRuntime } from "../fixture.ts";
import { withDirectory } from "../store/directory.ts";
import { FailingStore, replacing } from "../store/failing.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;

/**
 * A block that adds to a number in the root's memory, and fills some pages with what follows from `value`.
 */
function adding(value: number, pages = 2): Uint8Array {
  const script = new Script();
  for (let page = 1; page <= pages; page++) script.store(SCRATCH + page * 4096, BigInt(value * 1000 + page));
  script.store(SCRATCH, BigInt(value));
  return script.metadata();
}

function faulting(): Uint8Array {
  const script = new Script();
  script.trap();
  return script.metadata();
}

/** A block that is at work for so many rounds. */
function spinning(rounds: number): Uint8Array {
  const script = new Script();
  script.spin(rounds);
  return script.metadata();
}

const stored = (runtime: Runtime, block?: Candidate): number =>
  new DataView(runtime.read([], SCRATCH, 8, block).buffer).getUint32(0, true);

/** What has happened, until the runtime is closed. */
async function told(events: AsyncIterable<RuntimeEvent>): Promise<string[]> {
  const lines: string[] = [];
  for await (const event of events) {
    if (event.kind === "collect" || event.kind === "run") continue;
    const reason = "reason" in event ? ` ${event.reason}` : "";
    lines.push(`${event.kind} ${event.height}${reason}`);
  }
  return lines;
}

test("a candidate is the block that produce makes, and committing it runs nothing", async () => {
  await withRuntime([], OPTIONS, async (runtime) => {
    const candidate = await runtime.execute(adding(1), { gasLimit: 1_000_000_000 });
    assert.equal(runtime.head.height, 0);
    assert.deepEqual(runtime.retained(), [runtime.head]);
    const fork = await runtime.fork();
    const produced = await fork.produce(adding(1), { gasLimit: 1_000_000_000 });
    await fork.close();
    assert.deepEqual({ ...candidate }, { ...produced, hints: [] });
    const { blocks } = runtime.metrics();
    const committed = await runtime.commit(candidate);
    assert.deepEqual(committed, produced);
    assert.equal(runtime.head, committed);
    assert.equal(runtime.metrics().blocks, blocks);
    await assert.rejects(runtime.commit(candidate), { code: "NOT_RETAINED", message: /was committed/ });
    assert.equal(stored(runtime, candidate), 1, "it names a retained block");
  });
});

test("any number at a height and on each other; those beside a committed one stay", async () => {
  await withRuntime([], OPTIONS, async (runtime) => {
    const siblings = await Promise.all([1, 2, 3].map((value) => runtime.execute(adding(value))));
    const [a, b, c] = siblings as [Candidate, Candidate, Candidate];
    const onA = await runtime.execute(adding(4), { on: a });
    const onOnA = await runtime.execute(adding(5), { on: onA });
    assert.deepEqual(
      [a, b, c, onA, onOnA].map((one) => [one.height, stored(runtime, one)]),
      [
        [1, 1],
        [1, 2],
        [1, 3],
        [2, 4],
        [3, 5],
      ],
    );
    await assert.rejects(runtime.commit(onA), {
      code: "STALE",
      deterministic: false,
      facts: { candidate: onA.id, parent: a.id, expected: runtime.head.id },
    });
    await runtime.commit(a);
    await assert.rejects(runtime.commit(b), { code: "STALE" });
    await runtime.commit(onA);
    await runtime.commit(onOnA);
    assert.deepEqual(
      runtime
        .blocks()
        .map(({ id }) => id)
        .slice(1),
      [a.id, onA.id, onOnA.id],
    );
    await runtime.revert(0);
    assert.equal((await runtime.commit(c)).id, c.id);
    assert.equal(stored(runtime), 3);
    assert.equal(stored(runtime, b), 2);
  });
});

test("whatever takes a block to look at takes a candidate", async () => {
  await withRuntime([], OPTIONS, async (runtime) => {
    const below = await runtime.execute(adding(1));
    const candidate = await runtime.execute(adding(2), { on: below });
    assert.equal(runtime.inspect([], candidate)?.hash, candidate.root);
    assert.equal(stored(runtime, candidate), 2);
    const statement = verify(candidate.root, runtime.prove([], SCRATCH, 8, candidate));
    assert.equal(statement.absent, null);
    assert.deepEqual(runtime.diff(below, candidate), runtime.diff(below, { ...candidate }));
    assert.ok(runtime.diff(0, candidate).differences.length > 0);
    const { events, root, data } = await runtime.trace(candidate);
    assert.deepEqual([root, data], [candidate.root, candidate.data]);
    assert.equal(events.at(-1)?.what, "end");
    const fork = await runtime.fork({ at: candidate });
    assert.deepEqual(
      fork.blocks().map(({ id }) => id),
      [runtime.head.id, below.id, candidate.id],
    );
    assert.equal(stored(fork), 2);
    const next = await fork.produce(adding(3));
    await fork.revert(below.height);
    await fork.close();
    assert.equal((await runtime.execute(adding(3), { on: candidate })).id, next.id);
    // By its value alone, as another process would name it.
    assert.equal(runtime.inspect([], { ...candidate })?.hash, candidate.root);
    await runtime.release(below);
    for (const one of [below, candidate, { ...candidate }]) {
      assert.throws(() => runtime.inspect([], one), { code: "NOT_RETAINED" });
    }
  });
});

test("what a candidate cannot be made of leaves nothing", async () => {
  await withRuntime([], { ...OPTIONS, candidatesLimit: 2 }, async (runtime) => {
    const other = await open([], OPTIONS);
    const foreign = await other.execute(adding(1));
    const wrong: readonly [() => Promise<unknown>, string][] = [
      [() => runtime.execute(faulting()), "BLOCK_FAULT"],
      [() => runtime.execute(new Uint8Array(2 ** 22)), "METADATA_TOO_LONG"],
      [() => runtime.execute("text" as never), "BAD_ARGUMENT"],
      [() => runtime.execute(adding(1), { onto: 0 } as never), "BAD_OPTION"],
      [() => runtime.execute(adding(1), { on: 7 }), "NOT_RETAINED"],
      [() => runtime.execute(adding(1), { on: "x" as never }), "BAD_ARGUMENT"],
      [() => runtime.execute(adding(1), { on: null as never }), "BAD_ARGUMENT"],
      [() => runtime.execute(adding(1), { on: foreign }), "NOT_RETAINED"],
      [() => runtime.commit(foreign), "NOT_RETAINED"],
      [() => runtime.commit(runtime.head as never), "BAD_ARGUMENT"],
      [() => runtime.release(runtime.head as never), "BAD_ARGUMENT"],
      [() => runtime.revert(foreign), "NOT_RETAINED"],
      [() => runtime.fork({ at: foreign }), "NOT_RETAINED"],
      [() => runtime.execute(adding(1), { signal: AbortSignal.abort() }), "CANCELLED"],
    ];
    for (const [call, code] of wrong) await assert.rejects(call(), { code });
    await other.close();
    assert.equal(runtime.metrics().candidates, 0);
    const [one] = await Promise.all([runtime.execute(adding(1)), runtime.execute(adding(2))]);
    const third = runtime.execute(adding(3));
    await assert.rejects(third, { code: "TOO_MANY_CANDIDATES", facts: { limit: 2 } });
    await runtime.release(one as Candidate);
    await runtime.execute(adding(3));
  });
});

test("candidates and forks run beside a block in progress", async () => {
  await withRuntime([], { workers: 2, gasLimit: ENDLESS_GAS }, async (runtime) => {
    const cancel = new AbortController();
    const endless = runtime.produce(spinning(2 ** 31 - 1), { signal: cancel.signal });
    const beside = runtime.execute(adding(1), { gasLimit: 1_000_000_000 });
    const candidate = await beside;
    const fork = await runtime.fork({ at: candidate });
    assert.equal((await fork.produce(adding(2))).height, 2);
    await fork.close();
    cancel.abort();
    await assert.rejects(endless, { code: "CANCELLED" });
    assert.equal((await runtime.commit(candidate)).height, 1);
  });
});

test("a candidate goes with its parent, and an event says so", async () => {
  const runtime = await open([], { ...OPTIONS, retainBlocks: 2 });
  const happened = told(runtime.events());
  const first = await runtime.execute(adding(1));
  await runtime.execute(adding(2), { on: first });
  await runtime.produce(adding(3));
  // Block 0 is forgotten.
  await runtime.produce(adding(4));
  await assert.rejects(runtime.commit(first), { code: "NOT_RETAINED" });
  const second = await runtime.execute(adding(5));
  const third = await runtime.execute(adding(6), { on: second });
  await runtime.release(second);
  await runtime.release(third);
  const inProgress = runtime.execute(adding(7), { on: await runtime.execute(adding(8)) });
  await runtime.prune(1);
  await inProgress;
  await runtime.close();
  assert.deepEqual(await happened, [
    "execute 1",
    "execute 2",
    "commit 1",
    "commit 2",
    "forget 0",
    "release 1 parent",
    "release 2 parent",
    "execute 3",
    "execute 4",
    "release 3 released",
    "release 4 parent",
    "execute 3",
    "forget 1",
    "execute 4",
    "prune 2",
    "release 3 closed",
    "release 4 closed",
  ]);
});

test("a run whose parent is released meanwhile makes no candidate", async () => {
  await withRuntime([], { workers: 2 }, async (runtime) => {
    const parent = await runtime.execute(adding(1));
    const running = runtime.execute(spinning(1 << 16), { on: parent });
    await runtime.release(parent);
    await assert.rejects(running, { code: "NOT_RETAINED", message: /while a candidate on it ran/ });
    // One that is committed meanwhile continues as a block.
    const other = await runtime.execute(adding(2));
    const going = runtime.execute(spinning(1 << 16), { on: other });
    await runtime.commit(other);
    assert.equal((await runtime.commit(await going)).height, 2);
  });
});

test("a candidate that nobody holds is freed and reported, and one below a held one is not", async () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const runtime = await open([], OPTIONS);
  const events = runtime.events();
  const happened = told(events);
  let held: Candidate | null = null;
  await (async () => {
    await runtime.execute(adding(1));
    held = await runtime.execute(adding(2), { on: await runtime.execute(adding(3)) });
  })();
  const { candidates } = runtime.engine.metrics;
  assert.equal(candidates, 3);
  for (let i = 0; i < 200 && runtime.metrics().candidates > 2; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.equal(runtime.metrics().candidates, 2);
  collectGarbage();
  assert.equal(stored(runtime, held as unknown as Candidate), 2);
  await runtime.close();
  assert.deepEqual((await happened).slice(3), ["release 1 dropped", "release 1 closed", "release 2 closed"]);
});

test("await using releases a candidate, unless it was committed", async () => {
  await withRuntime([], OPTIONS, async (runtime) => {
    let left: Candidate;
    {
      await using one = await runtime.execute(adding(1));
      await using two = await runtime.execute(adding(2));
      await runtime.commit(one);
      left = two;
    }
    assert.equal(runtime.head.height, 1);
    assert.equal(stored(runtime), 1);
    await assert.rejects(runtime.commit(left), { code: "NOT_RETAINED" });
    assert.equal(runtime.metrics().candidates, 0);
  });
});

/** What is live after a collection. */
async function liveBytes(runtime: Runtime): Promise<number> {
  await runtime.engine.collect({ force: true });
  return runtime.metrics().heapUsedBytes;
}

test("collections keep live candidates, and nothing of a released one stays", async () => {
  const scenario = async (): Promise<void> => {
    await withRuntime([], OPTIONS, async (runtime) => {
      await runtime.produce(adding(1));
      await runtime.prune(1);
      const before = await liveBytes(runtime);
      const candidate = await runtime.execute(adding(2, 200));
      const above = await runtime.execute(adding(3, 100), { on: candidate });
      const filled = await liveBytes(runtime);
      assert.ok(filled > before + 200 * 4096, "they are kept");
      // What was freed wrongly is written over.
      for (let i = 0; i < 4; i++) {
        await runtime.produce(adding(10 + i, 200));
        await runtime.revert(1);
      }
      assert.equal(runtime.inspect([], above)?.hash, above.root);
      assert.equal(stored(runtime, above), 3);
      assert.equal((await runtime.commit(candidate)).id, candidate.id);
      await runtime.revert(1);
      await runtime.release(above);
      await runtime.prune(1);
      assert.equal(await liveBytes(runtime), before);
    });
  };
  await scenario();
  const defect = { roots: function* () {} };
  await assert.rejects(replacing(Candidates.prototype, defect, scenario), "the planted defect is not found");
});

test("a reorg over inputs and candidates is one durable group", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { ...OPTIONS, store: path });
    const one = await runtime.produce(adding(1));
    const two = await runtime.execute(adding(2), { on: 0 });
    const three = await runtime.execute(adding(3), { on: two });
    const blocks = [two, three, { metadata: adding(4) }];
    const failing = runtime.reorg({ to: 0, blocks: [...blocks, { metadata: faulting() }] });
    await assert.rejects(failing, { code: "BLOCK_FAULT" });
    await assert.rejects(runtime.reorg({ to: 0, blocks: [three] }), { code: "STALE" });
    await assert.rejects(runtime.reorg({ to: 0, blocks: [two, two] }), { code: "STALE" });
    assert.equal(runtime.head, one);
    const { blocks: before } = runtime.metrics();
    const change = await runtime.reorg({ to: 0, blocks });
    assert.equal(runtime.metrics().blocks, before + 1);
    assert.deepEqual(change.removed, [one]);
    assert.deepEqual(
      change.added.map(({ id }) => id),
      [two.id, three.id, runtime.head.id],
    );
    assert.equal(runtime.metrics().candidates, 0);
    await runtime.close();
    const reader = await openReader(path);
    assert.deepEqual(reader.blocks(), [runtime.blocks()[0], ...change.added]);
    assert.equal(reader.inspect([])?.hash, change.head.root);
    await reader.close();
  });
});

test("a commit that cannot be written leaves the candidate; nothing of others is durable", async () => {
  await withDirectory(async (path) => {
    const store = new FailingStore(path);
    const runtime = await open([], { ...OPTIONS, store: store.options });
    const candidate = await runtime.execute(adding(1));
    const above = await runtime.execute(adding(2), { on: candidate });
    store.failAfter(0, 100);
    await assert.rejects(runtime.commit(candidate), { code: "STORE_FULL" });
    store.failAfter(1000, 1);
    assert.equal(runtime.head.height, 0);
    await runtime.commit(candidate);
    const other = await runtime.execute(adding(3), { on: candidate });
    await runtime.close();
    const reader = await openReader(path);
    assert.deepEqual(
      reader.retained().map(({ id }) => id),
      [runtime.blocks()[0]?.id, candidate.id],
    );
    for (const one of [above, other]) assert.throws(() => reader.inspect([], one), { code: "NOT_RETAINED" });
    await reader.close();
  });
});

test("a candidate that is committed has not ended with the parent that is forgotten for it", async () => {
  const runtime = await open([], { ...OPTIONS, retainBlocks: 1 });
  const lines = told(runtime.events());
  const candidate = await runtime.execute(adding(1));
  const above = await runtime.execute(adding(2), { on: candidate });
  await runtime.commit(candidate);
  await runtime.commit(above);
  await runtime.close();
  const made = ["execute 1", "execute 2"];
  assert.deepEqual(await lines, [...made, "commit 1", "forget 0", "commit 2", "forget 1"]);
});
