/** What the inspector shows of blocks whose states the store does not have, against a chain in memory. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { App } from "../../runtime/app/index.ts";
import { recordBlock } from "../../runtime/debug.ts";
import type { Block } from "../../runtime/index.ts";
import { Query } from "../../runtime/inspector/query.ts";
import { Source } from "../../runtime/inspector/source.ts";
import { batchView } from "../../runtime/inspector/views/batch.ts";
import { blockView } from "../../runtime/inspector/views/block.ts";
import { diffOther, diffView } from "../../runtime/inspector/views/compare.ts";
import { faultsView, gasView } from "../../runtime/inspector/views/gas.ts";
import { memoryView, stateView } from "../../runtime/inspector/views/memory.ts";
import { pagesView, processesView } from "../../runtime/inspector/views/processes.ts";
import { proofView } from "../../runtime/inspector/views/proof.ts";
import { transactionsView } from "../../runtime/inspector/views/transactions.ts";
import { whole } from "../../runtime/inspector/whole-chain.ts";
import type { Reader } from "../../runtime/store.ts";
import { withDirectory } from "../store/directory.ts";
import { FORK, fill, openBank, serve, sourceOf, TOP } from "./bank-store.ts";

/** The same blocks in memory, and the inspector on them. */
let app: App;
let memory: Source;

before(async () => {
  app = await openBank();
  await fill(app);
  memory = new Source({
    ...{ name: "memory", kind: "runtime", chain: app.runtime },
    trace: (block) => app.trace(block),
    recorded: async () => null,
    record: (block) => recordBlock(app.runtime, block),
  });
});
after(() => app.close());

const asked = (parameters: Record<string, string | number>): Query => {
  const entries = Object.entries(parameters).map(([name, value]) => [name, String(value)]);
  return new Query(new URLSearchParams(entries), Object.keys(parameters));
};

type View = (source: Source) => object | Promise<object>;

/** All views of a block that look at its state, or run it. */
function viewsOf({ id, parent }: Block): Record<string, View> {
  const at = (more: Record<string, string | number>): Query => asked({ block: id, ...more });
  return {
    processes: (source) => processesView(source, at({})),
    children: (source) => processesView(source, at({ path: "/1", base: parent })),
    pages: (source) => pagesView(source, at({ path: "/1" })),
    transactions: (source) => transactionsView(source, at({})),
    gas: (source) => gasView(source, at({})),
    faults: (source) => faultsView(source, at({})),
    memory: (source) => memoryView(source, at({ path: "/1", base: parent })),
    state: (source) => stateView(source, at({ path: "/1", name: "accounts" })),
    difference: (source) => diffView(source, asked({ a: parent, b: id, path: "/1" })),
    proof: (source) => proofView(source, at({ path: "/1", address: 1024 })),
  };
}

/** Calls `look` with the inspector on a store that a runtime writes to, and with the states of few blocks. */
async function beside(look: (source: Source, reader: Reader) => Promise<void>): Promise<void> {
  await withDirectory(async (path) => {
    const writer = await openBank({ path, durability: "logged", checkpointMs: 3_600_000 });
    await fill(writer);
    await writer.runtime.checkpoint();
    const { source, reader } = await sourceOf(path, {});
    try {
      assert.deepEqual(
        reader.retained().map(({ id }) => id),
        app.runtime.retained().map(({ id }) => id),
      );
      await look(source, reader);
    } finally {
      await source[Symbol.asyncDispose]();
      await reader.close();
      await writer.close();
    }
  });
}

test("every view of a block whose state is not stored is that of the same block in memory", async () => {
  await beside(async (source, reader) => {
    const stored = new Set(reader.anchors().map(({ id }) => id));
    // One whose parent's state is not stored either, and two above a stored one, of the chain and beside it.
    const missing = reader.retained().filter(({ height }) => height === 3 || height === FORK + 1);
    assert.deepEqual([missing.length, missing.filter(({ id }) => stored.has(id)).length], [3, 0]);
    for (const block of missing) {
      for (const [name, view] of Object.entries(viewsOf(block)))
        assert.deepEqual(await whole(() => view(source)), await view(memory), `${name} of ${block.height}`);
    }
  });
});

test("the page of such a block needs no state, and says from which block that is made", async () => {
  await beside(async (source, reader) => {
    const stored = new Set(reader.anchors().map(({ id }) => id));
    for (const block of reader.retained()) {
      const { row, madeFrom, ...view } = blockView(source, asked({ block: block.id }));
      const { row: _, madeFrom: none, ...same } = blockView(memory, asked({ block: block.id }));
      assert.deepEqual(view, { ...same, above: view.above });
      assert.deepEqual([row?.durable, none], [stored.has(block.id), null]);
      let below = block;
      while (!stored.has(below.id)) below = reader.blockOf(below.parent);
      assert.equal(madeFrom, below.id === block.id ? null : below.height);
    }
  });
});

test("the server makes a state that is missing, for several who ask at once", async () => {
  await beside(async (source, reader) => {
    const listener = await serve(source);
    try {
      const asking = [3, 5, 3, 2].map(async (height) => {
        const block = reader.blocks()[height] as Block;
        const answer = await fetch(`${listener.url}/api/proof?block=${block.id}&path=/1&address=1024`);
        const same = proofView(memory, asked({ block: block.id, path: "/1", address: 1024 }));
        assert.deepEqual([answer.status, await answer.json()], [200, same]);
      });
      await Promise.all(asking);
    } finally {
      await listener.close(0);
    }
  });
});

test("a state that nobody waits for any more is given up, one that another waits for made", async () => {
  await beside(async (source, reader) => {
    const block = reader.blocks()[3] as Block;
    const at = asked({ block: block.id, path: "/1", address: 1024 });
    const leaving = new AbortController();
    const waits = (signal: AbortSignal | null) => whole(() => proofView(source, at), signal);
    const left = waits(leaving.signal);
    leaving.abort();
    await assert.rejects(left, { code: "CANCELLED" });
    // What was given up is not there, so that a view that does not wait finds it missing.
    assert.throws(() => memoryView(source, at), { code: "NO_STATE" });

    const other = new AbortController();
    const [first, second] = [waits(other.signal), waits(null)];
    other.abort();
    assert.deepEqual(await second, proofView(memory, at));
    assert.deepEqual(await first, await second, "it is made for the other one");
  });
});

test("a batch runs again from a state that is not stored", async () => {
  await beside(async (source, reader) => {
    const block = reader.blocks()[3] as Block;
    const stored = reader.anchors().some(({ id }) => id === block.parent);
    assert.equal(stored, false);
    const [view, same] = await Promise.all(
      [source, memory].map((each) => whole(() => batchView(each, asked({ block: block.id })))),
    );
    assert.deepEqual([view?.block, view?.source], [block.id, "again"]);
    const kinds = (of: typeof view) =>
      of?.batches.map(({ process, entry, items }) => ({ process, entry, items }));
    assert.deepEqual(kinds(view), kinds(same));
    assert.ok((view?.batches[0]?.items ?? 0) > 0);
  });
});

test("two stores: states that neither has are compared", async () => {
  await beside(async (_, reader) => {
    await withDirectory(async (path) => {
      const writer = await openBank({ path, durability: "logged", checkpointMs: 3_600_000 });
      await fill(writer, 1n);
      await writer.close();
      const { source: other, reader: otherReader } = await sourceOf(path, { other: reader });
      try {
        const height = TOP - 1;
        const missing = (each: Reader): boolean =>
          !each.anchors().some(({ id }) => id === each.blocks()[height]?.id);
        assert.ok(missing(reader) && missing(otherReader));
        const view = await whole(() => diffOther(other, asked({ other: "other", height, path: "/1" })));
        assert.deepEqual(
          [view.a.id, view.b.id],
          [otherReader, reader].map((each) => each.blocks()[height]?.id),
        );
        assert.ok(view.ranges.some(({ name }) => name === "fees" || name?.endsWith(".balance")));
      } finally {
        await other[Symbol.asyncDispose]();
        await otherReader.close();
      }
    });
  });
});
