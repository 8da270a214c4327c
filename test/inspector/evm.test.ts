/**
 * A chain of Ethereum blocks in the inspector: records that the EVM's guest lays out itself are addresses and
 * slots wherever places and memory are shown, since the guest says what they are. Checked against the files
 * of the blocks, and looked at as somebody new would, in a browser.
 */

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type EvmBlock, readBlock, readCodes } from "../../examples/evm/block.ts";
import { evmRuntime } from "../../examples/evm/demo.ts";
import { encodeBlock } from "../../examples/evm/encode.ts";
import type { Listener } from "../../runtime/http/listener.ts";
import { Query } from "../../runtime/inspector/query.ts";
import type { Source } from "../../runtime/inspector/source.ts";
import { batchView, itemView, placeView } from "../../runtime/inspector/views/batch.ts";
import { blockView } from "../../runtime/inspector/views/block.ts";
import { diffView, partView } from "../../runtime/inspector/views/compare.ts";
import { memoryView, type StateView, stateView } from "../../runtime/inspector/views/memory.ts";
import { transactionsView } from "../../runtime/inspector/views/transactions.ts";
import { openReader, type Reader } from "../../runtime/store.ts";
import { everyState } from "../store/directory.ts";
import { serve, sourceOf } from "./bank-store.ts";
import { Browser, skip } from "./browser.ts";

const BLOCKS = fileURLToPath(new URL("../../examples/evm/blocks", import.meta.url));
/** The second has contracts that many call. */
const NUMBERS = [4369999, 5283152];
const CROWDED = 2;
/** One of its transactions. */
const CROWD_ITEM = 77;

const parent = mkdtempSync(join(tmpdir(), "stillpoint-inspector-"));
const blocks = NUMBERS.map((number) => readBlock(join(BLOCKS, `${number}.json.gz`)));
const crowded = blocks[CROWDED - 1] as EvmBlock;
/** A slot that the second store has another value of: the last one of the first block's file. */
const quiet = blocks[0] as EvmBlock;
const planted = quiet.accounts.findLast(({ storage }) => storage.length > 0) as EvmBlock["accounts"][number];
const plantedKey = planted.storage.at(-1)?.[0] as bigint;
let source: Source;
let reader: Reader;
let other: Reader;

before(async () => {
  const paths = [join(parent, "one"), join(parent, "other")] as const;
  await make(paths[0], blocks);
  await make(paths[1], [{ ...quiet, accounts: quiet.accounts.map(withPlanted) }, crowded]);
  other = await openReader(paths[1]);
  ({ source, reader } = await sourceOf(paths[0], { other }, "state"));
});
after(async () => {
  await source?.[Symbol.asyncDispose]();
  await reader?.close();
  await other?.close();
  await rm(parent, { recursive: true, force: true });
});

function withPlanted(account: EvmBlock["accounts"][number]): EvmBlock["accounts"][number] {
  if (account !== planted) return account;
  const storage = account.storage.map(([key, value]) =>
    key === plantedKey ? ([key, value ^ 1n] as const) : ([key, value] as const),
  );
  return { ...account, storage };
}

async function make(path: string, made: readonly EvmBlock[]): Promise<void> {
  const codes = readCodes(BLOCKS);
  const { runtime, programs } = await evmRuntime({ store: everyState(path), record: true, workers: 2 });
  for (const block of made) await runtime.produce(encodeBlock(block, codes, programs));
  await runtime.close();
}

const asked = (parameters: Record<string, string | number> = {}): Query => {
  const entries = Object.entries(parameters).map(([name, value]) => [name, String(value)]);
  return new Query(new URLSearchParams(entries), Object.keys(parameters));
};
const idOf = (height: number): string => reader.blocks()[height]?.id ?? "";
/** Where a slot is. */
function entryAddress(): number {
  const { entries } = stateView(source, asked({ block: idOf(CROWDED), path: "/1", name: "records" }));
  return entries.find(({ key }) => key?.startsWith("slot["))?.address ?? assert.fail();
}

const address = (value: bigint): string => `0x${value.toString(16).padStart(40, "0")}`;

test("every account and slot of the block's file is an entry of the EVM's state, by its address", () => {
  const entries = new Map<string, StateView["entries"][number]>();
  for (let from: number | null = 0; from !== null; ) {
    const part = stateView(source, asked({ block: idOf(CROWDED), path: "/1", name: "records", from }));
    for (const entry of part.entries) entries.set(entry.key ?? "", entry);
    from = part.next;
  }
  for (const { address: of, storage } of crowded.accounts) {
    assert.ok(entries.has(`account[${address(of)}]`), address(of));
    for (const [key] of storage) assert.ok(entries.has(`slot[${address(of)}, 0x${key.toString(16)}]`));
  }
  const miner = entries.get(`account[${address(crowded.miner)}]`)?.value ?? "";
  const balance = /balance: (\d+), nonce/.exec(miner)?.[1] ?? assert.fail(miner);
  const before = crowded.accounts.find(({ address: of }) => of === crowded.miner)?.balance ?? 0n;
  assert.ok(BigInt(balance) > before, "the miner got fees");
});

test("memory: a line is an account or a slot, and the table a way to its entries", () => {
  const of = { block: idOf(CROWDED), path: "/1" };
  const { entries } = stateView(source, asked({ ...of, name: "records" }));
  const slot = entries.find(({ key }) => key?.startsWith("slot[")) ?? assert.fail();
  const view = memoryView(source, asked({ ...of, address: slot.address, length: 128 }));
  assert.deepEqual(
    view.names.filter(({ address: at }) => at < slot.address + 128).map(({ name }) => name),
    [slot.key, ...(/value: 0x0 /.test(slot.value ?? "") ? [] : [`${slot.key}.value`])],
  );
  assert.equal(view.names[0]?.value, slot.value);
  assert.deepEqual(
    view.regions.map(({ name, type }) => [name, type]),
    [
      ["generation", null],
      ["burned", null],
      ["created_next", null],
      ["records", "account | slot"],
      ["created", null],
    ],
  );
});

test("transactions: rows of the block's data, as the root says what they are", () => {
  const view = transactionsView(source, asked({ block: idOf(CROWDED) }));
  assert.ok("columns" in view);
  assert.deepEqual([view.count, view.name], [crowded.transactions.length, "transaction"]);
  for (const [i, row] of view.rows.entries()) {
    const { hash, from } = crowded.transactions[i] ?? assert.fail();
    assert.deepEqual(row.slice(0, 2), [
      `0x${hash.replace(/^0x/, "")}`,
      from === null ? row[1] : `0x${from.replace(/^0x/, "")}`,
    ]);
  }
  const { dataFields } = blockView(source, asked({ block: idOf(CROWDED) }));
  const fields = Object.fromEntries(dataFields);
  assert.equal(fields.number, String(crowded.number));
  assert.equal(fields.receiptsRoot, `0x${crowded.expected.receiptsRoot.replace(/^0x/, "")}`);
  assert.equal(fields.gasUsed, String(crowded.expected.gasUsed));
});

test("a batch: the places over which transactions met, and the items, by address and hash", async () => {
  const block = idOf(CROWDED);
  const { batch } = await batchView(source, asked({ block, again: 1 }));
  assert.ok(batch !== null && batch.places.length > 0);
  const known = new Set(crowded.accounts.map(({ address: of }) => address(of)));
  for (const { name } of batch.places) {
    if (name === "created_next") continue;
    const found = /^(?:account|slot)\[(0x[\da-f]{40})/.exec(name ?? "")?.[1] ?? "";
    assert.ok(known.has(found) || found === address(crowded.miner), `${name}`);
  }
  const place = batch.places[0] ?? assert.fail();
  const { touches } = await placeView(source, asked({ block, again: 1, line: place.line }));
  const item = touches[0]?.item ?? assert.fail();
  const { call } = await itemView(source, asked({ block, again: 1, item }));
  assert.match(
    call ?? "",
    new RegExp(`^transaction ${item}: hash: 0x${crowded.transactions[item]?.hash.replace(/^0x/, "")}`),
  );
});

test("a difference that is planted in a slot of another store is found by its name", () => {
  const { height, ranges } = partView(source, asked({ other: "other", path: "/1" }));
  assert.equal(height, 1);
  const name = `slot[${address(planted.address)}, 0x${plantedKey.toString(16)}].value`;
  const range = ranges.find((each) => each.name === name);
  assert.ok(range !== undefined, `${name} is among ${ranges.map((each) => each.name).join("; ")}`);
  const changes = diffView(source, asked({ b: idOf(CROWDED), path: "/1" }));
  assert.ok(
    changes.ranges.some((each) => /^account\[0x.*\]/.test(each.name ?? "")),
    changes.ranges.map((each) => each.name).join("; "),
  );
});

test("somebody new finds the crowded block, its slot, who waits for whom, and the planted byte", {
  skip,
}, async () => {
  let listener: Listener | null = null;
  let browser: Browser | null = null;
  try {
    listener = await serve(source);
    browser = await Browser.open(join(parent, "browser"), () => listener?.url ?? "");
    const { page } = browser;
    await browser.show("/", "3 blocks, heights 0 to 2");
    // The block in which most transactions met.
    const again = page.getByRole("button", { name: /^Execute .* again for that$/ });
    if ((await again.count()) > 0) await again.click();
    const waited = page.locator("td a[href*='batch']");
    await waited
      .filter({ hasText: `of ${2 * crowded.transactions.length}` })
      .first()
      .waitFor();
    const counts = (await waited.allInnerTexts()).map((text) => Number.parseInt(text, 10));
    await waited.nth(counts.indexOf(Math.max(...counts))).click();
    await page.getByRole("heading", { name: `Block ${CROWDED}` }).waitFor();
    // Its slot, and who waits for whom.
    const place = page.locator("td a[href*='line=']").filter({ hasText: "slot[0x" }).first();
    const name = await place.innerText();
    await place.click();
    const panel = page.locator("section.panel");
    await panel.getByRole("heading", { name }).waitFor();
    const read = panel.getByText(/what item \d+ left/).first();
    await read.waitFor();
    await panel.getByRole("link", { name: /^\d+$/ }).first().click();
    await page.getByText(/^transaction \d+: hash: 0x/).waitFor();
    // Its bytes, and the value.
    await place.click();
    await panel.getByRole("link", { name: "Show them" }).click();
    await page
      .locator(".values .entry")
      .getByText(/value: 0x/)
      .waitFor();
    await browser.checkNodes("memory");
    // The byte that was planted.
    await page.getByRole("link", { name: "Stores" }).click();
    await page.getByText("Block 1 is the first that differs").waitFor();
    const slot = `slot[${address(planted.address)}, 0x${plantedKey.toString(16)}].value`;
    await page.getByRole("row").filter({ hasText: slot }).waitFor();
    // All that in every form.
    const at = `/block/${idOf(CROWDED)}`;
    await browser.check("evm-block", at, "receiptsRoot", "transactions");
    await browser.check("evm-transactions", `${at}/transactions`, "as the data of the block has them");
    await browser.check("evm-batch", `${at}/batch?again=1&item=${CROWD_ITEM}`, "Where items met", /slot\[0x/);
    await browser.check("evm-state", `${at}/memory?path=/1&name=records`, "account | slot, at most");
    await browser.check("evm-memory", `${at}/memory?path=/1&address=${entryAddress()}`, /value: 0x/);
    await browser.check("evm-compare", `${at}/compare?path=/1`, "Bytes of /1", /account\[0x/);
    await browser.check("evm-stores", "/stores?path=/1", "Block 1 is the first that differs", slot);
    assert.deepEqual([browser.elsewhere, browser.complaints], [[], []]);
  } finally {
    await browser?.[Symbol.asyncDispose]();
    await listener?.close(0);
  }
});
