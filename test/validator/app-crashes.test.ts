/** What CometBFT may ask of an app's node in any order that its specification allows, with crashes. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { seeded } from "../seed.ts";
import { alice, bob, Node } from "./coins.ts";

const directory = mkdtempSync(join(tmpdir(), "stillpoint-validator-app-"));
after(() => rmSync(directory, { recursive: true }));
let stores = 0;

/** A payment by one of two, with a nonce that may be used or too far; or bytes of no meaning. */
interface Drawn {
  readonly isAlice: boolean;
  readonly nonce: number;
  readonly amount: number;
  readonly isNoise: boolean;
}

interface Height {
  /** Proposals that are not decided. */
  readonly others: readonly (readonly Drawn[])[];
  readonly decided: readonly Drawn[];
  /** What is waiting in the mempool. */
  readonly checked: readonly Drawn[];
  readonly crash: "none" | "proposed" | "finalized" | "committed";
  readonly doubleSigns: boolean;
}

const drawn = fc.record<Drawn>({
  isAlice: fc.boolean(),
  nonce: fc.nat(6),
  amount: fc.constantFrom(1, 7, 999_999, 2_000_000),
  isNoise: fc.oneof(
    { weight: 6, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
});
const block = fc.array(drawn, { maxLength: 6 });
const heights = fc.array(
  fc.record<Height>({
    others: fc.array(block, { maxLength: 2 }),
    decided: block,
    checked: block,
    crash: fc.constantFrom("none", "proposed", "finalized", "committed"),
    doubleSigns: fc.boolean(),
  }),
  { minLength: 2, maxLength: 5 },
);

test("whatever an app's node is asked, whenever it crashes: Info is the last Commit, ids a replica's", (t) =>
  fc.assert(
    fc.asyncProperty(heights, async (chain) => {
      const store = join(directory, `${stores++}`);
      let node = await Node.open({ store });
      await using replica = await Node.open();
      await Promise.all([node.initChain(), replica.initChain()]);
      let last = await replica.info();
      const restart = async (): Promise<void> => {
        await node.app.runtime.close({ cancel: true });
        await node.close();
        node = await Node.open({ store });
        assert.deepEqual(await node.info(), last);
        if (last.height === 0) await node.initChain();
      };
      for (const [i, { others, decided, checked, crash, doubleSigns }] of chain.entries()) {
        const height = i + 1;
        const txs = bytesOf(replica, decided);
        const described = doubleSigns ? { misbehavior: [misbehaviour(height)] } : {};
        await node.askAll(
          "checkTx",
          bytesOf(replica, checked).map((tx) => ({ tx })),
        );
        for (const other of others) {
          const proposal = await node.prepare(height, bytesOf(replica, other));
          assert.equal(await node.process(height, proposal), true);
        }
        if (crash === "proposed") await restart();
        const { appHash, txResults } = await node.finalize(height, txs, described);
        assert.deepEqual(await node.info(), last);
        if (crash === "finalized") {
          await restart();
          assert.deepEqual((await node.finalize(height, txs, described)).appHash, appHash);
        }
        await node.ask("commit");
        const expected = await replica.block(height, txs, described);
        assert.deepEqual([appHash, txResults], [expected.appHash, expected.txResults]);
        last = await replica.info();
        assert.deepEqual(await node.info(), last);
        if (crash === "committed") await restart();
      }
      await node.close();
    }),
    seeded(t, 4),
  ));

function bytesOf(node: Node, txs: readonly Drawn[]): Uint8Array[] {
  return txs.map(({ isAlice, nonce, amount, isNoise }) =>
    isNoise
      ? new Uint8Array(amount % 100).fill(nonce)
      : node.pay(isAlice ? alice : bob, nonce, amount, isAlice ? bob : alice),
  );
}

const misbehaviour = (height: number): object => ({
  type: 1,
  validator: { address: new Uint8Array(20).fill(9), power: 1n },
  height: BigInt(height),
  time: { seconds: 1_700_000_000n, nanos: 0 },
  totalVotingPower: 3n,
});
