/** A local node over HTTP: the calls of `connect`, the methods, and what is refused. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { App, Signer, signed } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { testAccounts, withAccounts } from "../../runtime/node/accounts.ts";
import { connect, type RemoteBlock } from "../../runtime/node/connect.ts";
import { Node, type NodeOptions } from "../../runtime/node/node.ts";
import { fieldsOf, jsonOf } from "../../runtime/node/values.ts";
import { encode } from "../../runtime/typed/codec.ts";
import { readInterface } from "../../runtime/typed/interface.ts";

const program = await compileGuest(fileURLToPath(new URL("../guests/bank_typed.ts", import.meta.url)));
const bank = await compileGuest(
  fileURLToPath(new URL("../../examples/project/guest/bank.ts", import.meta.url)),
);
const accounts = testAccounts().map(({ address }) => address);
const [alice, bob] = accounts as [`0x${string}`, `0x${string}`];

const description = readInterface(bank);
const setup = { Bank: { holders: accounts, amount: 1000n } };
const lines: string[] = [];
const app = await App.open({ program: bank, setup, workers: 1 });
const node = await Node.open({ app, description: () => description, onLine: (line) => lines.push(line) });
const remote = await connect(node.url);
const Bank = remote.client.Bank as Record<string, (args?: object) => never>;
after(() => node.close());

const pay = (to: string, amount: bigint | number) => Bank.pay?.({ to, amount }) as never;
const balance = async (who: string, on?: number): Promise<unknown> => {
  const found = await remote.query(Bank.balanceOf?.({ who }) as never, on === undefined ? {} : { on });
  return found.ok && found.value;
};

test("metrics for Prometheus", async () => {
  const page = await fetch(`${node.url}/metrics`);
  assert.equal(page.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.match(await page.text(), /^stillpoint_height 1$/m);
});

test("connect: outcomes have the values of an App in this process", async () => {
  const paid = await remote.submit(pay(bob, 40n), { from: alice });
  assert.ok(paid.ok);
  assert.equal(paid.value, 960n);
  assert.deepEqual(paid.events, [{ name: "Paid", fields: { from: alice, to: bob, amount: 40n } }]);
  const poor = await remote.submit(pay(bob, 4000n), { from: alice });
  assert.equal(poor.ok ? "" : poor.error, "overdraft");
  assert.deepEqual([await balance(bob), await balance(bob, 1)], [1040n, 1000n]);
  assert.match(
    lines.join("\n"),
    new RegExp(
      [
        "block 2: 1 transaction, \\d+ gas.*",
        "block 3: .*",
        " {2}failed: overdraft at \\S+:\\d+",
        ".*abort: overdraft.*",
        " {6}at \\S+ \\(.*:\\d+\\)",
      ].join("\n"),
    ),
  );
  await assert.rejects(remote.query(Bank.balanceOf?.({ who: bob }) as never, { on: 99 }), {
    code: "NOT_RETAINED",
  });
});

test("transactions that come at once share blocks, and each is told of its own end", async () => {
  const before = app.head.height;
  const ended = await Promise.all([1, 2, 3, 4].map(() => remote.submit(pay(bob, 1n), { from: alice })));
  assert.ok(ended.every(({ ok }) => ok));
  assert.ok(app.head.height > before && app.head.height <= before + 4);
});

test("blocks, snapshots, reverts, reorgs, events and forks", async () => {
  const kept = (await remote.request("snapshot")) as RemoteBlock;
  const had = await balance(bob);
  const fork = (await remote.request("fork")) as { url: string };
  await remote.submit(pay(bob, 100n), { from: alice });
  const [last] = (await remote.request("blocks", { from: kept.height + 1 })) as RemoteBlock[];
  assert.equal(last?.height, kept.height + 1);
  await remote.request("revert", { to: kept.id });
  assert.equal(await balance(bob), had);

  const transaction = { call: "Bank.pay", args: { to: bob, amount: "7" }, from: alice };
  const { added } = (await remote.request("reorg", { to: kept.height, blocks: [[transaction], []] })) as {
    added: (RemoteBlock & { outcomes: object[] })[];
  };
  assert.deepEqual(
    added.map(({ height, outcomes }) => [height, outcomes.length]),
    [
      [kept.height + 1, 1],
      [kept.height + 2, 0],
    ],
  );
  assert.equal(await balance(bob), (had as bigint) + 7n);
  const other = await connect(fork.url);
  assert.deepEqual(await other.request("blocks", { from: kept.height }), [kept]);

  const events = (await remote.request("events", {})) as { kind: string; sequence: number; height: number }[];
  assert.ok(events.some(({ kind, height }) => kind === "revert" && height === kept.height));
  const rest = await remote.request("events", { after: events[0]?.sequence, count: 1 });
  assert.deepEqual(rest, [events[1]]);
});

test("mining by hand, and a clock that goes forward only", async () => {
  await remote.request("mine", { auto: false });
  const { height } = app.head;
  const waiting = await remote.request("submit", {
    call: "Bank.pay",
    args: { to: "$1", amount: 1 },
    from: "$0",
    wait: false,
  });
  assert.deepEqual([waiting, app.head.height], [{ waiting: 1 }, height]);
  const time = (await remote.request("time", { advance: 86_400_000 })) as number;
  assert.ok(time > Date.now() + 86_000_000);
  assert.equal(((await remote.request("mine", { count: 2 })) as object[]).length, 2);
  await remote.request("time", { set: 0 });
  assert.equal(((await remote.request("mine")) as object[]).length, 1);
  await remote.request("mine", { auto: true });
});

test("what is refused: with the codes of JSON-RPC, and without a stack", async () => {
  const ask = async (body: unknown, headers: Record<string, string> = {}) => {
    const all = { "content-type": "application/json", ...headers };
    const response = await fetch(node.url, { method: "POST", headers: all, body: JSON.stringify(body) });
    return [response.status, (await response.json()).error] as const;
  };
  const call = (method: string, params: unknown) => ask({ jsonrpc: "2.0", id: 1, method, params });
  for (const [answer, code, text] of [
    [await ask([]), -32600, /a request is an object/],
    [await call("submitt", {}), -32601, /no method "submitt"; there are: interface, submit,/],
    [await call("constructor", {}), -32601, /no method/],
    [await call("query", []), -32602, /params must be an object/],
    [await call("query", { call: "Bank.pay" }), -32602, /Bank.pay.to is missing/],
    [await call("query", { call: "Bank.none" }), -32602, /no function Bank\.none; there are: Bank\.pay,/],
    [
      await call("submit", { call: "Bank.pay", args: { to: bob, amount: 1 }, from: "bob" }),
      -32602,
      /from must be an address/,
    ],
    [await call("mine", { count: -1 }), -32602, /count must be an integer from 0 on/],
    [await call("mine", { count: 1e6 }), -32602, /at most 1000/],
    [await call("revert", { to: "none" }), -32000, /no block has this id/],
    [await call("reorg", { to: 1, blocks: [1] }), -32602, /list of lists of transactions/],
  ] as const) {
    const [status, error] = answer;
    assert.deepEqual([status, error.code], [200, code], JSON.stringify(error));
    assert.match(error.message, text);
    assert.doesNotMatch(JSON.stringify(error), /\.ts:\d+:/);
  }
  assert.equal((await ask({}, { origin: "https://evil.example" }))[0], 403);
  assert.equal((await ask({}, { "content-type": "text/plain" }))[0], 415);
  await assert.rejects(connect("http://127.0.0.1:1"), { code: "RPC_FAILED" });
});

test("a query has no more gas than the node gives", async () => {
  const options: NodeOptions = { app: await app.fork(), description: () => description, queryGas: 100 };
  const small = await Node.open(options);
  const asked = await (await connect(small.url)).query(Bank.balanceOf?.({ who: bob }) as never, { gas: 1e9 });
  assert.equal(asked.ok ? "" : asked.error, "out of gas");
  await small.close();
});

test("a node with signatures signs for its test accounts, and takes what was signed elsewhere", async () => {
  const strict = await App.open({
    program: bank,
    setup,
    workers: 1,
    authenticate: signed({ chain: "test" }),
  });
  await using _closed = { [Symbol.asyncDispose]: () => signing.close() };
  const signing = await Node.open({ app: strict, description: () => description, isSigned: true });
  const there = await connect(signing.url);
  assert.ok((await there.submit(pay(bob, 1n), { from: alice })).ok);
  await assert.rejects(there.submit(pay(bob, 1n), { from: `0x${"77".repeat(20)}` }), {
    code: "BAD_ARGUMENT",
  });
  const stranger = Signer.generate();
  const bytes = strict.encode(pay(bob, 1n), { by: stranger, nonce: 1n });
  const refused = await there.submit(bytes);
  assert.equal(refused.ok ? "" : refused.error, "no account");
});

test("values of all types go through JSON", () => {
  const every = readInterface(program);
  for (const record of every.records) {
    const json = Object.fromEntries(record.fields.map(({ name }) => [name, null]));
    assert.throws(
      () => encode(every, record.fields, fieldsOf(every, record.fields, json), "record"),
      /must be an integer/,
    );
  }
  const types = {
    ...every,
    records: [
      { name: "Pair", bytes: 0, selector: 0, fields: [{ name: "a", type: { kind: "u64" }, offset: 0 }] },
    ],
  } as never;
  const fields = [
    { name: "small", type: { kind: "u8" } },
    { name: "big", type: { kind: "u256" } },
    { name: "minus", type: { kind: "i64" } },
    { name: "yes", type: { kind: "bool" } },
    { name: "bytes", type: { kind: "bytes", max: 9 } },
    { name: "text", type: { kind: "string", max: 9 } },
    { name: "none", type: { kind: "option", of: { kind: "u64" } } },
    { name: "list", type: { kind: "vector", of: { kind: "record", name: "Pair" }, max: 3 } },
    { name: "address", type: { kind: "fixed", name: "Address", bytes: 20 } },
  ] as never;
  const value = {
    small: 7,
    big: 2n ** 200n,
    minus: -5n,
    yes: true,
    bytes: Uint8Array.of(1, 255),
    text: "12",
    none: null,
    list: [{ a: 3n }],
    address: alice,
  };
  const json = JSON.parse(JSON.stringify(jsonOf(value)));
  assert.deepEqual(fieldsOf(types, fields, json), value);
  assert.deepEqual(
    encode(types, fields, fieldsOf(types, fields, json), "x"),
    encode(types, fields, value, "x"),
  );
  assert.deepEqual(withAccounts({ to: ["$1"], price: "$10" }), { to: [bob], price: "$10" });
});

test("docs/cli.md lists every method", async () => {
  const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");
  const refused = await remote.request("?").catch(String);
  const methods = String(refused).split("there are: ")[1]?.split(", ") ?? [];
  assert.ok(methods.length > 8);
  for (const method of methods) assert.ok(page.includes(`| \`${method}\` |`), method);
});
