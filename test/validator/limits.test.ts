/** A node whose disk is full: consensus stops at the last commit, and clients are answered. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Signer } from "../../runtime/app/index.ts";
import { alice, Node } from "./coins.ts";

const directory = mkdtempSync(join(tmpdir(), "stillpoint-validator-limits-"));
after(() => rmSync(directory, { recursive: true }));

/** Payments to accounts that are new, each of which takes a page. */
function spread(node: Node, height: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const to = new Signer(new Uint8Array(32).fill(i + 10).fill(height, 0, 2), "ed25519");
    return node.pay(alice, height * count + i, 1, to);
  });
}

test("a full disk at Commit is an Exception; with room the node goes on, to the ids of others", async () => {
  const store = { path: join(directory, "full"), limitBytes: 2 << 20 };
  const node = await Node.open({ store, retainBlocks: 100 });
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
