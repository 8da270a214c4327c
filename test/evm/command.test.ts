/** The command from outside: what it prints of good blocks, and what it says of those that are not. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { parseBlock, readBlock, readCodes } from "../../examples/evm/block.ts";
import { evmRuntime } from "../../examples/evm/demo.ts";
import { encodeBlock } from "../../examples/evm/encode.ts";
import type { UsageError } from "../../runtime/errors.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BLOCKS = join(ROOT, "examples/evm/blocks");
/** Spurious Dragon, 22 transactions. */
const BLOCK = "4369999";

const directory = mkdtempSync(join(tmpdir(), "stillpoint-evm-"));
after(() => rmSync(directory, { recursive: true }));
copyFileSync(join(BLOCKS, "codes-0.json.gz"), join(directory, "codes-0.json.gz"));

function evm(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const command = [join(ROOT, "examples/evm/main.ts"), "--workers", "1", ...args];
  return spawnSync(process.execPath, command, { encoding: "utf8" });
}

interface Json {
  [name: string]: Json & string;
}

const good = gunzipSync(readFileSync(join(BLOCKS, `${BLOCK}.json.gz`))).toString("utf8");

/** The block with changes, which are made to its JSON. */
function changed(change: (block: Json) => void): string {
  const block = JSON.parse(good);
  change(block);
  return JSON.stringify(block);
}

test("a block is a row, and the last line has the totals", () => {
  const { status, stdout, stderr } = evm("--block", BLOCK);
  assert.deepEqual([status, stderr], [0, ""]);
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.length, 4);
  assert.match(
    lines[0] as string,
    /^ +block +fork +transactions +calls +gas +receipts +Mgas\/s +runtime root +ran$/,
  );
  assert.match(
    lines[1] as string,
    /^ +4369999 +spuriousDragon +22 +17 +6,630,311 +gas and bloom agree .* in the loop$/,
  );
  assert.match(
    lines[2] as string,
    /^2 batches of 44 items, 0 in parallel; 44 in the loop: to see what they cost/,
  );
  assert.match(
    lines[3] as string,
    /^1 of 1 blocks agree .*: 22 transactions, 17 calls, 6,630,311 gas in [\d.]+ s, \d+ Mgas\/s\.$/,
  );
});

test("a header that says something else: exit code 1, and both values", () => {
  const block = changed((block) => set(block.expected as Json, "gasUsed", "0x1"));
  writeFileSync(join(directory, `${BLOCK}.json.gz`), gzipSync(block));
  const { status, stdout, stderr } = evm("--blocks", directory, "--json");
  assert.equal(status, 1);
  const line = JSON.parse(stdout);
  assert.deepEqual([line.agrees, line.gasUsed], [false, 6630311]);
  assert.equal(stderr, `block ${BLOCK}: gasUsed is 6630311, the header says 1\n`);
});

/** What makes a block invalid: it runs, fails, and nothing is committed. */
const invalid: readonly (readonly [what: string, change: (block: Json) => void, says: RegExp])[] = [
  [
    "a damaged signature",
    (b) => flip(transaction(b, 3), "r"),
    /transaction 3 is not valid: its (nonce|sender|signature)/,
  ],
  [
    "a signature of zero",
    (b) => set(transaction(b, 3), "s", "0x0"),
    /transaction 3 is not valid: its signature/,
  ],
  [
    "another nonce",
    (b) => set(b, "transactions", [...all(b).slice(0, 2), all(b)[0]]),
    /transaction 2 is not valid: its nonce/,
  ],
  [
    "no balance",
    (b) =>
      Object.values(b.accounts as Json).forEach((one) => {
        one.balance = "0x0" as never;
      }),
    /transaction 0 is not valid: its sender cannot pay/,
  ],
  [
    "a gas limit that is too low",
    (b) => set(b.env as Json, "gasLimit", "0x186a0"),
    /transaction \d+ is not valid: its gas limit exceeds/,
  ],
];

test("an invalid transaction makes its block invalid, with the reason; nothing is committed", async () => {
  const codes = readCodes(directory);
  const { runtime, programs } = await evmRuntime({ workers: 1 });
  try {
    for (const [what, change, says] of invalid) {
      const block = parseBlock(changed(change), what);
      await assert.rejects(runtime.produce(encodeBlock(block, codes, programs)), says, what);
      assert.equal(runtime.head.height, 0);
    }
  } finally {
    await runtime.close();
  }
});

test("a block that is not valid is a row, and the exit code is 1", () => {
  const [, change, says] = invalid[0] as (typeof invalid)[0];
  writeFileSync(join(directory, `${BLOCK}.json.gz`), gzipSync(changed(change)));
  const { status, stdout, stderr } = evm("--blocks", directory);
  assert.equal(status, 1);
  assert.match(stdout, /^ +4369999 .* not valid$/m);
  assert.match(stdout, /^0 of 1 blocks agree with their headers\.$/m);
  assert.match(stderr, says);
});

/** What is refused before anything runs, with the place and what stands there. */
const refused: readonly (readonly [what: string, change: (block: Json) => void, says: RegExp])[] = [
  [
    "no environment",
    (b) => remove(b, "env"),
    /4369999\.json\.gz: env: expected a value, found no such field/,
  ],
  ["no gas limit", (b) => remove(b.env as Json, "gasLimit"), /env\.gasLimit: expected a value/],
  [
    "a number out of range",
    (b) => set(b.env as Json, "timestamp", `0x1${"0".repeat(16)}`),
    /env\.timestamp: expected an integer below 2\^64/,
  ],
  [
    "a number that is a string",
    (b) => set(b.env as Json, "number", "4369999"),
    /env\.number: expected an integer/,
  ],
  ["an unknown fork", (b) => set(b, "fork", "atlantis"), /fork: expected a known fork, found "atlantis"/],
  [
    "a transaction without a value",
    (b) => remove(transaction(b, 1), "value"),
    /transactions\[1\]\.value: expected a value/,
  ],
  [
    "a transaction of an unknown type",
    (b) => set(transaction(b, 1), "type", "0x7f"),
    /transactions\[1\]\.type: expected/,
  ],
  [
    "a balance out of range",
    (b) => set(account(b), "balance", `0x1${"0".repeat(64)}`),
    /balance: expected an integer below 2\^256/,
  ],
  [
    "a code that is nowhere",
    (b) => set(account(b), "codeHash", `0x${"1".repeat(64)}`),
    /the code 0x1{64} is in no file codes/,
  ],
];

test("a block that lacks something or has numbers out of range is refused, with the place", () => {
  const codes = readCodes(directory);
  const none = { evm: new Uint8Array(32), senders: new Uint8Array(32) };
  for (const [what, change, says] of refused) {
    const use = () => encodeBlock(parseBlock(changed(change), "4369999.json.gz"), codes, none);
    assert.throws(
      use,
      (error: UsageError) => error.code === "BAD_BLOCK_FILE" && says.test(error.message),
      what,
    );
  }
});

test("files that are not what they should be are refused", () => {
  const file = join(directory, `${BLOCK}.json.gz`);
  const renumbered = changed((block) => set(block.env as Json, "number", "0x1"));
  for (const [bytes, says] of [
    [gzipSync("{"), /is not JSON/],
    [gzipSync("[]"), /expected an object|expected a value/],
    [Buffer.from("plain"), /cannot be read/],
    [gzipSync(good).subarray(0, 5000), /cannot be read/],
    [gzipSync(renumbered), /env\.number: the file holds block 1; give it that name/],
  ] as const) {
    writeFileSync(file, bytes);
    assert.throws(() => readBlock(file), says);
  }
});

test("options that cannot be used are refused", () => {
  for (const [args, says] of [
    [["--trace", "0"], /--trace needs one block of the 12 there: choose it with --block/],
    [["--block", BLOCK, "--trace", "22"], /block 4369999 has 22 transactions, none with index 22/],
    [["--block", "5"], /holds no block 5; it has 116525, /],
    [["--blocks", tmpdir()], /holds no block/],
  ] as const) {
    const { status, stdout, stderr } = evm(...args);
    assert.match(stderr, says);
    assert.deepEqual([status, stdout], [2, ""]);
  }
});

test("--trace prints a line for each opcode, and a summary", () => {
  const { status, stdout, stderr } = evm("--block", BLOCK, "--trace", "20");
  assert.deepEqual([status, stderr], [0, ""]);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const keys = ["pc", "op", "gas", "gasCost", "memSize", "stack", "depth", "returnData", "refund", "opName"];
  for (const line of lines.slice(0, -1)) assert.deepEqual(Object.keys(line), keys);
  assert.deepEqual(Object.keys(lines.at(-1)), ["output", "gasUsed", "pass"]);
});

function all(block: Json): Json[] {
  return block.transactions as unknown as Json[];
}

function transaction(block: Json, index: number): Json {
  return all(block)[index] as Json;
}

/** The first account. */
function account(block: Json): Json {
  return Object.values(block.accounts as Json)[0] as Json;
}

function set(object: Json, name: string, value: unknown): void {
  object[name] = value as never;
}

function remove(object: Json, name: string): void {
  delete object[name];
}

/** Changes the last digit. */
function flip(object: Json, name: string): void {
  const value = object[name] as string;
  set(object, name, `${value.slice(0, -1)}${value.endsWith("1") ? "2" : "1"}`);
}
