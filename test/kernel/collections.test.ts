/** What a collection and a call leave behind: nothing that a later block could notice. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Runtime } from "../../runtime/index.ts";
import { REGION, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH, play, withRuntime } from "../fixture.ts";

const GAS = 50_000_000;

/**
 * Three children, made, run, looked at and dropped; each reads 16 pages of which the block before wrote
 * another one.
 */
async function churn(runtime: Runtime, round: number): Promise<string> {
  const inner = new Script({ base: REGION });
  inner.out(SCRATCH, 0x10000);
  const { results, handles } = await play(runtime, (s) => {
    const seen = [0, 1, 2].map((child) => {
      const number = round * 3 + child;
      const page = s.place(new Uint8Array(4096).fill(number + 1), 4096);
      s.put(child, {
        program: DRIVER_HASH,
        ranges: [
          { source: inner.metadata(), target: REGION },
          { source: page, target: SCRATCH + (number % 16) * 4096, length: 4096 },
        ],
      });
      s.put(child, { start: { entry: "run", argument: BigInt(REGION), gas: GAS } });
      return s.get(child, { status: true, hash: true });
    });
    for (let child = 0; child < 3; child++) s.put(child, { drop: true });
    return seen;
  });
  return handles.map((handle) => Buffer.from(results.hash(handle)).toString("hex")).join();
}

test("an instance that outlives a collection does not take recycled pages for its own", async () => {
  const rounds = async (collecting: boolean, workers: number): Promise<string[]> =>
    withRuntime([], { workers, retainBlocks: 1 }, async (runtime) => {
      const seen: string[] = [];
      for (let round = 0; round < 40; round++) {
        seen.push(await churn(runtime, round));
        if (collecting) await runtime.engine.collect();
      }
      return seen;
    });
  const expected = await rounds(false, 1);
  assert.deepEqual(await rounds(true, 1), expected);
  assert.deepEqual(await rounds(true, 3), expected);
});

test("the caller may use its metadata array again at once", async () => {
  await withRuntime([], {}, async (runtime) => {
    const script = new Script();
    script.store(SCRATCH, 5n);
    const metadata = script.metadata();
    const expected = (await runtime.produce(metadata)).id;
    await runtime.revert(0);
    const pending = runtime.produce(metadata);
    metadata.fill(0xff);
    assert.equal((await pending).id, expected);
  });
});
