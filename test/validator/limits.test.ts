/** A node whose disk or heap is full: consensus stops at the last commit, and clients are answered. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Signer } from "../../runtime/app/index.ts";
import { shrinkHeap } from "../fixture.ts";
import { type Answered, alice, bob, Node } from "./coins.ts";

const directory = mkdtempSync(join(tmpdir(), "stillpoint-validator-limits-"));
after(() => rmSync(directory, { recursive: true }));

/** Room for the state, and for some twenty blocks. */
const HEAP_BYTES = 40 << 20;
/** Bytes that no one has signed: all that comes of them is that the block is larger. */
const NOISE = new Uint8Array(900_000);

/** Payments to accounts that are new, each of which takes a page. */
function spread(node: Node, height: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const to = new Signer(new Uint8Array(32).fill(i + 10).fill(height, 0, 2), "ed25519");
    return node.pay(alice, height * count + i, 1, to);
  });
}

test("a full disk at Commit is an Exception; with room the node reaches the ids of others", async () => {
  // With "block" each commit writes, so that how many fit does not depend on time.
  const store = { path: join(directory, "full"), limitBytes: 2 << 20, durability: "block" } as const;
  await using node = await Node.open({ store, retainBlocks: 100 });
  await node.initChain();
  await using replica = await Node.open();
  await replica.initChain();
  let last = await node.info();
  let height = 1;
  for (let isFull = false; !isFull; height++) {
    const txs = spread(node, height, 50);
    await node.finalize(height, txs);
    isFull = await node.ask("commit").then(
      () => false,
      (error) => /STORE_FULL/.test(error.message) || Promise.reject(error),
    );
    if (isFull) break;
    await replica.block(height, txs);
    last = await node.info();
    assert.ok(height < 100, "the disk is never full");
  }
  assert.deepEqual(await node.info(), last);
  assert.deepEqual(last, await replica.info());
  assert.equal((await node.ask("checkTx", { tx: node.pay(alice, 5000, 1) })).code, 0);
  await node.close();
  await using again = await Node.open({ store: store.path, retainBlocks: 100 });
  assert.deepEqual(await again.info(), last);
  const txs = spread(again, height, 50);
  await again.block(height, txs);
  await replica.block(height, txs);
  assert.deepEqual(await again.info(), await replica.info());
});

test("a full heap is an Exception in calls of consensus, and a code for clients, however many", async () => {
  await using node = await Node.open({ retainBlocks: 1000 });
  await node.initChain();
  await using replica = await Node.open();
  await replica.initChain();
  const { runtime } = node.app;
  shrinkHeap(runtime, HEAP_BYTES);
  let height = 0;
  let txs: Uint8Array[] = [];
  const isFull = (error: Error): boolean =>
    /HEAP_FULL/.test(error.message) || (Promise.reject(error) as never);
  for (;;) {
    await runtime.pin(runtime.head); // it cannot be forgotten, which would make room
    txs = [NOISE, ...spread(node, ++height, 5)];
    const failed = await node.finalize(height, txs).then(() => false, isFull);
    if (failed) break;
    await node.ask("commit");
    await replica.block(height, txs);
    assert.ok(height < 100, "the heap is never full");
  }
  await assert.rejects(node.process(height, txs.slice(1)), /HEAP_FULL/);
  const last = await replica.info();
  assert.deepEqual(await node.info(), last);
  await assert.rejects(node.finalize(height, txs), /HEAP_FULL/);
  await assert.rejects(node.ask("commit"), /Commit came before FinalizeBlock/);
  // Whoever proposes has a smaller block, or an empty one, to propose.
  assert.ok((await node.prepare(height, txs)).length < txs.length);

  const payments = Array.from({ length: 30 }, (_, i) => ({ tx: node.pay(bob, i, 1) }));
  const checks = await node.askAll("checkTx", payments);
  const data = Buffer.from("{");
  const queries = Array.from({ length: 100 }, (_, i): object[] => [
    { path: "/prove", data },
    { path: "/view", data: new Uint8Array(24), height: BigInt(i) * 1_000_000n },
    { path: "/prove", data: new Uint8Array(1 << 16) },
  ]).flat();
  const answers = await node.askAll("query", queries);
  assert.ok(answers.every(({ code, codespace }: Answered) => code !== 0 && codespace === "stillpoint"));
  for (const { code, codespace } of checks) assert.ok(code === 0 || codespace !== "", `${code}`);
  assert.deepEqual(await node.info(), last);

  for (const block of runtime.retained()) await runtime.unpin(block);
  assert.equal(await node.process(height, txs.slice(1)), true);
  assert.deepEqual(await node.codes(height, txs), await replica.codes(height, txs));
  assert.deepEqual(await node.info(), await replica.info());
});
