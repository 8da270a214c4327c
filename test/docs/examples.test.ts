/**
 * Every example in a doc comment of the runtime runs: in test/chain/examples.test.ts those of the embedding
 * API, here all others, in a directory with the contract of README.md and what it takes to call it.
 */

import assert from "node:assert/strict";
import fs from "node:fs";
import fsPromises from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { format } from "node:util";
import * as abci from "../../runtime/abci/index.ts";
import * as app from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import * as debug from "../../runtime/debug.ts";
import * as main from "../../runtime/index.ts";
import * as log from "../../runtime/log/index.ts";
import * as node from "../../runtime/node/connect.ts";
import { Node } from "../../runtime/node/node.ts";
import * as observe from "../../runtime/observe/index.ts";
import { sourcesOf } from "../../runtime/program/source-map/sources.ts";
import * as portable from "../../runtime/proof/verify.ts";
import * as store from "../../runtime/store.ts";
import * as testing from "../../runtime/testing.ts";
import { readInterface } from "../../runtime/typed/interface.ts";
import * as validators from "../../runtime/validator/index.ts";
import { EMBEDDING } from "../chain/example-files.ts";
import { ROOT } from "../cli/stillpoint.ts";
import { guest } from "../fixture.ts";
import { blockWith, isLike, writeText } from "./pages.ts";

/** Examples that nothing runs, by what they begin with, and why. */
const NOT_RUN: readonly [start: string, why: string][] = [
  ["const connection = await connect({ servers", "needs NATS: test/log/jetstream.test.ts does the same"],
  ["const application: AbciApplication", "shows the shape of an interface, and leaves out most of it"],
  ["const bank = await TestProcess.open", "test/testing/testing.test.ts runs it"],
];

/** Those whose output is of faults, and of more than the contract of README.md has: they run. */
const SHOWN = ["formatTransactions(", "formatTrace(", "formatFaults("];

/** At a fixed place, so that the compiler's cache knows the guests again. */
const DIRECTORY = join(ROOT, ".cache", "examples");
const [ALICE, BOB] = [`0x${"a1".repeat(20)}`, `0x${"b0".repeat(20)}`] as const;

interface Example {
  readonly place: string;
  readonly text: string;
}

/** The examples of a file, in doc comments of symbols and of members. */
function examplesOf(file: string): Example[] {
  const text = fs.readFileSync(join(ROOT, file), "utf8");
  return [...text.matchAll(/^ *\* @example\n *\* ```ts\n((?: *\*.*\n)*?) *\* ```/gm)].map((found) => ({
    place: `${file}:${text.slice(0, found.index).split("\n").length}`,
    text: (found[1] as string).replace(/^ *\* ?/gm, ""),
  }));
}

const all = fs
  .globSync("runtime/**/*.ts", { cwd: ROOT })
  .sort()
  .filter((file) => !EMBEDDING.includes(file))
  .flatMap(examplesOf);

type Scope = Record<string, unknown>;
type Body = (...values: unknown[]) => Promise<void>;
const AsyncFunction = (async () => {}).constructor as new (...parameters: string[]) => Body;

/** What an example finds by a name: made when it is asked for. */
class World {
  readonly #opened: { close(): Promise<void> }[] = [];
  readonly #makers: Record<string, () => unknown> = {
    runtime: async () =>
      this.#open(await main.Runtime.open({ root: await guest("sum"), workers: 1, store: "state" })),
    standby: async () => this.#open(await main.Runtime.open({ root: await guest("sum"), workers: 1 })),
    replica: async () => this.#open(await main.Runtime.open({ root: await guest("sum"), workers: 1 })),
    program: () => compileGuest("bank.ts"),
    app: () => this.#app(),
    reader: () => this.#reader(),
    bank: () => this.#bank(),
    Bank: async () => app.contractsOf(await compileGuest("bank.ts")).Bank,
    node: () => this.#node(),
    log: () => log.memoryLog(),
    application: () => ({}),
    alice: () => ALICE,
    from: () => ALICE,
    who: () => ALICE,
    bob: () => BOB,
    to: () => BOB,
    test: () => (_: string, run: () => void) => run(),
  };

  #open<T extends { close(): Promise<void> }>(opened: T): T {
    this.#opened.push(opened);
    return opened;
  }

  /** With a block in which one payment is made, and one is not. */
  async #app() {
    const opened = this.#open(await app.App.open({ contract: "bank.ts", store: "bank", record: true }));
    const Bank = functionsOf(opened.client);
    await opened.produce();
    opened.submit(Bank.mint({ to: ALICE, amount: 100n }), { from: ALICE });
    await opened.produce();
    opened.submit(Bank.pay({ to: BOB, amount: 40n }), { from: ALICE });
    opened.submit(Bank.pay({ to: ALICE, amount: 90n }), { from: BOB });
    await opened.produce();
    opened.submit(Bank.pay({ to: BOB, amount: 9n }), { from: ALICE });
    return opened;
  }

  async #reader() {
    await (await this.#app()).close();
    return this.#open(await store.openReader("bank"));
  }

  async #bank() {
    const opened = await app.TestContract.open("bank.ts");
    const Bank = functionsOf(opened.client);
    opened.call(Bank.mint({ to: ALICE, amount: 100n }));
    return opened;
  }

  async #node() {
    const served = this.#open(await app.App.open({ contract: "bank.ts" }));
    const Bank = functionsOf(served.client);
    served.submit(Bank.mint({ to: ALICE, amount: 100n }), { from: ALICE });
    await served.produce();
    const description = readInterface(await compileGuest("bank.ts"));
    return this.#open(await Node.open({ app: served, description: () => description }));
  }

  /** The values that an example names and does not make itself. */
  async scopeOf({ place, text }: Example, printed: string[]): Promise<Scope> {
    const scope: Scope = {
      ...{ ...main, ...store, ...debug, ...app, ...log, ...observe, ...testing, ...validators, ...abci },
      ...{
        connect: node.connect,
        verifyBy: portable.verifyBy,
        compileGuest: compiled,
        assert,
        ...fs,
        ...fsPromises,
      },
      // Both have a formatTrace.
      ...(place.startsWith("runtime/chain/") ? debug : {}),
      console: { log: (...values: unknown[]) => printed.push(format(...values)), error: () => {} },
    };
    const isUsed = (name: string): boolean => new RegExp(`(?<![.\\w"])${name}\\b(?!:)`).test(text);
    for (const [name, make] of Object.entries(this.#makers)) {
      if (isUsed(name) && !isMade(text, name)) scope[name] = await make();
    }
    return scope;
  }

  /** Makes what the example reads: files, a node. Returns it with the address of that node. */
  async prepare(text: string): Promise<string> {
    if (text.includes("ledger.wasm")) {
      const bytes = await guest("sum");
      const { map = "", named = bytes } = sourcesOf(bytes);
      for (const [name, data] of Object.entries({ "": bytes, ".map": map, ".named": named }))
        fs.writeFileSync(`ledger.wasm${name}`, data);
    }
    if (text.includes("bank-1.wasm")) {
      fs.writeFileSync("bank-1.wasm", await compileGuest("bank.ts"));
      writeText(DIRECTORY, "contracts/bank.ts", BANK.replace("overdraft", "not enough"));
    }
    const url = "http://127.0.0.1:8545";
    return text.includes(url) ? text.replace(url, (await this.#node()).url) : text;
  }

  async close(): Promise<void> {
    for (const opened of this.#opened.reverse()) await opened.close();
  }
}

type Functions = Readonly<Record<"mint" | "pay", (args: object) => app.Transaction>>;

function functionsOf(client: app.Contracts): Functions {
  return client.Bank as unknown as Functions;
}

/** The contract of README.md, which emits an event besides. */
const BANK = blockWith("README.md", "const fees = new StateCell")
  .text.replace("caller, contract,", "caller, contract, emit,")
  .replace("@record\n", "@record\nclass Paid {\n  amount: u64 = 0;\n}\n\n@record\n")
  .replace(
    "    fees.add(1);",
    "    const paid = new Paid();\n    paid.amount = amount;\n    emit(paid);\n    fees.add(1);",
  );

/** That contract; any other name is that of a root which adds bytes up. */
function compiled(file: string): Promise<Uint8Array> {
  return file === "bank.ts" ? compileGuest(file) : guest("sum");
}

/** Whether a text declares the name. */
function isMade(text: string, name: string): boolean {
  return new RegExp(`\\b(?:const|let) (?:\\{[^}]*\\b)?${name}\\b`).test(text);
}

/** Ends what an example has begun and left. */
const ENDS = ["spans", "promoted", "follower", "sequencer"].map(
  (name) => `if (typeof ${name} !== "undefined") await ${name}.stop();\n`,
);
const CLOSES = ["server", "app"].map(
  (name) => `if (typeof ${name} !== "undefined") await ${name}.close?.();\n`,
);

async function run({ place, text: written }: Example): Promise<string> {
  const printed: string[] = [];
  const world = new World();
  const text = await world.prepare(written);
  const scope = await world.scopeOf({ place, text }, printed);
  if (text.includes("// edited")) writeText(DIRECTORY, "bank.ts", BANK.replace("overdraft", "not enough"));
  const names = Object.keys(scope).filter((name) => !isMade(text, name));
  const code = stripTypeScriptTypes(`(async () => {\n${text}\n${ENDS.join("")}${CLOSES.join("")}})`);
  try {
    await new AsyncFunction(...names, `return await ${code.replace(/;\s*$/, "")}();`)(
      ...names.map((name) => scope[name]),
    );
  } finally {
    await world.close();
  }
  return printed.join("\n");
}

for (const example of all) {
  const reason = NOT_RUN.find(([start]) => example.text.startsWith(start));
  if (reason !== undefined) continue;
  test(`the example at ${example.place} runs and prints what its comments say (…: anything)`, async () => {
    fs.rmSync(DIRECTORY, { recursive: true, force: true });
    writeText(DIRECTORY, "bank.ts", BANK);
    for (const name of ["run", "test"]) fs.mkdirSync(join(DIRECTORY, name));
    const before = process.cwd();
    process.chdir(DIRECTORY);
    process.env.STILLPOINT_UPDATE_GAS = "1"; // there is no snapshot yet
    try {
      const printed = await run(example);
      if (SHOWN.some((text) => example.text.includes(`console.log(${text}`))) return;
      const said = [...example.text.matchAll(/(?:console\.log\(.*\); +|^)\/\/ (.*)$/gm)].map(
        ([, text]) => text,
      );
      if (said.length > 0)
        assert.ok(isLike(printed, said as string[]), `${printed}\nis not\n${said.join("\n")}`);
    } finally {
      process.chdir(before);
      delete process.env.STILLPOINT_UPDATE_GAS;
    }
  });
}

test("examples are found, and those that nothing runs are there", () => {
  assert.ok(all.length > 40, String(all.length));
  for (const [start] of NOT_RUN)
    assert.ok(
      all.some(({ text }) => text.startsWith(start)),
      start,
    );
});
