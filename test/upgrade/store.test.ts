/**
 * Upgrades in stores: restarts, readers, forks, exports, imports, pruning, and chains that begin with
 * another's.
 */

import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { diffBetween, divergence } from "../../runtime/debug.ts";
import { type Block, type RulesChange, Runtime, verify } from "../../runtime/index.ts";
import { exportBlock, openImport, openReader, verifyStore } from "../../runtime/store.ts";
import { runWith } from "../planted.ts";
import { everyState, withDirectory } from "../store/directory.ts";
import {
  contract,
  contract2,
  metadata,
  nameOf,
  OPTIONS,
  open,
  results,
  root2,
  said,
  wider,
} from "./world.ts";

/** A chain of which blocks 2 to 5 are upgrades: a program, a process, prices and quotas, the root. */
async function upgraded(runtime: Runtime): Promise<Block[]> {
  const changes: (RulesChange | null)[] = [
    null,
    { programs: [wider] },
    { replace: [{ path: [1], program: contract2, migrate: "migrate", argument: 2 }] },
    { costs: "doubled", memoryQuotaPages: 20_500 },
    { replace: [{ path: [], program: root2, migrate: "migrate" }] },
    null,
  ];
  const blocks: Block[] = [];
  for (const [i, rules] of changes.entries()) {
    const operations = i === 0 ? [["create", 1, 0, contract] as const] : [["add", 1, i] as const];
    blocks.push(await runtime.produce(metadata(...operations), rules === null ? {} : { rules }));
  }
  return blocks;
}

const options = { workers: 2, runner: "sequential" } as const;

test("a chain is opened again with what it began with, or with nothing, and continues", async () => {
  await withDirectory(async (store) => {
    const first = await open({ ...options, store });
    const blocks = await upgraded(first);
    const next = await first.produce(metadata(["version", 1]));
    await first.revert(blocks.at(-1) as Block);
    await first.close();
    for (const again of [() => open({ ...options, store }), () => Runtime.open({ ...options, store })]) {
      const runtime = await again();
      assert.deepEqual(
        runtime
          .blocks()
          .slice(1)
          .map(({ id }) => id),
        blocks.map(({ id }) => id),
      );
      assert.equal((await runtime.produce(metadata(["version", 1]))).id, next.id);
      // Back across the changes, and over them once more.
      const inputs = blocks.map((block) => runtime.input(block));
      const replayed = await runtime.reorg({ to: 0, blocks: inputs });
      assert.equal(replayed.head.id, blocks.at(-1)?.id);
      assert.equal((await runtime.trace(4)).root, blocks[3]?.root);
      assert.equal((await runtime.trace(0)).root, runtime.blocks()[0]?.root);
      await runtime.close();
    }
    await assert.rejects(open({ ...options, store, programs: [wider], processQuota: 7 }), {
      code: "STORE_GENESIS",
      message: new RegExp(
        `processQuota is 131072, given is 7; its program ${nameOf(contract)} is not given; .*begin`,
      ),
    });
    await assert.rejects(Runtime.open({ store, gasLimit: 7 }), {
      code: "BAD_OPTION",
      message: /leave out gasLimit/,
    });
    await assert.rejects(Runtime.open({ ...options, store: join(store, "new") }), { code: "STORE_EMPTY" });
  });
});

test("readers, forks and proofs know the rules of each height", async () => {
  await withDirectory(async (store) => {
    const runtime = await open({ ...options, store: everyState(store) });
    const blocks = await upgraded(runtime);
    const reader = await openReader(store);
    for (const height of runtime.blocks().keys()) {
      assert.deepEqual(reader.rules(height), runtime.rules(height));
      assert.deepEqual(reader.input(height), runtime.input(height));
      assert.deepEqual(reader.blockHeader(height), runtime.blockHeader(height));
      const proof = reader.prove([], 0, 8, height);
      assert.equal(verify(runtime.blocks()[height]?.root as string, proof).absent, null);
    }
    assert.deepEqual(
      runtime
        .diff(1, 3)
        .differences.flatMap((one) => ("fields" in one && one.path.length === 1 ? one.fields : []))[0],
      { field: "program", before: nameOf(contract), after: nameOf(contract2) },
    );
    const memory = await runtime.fork({ at: 2 });
    const stored = await runtime.fork({ at: 3, store: join(store, "fork") });
    for (const [fork, from] of [
      [memory, 2],
      [stored, 3],
    ] as const) {
      for (const block of blocks.slice(from)) {
        const { metadata, ...rest } = runtime.input(block);
        assert.equal((await fork.produce(metadata, rest)).id, block.id);
      }
    }
    await Promise.all([memory.close(), stored.close(), reader.close()]);
    // What it needs is in its own store.
    await runtime.close();
    const alone = await Runtime.open({ ...options, store: join(store, "fork") });
    assert.equal(alone.head.id, blocks.at(-1)?.id);
    assert.deepEqual(results(await alone.produce(metadata(["create", 2, 0, wider]))), [0]);
    await alone.close();
  });
});

test("a node that knows nothing but an id takes a block and continues with it", async () => {
  await withDirectory(async (store) => {
    const runtime = await open({ ...options, store: everyState(store) });
    const blocks = await upgraded(runtime);
    const copy = join(store, "copy");
    for (const [height, base] of [
      [3, undefined],
      [6, 3],
    ] as const) {
      const { id } = blocks[height - 1] as Block;
      await using importer = await openImport(copy, id);
      const more = base === undefined ? {} : { base };
      for await (const chunk of exportBlock(store, { block: height, ...more })) importer.take(chunk);
      assert.equal((await importer.finish()).id, id);
    }
    assert.deepEqual((await verifyStore(copy)).damages, []);
    const other = await Runtime.open({ ...options, store: copy });
    assert.deepEqual(other.rules(), runtime.rules());
    const next = metadata(["create", 3, 0, wider], ["add", 3, 1]);
    assert.equal((await other.produce(next)).id, (await runtime.produce(next)).id);
    await Promise.all([other.close(), runtime.close()]);
  });
});

test("what no retained block names is freed, and the programs of the rules stay", async () => {
  await withDirectory(async (store) => {
    const runtime = await open({ ...options, store, archiveBlocks: 10 });
    const blocks = await upgraded(runtime);
    await runtime.prune(1);
    await runtime.engine.collect({ force: true });
    assert.equal(runtime.blocks().length, 1);
    const { block: _, ...archived } = (await runtime.archived(3)) as { block: Block };
    assert.deepEqual((archived as { rules?: RulesChange }).rules?.replace?.[0]?.program, nameOf(contract2));
    await runtime.close();
    assert.deepEqual((await verifyStore(store)).damages, []);
    const again = await Runtime.open({ ...options, store });
    assert.equal(again.head.id, blocks.at(-1)?.id);
    assert.deepEqual(results(await again.produce(metadata(["create", 2, 0, wider], ["add", 2, 3]))), [0, 3]);
    await again.close();
  });
});

test("a new chain begins with a block of another, which it names", async () => {
  await withDirectory(async (store) => {
    const old = await open({ ...options, store });
    const blocks = await upgraded(old);
    const base = blocks[3] as Block;
    await old.close();
    const memory = await Runtime.open({ ...options, from: { store, block: 4 } });
    const stored = await Runtime.open({ ...options, from: { store: join(store), block: base.id } }).catch(
      (error) => error,
    );
    assert.equal(stored.code, "STORE_LOCKED");
    assert.equal(memory.origin, base.id);
    assert.equal(memory.head.height, 0);
    assert.equal(memory.head.root, base.root);
    assert.notEqual(memory.genesis, old.genesis);
    assert.equal(memory.head.parent, memory.genesis);
    const made = await memory.produce(metadata(["add", 1, 4]), { rules: { gasLimit: 1_500_000_000 } });
    await assert.rejects(memory.trace(0), { code: "NOT_RETAINED" });
    await memory.close();
    const own = join(store, "own");
    const second = await Runtime.open({ ...options, from: { store, block: base.id }, store: own });
    // The old one is free again.
    await (await open({ ...options, store })).close();
    const again = await second.produce(metadata(["add", 1, 4]), { rules: { gasLimit: 1_500_000_000 } });
    assert.equal(again.id, made.id);
    await second.close();
    const reopened = await Runtime.open({ ...options, store: own });
    assert.deepEqual([reopened.head.id, reopened.origin], [made.id, base.id]);
    await reopened.close();
    const reader = await openReader(own);
    assert.equal(reader.origin, base.id);
    await reader.close();
    for (const wrong of [
      { store, block: 99 },
      { store, block: "ab".repeat(32) },
    ]) {
      await assert.rejects(Runtime.open({ ...options, from: wrong }), { code: "NOT_RETAINED" });
    }
    await assert.rejects(Runtime.open({ ...OPTIONS, from: { store } }), { code: "BAD_OPTION" });
  });
});

test("two versions of a program are compared by what they say", async () => {
  const one = await open();
  const other = await open({ programs: [contract2] });
  for (const [runtime, program] of [
    [one, contract],
    [other, contract2],
  ] as const) {
    await runtime.produce(metadata(["create", 1, 0, program]));
    await runtime.produce(metadata(["version", 1]));
    await runtime.produce(metadata(["add", 1, 0]));
    await runtime.produce(metadata(["add", 1, 3]));
  }
  assert.throws(() => divergence(one, other), { code: "OTHER_GENESIS", message: /"by": "data"/ });
  const found = divergence(one, other, { by: "data" });
  assert.equal(found?.height, 2);
  assert.deepEqual(
    found?.blocks.map((block) => said(block)[2]),
    [1, 2],
  );
  const states = diffBetween(one, 4, other, 4);
  const memory = states.differences.find(
    (difference) => difference.kind === "memory" && difference.path[0] === 1,
  );
  assert.deepEqual(memory, { kind: "memory", path: [1], address: 0, length: 1 });
  await Promise.all([one.close(), other.close()]);
});

test("with a log of inputs, a crash loses no upgrade", async () => {
  await withDirectory(async (path) => {
    const store = { path, durability: "logged", checkpointMs: 3_600_000, logBytes: 1 << 20 } as const;
    const runtime = await open({ ...options, store });
    const blocks = await upgraded(runtime);
    const killed = `${path}.killed`;
    cpSync(path, killed, { recursive: true });
    const inputs = runtime.blocks().map((block) => runtime.input(block));
    await runtime.close();
    const again = await Runtime.open({ ...options, store: { ...store, path: killed } });
    assert.deepEqual(again.blocks().slice(1), blocks);
    assert.deepEqual(
      again.blocks().map((block) => again.input(block)),
      inputs,
    );
    assert.equal(again.rules().costs, "doubled");
    await again.close();
  });
});

test("a chain whose rules this build does not carry is refused, and can be read", async () => {
  await withDirectory(async (store) => {
    const newer = {
      file: "runtime/program/admit.ts",
      find: 'export const REWRITER_VERSION = "',
      put: 'export const REWRITER_VERSION = "of tomorrow, ',
    };
    const { status, output } = runWith([newer], "upgrade/write-store.ts", [store]);
    assert.equal(status, 0, output);
    const message = /need version of tomorrow, \d+ of the rewriter, this build carries \d+\. Use a build/;
    for (const attempt of [() => Runtime.open({ store }), () => open({ store })]) {
      await assert.rejects(attempt(), { code: "RULES_UNKNOWN", message, deterministic: false });
    }
    const reader = await openReader(store);
    assert.match(reader.rules().rewriter, /^of tomorrow/);
    assert.equal(reader.inspect([])?.status, "snapshot");
    await reader.close();
  });
});
