/** The bank gets another program: only when it is asked for, and replicas go with it. */

import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { bankProgram } from "../../examples/producer/bank.ts";
import { ProducerNode } from "../../examples/producer/node.ts";
import { replicate } from "../../examples/producer/replica.ts";
import { send, Wallet } from "../../examples/producer/wallet.ts";
import { buildGuest } from "../../runtime/compile.ts";
import type { Block } from "../../runtime/index.ts";
import { readInterface } from "../../runtime/typed/interface.ts";
import { lockOf } from "../../runtime/typed/layout.ts";
import { withDirectory } from "../store/directory.ts";

const SOURCE = fileURLToPath(new URL("../../examples/producer/guest/bank.ts", import.meta.url));
const alice = new Wallet(hash("sha256", "alice", "buffer"));
const bob = new Wallet(hash("sha256", "bob", "buffer"));

/** The bank as it says "used before" where it said "used". */
async function editedProgram(directory: string): Promise<Uint8Array> {
  const file = `${directory}-bank.ts`;
  writeFileSync(file, readFileSync(SOURCE, "utf8").replace('fail("used")', 'fail("used before")'));
  return (await buildGuest(file, {}, lockOf(readInterface(await bankProgram())))).program;
}

/** Replicates up to the latest block of a node. */
async function catchUp(node: ProducerNode, store: string): Promise<Block | null> {
  const stop = new AbortController();
  const { height } = node.bank.head;
  return replicate({
    ...{ url: node.url, store, workers: 1, signal: stop.signal },
    onBlock: (block) => block.height === height && stop.abort(),
  });
}

test("an upgrade is asked for, and replicas follow it without its sources", () =>
  withDirectory(async (store) => {
    const copy = `${store}-copy`;
    const options = { store, founder: alice.address, everyMs: 2, count: 100, workers: 1 };
    const edited = await editedProgram(store);
    const pay = async (node: ProducerNode) => {
      const { error } = await send(node.url, alice.sign(node.bank.runtime.genesis, bob.address, 1n));
      assert.equal(error, null);
    };
    {
      await using node = await ProducerNode.open(options);
      await fetch(`${node.url}/export`);
      await pay(node);
      assert.equal((await catchUp(node, copy))?.id, node.bank.head.id);
    }
    const refused = { code: "UPGRADE", message: /another program than guest\/bank\.ts; --upgrade/ };
    await assert.rejects(ProducerNode.open({ ...options, program: edited }), refused);
    {
      await using node = await ProducerNode.open({ ...options, program: edited, upgrade: true });
      assert.equal(node.bank.head.height, 4, "the money, a payment, and the upgrade, after the program");
      await pay(node);
      assert.equal((await catchUp(node, copy))?.id, node.bank.head.id);
      await pay(node);
      assert.equal((await catchUp(node, copy))?.id, node.bank.head.id, "opened again with the new program");
    }
    await assert.rejects(ProducerNode.open({ ...options, store: copy }), refused);
    await using node = await ProducerNode.open({ ...options, store: copy, program: edited, upgrade: true });
    assert.equal(node.bank.head.height, 6, "nothing was to be upgraded");
    alice.sequence--;
    await assert.rejects(pay(node), { code: "REFUSED", message: "used before" });
  }));
