/** The exchange as one contract, signed, against the model of examples/exchange. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { POOL_ADDRESS, ReferenceExchange } from "../../examples/exchange/reference.ts";
import { App, type Contracts, type Outcome, Signer, signed } from "../../runtime/app/index.ts";
import { ROOT, random, SEED } from "../guest/harness.ts";

const BALANCE = 1_000_000n;
const RESERVES = [5_000_000n, 20_000_000n] as const;
const BLOCKS = 3;
const ORDERS = 60;

test("swaps and payments are those of the model, forgeries and replays are refused", async () => {
  const next = random(SEED);
  const owners = Array.from({ length: 12 }, (_, i) => new Signer(new Uint8Array(32).fill(i + 1), "ed25519"));
  const [first, second] = RESERVES;
  const setup = {
    Exchange: { reserves: { first, second }, owners: owners.map(({ address }) => address), balance: BALANCE },
  };
  const contract = join(ROOT, "examples/contracts/guest/exchange.ts");
  const app = await App.open({ contract, setup, authenticate: signed(), workers: 2 });
  const { transfer, swap } = (app.client as Contracts).Exchange as Record<string, (args: object) => never>;
  const bytesOf = ({ address }: Signer) => Buffer.from(address.slice(2), "hex");
  const holders = owners.map((owner) => ({ address: bytesOf(owner), balances: [BALANCE, BALANCE] as const }));
  const model = new ReferenceExchange({ reserves: RESERVES, holders });
  const seen = new Map<string, number>();
  const sent: Uint8Array[] = [];
  for (let block = 0; block < BLOCKS; block++) {
    const expected: unknown[] = [];
    const outcomes: Promise<Outcome>[] = [];
    const submit = (bytes: Uint8Array): void => void outcomes.push(app.submit(bytes));
    for (let i = 0; i < ORDERS; i++) {
      const by = owners[next() % owners.length] as Signer;
      const token = (next() % 2) as 0 | 1;
      const amount = BigInt(next() % (next() % 10 === 0 ? 4_000_000 : 40_000));
      const to = owners[next() % owners.length] as Signer;
      const minimum = ((token === 0 ? amount * 4n : amount / 4n) * BigInt(70 + (next() % 35))) / 100n;
      const isTransfer = next() % 3 === 0;
      const call = isTransfer
        ? transfer?.({ token, to: to.address, amount })
        : swap?.({ token, amount, minimum });
      const nonce = BigInt(block * ORDERS + i);
      const bytes = app.encode(call as never, { by, nonce });
      if (next() % 20 === 0) {
        bytes[150] = (bytes[150] as number) ^ 1; // of the nonce, say
        submit(bytes);
        expected.push("bad signature");
        continue;
      }
      submit(bytes);
      sent.push(bytes);
      const wish = isTransfer
        ? ({ kind: "transfer", token, to: bytesOf(to), amount } as const)
        : ({ kind: "swap", token, amount, minimum } as const);
      const { status, received } = model.apply({
        from: bytesOf(by),
        key: Number(nonce),
        wish,
        isSigned: true,
      });
      expected.push(status === "applied" ? (isTransfer ? undefined : received) : status);
      if (block > 0 && next() % 20 === 0) {
        submit(sent[next() % ORDERS] as Uint8Array); // of the first block: it was made, whatever came of it
        expected.push("used");
      }
    }
    await app.produce();
    const got = (await Promise.all(outcomes)).map((outcome) => (outcome.ok ? outcome.value : outcome.error));
    assert.deepEqual(got, expected);
    for (const each of got) seen.set(typeof each, (seen.get(typeof each) ?? 0) + 1);
    assert.deepEqual(app.state.pool?.value, { first: model.reserves[0], second: model.reserves[1] });
    for (const { address } of owners) {
      const held = model.balances.map((balances) => balances.get(address.slice(2)));
      assert.deepEqual(app.state.holders?.get(address), { first: held[0], second: held[1] });
    }
  }
  assert.ok(model.balances[0].has(Buffer.from(POOL_ADDRESS).toString("hex")));
  await app.close();
});
