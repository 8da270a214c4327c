/** A runtime as an application of CometBFT: what each request does, and what a crash leaves. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { Runtime, type RuntimeOptions } from "../../runtime/index.ts";
import { fitted } from "../fixture.ts";
import { seeded } from "../seed.ts";
import { Asker, tally, tallyChain } from "./chain.ts";

const FULL = process.env.STILLPOINT_FULL === "1";
const directory = mkdtempSync(join(tmpdir(), "stillpoint-validator-"));
after(() => rmSync(directory, { recursive: true }));
let stores = 0;
const newStore = (): string => join(directory, `store-${stores++}`);

const open = (options: Partial<RuntimeOptions> = {}): Promise<Runtime> =>
  Runtime.open(fitted({ root: tally, ...options }));
const txs = (...amounts: readonly number[]): Uint8Array[] => amounts.map((amount) => Uint8Array.of(amount));

/** A chain before its first block, while `use` runs. */
async function begun(
  use: (asker: Asker, runtime: Runtime) => Promise<void>,
  options: Partial<RuntimeOptions> = {},
) {
  await using runtime = await open(options);
  const asker = new Asker(runtime);
  await asker.initChain();
  await use(asker, runtime);
}

test("InitChain makes the first block of the runtime once, however often it is asked", async () => {
  const store = newStore();
  const runtime = await open({ store });
  const asker = new Asker(runtime);
  assert.deepEqual((await asker.info()).height, 0);
  const hash = await asker.initChain();
  assert.equal(await asker.initChain(), hash);
  await runtime.close();
  await using again = await open({ store });
  assert.equal(await new Asker(again).initChain(), hash);
  assert.equal(again.head.height, 1);
  await assert.rejects(new Asker(again).initChain({ chainId: "other" }), { code: "OTHER_CHAIN" });
});

test("InitChain on a store with blocks says what to do", () =>
  begun(async (asker) => {
    await asker.finalize(1, txs(1));
    await asker.commit();
    await assert.rejects(asker.initChain(), { code: "OTHER_CHAIN", message: /at height 1: restore / });
  }));

test("a proposal is executed once by the node that makes it, votes for it and commits it", () =>
  begun(async (asker, runtime) => {
    const before = runtime.metrics().blocks;
    const proposed = await asker.prepare(1, txs(3, 0, 4));
    assert.equal(await asker.process(1, proposed), "ACCEPT");
    const { codes, hash } = await asker.finalize(1, proposed);
    assert.deepEqual(codes, [0, 1, 0]);
    assert.equal((await asker.info()).height, 0);
    await asker.commit();
    assert.equal(runtime.metrics().blocks, before + 1);
    assert.deepEqual(await asker.info(), { height: 1, hash });
    assert.equal(runtime.head.id, hash);
    assert.equal(await asker.sum(), 7);
  }));

test("of two proposals at a height the second is decided: as in a replica that saw only that", async () => {
  const hashes: string[] = [];
  await begun(async (asker, runtime) => {
    await Promise.all([asker.process(1, txs(1)), asker.process(1, txs(2))]);
    hashes.push((await asker.finalize(1, txs(2))).hash);
    await asker.commit();
    assert.equal(runtime.metrics().candidates, 0);
  });
  await begun(async (asker) => {
    hashes.push((await asker.finalize(1, txs(2))).hash);
    await asker.commit();
    assert.equal(await asker.sum(), 2);
  });
  assert.equal(hashes[0], hashes[1]);
});

test("proposals that nobody decides are let go of, the oldest first", () =>
  begun(async (asker, runtime) => {
    for (let i = 1; i <= 20; i++) assert.equal(await asker.process(1, txs(i)), "ACCEPT");
    assert.ok(runtime.metrics().candidates <= 9, `${runtime.metrics().candidates} candidates`);
  }));

test("a block that faults is refused, and a proposal leaves out what faults", () =>
  begun(async (asker) => {
    assert.equal(await asker.process(1, txs(1, 255)), "REJECT");
    assert.deepEqual(await asker.prepare(1, txs(1, 2, 255, 3)), txs(1, 2));
    assert.deepEqual(await asker.prepare(1, txs(255)), []);
    await assert.rejects(asker.finalize(1, txs(255)), { code: "BLOCK_FAULT" });
    assert.equal((await asker.info()).height, 0);
  }));

test("a proposal has as many bytes as it may, as CometBFT counts them", () =>
  begun(async (asker) => {
    assert.deepEqual(await asker.prepare(1, txs(1, 2, 3), 9), txs(1, 2, 3)); // a key and a length each
    assert.deepEqual(await asker.prepare(1, txs(1, 2, 3), 8), txs(1, 2));
    assert.deepEqual(await asker.prepare(1, txs(1, 2, 3), 0), []);
    const long = [new Uint8Array(128)];
    assert.deepEqual(await asker.prepare(1, long, 131), long);
    assert.deepEqual(await asker.prepare(1, long, 130), []);
  }));

test("an error of the host is an Exception and no vote; a proposal is empty then; later all continues", () =>
  begun(
    async (asker, runtime) => {
      const held = await runtime.execute(new Uint8Array(24));
      await assert.rejects(asker.process(1, txs(1)), { code: "TOO_MANY_CANDIDATES" });
      await assert.rejects(asker.finalize(1, txs(1)), { code: "TOO_MANY_CANDIDATES" });
      await assert.rejects(asker.commit(), { code: "STATE" });
      assert.deepEqual(await asker.prepare(1, txs(1)), []);
      await runtime.release(held);
      await asker.finalize(1, txs(1));
      await asker.commit();
      assert.equal((await asker.info()).height, 1);
    },
    { candidatesLimit: 1 },
  ));

test("a block of another height than the next is an Exception", () =>
  begun(async (asker) => {
    await assert.rejects(asker.finalize(2, []), { code: "STATE", message: /height 2 cannot follow: .* 1$/ });
    await assert.rejects(asker.process(0, []), { code: "STATE" });
  }));

test("the first height may be another than 1", async () => {
  await using runtime = await open();
  const asker = new Asker(runtime);
  await asker.initChain({ initialHeight: 100n });
  await assert.rejects(asker.finalize(1, []), { code: "STATE" });
  for (const height of [100, 101]) {
    await asker.finalize(height, txs(height));
    await asker.commit();
  }
  assert.equal((await asker.info()).height, 101);
  assert.deepEqual([await asker.sum(100), await asker.sum(101), await asker.sum()], [100, 201, 201]);
  assert.match(`${await asker.sum(99)}`, /^NOT_RETAINED/);
  assert.match(`${await asker.sum(102)}`, /^NOT_RETAINED/);
});

test("what a chain's author throws in CheckTx and Query is a code", async () => {
  await using runtime = await open();
  const asker = new Asker(runtime, {
    ...tallyChain(runtime),
    check: () => {
      throw new Error("a secret of the host");
    },
    query: () => Promise.reject(new Error("a secret of the host")),
  });
  const refused = { code: 1, codespace: "stillpoint", log: "the application failed" };
  assert.deepEqual(await asker.check(Uint8Array.of(1)), refused);
  assert.equal(await asker.sum(), "the application failed");
});

test("a runtime that others made blocks of is refused", async () => {
  await using runtime = await open();
  await runtime.produce(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)).catch(() => undefined);
  await runtime.produce(new Uint8Array(8));
  assert.throws(() => new Asker(runtime), { code: "BAD_OPTION", message: /option "runtime"/ });
});

// ---- crashes ----------------------------------------------------------------------------------------------

type Point = "none" | "proposed" | "finalized" | "committed";
interface Height {
  /** Proposals that are not decided. */
  readonly others: readonly number[][];
  readonly decided: number[];
  readonly wasProposed: boolean;
  readonly crash: Point;
}

const amounts = fc.array(fc.integer({ min: 0, max: 254 }), { maxLength: 5 });
const heights = fc.array(
  fc.record<Height>({
    others: fc.array(amounts, { maxLength: 2 }),
    decided: amounts,
    wasProposed: fc.boolean(),
    crash: fc.constantFrom("none", "none", "proposed", "finalized", "committed"),
  }),
  { minLength: 1, maxLength: 5 },
);

test("whatever CometBFT asks, whenever it crashes: Info is the last Commit, and ids are a replica's", (t) =>
  fc.assert(
    fc.asyncProperty(heights, async (chain) => {
      const store = newStore();
      let runtime = await open({ store });
      let asker = new Asker(runtime);
      await using plain = await open();
      const replica = new Asker(plain);
      await replica.initChain();
      let last = { height: 0, hash: await asker.initChain() };
      const restart = async (): Promise<void> => {
        await runtime.close({ cancel: true });
        runtime = await open({ store });
        asker = new Asker(runtime);
        assert.deepEqual(await asker.info(), last);
        if (last.height === 0) assert.equal(await asker.initChain(), last.hash);
      };
      for (const [i, { others, decided, wasProposed, crash }] of chain.entries()) {
        const height = i + 1;
        const block = txs(...decided);
        for (const other of others) await asker.prepare(height, txs(...other));
        if (wasProposed) assert.equal(await asker.process(height, block), "ACCEPT");
        if (crash === "proposed") await restart();
        let made = await asker.finalize(height, block);
        assert.deepEqual(await asker.info(), last);
        if (crash === "finalized") {
          await restart();
          assert.deepEqual(await asker.finalize(height, block), made);
        }
        await asker.commit();
        last = { height, hash: made.hash };
        assert.deepEqual(await asker.info(), last);
        if (crash === "committed") await restart();
        made = await replica.finalize(height, block);
        await replica.commit();
        assert.equal(made.hash, last.hash);
      }
      await runtime.close();
    }),
    seeded(t, FULL ? 12 : 3),
  ));
