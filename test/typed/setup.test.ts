/** What a chain starts with: setups run once, before all transactions, or nothing is made. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import { App, type AppOptions, type Contracts, type Outcome, TestContract } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { project } from "./project.ts";

const SHOP = `import { Address, Option, StateCell, StateMap, block, contract, fail } from "stillpoint/guest";
import { max, record, setup, transaction, view } from "stillpoint/guest";

@record class Item {
  price: u64 = 0;
  soldTo: Option<Address>;
  @max(4, 16) tags: string[];
  @max(3) sizes: StaticArray<u16>;
}

const items = new StateMap<u32, Item>(100);
const keeper = new StateCell<Address>();
const opened = new StateCell<u64>();

@contract class Shop {
  @setup begin(owner: Address, prices: u64): void {
    if (prices == 0) fail("no price");
    keeper.value = owner;
    opened.value = block.height;
    const item = items.getOrAdd(1);
    item.price = prices;
    item.tags = ["new", "grün"];
  }

  @transaction sell(number: u32, to: Address, tag: string[]): void {
    const item = items.get(number);
    if (item.soldTo.isSome) fail("sold");
    item.soldTo = Option.some<Address>(to);
    const tags = item.tags;
    tags.reverse();
    tags.push(tag[0]);
    item.tags = tags;
    const sizes = item.sizes;
    sizes[2] = 7;
    item.sizes = sizes;
  }

  @view about(number: u32): Item { return items.get(number); }
}
`.replace("@transaction sell", "@transaction({ tag: [1, 16] }) sell");
const owner = `0x${"a1".repeat(20)}` as const;
const setup = { Shop: { owner, prices: 5n } };
let program: Uint8Array;

before(async () => {
  program = await compileGuest(join(project({ "shop.ts": SHOP }), "shop.ts"));
});

const open = (options: Partial<AppOptions> = {}) => App.open({ program, workers: 1, setup, ...options });
const shop = (client: Contracts) => client.Shop as Record<string, (args: object) => never>;
const short = (outcome: Outcome): unknown => (outcome.ok ? outcome.value : outcome.error);

test("a setup runs in the first block, with its arguments, and not as a transaction", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-setup-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const store = join(directory, "state");
  const app = await open({ store });
  assert.deepEqual([app.state.keeper?.value, app.state.opened?.value, app.head.height], [owner, 1n, 1]);
  assert.equal(shop(app.client).begin, undefined);
  await app.close();
  const again = await open({ store, setup: {} });
  assert.equal(again.state.keeper?.value, owner);
  await again.close();
});

test("a setup that fails leaves no chain; missing and unknown arguments are named", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-setup-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const store = join(directory, "state");
  const poor = { Shop: { owner, prices: 0n } };
  await assert.rejects(open({ store, setup: poor }), {
    code: "SETUP_FAILED",
    message: 'Shop.begin failed: no price at shop.ts:17; change the option "setup"',
  });
  await assert.rejects(
    open({ store, setup: { Shop: { owner } } }),
    /Shop.begin.prices is missing; Shop.begin has: owner, prices/,
  );
  await assert.rejects(
    open({ store, setup: {} }),
    /Shop.begin.owner is missing; Shop.begin has: owner, prices$/,
  );
  await assert.rejects(
    open({ store, setup: { Shp: {} } }),
    /no contract with a setup called Shp; there are: Shop/,
  );
  await assert.rejects(TestContract.open(program, { setup: poor }), { code: "SETUP_FAILED" });
  const app = await open({ store });
  assert.equal(app.head.height, 1);
  await app.close();
});

test("options, vectors and arrays in state: copies that are set, and read from outside", async () => {
  const contract = await TestContract.open(program, { setup });
  const { sell, about } = shop(contract.client);
  const before = { price: 5n, soldTo: null, tags: ["new", "grün"], sizes: [0, 0, 0] };
  assert.deepEqual(short(contract.call(about?.({ number: 1 }) as never)), before);
  assert.deepEqual(contract.state.items?.get(1), before);
  const sold = (tag: string) => contract.call(sell?.({ number: 1, to: owner, tag: [tag] }) as never);
  assert.equal(short(sold("x".repeat(16))), undefined);
  const later = { price: 5n, soldTo: owner, tags: ["grün", "new", "x".repeat(16)], sizes: [0, 0, 7] };
  assert.deepEqual(contract.state.items?.get(1), later);
  assert.deepEqual(contract.state.items?.entries(), [[1, later]]);
  assert.equal(short(sold("again")), "sold");
});
