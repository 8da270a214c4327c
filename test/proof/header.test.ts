/** Headers lead from the id of a block to its root, and nothing else has that id. */

import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { encodeRules, verify, verifyHeader } from "../../runtime/index.ts";
import { HEADER_BYTES } from "../../runtime/proof/header.ts";
import { openReader } from "../../runtime/store.ts";
import { SCRATCH, Script } from "../driver.ts";
import { open } from "../fixture.ts";
import { everyState, withDirectory } from "../store/directory.ts";

function storing(value: number): Uint8Array {
  const script = new Script();
  script.store(SCRATCH, BigInt(value));
  script.out(SCRATCH, 8);
  return script.metadata();
}

test("the header of every block and candidate says what the block says", async () => {
  await withDirectory(async (path) => {
    const runtime = await open([], { store: everyState(path) });
    const metadata = [new Uint8Array(), storing(1), storing(2)];
    for (const bytes of metadata.slice(1)) await runtime.produce(bytes, { gasLimit: 5_000_000 });
    const candidate = await runtime.execute(storing(3));
    const reader = await openReader(path);
    for (const [i, block] of [...runtime.blocks(), candidate].entries()) {
      const header = runtime.blockHeader(block);
      assert.equal(header.length, HEADER_BYTES);
      const { height, parent, root, data, id } = block;
      const statement = verifyHeader(id, header);
      assert.deepEqual(statement, {
        genesis: runtime.genesis,
        height,
        gasLimit: runtime.input(block).gasLimit,
        parent,
        root,
        dataHash: hash("sha256", data),
        metadataHash: hash("sha256", metadata[i] ?? storing(3)),
        rules: hash("sha256", encodeRules(runtime.rules(block))),
        change: "0".repeat(64),
      });
      assert.deepEqual(verifyHeader(Buffer.from(id, "hex"), header), statement);
      if (block !== candidate) assert.deepEqual(reader.blockHeader(block), header);
      assert.equal(verify(statement.root, runtime.prove([], SCRATCH, 8, block)).absent, null);
    }
    await reader.close();
    await runtime.close();
  });
});

test("a header with any other byte, or another id, is refused", async () => {
  const runtime = await open();
  const { id } = await runtime.produce(storing(1));
  const header = runtime.blockHeader();
  await runtime.close();
  for (let at = 0; at < header.length; at++) {
    const tampered = Uint8Array.from(header);
    tampered[at] = (tampered[at] as number) ^ 1;
    const reason = at < 2 ? "unknown-version" : "wrong-id";
    assert.throws(() => verifyHeader(id, tampered), { code: "BAD_PROOF", reason });
  }
  const other = hash("sha256", "other");
  assert.throws(() => verifyHeader(other, header), { reason: "wrong-id", deterministic: true });
  assert.throws(() => verifyHeader(id, header.subarray(1)), { reason: "truncated" });
  assert.throws(() => verifyHeader(id, new Uint8Array()), { reason: "truncated" });
  assert.throws(() => verifyHeader(id, Uint8Array.of(...header, 0)), { reason: "trailing-bytes" });
  for (const [wrongId, wrongHeader] of [
    ["12", header],
    [id, "header"],
    [undefined, header],
  ]) {
    assert.throws(() => verifyHeader(wrongId as never, wrongHeader as never), { code: "BAD_ARGUMENT" });
  }
});
