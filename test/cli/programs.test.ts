/** `stillpoint new`, `build`, `interface`, `compile` and `admit`: what they write, print and refuse. */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { compileWithFlags } from "../../runtime/compile.ts";
import { admit } from "../../runtime/index.ts";
import { directoryWithPackage, ENV, MAIN, ROOT, stillpoint, stillpointIn } from "./stillpoint.ts";

const directory = directoryWithPackage("programs");
after(() => rmSync(directory, { recursive: true }));

const project = join(directory, "hello");
const contract = join(project, "contracts/bank.ts");

test("new makes a project, which builds as it is, and writes over nothing", () => {
  const made = stillpointIn(directory, "new", "hello");
  assert.equal(made.status, 0, made.stderr);
  assert.match(made.stdout, /next:\n {2}cd hello\n {2}npm test\n {2}npm start\nnpm install brings/);
  const checked = stillpointIn(project, "build", "--check");
  assert.deepEqual([checked.status, checked.stdout, checked.stderr], [0, "", ""]);
  const again = stillpointIn(directory, "new", "hello");
  assert.equal(again.status, 2);
  assert.match(again.stderr, /hello exists and is not an empty directory: give another one/);
  const { scripts, dependencies } = JSON.parse(readFileSync(join(project, "package.json"), "utf8"));
  assert.deepEqual(Object.keys(scripts), ["build", "test", "start", "dev", "check"]);
  assert.match(dependencies.stillpoint, /^file:/);
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const typed = spawnSync(process.execPath, [tsc, "-p", join(project, "contracts")], { encoding: "utf8" });
  assert.equal(typed.status, 0, typed.stdout);
});

test("build --check says what would change, and build keeps what lies somewhere", () => {
  const source = readFileSync(contract, "utf8");
  const edited = source.replace("const supply", "const extra = new StateCell<u64>();\nconst supply");
  writeFileSync(contract, edited.replace("return supply.value", "return supply.value + extra.value"));
  const checked = stillpoint("build", contract, "--check", "--json");
  assert.equal(checked.status, 1);
  assert.deepEqual(JSON.parse(checked.stdout).changed, [contract.replace(/\.ts$/, ".layout.json")]);
  assert.match(checked.stderr, /bank\.layout\.json would change: run stillpoint build/);
  const built = stillpoint("build", contract, "--json");
  assert.equal(built.status, 0, built.stderr);
  const { file, program } = JSON.parse(built.stdout);
  assert.equal(Buffer.from(admit(readFileSync(file)).hash).toString("hex"), program);
  writeFileSync(contract, source);
  const gone = stillpoint("build", contract);
  assert.deepEqual(
    [gone.status, gone.stderr],
    [0, "bank.ts: state extra is gone; its place stays reserved in the layout\n"],
  );
  assert.doesNotMatch(gone.stdout, /is new/);
  rmSync(contract.replace(/\.ts$/, ".layout.json"));
  assert.match(stillpoint("build", contract).stdout, /bank\.layout\.json is new: keep it/);
});

test("a source that does not compile is an answer, with its line", () => {
  const file = join(directory, "wrong.ts");
  writeFileSync(file, "export function f(a: i64): i64 { return b; }\n");
  for (const command of ["compile", "admit", "interface"]) {
    const { status, stderr } = stillpoint(command, file);
    assert.equal(status, 1, command);
    assert.match(stderr, /Cannot find name 'b'/);
  }
  writeFileSync(file, "export function f(a: i64): i64 { return a; }\n");
  const plain = stillpoint("build", file);
  assert.equal(plain.status, 1);
  assert.match(plain.stderr, /has no class marked @contract: use stillpoint compile/);
});

test("interface prints what the sources say, of the source and of the module", () => {
  const module = contract.replace(/\.ts$/, ".wasm");
  const [ofSource, ofModule] = [contract, module].map((file) => stillpoint("interface", file).stdout);
  assert.equal(ofSource, ofModule);
  assert.match(
    ofSource as string,
    /^contract Bank\n {2}setup {7}begin\(holders: Address\[\]\(100\), amount: u64\): void$/m,
  );
  assert.match(
    ofSource as string,
    /^state accounts: StateMap<Address, Account> for 100,000, [\d,]+ bytes at 64$/m,
  );
  const { functions } = JSON.parse(stillpoint("interface", module, "--json").stdout);
  assert.ok(functions.some((each: { name: string }) => each.name === "balanceOf"));
});

test("compile takes the compiler's options, and admit says what comes of it", () => {
  const file = join(directory, "plain.ts");
  writeFileSync(
    file,
    "export function limit(a: i64): i64 { return isDefined(LIMIT) ? <i64>LIMIT + a : a; }\n",
  );
  const options = ["--define", "LIMIT=7", "--maximum-memory", "9", "--initial-memory", "2"];
  const out = join(directory, "plain.wasm");
  const compiled = stillpoint("compile", file, ...options, "--no-cache");
  assert.equal(compiled.status, 0, compiled.stderr);
  const { memory, entries } = JSON.parse(stillpoint("admit", out, "--json").stdout);
  assert.deepEqual([memory, entries], [{ initialPages: 2, maximumPages: 9 }, ["limit"]]);
  assert.deepEqual(JSON.parse(stillpoint("admit", file, ...options, "--json").stdout).memory, memory);
  const other = stillpoint(
    "compile",
    file,
    "--base",
    directory,
    "--no-optimize",
    "-o",
    join(directory, "o.wasm"),
  );
  assert.equal(other.status, 0, other.stderr);
  assert.notDeepEqual(readFileSync(join(directory, "o.wasm")), readFileSync(out));
  writeFileSync(out, readFileSync(out).subarray(0, 30));
  const rejected = stillpoint("admit", out);
  assert.equal(rejected.status, 1);
  assert.match(rejected.stdout, /^rejected {2}\S+\nfunction {2}none\noffset {4}\d+\n$/);
});

test("admit warns of static data where the state is, or an item's input", async () => {
  const source = `export const STATE_BYTES: u32 = 1 << 16;
    const table = memory.data<u8>([1, 2, 3]);
    export function item(length: i64): i64 { return load<u8>(table + <usize>length); }`;
  const file = join(directory, "low.ts");
  writeFileSync(file, source);
  const module = join(directory, "low.wasm");
  for (const [memoryBase, warning] of [
    [1024, /static data begins at 1024, in the state of 65536 bytes or the inbox/],
    [0x18000, /static data begins at 98304, /],
    [0x20000, /^null$/],
  ] as const) {
    const flags = ["--memoryBase", `${memoryBase}`, "--initialMemory", "3", "--runtime", "stub"];
    writeFileSync(module, await compileWithFlags(file, directory, flags));
    const admitted = stillpoint("admit", module, "--json");
    assert.equal(admitted.status, 0, "the verdict is that of consensus");
    assert.match(`${JSON.parse(admitted.stdout).warning}`, warning);
    assert.equal(/low\.wasm: warning: static data/.test(admitted.stderr), memoryBase < 0x20000);
  }
});

test("build --watch builds at each change until it is interrupted", async () => {
  const watched = join(directory, "watched.ts");
  const source = readFileSync(contract, "utf8");
  writeFileSync(watched, source);
  const child = spawn(process.execPath, [MAIN, "build", watched, "--watch"], { env: ENV });
  child.stdout.setEncoding("utf8");
  child.stderr.setEncoding("utf8");
  let out = "";
  let errors = "";
  child.stdout.on("data", (text: string) => {
    out += text;
  });
  child.stderr.on("data", (text: string) => {
    errors += text;
  });
  const until = async (done: () => boolean): Promise<void> => {
    for (const give = Date.now() + 60_000; !done(); ) {
      assert.ok(Date.now() < give, `${out}\n${errors}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const builds = (): number => out.split("\nprogram ").length - 1;
  await until(() => builds() === 1);
  writeFileSync(watched, source.replace("overdraft", "too little"));
  await until(() => builds() === 2);
  writeFileSync(watched, source.replace("from.balance < amount", "from.balanc < amount"));
  await until(() => errors.includes("balanc"));
  writeFileSync(watched, source);
  await until(() => builds() === 3);
  assert.ok(existsSync(join(directory, "watched.wasm")));
  child.kill("SIGINT");
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
});

test("on a terminal long work shows progress; in a pipe nothing does", (t) => {
  const script = spawnSync("script", ["--version"]);
  if (script.error !== undefined) return t.diagnostic("there is no program script here");
  const slow = join(directory, "slow.ts");
  const functions = Array.from(
    { length: 2000 },
    (_, i) => `export function f${i}(a: i64): i64 { return a * ${i}; }`,
  );
  writeFileSync(slow, functions.join("\n"));
  const line = [process.execPath, MAIN, "compile", slow, "--no-cache"].map((word) => `'${word}'`).join(" ");
  const terminal = spawnSync("script", ["-qec", line, "/dev/null"], { encoding: "utf8", env: ENV });
  assert.equal(terminal.status, 0, terminal.stdout);
  assert.match(terminal.stdout, /compiling .*: \d+\.\d s/);
  const piped = stillpoint("compile", slow, "--no-cache");
  assert.deepEqual([piped.status, piped.stderr], [0, ""]);
});
