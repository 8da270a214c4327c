/**
 * The package as a stranger gets it: packed, installed into an empty project, used through its name. Node
 * strips no types below node_modules, so this is the only test that runs what is published.
 */

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const { CI: _, ...environment } = process.env;
/** The Node that runs this test comes first for npm and for the installed command as well. */
const env = {
  ...environment,
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
  NODE_TEST_CONTEXT: "",
};

const project = mkdtempSync(join(tmpdir(), "stillpoint-package-"));

function inProject(
  command: string,
  args: readonly string[],
): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: project, env, encoding: "utf8" });
  return { status, stdout, stderr };
}

const stillpoint = (...args: string[]) => inProject(join(project, "node_modules/.bin/stillpoint"), args);

before(() => {
  const npm = (args: string[], cwd: string): string =>
    execFileSync("npm", args, { cwd, env, encoding: "utf8" });
  npm(["pack", "--silent", "--pack-destination", project], ROOT);
  const tarball = readdirSync(project).find((name) => name.endsWith(".tgz"));
  assert.ok(tarball);
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ name: "stranger", private: true, type: "module" }),
  );
  npm(["install", "--silent", "--prefer-offline", "--no-audit", "--no-fund", `./${tarball}`], project);
});

after(() => rmSync(project, { recursive: true }));

test("the package holds what it runs and no tests", () => {
  const installed = join(project, "node_modules/stillpoint");
  assert.deepEqual(
    readdirSync(installed)
      .filter((name) => name !== "node_modules")
      .sort(),
    ["LICENSE", "README.md", "dist", "docs", "examples", "guest", "package.json", "syscalls"],
  );
  assert.equal(readdirSync(join(installed, "dist/examples/ledger/blocks")).length, 13);
});

test("each entry point and the command name the version that an old Node lacks, in one sentence", () => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  // The verifier of proofs and the numbers of the calls run anywhere; three entry points need peers.
  const others = ["./proof", "./syscalls"];
  const peers = ["@bufbuild", "@opentelemetry"].map((name) => join(project, "node_modules", name));
  for (const peer of peers) symlinkSync(join(ROOT, "node_modules", basename(peer)), peer);
  const entries = Object.entries<{ default?: string }>(exports)
    .filter(([name, { default: file }]) => file !== undefined && !others.includes(name))
    .map(([name]) => `stillpoint${name.slice(1)}`);
  assert.ok(entries.length > 9, entries.join());
  writeFileSync(
    join(project, "old.mjs"),
    `const versions = { ...process.versions, node: "22.9.0" };
     Object.defineProperty(process, "versions", { value: versions });
     for (const name of ${JSON.stringify(entries)})
       await import(name).then(
         () => console.log("loaded", name),
         ({ code, message }) => console.log(code, message),
       );
     process.argv.splice(1, 1, "stillpoint", "--help");
     await import(${JSON.stringify(`${project}/node_modules/stillpoint/dist/runtime/cli/main.js`)});`,
  );
  const { status, stdout, stderr } = inProject(process.execPath, ["old.mjs"]);
  for (const peer of peers) rmSync(peer);
  const sentence = "needs Node 24 or later, this is 22.9.0: update it\n";
  assert.equal(stdout, `NODE_TOO_OLD stillpoint ${sentence}`.repeat(entries.length));
  assert.deepEqual([status, stderr], [2, `stillpoint: ${sentence}`]);
});

test("the core of batches comes compiled", () => {
  writeFileSync(
    join(project, "core.js"),
    `import { coreModule } from "./node_modules/stillpoint/dist/runtime/batch/core.js";
     console.log(WebAssembly.Module.exports(await coreModule()).some(({ name }) => name === "finish"));`,
  );
  const { status, stdout, stderr } = inProject(process.execPath, ["core.js"]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, "true\n");
});

test("a local node needs no package that is optional", () => {
  writeFileSync(join(project, "bad.ts"), "export function f(a: i64): i64 { return a; }\n");
  const { status, stderr } = stillpoint("dev", "bad.ts");
  assert.match(stderr, /^stillpoint dev: the program has no interface/);
  assert.equal(status, 1);
});

test("CometBFT is served with the package that has its messages", () => {
  mkdirSync(join(project, "node_modules/@bufbuild"), { recursive: true });
  symlinkSync(
    join(ROOT, "node_modules/@bufbuild/protobuf"),
    join(project, "node_modules/@bufbuild/protobuf"),
  );
  writeFileSync(
    join(project, "abci.js"),
    `import { serveAbci } from "stillpoint/abci";
     const server = await serveAbci({}, { address: "tcp://127.0.0.1:0" });
     console.log(server.address.replace(/\\d+$/, "port"));
     await server.close();`,
  );
  const { status, stdout, stderr } = inProject(process.execPath, ["abci.js"]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, "tcp://127.0.0.1:port\n");
});

test("a script runs a block through the API", () => {
  writeFileSync(
    join(project, "use.js"),
    `import { readFileSync } from "node:fs";
     import { programHash, Runtime } from "stillpoint";
     import "stillpoint/debug";
     import { verify } from "stillpoint/proof";
     import "stillpoint/store";
     import { TestProcess } from "stillpoint/testing";
     import { ABI_VERSION } from "stillpoint/syscalls";
     const guests = new URL("./node_modules/stillpoint/dist/examples/ledger/guest/", import.meta.url);
     const root = readFileSync(new URL("root.wasm", guests));
     const ledger = readFileSync(new URL("ledger.wasm", guests));
     const runtime = await Runtime.open({ root, programs: [ledger], workers: 2 });
     const before = runtime.head.root;
     await runtime.produce(new Uint8Array(3)).catch((error) => console.log(error.code));
     console.log(ABI_VERSION, runtime.head.height, runtime.head.root === before, programHash(root).length);
     console.log(verify(before, runtime.prove([7], 0, 1)).absent);
     await runtime.close();
     console.log((await TestProcess.open(ledger)).call("prepare", 4096n) % 4096n);`,
  );
  const { status, stdout, stderr } = inProject(process.execPath, ["use.js"]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, "BLOCK_FAULT\n2 0 true 32\nprocess\n0n\n");
});

test("an App runs a contract that the command has built, with the ready-made root of the package", () => {
  writeFileSync(
    join(project, "counter.ts"),
    `import { StateCell, contract, fail, transaction } from "stillpoint/guest";
     const total = new StateCell<u64>();
     @contract class Counter {
       @transaction add(amount: u64): u64 {
         if (amount == 0) fail("nothing");
         total.add(amount);
         return total.value;
       }
     }`,
  );
  const built = stillpoint("build", "counter.ts");
  assert.equal(built.status, 0, built.stderr);
  writeFileSync(
    join(project, "app.js"),
    `import { readFileSync } from "node:fs";
     import { App } from "stillpoint/app";
     const from = new Uint8Array(20);
     for (const source of [{ contract: "counter.ts" }, { program: readFileSync("counter.wasm") }]) {
       const app = await App.open({ ...source, workers: 1 });
       const { Counter } = app.client;
       const calls = [2n, 0n, 3n].map((amount) => app.submit(Counter.add({ amount }), { from }));
       await app.produce();
       console.log((await Promise.all(calls)).map(({ value, error, at }) => value ?? error + at).join());
       await app.close();
     }`,
  );
  const { status, stdout, stderr } = inProject(process.execPath, ["app.js"]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, "2,nothingcounter.ts:5,5\n".repeat(2));
});

test("the declarations type a stranger's program, without those of a browser", () => {
  writeFileSync(
    join(project, "use.ts"),
    `import { Runtime, type Block } from "stillpoint";
     import { compileGuest } from "stillpoint/compile";
     import { divergence } from "stillpoint/debug";
     import { verify } from "stillpoint/proof";
     import { openReader } from "stillpoint/store";
     import { PUT_SIZE } from "stillpoint/syscalls";
     import { TestProcess } from "stillpoint/testing";
     export const names = [TestProcess.name, verify.name, divergence.name, openReader.name];
     export async function run(): Promise<Block> {
       const runtime = await Runtime.open({ root: await compileGuest("root.ts"), workers: 1 });
       // @ts-expect-error: metadata is bytes
       await runtime.produce("metadata");
       return runtime.produce(new Uint8Array(PUT_SIZE));
     }`,
  );
  mkdirSync(join(project, "node_modules/@types"), { recursive: true });
  symlinkSync(join(ROOT, "node_modules/@types/node"), join(project, "node_modules/@types/node"));
  const options = [
    "--noEmit",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2024",
    "--lib",
    "es2024,esnext.disposable",
    "--types",
    "node",
    "--ignoreConfig",
  ];
  const { status, stdout } = inProject(process.execPath, [
    join(ROOT, "node_modules/typescript/bin/tsc"),
    ...options,
    "use.ts",
  ]);
  assert.equal(status, 0, stdout);
});

test("an editor knows the guest SDK, and the command compiles what it checks", () => {
  const guests = join(project, "guests");
  mkdirSync(guests);
  const config = { extends: "stillpoint/guest/tsconfig.json", include: ["**/*.ts"] };
  writeFileSync(join(guests, "tsconfig.json"), JSON.stringify(config));
  writeFileSync(
    join(guests, "root.ts"),
    `import { Child, snapshot } from "stillpoint/guest";
     import { put } from "stillpoint/guest/stillpoint";
     import { PUT_SIZE } from "stillpoint/syscalls/abi";
     const request: usize = memory.data(PUT_SIZE, 8);
     export function main(argument: i64): i64 {
       // @ts-expect-error: the name of an entry is text
       if (argument > 0) Child.at(1).start(5, 0, 0);
       return put(1, <i32>request) + snapshot(0, 0, request, 8);
     }`,
  );
  const checked = inProject(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", guests]);
  assert.equal(checked.status, 0, checked.stdout);
  const file = join(guests, "root.ts");
  writeFileSync(file, readFileSync(file, "utf8").replace(/^.*(expect-error|start).*\n/gm, ""));
  const { status, stderr } = stillpoint("compile", file, "-o", join(guests, "root.wasm"));
  assert.equal(status, 0, stderr);
});

test("the command runs the ledger, compiled guests included", () => {
  const { status, stdout, stderr } = stillpoint("ledger", "--json", "--workers", "2");
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "");
  assert.equal(stdout.trim().split("\n").length, 12);
});

test("the command executes Ethereum blocks, and says where they come from", () => {
  const none = stillpoint("evm");
  assert.equal(none.status, 2);
  assert.match(none.stderr, /--blocks.*examples\/evm\/blocks/);
  const blocks = join(project, "blocks");
  mkdirSync(blocks);
  for (const file of ["1796867.json.gz", "codes-0.json.gz"]) {
    symlinkSync(join(ROOT, "examples/evm/blocks", file), join(blocks, file));
  }
  const { status, stdout, stderr } = stillpoint("evm", "--blocks", blocks, "--json", "--workers", "2");
  assert.equal(status, 0, stderr);
  const line = JSON.parse(stdout);
  assert.equal(line.agrees, true);
  assert.deepEqual(line.compared, ["gasUsed", "logsBloom", "transactionsRoot"]);
});

test("the command runs the exchange", () => {
  const { status, stdout, stderr } = stillpoint("exchange", "--wallets", "1", "--workers", "1");
  assert.equal(status, 0, stderr);
  assert.match(stdout, /All results and balances are those of the model/);
});

test("the command compiles a guest against the SDK in the package, and admits it", () => {
  writeFileSync(
    join(project, "guest.ts"),
    `import { PUT_SIZE } from "stillpoint/syscalls/abi";
     export function run(argument: i64): i64 { return argument + PUT_SIZE; }`,
  );
  const compiled = stillpoint("compile", "guest.ts", "-o", "guest.wasm");
  assert.equal(compiled.status, 0, compiled.stderr);
  const admitted = stillpoint("admit", "guest.wasm");
  assert.equal(admitted.status, 0, admitted.stderr);
  assert.match(admitted.stdout, /^program {2}[0-9a-f]{64}\nentries {2}run\n/);
  writeFileSync(join(project, "broken.wasm"), readFileSync(join(project, "guest.wasm")).subarray(0, 40));
  assert.equal(stillpoint("admit", "broken.wasm").status, 1);
});

test("a new project runs from the package as it is", () => {
  const made = stillpoint("new", "hello");
  assert.equal(made.status, 0, made.stderr);
  const hello = join(project, "hello");
  const { NODE_TEST_CONTEXT: _context, ...plain } = env; // with it a test runner says nothing
  const inHello = (...args: string[]) => spawnSync("npm", args, { cwd: hello, env: plain, encoding: "utf8" });
  const tested = inHello("test");
  assert.equal(tested.status, 0, tested.stdout);
  assert.match(tested.stdout, /pass 3/);
  const started = inHello("start", "--silent");
  assert.equal(started.status, 0, started.stderr);
  assert.match(started.stdout, /paid: \{[^}]*ok: true[\s\S]*error: 'overdraft|error: 'no account/);
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const types = ["--typeRoots", join(ROOT, "node_modules/@types")];
  const typed = spawnSync(process.execPath, [tsc, "-p", hello, ...types], { env, encoding: "utf8" });
  assert.equal(typed.status, 0, typed.stdout);
  const biome = [join(ROOT, "node_modules/@biomejs/biome/bin/biome"), "check", "--error-on-warnings"];
  const linted = spawnSync(process.execPath, biome, { cwd: hello, env, encoding: "utf8" });
  assert.equal(linted.status, 0, linted.stderr);
});

test("the command says its version, its help and what it does not know", () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  assert.equal(stillpoint("--version").stdout, `${version}\n`);
  assert.match(stillpoint("--help").stdout, /^ {2}ledger /m);
  const unknown = stillpoint("nonsense");
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /no command "nonsense"/);
});
