/**
 * The programs of pages: blocks of code in their order, with what the page leaves to its reader before and
 * after them. The blocks of a page that have names are files beside the program.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../cli/stillpoint.ts";
import { blockWith, type CodeBlock } from "./pages.ts";

export interface Program {
  readonly page: string;
  readonly blocks: readonly CodeBlock[];
  /** The blocks and what is around them. */
  readonly text: string;
  readonly files: Readonly<Record<string, string>>;
  readonly isTest: boolean;
}

interface Around {
  readonly files?: Readonly<Record<string, string>>;
  /** Whether it has tests; else it prints what the comments behind its calls of console.log say. */
  readonly isTest?: boolean;
}

type Block = (words: string) => string;

/** `code` is given a function that takes words which one block of the page has, and returns that block. */
function program(
  page: string,
  { files = {}, isTest = false }: Around,
  code: (block: Block) => string,
): Program {
  const blocks: CodeBlock[] = [];
  const text = code((words) => {
    const found = blockWith(page, words);
    blocks.push(found);
    return found.text;
  });
  return { page, blocks, text, files, isTest };
}

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const source = (path: string): string => JSON.stringify(new URL(`../../${path}`, import.meta.url).href);
const guest = (words: string): string => blockWith("guest/README.md", words).text;

const COUNTER = guest("a root that adds up the numbers in its blocks");
const COINS = read("examples/validator/guest/coins.ts");
const APP = guest("const journal = new StateVector");
const PEOPLE = `const [alice, bob] = ["0x${"a1".repeat(20)}", "0x${"b0".repeat(20)}"];\n`;

/** The tests on a page are run together. */
const TESTED = { files: { "app.ts": APP, "bank.ts": guest("export function depositAll") }, isTest: true };

/** A root that makes child 1 of the program whose hash its first block brings. */
const PARENT = `import { Child, check, memoryQuota, snapshot } from "stillpoint/guest";
const region: usize = memory.data(32, 8);
export function main(argument: i64): i64 {
  check(snapshot(region, 0, region, 32), "snapshot");
  check(Child.at(1).create(region, memoryQuota(64)).put(), "create");
  while (true) check(snapshot(region, 0, region, 32), "snapshot");
  return 0;
}
`;

export const PROGRAMS: readonly Program[] = [
  program(
    "README.md",
    { files: { "bank.ts": blockWith("README.md", "const fees = new StateCell").text } },
    (block) => block("const app = await App.open"),
  ),

  program(
    "guest/README.md",
    { files: { "counter.ts": COUNTER } },
    (block) => `${block('compileGuest("counter.ts")')}
console.log(block.data.join(), block.root.length); // 5,0,0,0,0,0,0,0 64
await runtime.close();`,
  ),
  program("guest/README.md", { files: { "app.ts": APP } }, (block) => {
    return `${PEOPLE}const [from, to] = [alice, bob];
${block("as if it came first in the next block")}
await app.close();`;
  }),
  program(
    "guest/README.md",
    { files: { "app.ts": APP } },
    (block) => `${block("const alice = Signer.generate()")}\nawait app.close();`,
  ),
  program(
    "guest/README.md",
    TESTED,
    (block) => block("const bank = await TestContract.open") + block("import { expectGas }"),
  ),
  program(
    "guest/README.md",
    { files: { "app.ts": APP, "app-2.ts": APP.replace('"overdraft"', '"not enough"') } },
    (block) => PEOPLE + block("import { compareVersions"),
  ),
  program(
    "guest/README.md",
    TESTED,
    (block) =>
      `import assert from "node:assert/strict";
${PEOPLE}${block("import { ScenarioRunner }").replace("numRuns: 20", "numRuns: 2")}`,
  ),
  program(
    "guest/README.md",
    { files: { "parent.ts": PARENT, "child.ts": guest("Input: numbers of accounts, u32") } },
    (block) => `import { programHash, Runtime } from "stillpoint";
import { compileGuest } from "stillpoint/compile";
const child = await compileGuest("child.ts");
const runtime = await Runtime.open({ root: await compileGuest("parent.ts"), programs: [child] });
await runtime.produce(programHash(child));
${block('runtime.call([1], "balances"')}
console.log(code, output.length, gasUsed > 0); // 2n 16 true
await runtime.close();`,
  ),
  program("guest/README.md", TESTED, (block) => block("const bank = await TestProcess.open")),
  program(
    "guest/README.md",
    { files: { "counter.ts": COUNTER } },
    (block) => `import { Runtime } from "stillpoint";
import { compileGuest } from "stillpoint/compile";
const runtime = await Runtime.open({ root: await compileGuest("counter.ts") });
const metadata = Uint8Array.of(1, 2, 3); // too short
${block("import { formatFaults }").replace("\n// /1", " // / faulted: abort: …\n// /1")}
await runtime.close();`,
  ),

  program(
    "docs/cli.md",
    { files: { "bank.ts": read("examples/project/guest/bank.ts") } },
    (block) => `import { App } from "stillpoint/app";
import { compileGuest } from "stillpoint/compile";
import { testAccounts } from ${source("runtime/node/accounts.ts")};
import { Node } from ${source("runtime/node/node.ts")};
import { readInterface } from ${source("runtime/typed/interface.ts")};
const setup = { Bank: { holders: testAccounts().map(({ address }) => address), amount: 1000n } };
const program = await compileGuest("bank.ts");
const served = await App.open({ program, setup });
const node = await Node.open({ app: served, description: () => readInterface(program) });
${block("const app = await connect").replace('"http://127.0.0.1:8545"', "node.url")}
await node.close();`,
  ),

  program(
    "docs/embedding.md",
    { files: { "bank.ts": blockWith("README.md", "const fees = new StateCell").text } },
    (block) => `import { serveAbci } from "stillpoint/abci";
import { App, signed } from "stillpoint/app";
import { validator } from "stillpoint/validator";
${withFreePort(block("authenticate: signed()"))}
console.log(server.address); // tcp://127.0.0.1:…
await server.close();
await app.close();`,
  ),
  program(
    "docs/embedding.md",
    { files: { "counter.ts": COUNTER } },
    (block) => `import { Runtime } from "stillpoint";
import { compileGuest } from "stillpoint/compile";
const root = await compileGuest("counter.ts");
const [metadata, other] = [1n, 2n].map((n) => new Uint8Array(new BigUint64Array([n]).buffer));
const first = await Runtime.open({ root, store: "state" });
for (let i = 0; i < 8; i++) await first.produce(metadata);
await first.close();
${block("await runtime.reorg({ to: 7")}
console.log(runtime.head.height, runtime.head.data[0]); // 8 9
await runtime.close();`,
  ),

  program("docs/log.md", { files: { "counter.ts": COUNTER } }, (block) =>
    block("const sequencer = await sequence"),
  ),

  program("docs/observing.md", { files: { "counter.ts": COUNTER } }, (block) => block("readRecording(")),
  program("docs/observing.md", { files: { "counter.ts": COUNTER } }, (block) =>
    block("metricsText(runtime)").replaceAll("9464", String(30_000 + (process.pid % 20_000))),
  ),
  program(
    "docs/observing.md",
    { files: { "counter.ts": COUNTER } },
    (block) => `${block("exportSpans(runtime)")}
console.log(runtime.head.height); // 1`,
  ),

  program(
    "docs/upgrading.md",
    {
      files: {
        "parent.ts": PARENT,
        "child.ts": `export const STATE_BYTES: u32 = 1 << 16;
export function migrate(x: i64): i64 { return x; }`,
      },
    },
    (block) => `import { programHash, Runtime } from "stillpoint";
import { compileGuest } from "stillpoint/compile";
const [child, wasm] = [await compileGuest("child.ts"), await compileGuest("child.ts", { optimize: false })];
const runtime = await Runtime.open({ root: await compileGuest("parent.ts"), programs: [child] });
await runtime.produce(programHash(child));
const metadata = new Uint8Array();
${block("await runtime.produce(metadata, {")}
console.log(runtime.inspect([1])?.program === Buffer.from(programHash(wasm)).toString("hex")); // true
await runtime.close();`,
  ),
  program("docs/upgrading.md", {}, (block) =>
    [
      'App.open({ contract: "names.ts"',
      'compileGuest("ledger.ts")',
      'compileGuest("counted.ts")',
      'compileGuest("fixed.ts")',
      'costs: "doubled"',
      "const again = await Runtime.open",
    ]
      .map(block)
      .join(""),
  ),

  program(
    "docs/validators.md",
    { files: { "coins.ts": COINS } },
    (block) => `import { readFile, writeFile } from "node:fs/promises";
import { serveAbci } from "stillpoint/abci";
import { App, signed } from "stillpoint/app";
import { compileGuest } from "stillpoint/compile";
import { verify, verifyHeader } from "stillpoint/proof";
import { validator } from "stillpoint/validator";
const chain = {};
const owner = "0x${"a1".repeat(20)}" as const;
const setup = { Coins: { owner, holders: [owner], amount: 1_000n } };
{
  ${block("await app.produce();").replace('"state"', '"alone"')}
  await app.close();
}
{
  ${withFreePort(block("validator(app, chain), {"))}
  const data = Buffer.from(JSON.stringify({ path: [1], address: 0, length: 8 }));
  const response: any = await validator(app, chain).query({ path: "/prove", data, height: 0n } as any);
  const appHash = app.head.id;
  ${block("response.proofOps.ops")}
  console.log(bytes.length); // 8
  await server.close();
  await app.close();
}
{
  const authenticate = signed({ chain: "coins" });
  ${withFreePort(block("everyBlocks: 1_000"))}
  await server.close();
}
await writeFile("coins-2.wasm", await compileGuest("coins.ts"));
{
  ${block('readFile("coins-2.wasm")')}
  const upgrades: any = new Map([[7, { name: "ab" }]]);
  console.log(chain.programs.length, [7, 8].map((at) => chain.upgrade({ upgrades }, at)).join()); // 1 ab,
}`,
  ),

  program(
    "examples/producer/README.md",
    {},
    (block) => `import { type Contract } from ${source("examples/producer/bank.ts")};
import { ProducerNode } from ${source("examples/producer/node.ts")};
import { bytesOf, Wallet } from ${source("examples/producer/wallet.ts")};
const [alice, bob] = [1, 2].map((byte) => new Wallet(new Uint8Array(32).fill(byte))) as [Wallet, Wallet];
const node = await ProducerNode.open({ store: "state", founder: alice.address, everyMs: 2, count: 100 });
const chain = node.bank.runtime.genesis;
${block("await connect<Contract>").replace('"http://127.0.0.1:8545"', "node.url")}
console.log(known.ok && known.value.sequence, paid.ok && paid.value); // 0n 999999999999960
await node.stop();`,
  ),

  program(
    "runtime/proof/README.md",
    { files: { "parent.ts": PARENT, "child.ts": "export const data: usize = memory.data(1 << 17);\n" } },
    (block) => `import { programHash } from "stillpoint";
import { compileGuest } from "stillpoint/compile";
const child = await compileGuest("child.ts");
const runtime = await Runtime.open({ root: await compileGuest("parent.ts"), programs: [child] });
await runtime.produce(programHash(child));
{
  const { root } = runtime.head;
  const use = (bytes) => console.log(bytes.length); // 200
  ${importsOf(block("const proof = runtime.prove")).body.replace("[1, 4]", "[1]")}
}
{
  const block = runtime.head;
  const { id } = block;
  ${importsOf(block("runtime.blockHeader(block)")).body}
  console.log(root === block.root && height === 1 && parent === block.parent); // true
}
await runtime.close();
import { Runtime } from "stillpoint";
import { verify, verifyHeader } from "stillpoint/proof";`,
  ),
];

/** Another port than the usual one, which something else may have. */
function withFreePort(text: string): string {
  return text.replace(/serveAbci\((.*)\)/, (_, given: string) => {
    const address = 'address: "tcp://127.0.0.1:0"';
    return given.endsWith("}")
      ? `serveAbci(${given.slice(0, -1)}, ${address} })`
      : `serveAbci(${given}, { ${address} })`;
  });
}

/** A block without its imports, which cannot stand in braces. */
function importsOf(text: string): { readonly body: string } {
  return { body: text.replace(/^import .*$/gm, "") };
}
