/** Followers of a store: whatever its writer does, they end where it is. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, Runtime } from "../../runtime/index.ts";
import { type FollowEvent, openReader, type Reader } from "../../runtime/store.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";
import { everyState, withDirectory } from "./directory.ts";
import { writing } from "./failing.ts";

const OPTIONS = { workers: 1, runner: "sequential", retainBlocks: 8 } as const;

/** Follows until the head is `last`; what a replica would hold that applies what it is told. */
async function chainOf(reader: Reader, last: Block, from: Block | number): Promise<(string | null)[]> {
  const chain: (string | null)[] = [typeof from === "number" ? (reader.blocks()[0]?.id ?? null) : from.id];
  if (chain[0] === last.id) return chain;
  for await (const event of reader.follow({ from, everyMs: 1 })) {
    apply(chain, event);
    if (event.block === last.id && reader.head.id === last.id) break;
  }
  return chain;
}

function apply(chain: (string | null)[], event: FollowEvent): void {
  switch (event.kind) {
    case "commit":
      assert.equal(event.made.id, event.block);
      // Behind what is lost the block before is not known.
      if (chain.at(-1) !== null) assert.equal(event.made.parent, chain.at(-1));
      chain.push(event.block);
      return;
    case "revert": {
      const at = chain.indexOf(event.block);
      // Below where it began.
      chain.splice(0, chain.length, ...(at < 0 ? [event.block] : chain.slice(0, at + 1)));
      return;
    }
    default:
      chain.splice(0, chain.length, null);
  }
}

test("a follower is told every block of the chain and every revert, in order", async (t) => {
  const next = random(baseSeed(t));
  await withDirectory(async (path) => {
    const runtime = await open([], { ...OPTIONS, store: everyState(path) });
    const reader = await openReader(path);
    const zero = runtime.head;
    const live: (string | null)[] = [zero.id];
    let kinds = "";
    const following = (async () => {
      for await (const event of reader.follow({ from: zero, everyMs: 1 })) {
        apply(live, event);
        kinds += `${event.kind} `;
      }
    })();
    for (let i = 0; i < 60; i++) await change(runtime, next);
    const { head } = runtime;
    for (let turn = 0; turn < 2000 && live.at(-1) !== head.id; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const chain = runtime.blocks().map(({ id }) => id);
    assert.deepEqual(live.slice(-chain.length), chain.slice(-live.length));
    assert.ok(kinds.includes("revert") && kinds.includes("commit"));
    // Whoever begins anywhere comes to the same end.
    for (const from of [runtime.blocks()[0] as Block, ...runtime.retained()]) {
      const found = await chainOf(reader, head, from);
      assert.equal(found.at(-1), head.id);
      assert.deepEqual(found, chain.slice(-found.length));
    }
    await reader.close();
    await following;
    await runtime.close();
  });
});

async function change(runtime: Runtime, next: (limit: number) => number): Promise<void> {
  const retained = runtime.retained();
  const some = retained[next(retained.length)] as Block;
  const kind = next(8);
  if (kind === 0) await runtime.revert(some);
  else if (kind === 1) {
    const blocks = Array.from({ length: next(4) }, () => ({ metadata: writing(next(50)) }));
    await runtime.reorg({ to: some, blocks });
  } else await runtime.produce(writing(next(50)));
}

test("a follower that knows nothing that is still there is told how much it has lost", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { ...OPTIONS, store: everyState(path) });
    const zero = runtime.head;
    for (let i = 0; i < 20; i++) await runtime.produce(writing(i));
    await runtime.prune(3);
    const reader = await openReader(path);
    const events: FollowEvent[] = [];
    for await (const event of reader.follow({ from: zero })) {
      events.push(event);
      if (event.height === 20) break;
    }
    assert.deepEqual(events[0], { kind: "lost", height: null, block: null, count: 17 });
    assert.deepEqual(
      events.slice(1).map(({ kind, height }) => [kind, height]),
      [
        ["commit", 18],
        ["commit", 19],
        ["commit", 20],
      ],
    );
    const first = async (options: object): Promise<unknown> => reader.follow(options).next();
    await assert.rejects(first({ from: 5 }), { code: "NOT_RETAINED" });
    await assert.rejects(first({ from: "x" }), { code: "BAD_ARGUMENT" });
    await assert.rejects(first({ everyMs: 0 }), { code: "BAD_OPTION" });
    await assert.rejects(first({ every: 1 }), { code: "BAD_OPTION" });
    await reader.close();
    await assert.rejects(first({ from: 20 }), { code: "STORE_CLOSED" });
    await runtime.close();
  });
});
