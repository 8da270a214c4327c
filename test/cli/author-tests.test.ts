/** What tests of authors rely on: gas snapshots, JSON, a rerun when a contract changes, no hanging. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { directoryWithPackage, ENV, type Ended, stillpointIn } from "./stillpoint.ts";

const directory = directoryWithPackage("author");
const contract = join(directory, "contracts/counter.ts");
const stillpoint = (...args: string[]): Ended => stillpointIn(directory, ...args);
const APP = JSON.stringify(new URL("../../runtime/app/index.ts", import.meta.url).href);

const COUNTER = `import { StateCell, contract, transaction } from "stillpoint/guest";
const count = new StateCell<u64>();
@contract class Counter {
  @transaction add(amount: u64): void { count.add(amount); }
}
`;
const HEAD = `import assert from "node:assert/strict";
import { test } from "node:test";
import { App, TestContract, expectGas } from ${APP};
const options = { contract: "contracts/counter.ts" };
`;

const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);

before(() => {
  mkdirSync(join(directory, "contracts"));
  mkdirSync(join(directory, "test"));
  write("package.json", '{ "name": "author", "type": "module" }');
  writeFileSync(contract, COUNTER);
});
after(() => rmSync(directory, { recursive: true }));

const COVERED = `import { StateCell, contract, fail, transaction } from "stillpoint/guest";
const total = new StateCell<u64>();
@contract class Covered {
  @transaction add(amount: u64): void {
    if (amount > 100) {
      fail("too much");
    }
    total.add(amount);
  }
  @transaction clear(): void {
    total.value = 0;
  }
}
`;

test("--coverage adds up what all files of tests ran, in a table and for editors", () => {
  write("contracts/covered.ts", COVERED);
  const one = (name: string, call: string) =>
    write(
      `test/${name}.test.ts`,
      `${HEAD}const covered = await TestContract.open("contracts/covered.ts");
test("${name}", () => assert.equal(covered.call(covered.client.Covered.${call}).ok, true));
`,
    );
  one("covered-one", "add({ amount: 5n })");
  one("covered-two", "add({ amount: 7n })");
  const run = (...args: string[]) => stillpoint("test", "--coverage", ...args);
  const files = ["test/covered-one.test.ts", "test/covered-two.test.ts"];
  const ran = run(...files);
  assert.deepEqual([ran.status, ran.stderr], [0, ""], ran.stdout);
  assert.match(
    ran.stdout,
    /\ncontracts\/covered\.ts +2 of 4, 50% +1 of 2, 50% +6, 11\n\ncoverage\/lcov\.info\n$/,
  );
  const lcov = readFileSync(join(directory, "coverage/lcov.info"), "utf8").split("\n");
  assert.deepEqual(lcov.slice(0, 2), ["TN:", "SF:contracts/covered.ts"]);
  assert.deepEqual(
    lcov.filter((line) => line.startsWith("DA:")),
    ["DA:5,2", "DA:6,0", "DA:8,2", "DA:11,0"],
  );
  const json = JSON.parse(
    run("--json", ...files)
      .stdout.trim()
      .split("\n")
      .at(-1) as string,
  );
  assert.deepEqual(json.files, [
    { file: "contracts/covered.ts", lines: 4, linesRun: 2, functions: 2, functionsRun: 1, missed: [6, 11] },
  ]);

  write("test/nothing.test.ts", `${HEAD}\ntest("alone", () => {});\n`);
  const nothing = run("test/nothing.test.ts");
  assert.equal(nothing.status, 0);
  assert.match(nothing.stderr, /^coverage: no guest with sources ran in a TestContract or a TestProcess/);
  const watching = run("--watch");
  assert.equal(watching.status, 2);
  assert.match(watching.stderr, /--coverage is of one run/);
  write("test/fails.test.ts", `${HEAD}\ntest("no", () => assert.fail("no"));\n`);
  assert.equal(run("test/fails.test.ts").status, 1);
});

const GAS = `${HEAD}
const counter = await TestContract.open(options.contract);
test("gas", () => {
  const add = () => counter.call(counter.client.Counter.add({ amount: 5n }));
  expectGas("test/counter.gas.json", { "add, the first": add(), add: add(), fixed: 7 });
});
`;

test("a name that no test has is a failure, and one that some have runs these alone", () => {
  write("test/names.test.ts", `${HEAD}\ntest("alpha", () => {});\ntest("beta", () => {});\n`);
  const run = (...args: string[]) => stillpoint("test", "test/names.test.ts", ...args);
  const beta = run("--name", "bet", "--json");
  assert.deepEqual([beta.status, beta.stderr], [0, ""]);
  assert.deepEqual(JSON.parse(beta.stdout.trim().split("\n").at(-1) as string).passed, 1);
  const none = run("--name", "gamma");
  assert.deepEqual(
    [none.status, none.stderr.trim()],
    [1, "no test has a name that matches --name, a part of a name or a /regular expression/"],
  );
});

test("a gas snapshot is written when asked for, and then holds the program to it", () => {
  write("test/gas.test.ts", GAS);
  const run = (...args: string[]) => stillpoint("test", "test/gas.test.ts", "--json", ...args);
  const errorOf = ({ stdout }: Ended) => JSON.parse(stdout.split("\n")[0] as string).error;
  const missing = run();
  assert.equal(missing.status, 1, missing.stderr);
  assert.match(errorOf(missing), /^there is no gas snapshot test\/counter\.gas\.json yet: write it/);
  assert.equal(run("--update-gas").status, 0);
  const file = join(directory, "test/counter.gas.json");
  const text = readFileSync(file, "utf8");
  assert.deepEqual(Object.keys(JSON.parse(text)), ["add", "add, the first", "fixed"]);
  const same = run();
  assert.equal(same.status, 0, same.stdout);

  const { add } = JSON.parse(text);
  const changed = { ...JSON.parse(text), fixed: undefined, add: 2 * add, gone: 3 };
  writeFileSync(file, JSON.stringify(changed));
  const lines = errorOf(run()).split("\n");
  assert.deepEqual(lines.slice(1, 4), [
    `  add: ${add}, ${2 * add} in the file (-50.0 %)`,
    "  fixed: 7, not in the file",
    "  gone: 3 in the file, not called",
  ]);
  assert.match(lines[4], /stillpoint test --update-gas/);
  writeFileSync(file, "[");
  assert.match(errorOf(run()), /the JSON of a gas snapshot/);
  rmSync(file);
});

const HANGS = `${HEAD}
test("passes", () => {});
test("later", (t) => t.skip());
test("fails before close", async () => {
  const app = await App.open({ ...options, workers: 2 });
  void app.submit(app.client.Counter.add({ amount: 5n }), { from: new Uint8Array(20) });
  await app.produce();
  void app.events().next();
  assert.ok(app.state.count.value === 6n, "six");
  await app.close();
});
`;

test("a test that fails before it closes its app ends, and --json has a line for each", () => {
  write("test/fails.test.ts", HANGS);
  const { status, stdout } = stillpoint("test", "test/fails.test.ts", "--json");
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(status, 1);
  assert.deepEqual(lines.map(({ name, outcome }) => [name, outcome]).slice(0, 3), [
    ["passes", "passed"],
    ["later", "skipped"],
    ["fails before close", "failed"],
  ]);
  assert.equal(lines[2].error, "six");
  assert.ok(lines[2].file.endsWith("fails.test.ts") && lines[2].line > 1 && lines[2].ms > 0);
  assert.deepEqual(lines.at(-1), { passed: 1, failed: 1, skipped: 1 });
});

/** It imports another file, whose changes count as well. */
const STEPPING = `import { STEP } from "./step.ts";
${COUNTER.replace("count.add(amount)", "count.add(amount * STEP)")}`;

const WATCHED = `${HEAD}
test("opens", async () => {
  const { client } = await TestContract.open(options.contract);
  console.log("functions:", Object.keys(client.Counter).join());
});
`;

test("a change of a contract or of its imports runs its tests again, also after an error", async () => {
  write("test/watched.test.ts", WATCHED);
  const step = join(directory, "contracts/step.ts");
  writeFileSync(step, "export const STEP: u64 = 1;\n");
  writeFileSync(contract, STEPPING);
  const words = ["--test", "--watch", "--test-reporter=tap", "test/watched.test.ts"];
  const child: ChildProcess = spawn(process.execPath, words, { cwd: directory, env: ENV });
  let said = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const until = async (text: RegExp): Promise<void> => {
    for (const end = Date.now() + 60_000; !text.test(said); ) {
      assert.ok(Date.now() < end && child.exitCode === null, said);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    said = "";
  };
  try {
    await until(/functions: add\n/);
    writeFileSync(step, "export const STEP: u64 = none;\n");
    await until(/not ok \d+ - opens/);
    writeFileSync(step, "export const STEP: u64 = 1;\n");
    await until(/functions: add\n/);
    writeFileSync(contract, STEPPING.replace("add(amount: u64)", "more(amount: u64)"));
    await until(/functions: more\n/);
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
    writeFileSync(contract, COUNTER);
  }
});
