/** `debug` prints in tests, what failing calls print too, and is nothing in a program. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type Contracts, type Outcome, TestContract } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { BANK, project } from "./project.ts";

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
