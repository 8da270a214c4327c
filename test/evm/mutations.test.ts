/**
 * Faults planted in the EVM's sources: the official state tests or a real block must find each of them. What
 * is compiled is the whole program, with one place changed.
 */

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createMPT } from "@ethereumjs/mpt";
import { readBlock, readCodes } from "../../examples/evm/block.ts";
import { encodeBlock } from "../../examples/evm/encode.ts";
import { PlainEvm } from "../../examples/evm/plain.ts";
import type { Receipt } from "../../examples/evm/receipt.ts";
import { encodeRlp } from "../../examples/evm/rlp.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { runStateTests } from "./official.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BLOCKS = join(ROOT, "examples/evm/blocks");
/** Rules of Berlin, 201 transactions. */
const BLOCK = 12459406;

interface Mutation {
  readonly what: string;
  /** Of the EVM's sources. */
  readonly file: string;
  /** Stands there once. */
  readonly find: string;
  readonly put: string;
  /** Group of state tests that must find it; none: the block must. */
  readonly group?: string;
}

const MUTATIONS: readonly Mutation[] = [
  {
    what: "a wrong gas constant",
    file: "rules.ts",
    find: "COLD_SLOT: i64 = 2100;",
    put: "COLD_SLOT: i64 = 2099;",
    group: "stSStoreTest",
  },
  {
    what: "a dropped journal entry",
    file: "cache.ts",
    find: "  saveWord(entry + VALUE);\n",
    put: "",
    group: "stRevertTest",
  },
  {
    what: "credits that nobody gets",
    file: "cache.ts",
    find: "return flushCredit(entry, clearing);",
    put: "return;",
    group: "stSelfBalance",
  },
  {
    what: "a look at a balance that does not see the credit",
    file: "cache.ts",
    find: "  addTo(entry + BALANCE, entry + CREDIT);\n",
    put: "",
  },
  {
    what: "logs out of order",
    file: "receipt.ts",
    find: "at = writeLog(at, log);",
    put: "at = writeLog(at, next(log) < last ? next(log) : logsArena);",
  },
  {
    what: "warm slots that the next item finds warm",
    file: "cache.ts",
    find: "  copyWord(entry + VALUE, record + world.RECORD_VALUE);\n",
    put: `  copyWord(entry + VALUE, record + world.RECORD_VALUE);
  store<u64>(entry, load<u64>(record, 120), SLOT_MARKS);
  store<u64>(record, 1, 120);\n`,
  },
];

const directory = mkdtempSync(join(tmpdir(), "stillpoint-mutations-"));
after(() => rmSync(directory, { recursive: true }));
for (const folder of ["examples/evm/guest", "guest", "syscalls"]) {
  cpSync(join(ROOT, folder), join(directory, folder), { recursive: true });
}
const guests = join(directory, "examples/evm/guest");

/** The EVM with one place changed, or as it is. Not optimised: that takes longer than what runs. */
async function evmWith(mutation: Mutation | null): Promise<Uint8Array> {
  const options = { enable: ["simd"], optimize: false, baseDirectory: directory } as const;
  const compile = () => compileGuest(join(guests, "evm.ts"), options);
  if (mutation === null) return compile();
  const file = join(guests, mutation.file);
  const source = readFileSync(file, "utf8");
  assert.equal(source.split(mutation.find).length, 2, `${mutation.file} has "${mutation.find}" once`);
  writeFileSync(
    file,
    source.replace(mutation.find, () => mutation.put),
  );
  try {
    return await compile();
  } finally {
    writeFileSync(file, source);
  }
}

const block = readBlock(join(BLOCKS, `${BLOCK}.json.gz`));
const codes = readCodes(BLOCKS);

/** Whether the block comes to what its header says. */
async function agrees(program: Uint8Array): Promise<boolean> {
  const evm = new PlainEvm(new WebAssembly.Module(program as BufferSource));
  const none = { evm: new Uint8Array(32), senders: new Uint8Array(32) };
  evm.begin(encodeBlock({ ...block, transactions: [] }, codes, none));
  let used = 0n;
  const receipts = await createMPT();
  for (const [i, { bytes, from }] of block.transactions.entries()) {
    const sender = Buffer.concat([Buffer.from((from as string).slice(2), "hex").reverse(), Buffer.alloc(12)]);
    const receipt = evm.transact(sender, bytes);
    if (typeof receipt === "bigint") return false;
    used += receipt.gasUsed;
    await receipts.put(encodeRlp(BigInt(i)), encodeReceipt(receipt, used));
  }
  const root = `0x${Buffer.from(receipts.root()).toString("hex")}`;
  return used === block.expected.gasUsed && root === block.expected.receiptsRoot;
}

/** As the trie of receipts has it (EIP-2718); `used`: gas of all transactions so far. */
function encodeReceipt({ type, succeeded, bloom, logs }: Receipt, used: bigint): Buffer {
  const fields = [succeeded ? 1n : 0n, used, bloom].map(encodeRlp);
  const list = encodeRlp(Buffer.concat([...fields, logs]));
  // A list is a string of the same bytes with another head.
  list.writeUInt8(list.readUInt8(0) + 0x40, 0);
  return type === 0 ? list : Buffer.concat([Buffer.of(type), list]);
}

async function passes(program: Uint8Array, group: string): Promise<boolean> {
  const file = fileURLToPath(new URL(`./state-tests/${group}.json.gz`, import.meta.url));
  return (await runStateTests([file], program)).failed.length === 0;
}

test("as they are, the sources pass", async () => {
  assert.ok(await agrees(await evmWith(null)));
});

for (const mutation of MUTATIONS) {
  test(`found: ${mutation.what}`, async () => {
    const program = await evmWith(mutation);
    const { group } = mutation;
    assert.equal(group === undefined ? await agrees(program) : await passes(program, group), false);
  });
}
