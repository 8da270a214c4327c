/** Nodes of one operator over a log: one makes blocks, another stands by, takes over, and is followed. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { bankProgram } from "../../examples/producer/bank.ts";
import { SUPPLY } from "../../examples/producer/node.ts";
import { account, ask, send, Wallet } from "../../examples/producer/wallet.ts";
import { openReader } from "../../runtime/store.ts";
import { NatsServer, natsServer } from "../log/nats.ts";
import { withDirectory } from "../store/directory.ts";
import { withCommands } from "./processes.ts";

const wallet = (name: string): Wallet => new Wallet(createHash("sha256").update(name).digest());
const program = await bankProgram();
const OPTIONS = ["--port", "0", "--block-ms", "5", "--workers", "1"];
const found = natsServer();
const skip = "missing" in found ? found.missing : false;

/** Kills the one that makes blocks, promotes the other, and lets the first come back; then it takes over. */
async function failOver(log: string): Promise<void> {
  await withCommands(async (start, path) => {
    const [alice, bob] = [wallet("alice"), wallet("bob")];
    const [storeOf, common] = [(name: string) => `${path}-${name}`, ["--log", log, ...OPTIONS]];
    const serve = (name: string) =>
      start("serve", "--store", storeOf(name), "--name", name, "--founder", alice.address, ...common);
    const first = serve("a");
    const second = start("follow", "--store", storeOf("b"), "--name", "b", ...common);
    const [urlOfFirst, urlOfSecond] = [await first.url(), await second.url()];
    const { chain } = (await ask(urlOfFirst, "/status")) as { chain: string };
    const pay = (url: string, amount: bigint) => send(url, alice.sign(chain, bob.address, amount));
    const balanceAt = async (url: string) => (await account(url, program, bob.address)).balance;

    const { height } = await pay(urlOfFirst, 10n);
    await second.line((line) => line.kind === "commit" && line.height === height);
    assert.equal(await balanceAt(urlOfSecond), 10n);
    const refused = { code: "FOLLOWS", facts: { status: 503 } };
    await assert.rejects(send(urlOfSecond, alice.sign(chain, bob.address, 1n)), refused);
    alice.sequence--;

    // The first is gone, and the second continues with all that was answered.
    await first.end("SIGKILL");
    second.child.kill("SIGUSR2");
    const promoted = await second.line(({ kind }) => kind === "promoted");
    assert.deepEqual([promoted.writes, promoted.writer], [true, "b"]);
    assert.equal((await pay(urlOfSecond, 20n)).height, height + 1);

    // It comes back, and follows; what it makes of the log's blocks is the same.
    const again = serve("a");
    const urlAgain = await again.url();
    assert.equal((await again.line(({ ready }) => ready !== undefined)).writes, false);
    const { height: next } = await pay(urlOfSecond, 30n);
    await again.line((line) => line.kind === "commit" && line.height === next);
    assert.equal(await balanceAt(urlAgain), 60n);

    // It takes over from one that is alive: that one finds out, tells who waits, and follows.
    again.child.kill("SIGUSR2");
    await again.line(({ kind }) => kind === "promoted");
    const payment = alice.sign(chain, bob.address, 40n);
    await assert.rejects(send(urlOfSecond, payment), refused);
    assert.equal((await send(urlAgain, payment)).height, next + 1);
    await second.line((line) => line.kind === "commit" && line.height === next + 1);
    assert.deepEqual([await balanceAt(urlOfSecond), await balanceAt(urlAgain)], [100n, 100n]);
    const metrics = await (await fetch(`${urlOfSecond}/metrics`)).text();
    assert.match(metrics, /^producer_writes 0$/m);
    assert.match(metrics, /^producer_lag 0$/m);
    assert.equal((await account(urlAgain, program, alice.address)).balance, SUPPLY - 100n);

    for (const node of [second, again]) assert.equal(await node.end("SIGTERM"), 0);
    const heads = [];
    for (const name of ["a", "b"]) {
      const reader = await openReader(storeOf(name));
      heads.push(reader.head.id);
      await reader.close();
    }
    assert.equal(heads[0], heads[1]);
  });
}

test("over a log in a directory a node stands by, takes over, and the other follows", () =>
  withDirectory((directory) => failOver(directory)));

test("the same over a stream of a nats-server", { skip }, () =>
  withDirectory(async (directory) => {
    const server = new NatsServer("program" in found ? found.program : "", directory);
    await server.start();
    try {
      await failOver(`nats://${server.url}/bank`);
    } finally {
      await server.kill();
    }
  }),
);
