/** Queries with proofs: whoever has the app hash of CometBFT's header needs nothing else of the node. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { stateOf } from "../../runtime/app/index.ts";
import { verify, verifyHeader } from "../../runtime/proof/verify.ts";
import { HEADER_PROOF, MEMORY_PROOF } from "../../runtime/validator/index.ts";
import { type Answered, alice, Node, program } from "./coins.ts";

const store = mkdtempSync(join(tmpdir(), "stillpoint-validator-query-"));
after(() => rmSync(store, { recursive: true }));

const range = (address: number, length: number, path = [1]) =>
  Buffer.from(JSON.stringify({ path, address, length }));

/** The bytes that an answer shows to whoever knows the app hash. */
function shown(appHash: Uint8Array, { proofOps }: Answered): Uint8Array {
  const [header, memory] = proofOps.ops;
  assert.deepEqual([header.type, memory.type], [HEADER_PROOF, MEMORY_PROOF]);
  assert.ok(header.data.length < 256);
  const statement = verify(verifyHeader(appHash, header.data).root, memory.data);
  assert.ok(statement.absent === null);
  return statement.bytes;
}

test("proofs at old heights verify by the app hash alone, and say what the state was", async () => {
  await using node = await Node.open({ retainBlocks: 4 });
  await node.initChain();
  const hashes: Uint8Array[] = [];
  const retained: bigint[] = [];
  for (let height = 1; height <= 8; height++) {
    const { appHash, retainHeight } = await node.block(height, [node.pay(alice, height, 1)]);
    hashes[height] = appHash;
    retained.push(retainHeight);
  }
  assert.deepEqual(retained, [1n, 1n, 1n, 1n, 2n, 3n, 4n, 5n]);
  for (const height of [5, 8]) {
    const places: [number, number][] = [];
    stateOf(program, (address, length) => {
      places.push([address, length]);
      return node.app.runtime.read([1], address, length, node.app.runtime.blocks().at(height - 9));
    }).accounts?.get(alice.address);
    const [address, length] = places.at(-1) as [number, number];
    const answered = await node.ask("query", {
      path: "/prove",
      data: range(address, length),
      height: BigInt(height),
    });
    assert.equal(answered.height, BigInt(height));
    const bytes = shown(hashes[height] as Uint8Array, answered);
    assert.deepEqual(bytes, answered.value);
    // The light client reads the account out of the proved bytes.
    const at = Buffer.from(bytes).indexOf(Buffer.from(alice.address.slice(2), "hex"));
    assert.ok(at > 0 && Buffer.from(bytes).includes(balanceBytes(1_000_000 - height)));
    assert.throws(() => shown(hashes[height - 1] as Uint8Array, answered), { code: "BAD_PROOF" });
  }
  const { code, log } = await node.ask("query", { path: "/prove", data: range(0, 8), height: 4n });
  assert.ok(code !== 0 && log.startsWith("NOT_RETAINED"), log);
});

function balanceBytes(balance: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(balance));
  return bytes;
}

test("what is not there is proved absent; malformed and oversized queries are codes", async () => {
  await using node = await Node.open();
  await node.initChain();
  const { appHash } = await node.block(1, []);
  const absent = await node.ask("query", { path: "/prove", data: range(0, 8, [9]) });
  const [header, memory] = absent.proofOps.ops;
  assert.equal(verify(verifyHeader(appHash, header.data).root, memory.data).absent, "process");
  const bad = [
    { path: "/prove", data: Buffer.from("{") },
    { path: "/prove", data: Buffer.from("null") },
    { path: "/prove", data: range(-1, 8) },
    { path: "/prove", data: range(0, 2 ** 30) },
    { path: "/prove", data: range(0, 8, [0.5]) },
    { path: "/prove", data: new Uint8Array(1 << 20) },
    { path: "/nonce", data: new Uint8Array(19) },
    { path: "/view", data: new Uint8Array(24) },
    { path: "/other" },
    { path: "/header", height: -1n },
    { path: "/header", height: 2n },
    { path: "/header", height: 2n ** 60n },
  ];
  for (const query of bad) {
    const { code, codespace, log } = await node.ask("query", query);
    assert.deepEqual([code, codespace], [1, "stillpoint"], `${query.path} ${log}`);
  }
  const { value } = await node.ask("query", {
    path: "/nonce",
    data: Buffer.from(alice.address.slice(2), "hex"),
  });
  assert.equal(Buffer.from(value).readBigUInt64LE(), 0n);
  assert.deepEqual(node.errors, []);
});

test("a store in which inputs alone are durable answers at old heights as well", async () => {
  const options = { store: { path: store, durability: "logged", checkpointMs: 100_000 } } as const;
  const node = await Node.open(options);
  await node.initChain();
  const hashes: Uint8Array[] = [];
  for (let height = 1; height <= 5; height++) hashes[height] = (await node.block(height, [])).appHash;
  await node.close();
  await using again = await Node.open(options);
  const answered = await again.ask("query", { path: "/prove", data: range(65_536, 64), height: 2n });
  assert.equal(shown(hashes[2] as Uint8Array, answered).length, 64, answered.log);
});
