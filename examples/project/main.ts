/** A host: makes a block of two transactions and prints what became of them. The store: state/. */

import { App } from "stillpoint/app";
import type { Client } from "./contracts/bank.client.ts";

const alice = `0x${"a1".repeat(20)}` as const;
const bob = `0x${"b0".repeat(20)}` as const;

const app = await App.open<Client>({
  contract: "contracts/bank.ts",
  setup: { Bank: { holders: [alice], amount: 100n } },
  store: "state",
});
const { Bank } = app.client;

const paid = app.submit(Bank.pay({ to: bob, amount: 10n }), { from: alice });
const poor = app.submit(Bank.pay({ to: alice, amount: 1_000_000n }), { from: bob });
const { block } = await app.produce(); // on the disk when this resolves

console.log(`block ${block.height}, root ${block.root}`);
console.dir({ paid: await paid, poor: await poor }, { depth: null });
const balance = await app.query(Bank.balanceOf({ who: bob }));
console.log("bob has", balance.ok ? balance.value : balance.error);
await app.close(); // the next run continues from here
