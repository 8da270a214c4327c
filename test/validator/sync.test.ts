/** State sync: snapshots of one node, served and taken in chunks by another, of which one is corrupted. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { coinsChain } from "../../examples/validator/chain.ts";
import {
  ResponseApplySnapshotChunk_Result as Applied,
  ResponseOfferSnapshot_Result as Offered,
} from "../../runtime/abci/index.ts";
import type { AppOptions } from "../../runtime/app/index.ts";
import { type Validator, validator } from "../../runtime/validator/index.ts";
import { type Answered, alice, Node, openCoins } from "./coins.ts";

const directory = mkdtempSync(join(tmpdir(), "stillpoint-validator-sync-"));
after(() => rmSync(directory, { recursive: true }));

async function syncing(name: string, durability: "block" | "logged" = "block"): Promise<Node> {
  const store = join(directory, name);
  const options: Partial<AppOptions> = { store: { path: store, durability } };
  const reopen = async (): Promise<Validator> => validator(await openCoins(options), coinsChain());
  const app = await openCoins(options);
  return Node.over(app, validator(app, coinsChain(), { store, reopen, everyBlocks: 4 }));
}

async function snapshotsOf(node: Node, count: number): Promise<Answered[]> {
  for (;;) {
    const { snapshots } = await node.ask("listSnapshots");
    if (snapshots.length >= count) return snapshots;
    await sleep(20);
  }
}

async function snapshotAt(node: Node, height: number): Promise<void> {
  while (!(await snapshotsOf(node, 1)).some((each) => each.height === BigInt(height))) await sleep(20);
}

for (const durability of ["block", "logged"] as const) {
  test(`a node starts from a snapshot of another, and continues with it (${durability})`, async () => {
    await using first = await syncing(`first-${durability}`, durability);
    await first.initChain();
    const hashes: Uint8Array[] = [];
    for (let height = 1; height <= 6; height++)
      hashes[height] = (await first.block(height, [first.pay(alice, height, 1)])).appHash;
    const [snapshot] = await snapshotsOf(first, 1);
    assert.equal(snapshot.height, 4n);

    await using second = await syncing(`second-${durability}`, durability);
    const offer = (more: object) => second.ask("offerSnapshot", { snapshot, appHash: hashes[4], ...more });
    assert.equal((await offer({ snapshot: { ...snapshot, format: 2 } })).result, Offered.REJECT_FORMAT);
    assert.equal(
      (await offer({ snapshot: { ...snapshot, hash: new Uint8Array(32) } })).result,
      Offered.REJECT,
    );
    const chunkOf = async (index: number): Promise<Uint8Array> =>
      (await first.ask("loadSnapshotChunk", { height: 4n, format: 1, chunk: index })).chunk;
    const apply = (index: number, chunk: Uint8Array) =>
      second.ask("applySnapshotChunk", { index, chunk, sender: "peer" });

    // The app hash of another block: the first chunk is of the wrong one.
    assert.equal((await offer({ appHash: hashes[5] })).result, Offered.ACCEPT);
    assert.equal((await apply(0, await chunkOf(0))).result, Applied.REJECT_SNAPSHOT);

    assert.equal((await offer({})).result, Offered.ACCEPT);
    for (let index = 0; index < snapshot.chunks; index++) {
      const chunk = await chunkOf(index);
      const corrupted = chunk.slice();
      corrupted[corrupted.length >> 1] = (corrupted[corrupted.length >> 1] as number) ^ 1;
      const refused = await apply(index, corrupted);
      assert.deepEqual([refused.result, refused.refetchChunks], [Applied.RETRY, [index]]);
      assert.equal((await apply(index, chunk)).result, Applied.ACCEPT);
    }
    assert.deepEqual(await second.info(), {
      height: 4,
      hash: Buffer.from(hashes[4] as Uint8Array).toString("hex"),
    });
    assert.equal(await second.balance(alice), 999_996);
    for (const height of [5, 6]) {
      const { appHash } = await second.block(height, [first.pay(alice, height, 1)]);
      assert.deepEqual(appHash, hashes[height]);
    }
    assert.equal((await offer({})).result, Offered.ABORT); // it has blocks
    assert.deepEqual([first.errors, second.errors], [[], []]);
  });
}

test("two snapshots are kept, and CometBFT keeps their headers", async () => {
  await using node = await syncing("kept");
  await node.initChain();
  for (let height = 1; height <= 16; height++) {
    const { retainHeight } = await node.block(height, []);
    assert.equal(retainHeight, 1n);
    if (height % 4 === 0) await snapshotAt(node, height);
  }
  const heights = (await snapshotsOf(node, 2)).map(({ height }) => height);
  assert.deepEqual(heights, [12n, 16n]);
  assert.deepEqual(readdirSync(join(directory, "kept.snapshots")).sort(), ["12", "16"]);
  const fetch = async (height: bigint): Promise<number> =>
    (await node.ask("loadSnapshotChunk", { height, format: 1, chunk: 0 })).chunk.length;
  assert.equal(await fetch(4n), 0);
  // One that a node is fetching stays until nobody does any more.
  for (let height = 17; height <= 32; height++) {
    if (height <= 24) assert.ok((await fetch(12n)) > 0, `${height}`);
    await node.block(height, []);
    if (height % 4 === 0) await snapshotAt(node, height);
    const expected = height < 28 ? 12n : BigInt(4 * Math.floor(height / 4) - 4);
    assert.equal((await node.ask("listSnapshots", {})).snapshots[0]?.height, expected, `${height}`);
  }
});
