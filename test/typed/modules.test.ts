/** The standard modules of the SDK, in a program that uses all of them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, beforeEach, test } from "node:test";
import { type Contracts, type Event, type Outcome, TestContract } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { project } from "./project.ts";

const SOURCE = `import { Address, caller, contract, setup, transaction, u256, view } from "stillpoint/guest";
import * as token from "stillpoint/guest/modules/fungible";
import * as items from "stillpoint/guest/modules/nonfungible";
import * as access from "stillpoint/guest/modules/ownership";
import * as pausing from "stillpoint/guest/modules/pausing";
import * as vesting from "stillpoint/guest/modules/vesting";

const MINTER: u32 = 1;

@contract class All {
  @setup begin(owner: Address): void { access.setOwner(owner); }

  @transaction mint(to: Address, amount: u256): void { access.onlyRole(MINTER); token.mint(to, amount); }
  @transaction burn(amount: u256): void { token.burn(caller(), amount); }
  @transaction transfer(to: Address, amount: u256): void {
    pausing.whenNotPaused();
    token.transfer(caller(), to, amount);
  }
  @transaction approve(spender: Address, amount: u256): void { token.approve(caller(), spender, amount); }
  @transaction spend(from: Address, to: Address, amount: u256): void {
    token.useAllowance(from, caller(), amount);
    token.transfer(from, to, amount);
  }
  @view balanceOf(who: Address): u256 { return token.balanceOf(who); }
  @view supply(): u256 { return token.totalSupply(); }
  @view allowance(owner: Address, spender: Address): u256 { return token.allowance(owner, spender); }

  @transaction mintItem(to: Address, id: u64): void { access.onlyOwner(); items.mintItem(to, id); }
  @transaction burnItem(id: u64): void { items.burnItem(caller(), id); }
  @transaction give(id: u64, to: Address): void { items.transferItem(caller(), id, to); }
  @transaction approveItem(id: u64, who: Address): void { items.approveItem(caller(), id, who); }
  @transaction setOperator(who: Address, allowed: bool): void { items.setOperator(caller(), who, allowed); }
  @view ownerOfItem(id: u64): Address { return items.ownerOfItem(id); }
  @view itemsOf(who: Address): u64 { return items.itemsOf(who); }

  @transaction offer(to: Address): void { access.offerOwnership(to); }
  @transaction accept(): void { access.acceptOwnership(); }
  @transaction renounce(): void { access.renounceOwnership(); }
  @transaction grantRole(to: Address): void { access.grantRole(MINTER, to); }
  @transaction revokeRole(from: Address): void { access.revokeRole(MINTER, from); }
  @view owner(): Address { return access.ownerOf(); }

  @transaction pause(): void { access.onlyOwner(); pausing.pause(); }
  @transaction unpause(): void { access.onlyOwner(); pausing.unpause(); }

  @transaction grant(to: Address, total: u256, start: u64, cliff: u64, end: u64): void {
    access.onlyOwner();
    vesting.grant(to, total, start, cliff, end);
  }
  @transaction claim(): u256 {
    const amount = vesting.release(caller());
    token.mint(caller(), amount);
    return amount;
  }
  @transaction revoke(who: Address): u256 { access.onlyOwner(); return vesting.revoke(who); }
  @view vested(who: Address): u256 { return vesting.vested(who); }
}
`;

const [boss, alice, bob, carol] = ["b055", "a11c", "b0bb", "ca01"].map((text) => {
  return `0x${text.padEnd(40, "0")}` as `0x${string}`;
}) as [`0x${string}`, `0x${string}`, `0x${string}`, `0x${string}`];
const nobody = `0x${"00".repeat(20)}`;
let all: TestContract;
let fresh: TestContract["checkpoint"];

before(async () => {
  const program = await compileGuest(join(project({ "all.ts": SOURCE }), "all.ts"));
  all = await TestContract.open(program, { setup: { All: { owner: boss } } });
  fresh = all.checkpoint;
});
beforeEach(() => {
  all.checkpoint = fresh;
});

function call(from: string, name: string, args: object = {}, time = 0): Outcome {
  const make = (all.client as Contracts).All?.[name];
  assert.ok(make !== undefined, name);
  return all.call(make(args) as never, { from: from as `0x${string}`, time }) as Outcome;
}

/** What a call gives, or fails with. */
function of(from: string, name: string, args: object = {}, time = 0): unknown {
  const outcome = call(from, name, args, time);
  return outcome.ok ? outcome.value : outcome.error;
}

test("ownership: offered, accepted, renounced; roles given and taken by the owner", () => {
  assert.deepEqual(
    [of(alice, "offer", { to: alice }), of(boss, "offer", { to: alice })],
    [...["not the owner", undefined]],
  );
  assert.equal(of(bob, "accept"), "not offered");
  assert.equal(of(boss, "owner"), boss);
  const { events } = call(alice, "accept") as { events: readonly Event[] };
  assert.deepEqual(events, [{ name: "OwnerChanged", fields: { from: boss, to: alice } }]);
  assert.deepEqual([of(alice, "accept"), of(boss, "renounce")], ["not offered", "not the owner"]);
  assert.equal(of(bob, "mint", { to: bob, amount: 1n }), "not permitted");
  assert.equal(of(boss, "grantRole", { to: bob }), "not the owner");
  assert.equal(of(alice, "grantRole", { to: bob }), undefined);
  assert.equal(of(bob, "mint", { to: bob, amount: 1n }), undefined);
  of(alice, "revokeRole", { from: bob });
  assert.equal(of(bob, "mint", { to: bob, amount: 1n }), "not permitted");
  of(alice, "renounce");
  assert.equal(of(alice, "owner"), nobody);
  assert.equal(of(nobody, "accept"), undefined, "the address of nobody has no key");
});

test("fungible: nothing is made or lost but by mint and burn; allowances are used up", () => {
  of(boss, "grantRole", { to: boss });
  assert.equal(of(boss, "mint", { to: alice, amount: 100n }), undefined);
  assert.equal(of(boss, "mint", { to: alice, amount: 2n ** 256n - 1n }), "overflow");
  assert.equal(of(alice, "transfer", { to: bob, amount: 30n }), undefined);
  assert.equal(of(alice, "transfer", { to: alice, amount: 70n }), undefined, "to oneself");
  assert.equal(of(alice, "transfer", { to: bob, amount: 71n }), "insufficient balance");
  assert.equal(of(carol, "transfer", { to: bob, amount: 1n }), "insufficient balance");
  assert.equal(of(bob, "spend", { from: alice, to: bob, amount: 1n }), "insufficient allowance");
  of(alice, "approve", { spender: bob, amount: 20n });
  assert.equal(of(bob, "spend", { from: alice, to: carol, amount: 15n }), undefined);
  assert.equal(of(bob, "allowance", { owner: alice, spender: bob }), 5n);
  assert.equal(of(bob, "spend", { from: alice, to: carol, amount: 6n }), "insufficient allowance");
  assert.equal(of(bob, "spend", { from: alice, to: carol, amount: 5n }), undefined);
  assert.equal(all.state.tokenAllowances?.size, 0);
  const { events } = call(bob, "burn", { amount: 10n }) as { events: readonly Event[] };
  assert.deepEqual(events, [{ name: "Transfer", fields: { from: bob, to: nobody, amount: 10n } }]);
  const held = [alice, bob, carol].map((who) => of(who, "balanceOf", { who }));
  assert.deepEqual([held, of(boss, "supply")], [[50n, 20n, 20n], 90n]);
});

test("pausing: transfers stop, and continue", () => {
  of(boss, "grantRole", { to: boss });
  of(boss, "mint", { to: alice, amount: 9n });
  assert.equal(of(alice, "pause"), "not the owner");
  of(boss, "pause");
  const paused = call(alice, "transfer", { to: bob, amount: 1n });
  assert.deepEqual(
    { ...paused, gasUsed: 0 },
    {
      ...{ ok: false, error: "paused", gasUsed: 0 },
      at: (paused as { at: string }).at,
    },
  );
  assert.match((paused as { at: string }).at, /^stillpoint\/guest\/modules\/pausing\.ts:\d+$/);
  of(boss, "unpause");
  assert.equal(of(alice, "transfer", { to: bob, amount: 1n }), undefined);
});

test("non-fungible: an item is moved by its owner, whom it approved once, and operators", () => {
  of(boss, "mintItem", { to: alice, id: 7n });
  assert.equal(of(boss, "mintItem", { to: bob, id: 7n }), "taken");
  assert.equal(of(bob, "give", { id: 7n, to: bob }), "not yours");
  assert.equal(of(bob, "give", { id: 8n, to: bob }), "no such item");
  assert.equal(of(bob, "approveItem", { id: 7n, who: bob }), "not yours");
  of(alice, "approveItem", { id: 7n, who: bob });
  assert.equal(of(bob, "give", { id: 7n, to: carol }), undefined);
  assert.equal(of(bob, "give", { id: 7n, to: bob }), "not yours", "an approval is for one move");
  of(carol, "setOperator", { who: bob, allowed: true });
  assert.equal(of(bob, "give", { id: 7n, to: alice }), undefined);
  of(carol, "setOperator", { who: bob, allowed: false });
  assert.equal(of(alice, "ownerOfItem", { id: 7n }), alice);
  assert.deepEqual(
    [alice, carol].map((who) => of(who, "itemsOf", { who })),
    [1n, 0n],
  );
  assert.equal(of(alice, "burnItem", { id: 7n }), undefined);
  assert.equal(of(alice, "ownerOfItem", { id: 7n }), "no such item");
  assert.deepEqual([all.state.itemOwners?.size, all.state.itemCounts?.size], [0, 0]);
});

test("vesting: nothing before the cliff, in proportion then, all at the end, each once", () => {
  const schedule = { to: alice, total: 1000n, start: 100n, cliff: 150n, end: 200n };
  assert.equal(of(boss, "grant", { ...schedule, cliff: 99n }), "bad schedule");
  of(boss, "grant", schedule);
  assert.equal(of(boss, "grant", schedule), "granted already");
  const vested = (time: number) => of(alice, "vested", { who: alice }, time);
  assert.deepEqual([0, 149, 150, 175, 199, 200, 900].map(vested), [0n, 0n, 500n, 750n, 990n, 1000n, 1000n]);
  assert.equal(of(alice, "claim", {}, 149), "nothing to release");
  assert.equal(of(alice, "claim", {}, 160), 600n);
  assert.equal(of(alice, "claim", {}, 160), "nothing to release");
  assert.equal(of(bob, "claim", {}, 160), "nothing to release");
  assert.equal(of(boss, "revoke", { who: alice }, 180), 200n);
  assert.equal(of(alice, "claim", {}, 900), 200n);
  assert.equal(of(alice, "balanceOf", { who: alice }), 800n);
});
