/** `stillpoint submit`, `query`, `run`, `replay`, `test` and `dev` in a project that `new` has made. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect, type RemoteApp } from "../../runtime/node/connect.ts";
import { Browser, skip } from "../inspector/browser.ts";
import { directoryWithPackage, ENV, type Ended, MAIN, stillpointIn } from "./stillpoint.ts";

const directory = directoryWithPackage("apps");
const project = join(directory, "hello");
const contract = join(project, "contracts/bank.ts");
const stillpoint = (...args: string[]): Ended => stillpointIn(project, ...args);

/** Another app, with the same call. */
const OTHER = `import { Address, StateVector, contract, transaction } from "stillpoint/guest";
const paid = new StateVector<u64>(9);
@contract class Bank {
  @transaction pay(to: Address, amount: u64): void { paid.push(amount); }
}
`;

before(() => {
  assert.equal(stillpointIn(directory, "new", "hello").status, 0);
});
after(() => rmSync(directory, { recursive: true }));

test("submit and query work on a store, with the app and the setup of package.json", () => {
  const paid = stillpoint("submit", "Bank.pay", "to=$1", "amount=40", "--store", "state", "--json");
  assert.equal(paid.status, 0, paid.stderr);
  const { ok, value, events } = JSON.parse(paid.stdout);
  assert.deepEqual([ok, value, events[0].name], [true, "960", "Paid"]);
  const poor = stillpoint(
    "submit",
    "Bank.pay",
    '{"to":"$1","amount":"4000"}',
    "--store",
    "state",
    "--from",
    "$2",
  );
  assert.equal(poor.status, 1);
  assert.match(poor.stderr, /^Bank\.pay failed: overdraft at contracts\/bank\.ts:\d+\n$/);
  const { stdout: faults } = stillpoint("inspect", "state", "trace", "--faults");
  assert.match(faults, /overdraft[^\n]*\n {4}at [^(]+\(contracts\/bank\.ts:\d+\)\n/, "a line, and no column");
  const now = stillpoint("query", "Bank.balanceOf", "who=$1", "--store", "state");
  assert.deepEqual([now.status, now.stdout], [0, "1040\n"]);
  const then = stillpoint("query", "Bank.balanceOf", "who=$1", "--store", "state", "--block", "1");
  assert.equal(then.stdout, "1000\n", then.stderr);
});

test("a store of signed transactions takes those of test accounts, and of a key in a file", () => {
  const on = ["--store", "signed", "--signed"];
  const pay = (...more: string[]) => stillpoint("submit", "Bank.pay", "to=$1", "amount=40", ...more);
  const paid = pay(...on, "--json");
  assert.equal(paid.status, 0, paid.stderr);
  assert.equal(JSON.parse(paid.stdout).value, "960");
  writeFileSync(join(directory, "other.ts"), OTHER);
  writeFileSync(join(project, "key"), `0x${"07".repeat(32)}\n`);
  const poor = pay(...on, "--key", "key");
  assert.match(poor.stderr, /^Bank\.pay failed: no account at /);
  const now = stillpoint("query", "Bank.balanceOf", "who=$1", ...on);
  assert.deepEqual([now.status, now.stdout], [0, "1040\n"]);
  refuses(pay("--store", "signed"), 1, /it authenticates with another program/);
  refuses(pay(...on, "--from", `0x${"77".repeat(20)}`), 2, /nobody here can sign for it/);
  refuses(pay(...on, "--key", "key", "--from", "$1"), 2, /give --key or --from/);
  refuses(pay("--store", "state", "--key", "key"), 2, /are for --signed/);
  refuses(pay("--url", "http://127.0.0.1:1", "--signed"), 2, /--signed is for --store/);
  refuses(
    pay(...on, "--app", join(directory, "other.ts")),
    2,
    /has another app than .*other\.ts: name it with/,
  );
});

test("replay makes the blocks again, by any runner", () => {
  const again = stillpoint("replay", "state", "--runner", "sequential");
  assert.equal(again.status, 0, again.stderr);
  assert.match(again.stdout, /^3 blocks made again in [\d.]+ s, to the same roots and data\n$/);
  const last = stillpoint("replay", "state", "--from", "3", "--json").stdout.trim().split("\n");
  assert.deepEqual(
    last.map((line) => [JSON.parse(line).height, JSON.parse(line).same]),
    [[3, true]],
  );
  refuses(
    stillpoint("replay", "state", "--from", "9"),
    2,
    /nothing to replay: the store can replay the heights 1 to 3/,
  );
});

test("run makes blocks of a file, and compares them with what they expect", () => {
  const pay = (amount: number, more: object = {}) => ({
    call: "Bank.pay",
    args: { to: "$1", amount },
    ...more,
  });
  const file = join(project, "blocks.jsonl");
  const lines = [
    [pay(5), pay(5000, { from: "$2", expect: "overdraft" })],
    { time: 5000, transactions: [pay(1)] },
  ];
  writeFileSync(file, `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`);
  const runs = ["1", "2"].map((workers) => stillpoint("run", "blocks.jsonl", "--workers", workers));
  assert.deepEqual([runs[0]?.status, runs[0]?.stdout], [0, runs[1]?.stdout]);
  assert.match(
    runs[0]?.stdout ?? "",
    /^block 2 {2}2 transactions {2}[\d,]+ gas {2}root [0-9a-f]{64}\nblock 3 /,
  );
  writeFileSync(file, JSON.stringify([pay(5, { expect: "overdraft" })]));
  const wrong = stillpoint("run", "blocks.jsonl", "--json");
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /^line 1, transaction 1: ok, expected overdraft\n$/);
  assert.equal(JSON.parse(wrong.stdout).outcomes.length, 1);
  for (const [text, says] of [
    ["[\n", /blocks\.jsonl:1: is not JSON/],
    ["\n7\n", /blocks\.jsonl:2: a line is a list of transactions/],
    ['[{"call":"Bank.pai"}]', /blocks\.jsonl:1: there is no function Bank\.pai; there are: Bank\.pay,/],
    ['[{"call":"Bank.pay","args":{"to":"$1"}}]', /blocks\.jsonl:1: Bank\.pay\.amount is missing/],
    [
      '[{"call":"Bank.pay","args":{"to":"$1","amount":1},"from":"me"}]',
      /blocks\.jsonl:1: from must be 20 bytes/,
    ],
  ] as const) {
    writeFileSync(file, text);
    refuses(stillpoint("run", "blocks.jsonl", "--store", "none"), 2, says);
    assert.ok(!existsSync(join(project, "none")), "nothing is made");
  }
});

test("compare says what a version costs, how its transactions end, and what it leaves", () => {
  const file = join(project, "compared.jsonl");
  const pay = (from: string, amount: number) => ({ call: "Bank.pay", args: { to: "$1", amount }, from });
  writeFileSync(
    file,
    `${JSON.stringify([pay("$0", 5), pay("$2", 1999)])}\n${JSON.stringify([pay("$0", 1)])}\n`,
  );
  const other = join(project, "contracts/other.ts");
  const source = readFileSync(contract, "utf8");
  const same = stillpoint("compare", contract, contract, "compared.jsonl", "--json");
  assert.equal(same.status, 0, same.stderr);
  const { calls, state } = JSON.parse(same.stdout);
  assert.deepEqual([calls.length, state, calls[0].before.value], [3, [], "995"]);
  const edited = source
    .replace('fail("overdraft")', 'fail("too much")')
    .replace("payments++", "payments += 2");
  writeFileSync(other, edited);
  const found = stillpoint("compare", contract, other, "compared.jsonl");
  assert.equal(found.status, 1, found.stderr);
  const [gas, outcome, entry, none] = found.stdout.split("\n");
  assert.match(gas as string, /^Bank\.pay: 3 ×, [\d,]+ gas before, [\d,]+ after \([+-]\d+\.\d %\)$/);
  assert.equal(outcome, 'block 1, transaction 2, Bank.pay: "overdraft" before, "too much" after');
  assert.match(
    entry as string,
    /^accounts\["0x[0-9a-f]{40}"\]: .*"payments":"?2.* before, .*"payments":"?4.* after$/,
  );
  assert.equal(none, "");
  refuses(stillpoint("compare", contract, "none.ts", "compared.jsonl"), 2, /none\.ts/);
  rmSync(other);
});

test("what cannot be called is refused in a sentence", () => {
  for (const [words, status, text] of [
    [["query", "Bank.balanceOf"], 2, /give --store DIR, or --url URL/],
    [
      ["query", "Bank.balanceOf", "who", "--store", "state"],
      2,
      /an argument must be NAME=VALUE, .*, got "who"/,
    ],
    [["query", "Bank.balance", "--store", "state"], 2, /no function Bank\.balance; there are: Bank\.pay,/],
    [
      ["query", "Bank.pay", "to=$1", "amount=1", "--store", "state"],
      2,
      /Bank\.pay must be a view \(stillpoint submit takes the other kind\), got "transaction"/,
    ],
    [["query", "Bank.balanceOf", "who=5", "--store", "state"], 2, /who must be 20 bytes/],
    [
      ["submit", "Bank.pay", "to=$1", "amount=1", "--store", "state", "--from", "me"],
      2,
      /--from must be an address/,
    ],
    [["query", "Bank.supply", "--store", "nothing"], 2, /there is no store in nothing/],
    [
      ["query", "Bank.supply", "--url", "http://127.0.0.1:1"],
      2,
      /no node answers at http:\/\/127\.0\.0\.1:1/,
    ],
    [["query", "Bank.supply", "--store", "state", "--app", "none.wasm"], 2, /none\.wasm: cannot be read/],
    [["dev", "--setup", "{"], 2, /--setup: is not JSON/],
    [["dev", "--setup", '{"Bank":{}}'], 2, /Bank\.begin\.holders is missing; .*has: holders, amount/],
  ] as const) {
    refuses(stillpoint(...words), status, text);
  }
  refuses(
    stillpointIn(directory, "query", "Bank.supply", "--store", "state"),
    2,
    /which app\? Name its file on the command line/,
  );
});

test("dev follows the sources, keeps the state, and refuses what the lock file refuses", async () => {
  const dev = await Dev.start("--store", "kept");
  const { remote } = dev;
  const [alice, bob] = remote.accounts as [`0x${string}`, `0x${string}`];
  const pay = (amount: bigint) => (remote.client.Bank?.pay?.({ to: bob, amount }) ?? null) as never;
  assert.ok((await remote.submit(pay(40n), { from: alice })).ok);
  const asked = stillpoint("query", "Bank.balanceOf", "who=$1", "--url", remote.url);
  assert.deepEqual([asked.status, asked.stdout], [0, "1040\n"]);

  refuses(stillpoint("dev", "--port", new URL(remote.url).port), 2, /cannot be listened on \(EADDRINUSE\)/);

  const source = readFileSync(contract, "utf8");
  writeFileSync(contract, source.replace('fail("overdraft")', 'fail("too little")'));
  await dev.until(/upgraded at block 3: the state stays/);
  const poor = await remote.submit(pay(4000n), { from: alice });
  assert.equal(poor.ok ? "" : poor.error, "too little");

  writeFileSync(contract, source.replace("payments: u32", "payments: u64"));
  await dev.until(/accounts[^\n]*[\s\S]*the old program runs on/);
  writeFileSync(contract, source.replace("from.balance < amount", "from.balanc < amount"));
  await dev.until(/balanc[\s\S]*the old program runs on/);
  assert.ok((await remote.submit(pay(1n), { from: alice })).ok);
  writeFileSync(contract, source);
  await dev.until(/upgraded at block 6/);
  assert.equal(await dev.stop(), 0);

  // The store is as it was left.
  const again = await Dev.start("--store", "kept");
  const found = await again.remote.query(again.remote.client.Bank?.balanceOf?.({ who: bob }) as never);
  assert.equal(found.ok && found.value, 1041n);
  assert.equal(await again.stop(), 0);
});

test("a store of an earlier version is refused with what upgrades it, and dev does so", async () => {
  const submit = () => stillpoint("submit", "Bank.pay", "to=$1", "amount=1", "--store", "edited");
  assert.equal(submit().status, 0);
  const source = readFileSync(contract, "utf8");
  writeFileSync(contract, source.replace("from.payments++", "from.payments += 2"));
  refuses(submit(), 2, /"stillpoint dev contracts\/bank\.ts --store edited" upgrades it/);
  const dev = await Dev.start("--store", "edited");
  assert.equal(await dev.stop(), 0);
  assert.equal(submit().status, 0);
  writeFileSync(contract, source);
});

test("an app that package.json names and is not there is named with package.json", () => {
  const settings = readFileSync(join(project, "package.json"), "utf8");
  writeFileSync(
    join(project, "package.json"),
    settings.replace('app": "contracts/bank.ts', 'app": "contracts/none.ts'),
  );
  refuses(stillpoint("build"), 2, /no file .*none\.ts: it is the app that .*package\.json names/);
  writeFileSync(join(project, "package.json"), settings);
});

test("dev shows its app in a browser, with how blocks ran that it recorded", async () => {
  const dev = await Dev.start("--store", "recorded", "--record");
  const { remote } = dev;
  const [alice, bob] = remote.accounts as [`0x${string}`, `0x${string}`];
  const pay = remote.client.Bank?.pay?.({ to: bob, amount: 40n }) as never;
  assert.ok((await remote.submit(pay, { from: alice })).ok);
  const ask = async (path: string) => {
    const answer = await fetch(new URL(path, remote.url));
    const text = await answer.text();
    assert.equal(answer.status, 200, text);
    return { text, policy: answer.headers.get("content-security-policy") };
  };
  const { text, policy } = await ask("/");
  assert.match(text, /<script[^>]* src="\//);
  assert.match(policy ?? "", /default-src 'none'/);
  const chain = JSON.parse((await ask("/api/chain")).text);
  assert.deepEqual([chain.kind, chain.name], ["runtime", "contracts/bank.ts"]);
  const { id, height } = chain.head;
  assert.equal(JSON.parse((await ask(`/api/batch?block=${id}`)).text).source, "recorded");

  // A command looks at the store that dev has open.
  const listed = stillpoint("inspect", "recorded", "recording");
  assert.ok(listed.stdout.includes(id), listed.stderr);
  // Of blocks it sees those up to the newest checkpoint, which is made beside production.
  const blocks = (): string => stillpoint("inspect", "recorded", "blocks").stdout;
  for (const last = Date.now() + 60_000; !blocks().includes(id); ) assert.ok(Date.now() < last, blocks());
  const traced = stillpoint("inspect", "recorded", "trace", String(height));
  assert.match(traced.stdout, /Bank\.pay\(/, traced.stderr);
  const profiled = stillpoint("inspect", "recorded", "profile", String(height), "--samples", "10");
  assert.match(profiled.stdout, /self +total +line/, profiled.stderr);
  const again = stillpoint("inspect", "recorded", "recording", String(height), "--again", "--json");
  assert.deepEqual([JSON.parse(again.stdout).source, JSON.parse(again.stdout).id], ["again", id]);

  if (skip === false) {
    await using browser = await Browser.open(join(directory, "browser"), () => remote.url);
    await browser.show("/", `heights 0 to ${height}`);
    await browser.show(`/block/${id}/transactions`, "Bank.pay", /^Paid\(/);
    await browser.show(`/block/${id}/batch`, "recorded");
    assert.ok((await remote.submit(pay, { from: alice })).ok);
    await browser.show("/", `heights 0 to ${height + 1}`);
    assert.deepEqual([browser.elsewhere, browser.complaints], [[], []]);
  }
  assert.equal(await dev.stop(), 0);
});

test("upgrade-check compares programs, and a store with a program", () => {
  const other = join(project, "contracts/other.ts");
  const source = readFileSync(contract, "utf8");
  const moved = source.replace("payments: u32", "payments: u64").replace("supply(): u64", "total(): u64");
  writeFileSync(other, moved);
  const same = stillpoint("upgrade-check", "state", contract);
  assert.deepEqual([same.status, same.stderr], [0, ""]);
  assert.match(same.stdout, /finds the state where the old one left it/);
  const refused = stillpoint("upgrade-check", contract, other);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /upgrade-check: state accounts is/);
  const { problems, lost } = JSON.parse(stillpoint("upgrade-check", contract, other, "--json").stdout);
  assert.deepEqual([problems.length > 0, lost], [true, ["Bank.supply"]]);
  refuses(stillpoint("upgrade-check", "none.wasm", contract), 2, /none\.wasm: cannot be read/);
  const added = "const added = new StateVector<u64>(9);\n";
  writeFileSync(
    other,
    source.replace("StateMap,", "StateMap, StateVector,").replace("@contract", `${added}@contract`),
  );
  const unlocked = stillpoint("upgrade-check", "state", other);
  assert.deepEqual([unlocked.status, unlocked.stderr], [0, ""], "without a lock file the state stays");
  assert.match(unlocked.stdout, /^state added: added\n/);
  rmSync(other);
});

test("test runs the tests of the project", () => {
  const tests = 'test("good", () => {});\ntest("bad", () => Promise.reject(new Error("no")));\n';
  writeFileSync(join(project, "test/bank.test.ts"), `import { test } from "node:test";\n${tests}`);
  const run = (...args: string[]) => stillpoint("test", ...args);
  assert.equal(run().status, 1);
  const good = run("--name", "good");
  assert.equal(good.status, 0, good.stdout);
});

/** A node that `stillpoint dev` runs. */
class Dev {
  readonly #child: ChildProcess;
  #said = "";
  remote!: RemoteApp;

  static async start(...options: string[]): Promise<Dev> {
    const dev = new Dev(options);
    await dev.until(/try: stillpoint query Bank\.supply --url http/);
    dev.remote = await connect(/http:\/\/127\.0\.0\.1:\d+/.exec(dev.#seen)?.[0] as string);
    return dev;
  }

  #seen = "";

  constructor(options: string[]) {
    this.#child = spawn(process.execPath, [MAIN, "dev", "--port", "0", ...options], {
      cwd: project,
      env: ENV,
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#said += text;
      });
    }
    after(() => this.#child.kill("SIGKILL"));
  }

  /** Waits until it has said so, since the last time. */
  async until(text: RegExp): Promise<void> {
    for (const end = Date.now() + 60_000; !text.test(this.#said); ) {
      assert.ok(Date.now() < end && this.#child.exitCode === null, this.#said);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#seen = this.#said;
    this.#said = "";
  }

  async stop(): Promise<number> {
    this.#child.kill("SIGINT");
    const [code] = await once(this.#child, "exit");
    return code as number;
  }
}

function refuses(ended: Ended, status: number, text: RegExp): void {
  assert.equal(ended.status, status, ended.stderr);
  assert.match(ended.stderr, text);
  assert.ok(ended.stderr.trim().split("\n").length <= 2, ended.stderr);
}
