/** The commands from outside: what they print where, what they refuse, and with which exit code. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { addSources } from "../runtime/debug.ts";
import { GuestFault, TestProcess } from "../runtime/testing.ts";
import { OWN_BLOCKS } from "./shared-data.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

function run(script: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(ROOT, script), ...args], { encoding: "utf8" });
}

const start = (...args: string[]) => run("examples/ledger/main.ts", ...args);

/** A directory for one test with copies of some of the repository's blocks. */
function directoryWith(t: { after(run: () => void): void }, ...blocks: string[]): string {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-cli-"));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const block of blocks)
    copyFileSync(join(OWN_BLOCKS, `${block}.json`), join(directory, `${block}.json`));
  return directory;
}

function expectedOf(number: number): Record<string, unknown> {
  const all = JSON.parse(readFileSync(join(OWN_BLOCKS, "expected.json"), "utf8"));
  return all.find((entry: { number: number }) => entry.number === number);
}

test("without options the ledger runs the repository's blocks and prints a table", () => {
  const { status, stdout, stderr } = start();
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "", "no progress where there is no terminal");
  const lines = stdout.trim().split("\n");
  assert.match(lines[0]!, /^ *block +transactions +applied +root +gas +ms$/);
  assert.equal(lines.length, 1 + 12 + 2);
  assert.match(lines[12]!, /^19807137 +712 +712 +[0-9a-f]{64} +[\d,]+ +[\d.]+$/);
  assert.match(lines[13]!, /^12 batches of 3,221 items, [\d,]+ in parallel/);
  assert.equal(lines[14], "12 of 12 blocks agree with expected.json.");
});

test("--json prints one line for each block and nothing else, whatever the workers and the runner", () => {
  const runs = [
    ["--workers", "1"],
    ["--workers", "2"],
    ["--workers", "2", "--runner", "sequential"],
  ].map((options) => {
    const { status, stdout, stderr } = start("--json", ...options);
    assert.equal(status, 0, stderr);
    return stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  });
  const keys = ["number", "transactions", "applied", "badNonce", "insufficient", "burned", "stateDigest"];
  for (const line of runs[0]!) {
    assert.deepEqual(Object.keys(line), [...keys, "root", "gasUsed", "ms"]);
    assert.deepEqual(Object.fromEntries(keys.map((key) => [key, line[key]])), expectedOf(line.number));
    assert.match(line.root, /^[0-9a-f]{64}$/);
    assert.ok(Number.isSafeInteger(line.gasUsed) && line.gasUsed > 0);
  }
  const withoutTime = (lines: { ms: number }[]) => lines.map((line) => ({ ...line, ms: 0 }));
  assert.deepEqual(withoutTime(runs[1]!), withoutTime(runs[0]!));
  assert.deepEqual(withoutTime(runs[2]!), withoutTime(runs[0]!));
});

test("a difference from expected.json exits 1 and names the block and both values", (t) => {
  const directory = directoryWith(t, "46147", "9068998");
  const wrong = { ...expectedOf(46147), stateDigest: "0".repeat(64), applied: 0 };
  writeFileSync(join(directory, "expected.json"), JSON.stringify([wrong, expectedOf(9068998)]));
  const { status, stdout, stderr } = start("--blocks", directory, "--json", "--workers", "1");
  assert.equal(status, 1);
  assert.equal(stdout.trim().split("\n").length, 2);
  const digest = expectedOf(46147).stateDigest;
  assert.equal(
    stderr,
    "block 46147: applied is 1, expected.json says 0\n" +
      `block 46147: stateDigest is ${digest}, expected.json says ${"0".repeat(64)}\n`,
  );
});

test("--timeline writes a file for Chrome's trace viewer", (t) => {
  const directory = directoryWith(t, "46147", "9068998");
  const file = join(directory, "timeline.trace");
  const { status, stderr } = start("--blocks", directory, "--timeline", file, "--workers", "2");
  assert.equal(status, 0, stderr);
  const { traceEvents } = JSON.parse(readFileSync(file, "utf8"));
  const names = traceEvents.filter(({ ph }: { ph: string }) => ph === "X");
  assert.equal(names.filter(({ cat }: { cat: string }) => cat === "block").length, 1 + 2);
  const bad = start("--blocks", directory, "--timeline", join(file, "below"));
  assert.equal(bad.status, 2);
  assert.match(bad.stderr, /timeline\.trace\/below: cannot be written: E[A-Z]+/);
});

test("blocks without an expected.json run without being compared", (t) => {
  const { status, stdout, stderr } = start("--blocks", directoryWith(t, "46147"), "--workers", "1");
  assert.equal(status, 0, stderr);
  assert.equal(stdout.trim().split("\n").length, 3);
});

const refused: { args: string[]; says: RegExp }[] = [
  {
    args: ["--nonsense"],
    says: /^ledger: Unknown option '--nonsense'\nledger: --help lists what there is\n$/,
  },
  { args: ["stray"], says: /Unexpected argument 'stray'/ },
  { args: ["--json=yes"], says: /'--json' does not take an argument/ },
  { args: ["--blocks"], says: /'--blocks <value>' argument missing/ },
  { args: ["--blocks", "/no/such/directory"], says: /\/no\/such\/directory: cannot be read as a directory/ },
  { args: ["--blocks", "/dev/null"], says: /\/dev\/null: cannot be read as a directory/ },
  { args: ["--blocks", join(ROOT, "scripts")], says: /scripts: holds no block/ },
  { args: ["--runner", "fast"], says: /--runner must be parallel or sequential, got "fast"/ },
  ...["0", "-1", "65", "1.5", "two", "", "1e1", "0x2", "9".repeat(30)].map((workers) => ({
    args: [`--workers=${workers}`],
    says: /--workers must be a whole number from 1 to 64, got/,
  })),
];

for (const { args, says } of refused) {
  test(`ledger ${args.join(" ") || "''"} is refused with exit code 2`, () => {
    const { status, stdout, stderr } = start(...args);
    assert.equal(status, 2);
    assert.equal(stdout, "");
    assert.match(stderr, says);
    assert.ok(stderr.split("\n").length <= 3, "no stack trace");
  });
}

test("a bad block file is refused before any block runs", (t) => {
  const directory = directoryWith(t, "46147");
  writeFileSync(join(directory, "99999999.json"), "{");
  const { status, stdout, stderr } = start("--blocks", directory, "--json");
  assert.equal(status, 2);
  assert.equal(stdout, "");
  assert.match(stderr, /99999999\.json: is not JSON/);
});

test("--help says what a command takes", () => {
  for (const example of ["ledger", "parallel", "exchange"]) {
    const script = `examples/${example}/main.ts`;
    const { status, stdout, stderr } = run(script, "--help");
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /--workers N/);
  }
});

test("the parallel example finds equal roots and writes a picture", (t) => {
  const picture = join(directoryWith(t), "set.png");
  const { status, stdout, stderr } = run(
    "examples/parallel/main.ts",
    "--workers",
    "2",
    "--children",
    "5",
    "--out",
    picture,
  );
  assert.equal(status, 0, stderr);
  assert.match(stdout, /SHA-256 of 4,194,304 bytes/);
  assert.equal(readFileSync(picture).subarray(1, 4).toString("latin1"), "PNG");
});

test("the exchange agrees with its model, whatever the runner", () => {
  const runs = ["parallel", "sequential"].map((runner) => {
    const options = ["--wallets", "2", "--blocks", "2", "--workers", "2", "--runner", runner];
    const { status, stdout, stderr } = run("examples/exchange/main.ts", ...options);
    assert.equal(status, 0, stderr);
    const lines = stdout.trim().split("\n");
    assert.equal(lines.length, 1 + 2 + 3);
    assert.match(lines[3]!, /^Signatures: 2 batches of \d+ items, \d+ in parallel/);
    assert.match(lines[4]!, /^Transactions: 2 batches of \d+ items, \d+ in parallel/);
    assert.equal(lines[5], "All results and balances are those of the model.");
    // All but the last column, whose width depends on the time.
    return lines.slice(0, 3).map((line) => line.replace(/ +\S+$/, ""));
  });
  assert.deepEqual(runs[0], runs[1]);
});

test("an old Node prints which version is needed and how to get it", () => {
  const script = readFileSync(join(ROOT, "scripts/check-node.cjs"), "utf8");
  const pretend = `Object.defineProperty(process.versions, "node", { value: "20.20.2" });\n${script}`;
  const { status, stderr } = spawnSync(process.execPath, ["-e", pretend], { encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stderr, /needs Node 24 or later, but this is Node 20\.20\.2/);
  assert.match(stderr, /npm rebuild node/);
});

test("stillpoint compile --sources: stacks with lines of a module from elsewhere", async (t) => {
  const directory = directoryWith(t);
  const source = join(directory, "bank.ts");
  writeFileSync(
    source,
    `export function deposit(account: i64): i64 {
  if (account < 0) throw new Error("no such account");
  return account;
}
`,
  );
  const [out, plain] = [join(directory, "bank.wasm"), join(directory, "plain.wasm")];
  for (const args of [
    [source, "-o", out, "--sources"],
    [source, "-o", plain],
  ]) {
    const { status, stderr } = run("runtime/cli/main.ts", "compile", ...args);
    assert.equal(status, 0, stderr);
  }
  const program = readFileSync(out);
  assert.deepEqual(program, readFileSync(plain));
  const stack = async (): Promise<string> => {
    const bank = await TestProcess.open(program);
    try {
      bank.call("deposit", -1n);
    } catch (error) {
      assert.ok(error instanceof GuestFault);
      return error.message;
    }
    return "";
  };
  assert.doesNotMatch(await stack(), /bank\/deposit/);
  addSources(program, { map: readFileSync(`${out}.map`, "utf8"), named: readFileSync(`${out}.named`) });
  assert.match(await stack(), /bank\/deposit \(bank\.ts:2:20\)/);
});
