/** `debug` prints in tests and traces, what failing calls print too, and is nothing in a program. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import {
  App,
  type Contracts,
  formatTrace,
  formatTransactions,
  type Outcome,
  Signer,
  signed,
  TestContract,
} from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { stillpoint } from "../cli/stillpoint.ts";
import { BANK, project, write } from "./project.ts";

const alice = `0x${"a1".repeat(20)}` as const;
const bob = `0x${"b0".repeat(20)}` as const;

const PRINTING = BANK.replace("contract, emit", "contract, debug, emit")
  .replace("if (from != caller())", 'debug("payer", from, amount); if (from != caller())')
  .replace("    fees.add(FEE);\n", "    fees.add(FEE);\n    if (amount > 5) debug(fees.value, source);\n")
  .replace("return block.height", "debug();\n    debug([1, 2], true);\n    return block.height");
/** The same lines without what was printed. */
const SILENT = PRINTING.replace(/debug\([^;]*\);/g, ";");

const line = (text: string): string =>
  `bank.ts:${PRINTING.split("\n").findIndex((each) => each.includes(text)) + 1}`;

test("a test prints values with file and line, and what a failed call printed", async () => {
  const file = join(project({ "bank.ts": PRINTING }), "bank.ts");
  const printed: string[] = [];
  const bank = await TestContract.open(file, { print: (text) => printed.push(text) });
  const same = await TestContract.open(join(project({ "bank.ts": SILENT }), "bank.ts"));
  const run = (name: string, args: object, from = alice): void => {
    const [outcome, other] = [bank, same].map((each) => {
      const make = (each.client as Contracts).Bank?.[name];
      return each.call(make?.(args) as never, { from, height: 3, time: 9 }) as Outcome;
    });
    assert.deepEqual(outcome, other);
    assert.equal(bank.process.state.hash, same.process.state.hash);
  };
  run("mint", { to: alice, amount: 100n });
  run("pay", { from: alice, to: bob, amount: 40n });
  run("pay", { from: alice, to: bob, amount: 400n });
  run("pay", { from: alice, to: bob, amount: 1n }, bob);
  run("when", {});
  assert.deepEqual(printed, [
    `${line('"payer"')}: payer ${alice} 40`,
    `${line("fees.value")}: 1 Account { balance: 59, nonce: 1 }`,
    `${line('"payer"')}: payer ${alice} 400`,
    `${line('"payer"')}: payer ${alice} 1`,
    `${line("debug();")}: `,
    `${line("debug([")}: [1, 2] true`,
  ]);
});

test("a trace of a block has its transactions, and what they print; also from a shell", async () => {
  const directory = project({ "bank.ts": PRINTING });
  const [contract, store] = [join(directory, "bank.ts"), join(directory, "state")];
  const app = await App.open({ contract, store, workers: 1 });
  const pay = (from: string, amount: bigint) => app.client.Bank?.pay?.({ from, to: bob, amount }) as never;
  app.submit(app.client.Bank?.mint?.({ to: alice, amount: 100n }) as never, { from: alice });
  await app.produce();
  for (const amount of [40n, 50n, 90n]) app.submit(pay(alice, amount), { from: alice });
  app.submit(pay(alice, 1n), { from: bob });
  app.submit(pay(alice, 1n), { from: alice, gas: 500 });
  const { block, outcomes } = await app.produce();
  await app.produce();
  const { transactions, root } = await app.trace(block);
  assert.equal(root, block.root);
  assert.deepEqual(
    transactions.map(({ printed }) => printed),
    [
      [`${line('"payer"')}: payer ${alice} 40`, `${line("fees.value")}: 1 Account { balance: 59, nonce: 1 }`],
      [`${line('"payer"')}: payer ${alice} 50`, `${line("fees.value")}: 2 Account { balance: 8, nonce: 2 }`],
      [`${line('"payer"')}: payer ${alice} 90`],
      [`${line('"payer"')}: payer ${alice} 1`],
      [],
    ],
    "each continues where the one before it ended",
  );
  assert.deepEqual(
    transactions.map(({ outcome }) => ({ ...outcome, at: undefined })),
    outcomes.map((outcome) => ({ ...outcome, at: undefined })),
  );
  const text = formatTransactions({ transactions });
  const called = `2 Bank.pay({ from: '${alice}', to: '${bob}', amount: 90n }) from ${alice}`;
  const third = `${called}: overdraft at bank.ts:`;
  assert.ok(text.includes(third), text);
  assert.match(text, /^4 .*: out of gas at bank\.ts:\d+ \(all of its 500 gas was used\), 500 gas$/m);
  write(directory, { "bank.ts": `${PRINTING}\n// edited` });
  assert.equal((await app.trace(block)).transactions[0]?.printed.length, 2, "a comment is no change");
  write(directory, { "bank.ts": PRINTING.replace("FEE: u64 = 1", "FEE: u64 = 2") });
  assert.deepEqual((await app.trace(block)).transactions[0]?.printed, [], "the source of another program");
  await app.close();
  const traced = (...args: string[]) => stillpoint("inspect", store, "trace", `${block.height}`, ...args);
  const refused = traced("--app", contract);
  assert.match(
    refused.stderr,
    /bank\.ts is not the source of the program that ran in this block, [\da-f]{64}/,
  );
  write(directory, { "bank.ts": PRINTING });
  const shown = traced("--app", contract);
  assert.ok(shown.stdout.includes(`2 Bank.pay(`), shown.stdout + shown.stderr);
  const lines = traced("--json").stdout.trim().split("\n");
  const { call, args, printed } = JSON.parse(lines.at(-1) as string);
  assert.deepEqual([call, args.amount, printed], ["Bank.pay", "1", []]);
});

test("a trace names what transactions changed in state, in a tree; a failed block too", async () => {
  const directory = project({ "bank.ts": PRINTING });
  const [contract, store] = [join(directory, "bank.ts"), join(directory, "state")];
  const app = await App.open({ contract, store, workers: 2, record: true });
  const pay = (amount: bigint) => app.client.Bank?.pay?.({ from: alice, to: bob, amount }) as never;
  app.submit(app.client.Bank?.mint?.({ to: alice, amount: 100n }) as never, { from: alice });
  await app.produce();
  const read = () => ({ alice: app.state.accounts?.get(alice), fees: app.state.fees?.value });
  const before = read();
  for (const amount of [40n, 500n, 7n]) app.submit(pay(amount), { from: alice });
  await app.produce();
  const after = read();
  const trace = await app.trace();
  const changes = trace.transactions.map((each) => each.changes ?? assert.fail());
  assert.deepEqual(changes[1], [], "what failed leaves nothing");
  const of = (name: string) => changes.flat().filter((change) => change.name === name);
  const balance = of(`accounts[${alice}].balance`);
  assert.deepEqual([balance.length, balance[0]?.before], [2, (before.alice as Account).balance]);
  assert.deepEqual(
    [balance[0]?.after, balance[1]?.after],
    [balance[1]?.before, (after.alice as Account).balance],
  );
  assert.deepEqual([of("fees")[0]?.before, of("fees").at(-1)?.after], [before.fees, after.fees]);
  assert.deepEqual(
    of(`accounts[${bob}]`).map(({ before }) => before),
    [undefined],
  );
  const tree = formatTrace(trace);
  assert.match(
    tree,
    /^\/ resumes: snapshot, [\d,]+ gas\n└─ \/1 __transaction, a batch: returned 2, [\d,]+ gas\n/,
  );
  assert.ok(tree.includes(`   │  ├─ accounts[${alice}].balance 100n → 59n\n`), tree);
  assert.match(tree, /├─ 1 Bank\.pay\(.*amount: 500n .*: overdraft at bank\.ts:\d+, [\d,]+ gas\n/);
  assert.match(tree, /at bank\.entry\/__transaction \(bank\.ts:\d+:\d+/);
  assert.ok(formatTrace(trace, { colors: true }).includes("\x1b[31m1 Bank.pay("));

  app.submit(pay(1n), { from: alice });
  await assert.rejects(app.produce({ gasLimit: 100_000 }), { code: "BLOCK_FAULT" });
  await app.close();
  const { stdout, stderr } = stillpoint("inspect", store, "trace", "--failed");
  assert.match(
    stdout,
    /^\/ resumes: faulted: abort: run the transactions: E_GAS [^\n]*\n├─ put 1: E_GAS\n/,
    stderr,
  );
  assert.match(stdout, /^ {4}at runtime\/app\/guest\/root\/runBatch \(/m);
});

interface Account {
  readonly balance: bigint;
}

test("a trace of signed transactions knows who signed", async () => {
  const contract = join(project({ "bank.ts": PRINTING }), "bank.ts");
  await using app = await App.open({ contract, workers: 1, authenticate: signed() });
  const by = Signer.generate();
  const { Bank } = app.client;
  app.submit(Bank?.mint?.({ to: by.address, amount: 9n }) as never, { by });
  app.submit(Bank?.pay?.({ from: by.address, to: bob, amount: 3n }) as never, { by });
  await app.produce();
  const { transactions } = await app.trace();
  assert.deepEqual(
    transactions.map(({ call, from, printed }) => [call, from, printed]),
    [
      ["Bank.mint", by.address, []],
      ["Bank.pay", by.address, [`${line('"payer"')}: payer ${by.address} 3`]],
    ],
  );
});

test("a program has the bytes that it has with the lines emptied", async () => {
  const compile = (source: string) => compileGuest(join(project({ "bank.ts": source }), "bank.ts"));
  const emptied = PRINTING.replace(/(if \(amount > 5\) )?debug\([^;]*\);/g, "");
  const [printing, silent, empty] = await Promise.all([PRINTING, SILENT, emptied].map(compile));
  assert.ok(PRINTING.includes("debug(") && !emptied.includes("debug("));
  assert.deepEqual(printing, silent);
  assert.deepEqual(printing, empty);
});

test("a debug that is part of something else is refused at its place", async () => {
  const file = join(
    project({
      "bank.ts": BANK.replace("contract, emit", "contract, debug, emit").replace(
        "return account.balance",
        "const x = debug(1);\n    return account.balance",
      ),
    }),
    "bank.ts",
  );
  await assert.rejects(compileGuest(file), /ERROR bank.ts:25:15: debug is a statement of its own/);
});
