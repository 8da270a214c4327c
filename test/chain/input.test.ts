/** What a block was made from, and what is said of one that cannot be made. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Runtime, type StillpointError } from "../../runtime/index.ts";
import { openReader } from "../../runtime/store.ts";
import { SCRATCH, Script } from "../driver.ts";
import { guest, open, withRuntime } from "../fixture.ts";
import { everyState, withDirectory } from "../store/directory.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;

function storing(value: number): Uint8Array {
  const script = new Script();
  script.store(SCRATCH, BigInt(value));
  return script.metadata();
}

function trapping(): Uint8Array {
  const script = new Script();
  script.trap();
  return script.metadata();
}

test("metadata and gas limit of blocks and candidates come back, also in readers", async () => {
  await withDirectory(async (path) => {
    const inputs = [1, 2, 3].map((value) => ({
      metadata: storing(value),
      gasLimit: 1_000_000 * (value + 5),
    }));
    const runtime = await open([], { ...OPTIONS, store: everyState(path) });
    for (const { metadata, gasLimit } of inputs) await runtime.produce(metadata, { gasLimit });
    const candidate = await runtime.execute(storing(9), { gasLimit: 7_000_000 });
    assert.deepEqual(runtime.input(candidate), { metadata: storing(9), gasLimit: 7_000_000 });
    const reader = await openReader(path);
    for (const chain of [runtime, reader]) {
      assert.deepEqual(chain.input(0), { metadata: new Uint8Array(), gasLimit: 10_000_000_000 });
      assert.deepEqual(
        [1, 2, 3].map((height) => chain.input(height)),
        inputs,
      );
      assert.deepEqual(chain.input(), inputs[2]);
      assert.throws(() => chain.input(4), { code: "NOT_RETAINED" });
      assert.throws(() => chain.input("x" as never), { code: "BAD_ARGUMENT" });
    }
    await reader.close();
    const blocks = runtime.blocks();
    await runtime.close();
    const again = await open([], { ...OPTIONS, store: everyState(path) });
    const first = again.input(1);
    first.metadata.fill(0);
    assert.deepEqual(again.input(1), inputs[0], "what is given is a copy");
    const made = [1, 2, 3].map((height) => again.input(height));
    assert.deepEqual((await again.reorg({ to: 0, blocks: made })).head, blocks[3]);
    await again.close();
  });
});

test("a block that cannot be made is named by its height, and by its place in a reorg", async () => {
  await withRuntime([], OPTIONS, async (runtime) => {
    const failure = (call: Promise<unknown>): Promise<StillpointError> =>
      call.then(
        () => assert.fail("it was made"),
        (error) => error,
      );
    await runtime.produce(storing(1));
    assert.equal((await failure(runtime.produce(trapping()))).facts.height, 2);
    const candidate = await runtime.execute(storing(2));
    const above = await failure(runtime.execute(trapping(), { on: candidate }));
    assert.equal(above.facts.height, 3);
    assert.match(above.message, /^the root faulted in block 3: unreachable/);
    const good = { metadata: storing(3) };
    const wrong: readonly [object, string][] = [
      [{ metadata: trapping() }, "BLOCK_FAULT"],
      [{ metadata: new Uint8Array(0x100001) }, "METADATA_TOO_LONG"],
      [{ metadata: storing(4), signal: AbortSignal.abort() }, "CANCELLED"],
      [candidate, "STALE"],
    ];
    for (const [block, code] of wrong) {
      const error = await failure(runtime.reorg({ to: 0, blocks: [good, good, block as typeof good, good] }));
      assert.equal(error.code, code);
      assert.deepEqual([error.facts.index, error.facts.height], [2, 3]);
      assert.match(error.message, /^blocks\[2\] of the reorg: /);
      assert.equal(runtime.head.height, 1);
    }
  });
});

test("a root that names the transaction it was at has that in the facts", async () => {
  const runtime = await Runtime.open({ root: await guest("saying"), workers: 1 });
  for (const [text, transaction] of [
    ["transaction 17: no such account", 17],
    ["transaction 0", 0],
    ["transactions 17", undefined],
    ["no transaction 17", undefined],
  ] as const) {
    await assert.rejects(runtime.produce(Buffer.from(text)), ({ facts }: StillpointError) => {
      assert.equal((facts.text as string).startsWith(text), true);
      assert.equal(facts.transaction, transaction);
      return true;
    });
  }
  await runtime.close();
});
