/** Clients and nodes that mean harm: what they send is refused, and the node continues. */

import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { after, before, test } from "node:test";
import { type Address, bankProgram, type Contract } from "../../examples/producer/bank.ts";
import { Mempool } from "../../examples/producer/mempool.ts";
import { ProducerNode, SUPPLY } from "../../examples/producer/node.ts";
import { readAccount, verifyAccount } from "../../examples/producer/reads.ts";
import { replicate } from "../../examples/producer/replica.ts";
import { openPayment, type SignedPayment } from "../../examples/producer/transaction.ts";
import { account, ask, bytesOf, send, Wallet } from "../../examples/producer/wallet.ts";
import { RequestError } from "../../runtime/http/checks.ts";
import { Content, Listener, type Routes } from "../../runtime/http/listener.ts";
import type { Block } from "../../runtime/index.ts";
import { connect } from "../../runtime/node/connect.ts";
import { withDirectory } from "../store/directory.ts";

const alice = new Wallet(hash("sha256", "alice", "buffer"));
const bob = new Wallet(hash("sha256", "bob", "buffer"));
const program = await bankProgram();
let node: ProducerNode;
let chain: string;
let done: () => void;
let gone: Promise<unknown>;

before(async () => {
  await new Promise<void>((ready, failed) => {
    gone = withDirectory(async (store) => {
      const options = { store, founder: alice.address, everyMs: 2, count: 100, workers: 1 };
      node = await ProducerNode.open(options).catch((error) => {
        failed(error);
        throw error;
      });
      ready();
      await new Promise<void>((resolve) => {
        done = resolve;
      });
      await node.stop();
    });
  });
  chain = node.bank.runtime.genesis;
});
after(async () => {
  done();
  await gone;
});

const pay = (amount: bigint, to: Address = bob.address) => send(node.url, alice.sign(chain, to, amount));

test("payments that are none, or of somebody else, or for another chain", async () => {
  const good = alice.sign(chain, bob.address, 1n);
  const fields = JSON.parse(good.text) as Record<string, unknown>;
  const withField = (name: string, value: unknown): SignedPayment => ({
    ...good,
    text: JSON.stringify({ ...fields, [name]: value }),
  });
  const cases: [body: unknown, code: string][] = [
    ...[null, 1, "text", [], {}, [good]].map((body): [unknown, string] => [body, "BAD_TRANSACTION"]),
    [{ ...good, signature: good.signature.slice(2) }, "BAD_TRANSACTION"],
    [{ ...good, signature: 5 }, "BAD_TRANSACTION"],
    [{ ...good, text: { ...fields } }, "BAD_TRANSACTION"],
    [{ ...good, text: "x".repeat(2000) }, "BAD_TRANSACTION"],
    [{ ...good, text: '{"__proto__":{}}' }, "BAD_TRANSACTION"],
    [{ ...good, text: good.text.replace("{", '{"more":"1",') }, "BAD_TRANSACTION"],
    [{ ...good, text: good.text.replace("{", '{"key":"",') }, "BAD_TRANSACTION"],
    ...["-1", "1.5", "1e3", "01", " 1", "18446744073709551616", 5, null, ["1"]].flatMap((value) =>
      ["sequence", "amount"].map((name): [unknown, string] => [withField(name, value), "BAD_TRANSACTION"]),
    ),
    [withField("to", bob.address.toUpperCase()), "BAD_TRANSACTION"],
    [withField("key", "00".repeat(31)), "BAD_TRANSACTION"],
    [withField("chain", "00".repeat(32)), "OTHER_CHAIN"],
    [withField("amount", "2"), "BAD_SIGNATURE"],
    [withField("key", "ff".repeat(32)), "BAD_SIGNATURE"],
    [{ ...good, text: `${good.text} ` }, "BAD_SIGNATURE"],
    [{ ...good, signature: `${"00".repeat(63)}01` }, "BAD_SIGNATURE"],
    [{ ...good, signature: bob.sign(chain, bob.address, 1n).signature }, "BAD_SIGNATURE"],
  ];
  for (const [body, code] of cases) {
    await assert.rejects(ask(node.url, "/payments", body as object), { code }, JSON.stringify(body));
  }
  assert.equal((await send(node.url, good)).error, null);
  await assert.rejects(pay(2n ** 64n - 1n), { code: "REFUSED", message: "overdraft" });
  await assert.rejects(send(node.url, new Wallet(new Uint8Array(32)).sign(chain, bob.address, 1n)), {
    message: "no account",
  });
});

test("a typed client looks, and submits what was signed; nothing else", async () => {
  const app = await connect<Contract>(node.url);
  const { Bank } = app.client;
  const total = await app.query(Bank.total());
  assert.deepEqual([total.ok && total.value], [SUPPLY]);
  const known = await account(node.url, program, alice.address);
  const seen = await app.query(Bank.account({ who: alice.address }));
  assert.deepEqual(seen.ok && seen.value, known);
  const paid = await app.submit(bytesOf(alice.sign(chain, bob.address, 3n)));
  assert.deepEqual(paid.ok && BigInt(paid.value as string), known.balance - 3n);
  assert.ok(paid.gasUsed > 0);

  const call = Bank.pay({ sequence: alice.sequence + 1n, to: bob.address, amount: 1n });
  await assert.rejects(app.submit(call, { from: alice.address }), { code: "BAD_ARGUMENT" });
  await assert.rejects(app.query(call as never), { code: "BAD_ARGUMENT" });
  await assert.rejects(app.submit(Uint8Array.of(1, 2)), { code: "BAD_TRANSACTION" });
  await assert.rejects(app.submit(bytesOf(alice.sign(chain, bob.address, 2n ** 63n))), { code: "REFUSED" });
  alice.sequence--;
});

test("paths that lead elsewhere", async () => {
  for (const path of ["/accounts/0x", "/accounts/..%2f..%2fetc", `/accounts/${bob.address}0`, "/blocks/-1"])
    assert.match((await ask(node.url, path).catch(({ code }) => code)) as string, /^BAD_/, path);
  const { block } = (await ask(node.url, "/export")) as { block: Block };
  for (const number of ["99", "-1", "1e0", "..%2f..%2f..%2fetc%2fpasswd", "%00", ""])
    await assert.rejects(ask(node.url, `/export/${block.id}/${number}`), { code: "NO_CHUNK" }, number);
  await assert.rejects(ask(node.url, `/export/${"0".repeat(64)}/0`), { code: "NO_CHUNK" });
  await assert.rejects(ask(node.url, "/blocks/999999999"), { code: "NO_BLOCK" });
  await assert.rejects(ask(node.url, "/blocks/9999999999999999"), { code: "BAD_HEIGHT" });
});

test("a mempool that is full, of one sender or of all, and one that closes", async () => {
  const mempool = new Mempool(node.bank, node.turn, () => {}, { total: 5, each: 3 });
  const sent = (from: Wallet) => openPayment(from.sign(chain, bob.address, 1n), chain);
  const waiting = [1, 2, 3].map(() => mempool.add(sent(alice)));
  assert.throws(() => mempool.add(sent(alice)), { code: "TOO_MANY_OF_SENDER", status: 429 });
  const others = ["c", "d", "e"].map((name) => new Wallet(hash("sha256", name, "buffer")));
  const refused = others.slice(0, 2).map((other) => assert.rejects(mempool.add(sent(other))));
  assert.throws(() => mempool.add(sent(others[2] as Wallet)), { code: "MEMPOOL_FULL", status: 503 });
  await Promise.all(refused);
  mempool.close();
  assert.throws(() => mempool.add(sent(bob)), { code: "CLOSING" });
  while (node.bank.waiting.length < 3) await new Promise((resolve) => setImmediate(resolve));
  await node.bank.produce();
  for (const receipt of await Promise.all(waiting)) assert.equal(receipt.error, null);
  assert.equal(mempool.size, 0);
});

test("an account that a node lies about", async () => {
  await pay(7n);
  const { runtime, head } = node.bank;
  const reply = readAccount(program, runtime, bob.address);
  const known = await account(node.url, program, bob.address);
  assert.deepEqual(verifyAccount(program, head.id, bob.address, { ...reply, balance: "1" }), known);
  const before = runtime.blocks()[head.height - 1] as Block;
  const old = readAccount(program, runtime, bob.address, before);
  for (const lie of [
    old,
    { ...reply, header: old.header },
    { ...reply, proofs: old.proofs },
    { ...reply, proofs: [] },
    { ...reply, proofs: reply.proofs.slice(1) },
    { ...reply, proofs: reply.proofs.map((proof) => proof.replace(/..$/, "00")) },
  ]) {
    if (JSON.stringify(lie) === JSON.stringify(reply)) continue;
    assert.throws(() => verifyAccount(program, head.id, bob.address, lie));
  }
  assert.throws(() => verifyAccount(program, head.id, alice.address, reply), "of somebody else");
});

/** Passes on what the node answers, but for what `change` makes of it. */
async function lying(change: (path: string, bytes: Buffer) => Uint8Array | null): Promise<Listener> {
  const pass = async (path: string): Promise<Content> => {
    const answer = await fetch(node.url + path);
    const whole = Buffer.from(await answer.arrayBuffer());
    const bytes = answer.ok ? change(path, whole) : whole;
    if (bytes === null) throw new Error("breaks down");
    if (!answer.ok) throw new RequestError(answer.status, "PASSED", "as the node says");
    return new Content("application/octet-stream", bytes);
  };
  const routes: Routes = {
    "GET /export": () => pass("/export"),
    "GET /export/:id/:number": ({ parts: { id, number } }) => pass(`/export/${id}/${number}`),
    "GET /blocks/:height": ({ parts: { height } }) => pass(`/blocks/${height}`),
  };
  return Listener.open(routes, { onError: () => {} });
}

test("a node that breaks down while a replica takes its state, or gives it another", async () => {
  await withDirectory(async (store) => {
    const exported = ((await ask(node.url, "/export")) as { block: Block }).block;
    while (node.bank.head.height < exported.height + 2) await pay(1n);
    const signal = new AbortController();
    const retried: string[] = [];
    // Each chunk comes cut off, then with a flipped byte, then not at all, and then as it is.
    const tries = new Map<string, number>();
    await using first = await lying((path, bytes) => {
      const count = (tries.get(path) ?? 0) + 1;
      tries.set(path, count);
      if (!/\/\d+$/.test(path) || path.startsWith("/blocks") || count > 3) return bytes;
      if (count === 3) return null;
      if (count === 1) return bytes.subarray(0, bytes.length - 1);
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
      return bytes;
    });
    const last = await replicate({
      ...{ url: first.url, store, signal: signal.signal, workers: 1 },
      onRetry: (error) => void retried.push(String(error)),
      onBlock: ({ height }) => height === node.bank.head.height && signal.abort(),
    });
    assert.equal(last?.id, node.bank.head.id);
    assert.ok(retried.some((text) => /not that of the manifest/.test(text)));
    assert.ok(retried.some((text) => /answers 500/.test(text)));

    // It continues from there, and believes no block that does not come out the same.
    await pay(1n);
    await using second = await lying((_, bytes) => {
      const reply = JSON.parse(bytes.toString());
      return Buffer.from(JSON.stringify({ ...reply, id: "0".repeat(64) }));
    });
    const again = { url: second.url, store, signal: new AbortController().signal, workers: 1 };
    await assert.rejects(replicate(again), { code: "DIVERGED" });
    await using third = await lying((_, bytes) => {
      const reply = JSON.parse(bytes.toString());
      const metadata = Buffer.from(reply.metadata, "base64");
      metadata[metadata.length - 1] = (metadata[metadata.length - 1] as number) ^ 1;
      return Buffer.from(JSON.stringify({ ...reply, metadata: metadata.toString("base64") }));
    });
    await assert.rejects(replicate({ ...again, url: third.url }));
  });
});

test("a node that is pinned to another block than is offered waits, and says why", async () => {
  await withDirectory(async (store) => {
    const signal = new AbortController();
    const said = await new Promise<string>((resolve) => {
      void replicate({
        ...{ url: node.url, store, id: "0".repeat(64), signal: signal.signal },
        onRetry: (error) => resolve(String(error)),
      }).then((last) => assert.equal(last, null));
    });
    signal.abort();
    assert.match(said, /does not have block 000/);
  });
});
