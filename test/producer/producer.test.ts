/** The producer, its reader and its replica, as people run them: in processes, over HTTP. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Address, bankProgram } from "../../examples/producer/bank.ts";
import { SUPPLY } from "../../examples/producer/node.ts";
import { account, ask, send, Wallet } from "../../examples/producer/wallet.ts";
import { openReader, verifyStore } from "../../runtime/store.ts";
import { withCommands } from "./processes.ts";

const wallet = (name: string): Wallet => new Wallet(createHash("sha256").update(name).digest());
const program = await bankProgram();
const SERVE = ["--port", "0", "--block-ms", "5", "--workers", "1"];

test("a node, a reader in another process, and a second node that continues", () =>
  withCommands(async (start, path) => {
    const [alice, bob] = [wallet("alice"), wallet("bob")];
    const serve = ["serve", "--store", path, "--founder", alice.address, ...SERVE];
    const node = start(...serve);
    const url = await node.url();
    const { chain } = (await ask(url, "/status")) as { chain: string };
    const pay = (at: string, from: Wallet, to: Address, amount: bigint) =>
      send(at, from.sign(chain, to, amount));

    // The same twice is once; what would fail is refused.
    const payment = alice.sign(chain, bob.address, 6n);
    const [once, twice] = await Promise.all([send(url, payment), send(url, payment)]);
    assert.deepEqual(once, twice);
    assert.deepEqual([once.left, once.error], [String(SUPPLY - 6n), null]);
    await assert.rejects(send(url, payment), { code: "REFUSED", message: "used" });
    await assert.rejects(pay(url, bob, alice.address, 7n), { code: "REFUSED", message: "overdraft" });
    assert.deepEqual(await account(url, program, bob.address), { balance: 6n, sequence: 0n });
    assert.deepEqual(await account(url, program, alice.address), { balance: SUPPLY - 6n, sequence: 1n });
    assert.deepEqual(await account(url, program, `0x${"77".repeat(20)}`), { balance: 0n, sequence: 0n });

    // The reader answers the same once its state is in the store, and hears of what comes.
    const reader = start("read", "--store", path, "--port", "0");
    const there = await reader.url();
    while ((await account(there, program, bob.address)).balance !== 6n) await sleep(20);
    const { height } = await pay(url, alice, bob.address, 10n);
    await reader.line(({ kind, height: told }) => kind === "commit" && told === height);
    assert.deepEqual(await account(there, program, bob.address), { balance: 16n, sequence: 0n });
    await assert.rejects(ask(there, "/payments", {}), { code: "NO_ROUTE" });

    // The second node takes the state, and the blocks that come.
    const copy = `${path}-copy`;
    const replicate = ["replicate", "--store", copy, "--from", url, "--workers", "1"];
    const replica = start(...replicate);
    while (!replica.hasEnded && !replica.lines.some(({ kind }) => kind === "commit")) {
      await pay(url, alice, bob.address, 1n);
    }
    const common = await pay(url, alice, bob.address, 100n);
    await replica.line(({ height: made }) => made === common.height);

    // Whoever waits when the node is told to stop is answered.
    let answered = false;
    const last = pay(url, alice, bob.address, 1000n).finally(() => {
      answered = true;
    });
    const waits = async () => /^producer_waiting 1$/m.test(await (await fetch(`${url}/metrics`)).text());
    while (!answered && !(await waits())) await sleep(1);
    assert.equal(await node.end("SIGTERM"), 0);
    const final = await last;
    assert.equal(node.lines.at(-1)?.height, final.height);
    assert.equal(await reader.end("SIGINT"), 0);
    assert.equal(await replica.end("SIGTERM"), 0);

    const second = start("serve", "--store", copy, "--founder", bob.address, ...SERVE);
    const copied = await second.url();
    const known = await account(copied, program, alice.address);
    assert.ok(known.sequence >= alice.sequence - 1n, "all but perhaps the last");
    const { left } = await pay(copied, bob, alice.address, 5n);
    assert.equal(BigInt(left as bigint) + known.balance + 5n, SUPPLY);
    assert.equal(await second.end("SIGTERM"), 0);
    for (const store of [path, copy]) assert.deepEqual((await verifyStore(store)).damages, []);
    const [first, other] = [await openReader(path), await openReader(copy)];
    const idIn = (reader: typeof first) => reader.blocks().find(({ height: at }) => at === common.height)?.id;
    assert.ok(idIn(first) !== undefined && idIn(other) === idIn(first), "the same chain");
    await first.close();
    await other.close();
  }));
