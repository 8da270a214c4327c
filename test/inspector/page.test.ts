/**
 * The page in a real browser: every view shows what it should, fits a narrow window, stays small, asks nobody
 * but this server, and can be used from the keyboard.
 *
 * Chromium comes from the machine; where none is found the tests are skipped, and STILLPOINT_FULL=1 demands
 * one. With STILLPOINT_SHOTS=DIR each view is also written there as a picture, for docs/.
 */

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import type { App } from "../../runtime/app/index.ts";
import type { Listener } from "../../runtime/http/listener.ts";
import { Source } from "../../runtime/inspector/index.ts";
import { openReader, type Reader } from "../../runtime/store.ts";
import {
  ALICE,
  fill,
  makeStore,
  openBank,
  PLANTED,
  serve,
  sourceOf,
  submit,
  TOP,
  TRANSACTIONS,
} from "./bank-store.ts";
import { Browser, skip, WIDE } from "./browser.ts";

const parent = mkdtempSync(join(tmpdir(), "stillpoint-inspector-"));
const paths = [join(parent, "one"), join(parent, "other")] as const;
let browser: Browser;
let page: Page;
let listener: Listener;
let readers: Reader[] = [];

before(async () => {
  if (skip !== false) return;
  await makeStore(paths[0]);
  await makeStore(paths[1], 1n);
  const other = await openReader(paths[1]);
  const { source, reader } = await sourceOf(paths[0], { other }, "state");
  readers = [reader, other];
  listener = await serve(source);
  browser = await Browser.open(join(parent, "browser"), () => listener.url);
  page = browser.page;
});
after(async () => {
  await browser?.[Symbol.asyncDispose]();
  await listener?.close(0);
  for (const reader of readers) await reader.close();
  await rm(parent, { recursive: true, force: true });
});

/** The text of what is there now. */
const text = (): Promise<string> => page.innerText("main");
const idOf = (height: number): string => readers[0]?.blocks()[height]?.id ?? "";

const show = (place: string, ...words: (string | RegExp)[]): Promise<void> => browser.show(place, ...words);

test("every view of a block, wide and narrow", { skip }, async () => {
  const id = idOf(PLANTED);
  const block = `/block/${id}`;
  await browser.check("chain", "/", `${TOP + 3} blocks, heights`, "1 side branch", "side branch", "head");
  await browser.check("block", block, `Block ${PLANTED}`, "root of the state", "Bank");
  await browser.check("processes", `${block}/processes?path=/1`, "Process /1", /pages hold anything/, "held");
  await browser.check("transactions", `${block}/transactions`, "Bank.pay", "overdraft", /^Paid\(/);
  await browser.check("gas", `${block}/gas`, "with the same root", "By function");
  await browser.check("faults", `${block}/faults`, "1 fault", /bank\.ts:\d+/);
  await browser.check(
    "batch",
    `${block}/batch?item=1`,
    "executed again",
    "Where items met",
    "critical path",
    "Item 1",
  );
  await browser.check(
    "memory",
    `${block}/memory?path=/1&address=0`,
    "accounts (count)",
    "prove these 32 bytes",
  );
  await browser.check("state", `${block}/memory?path=/1&name=accounts`, ALICE, /balance: \d+/);
  await browser.check("compare", `${block}/compare?path=/1`, "Bytes of /1", `accounts[${ALICE}].balance`);
  await browser.check("proof", `${block}/proof?path=/1&address=64&length=32`, "Verified in this page");
  await browser.check(
    "stores",
    "/stores?path=/1",
    `Block ${PLANTED} is the first that differs`,
    `accounts[${ALICE}].balance`,
  );
  assert.deepEqual([browser.elsewhere, browser.complaints], [[], []]);
});

test("a proof is refused where a byte of it or the trusted id is another", { skip }, async () => {
  await page.setViewportSize(WIDE);
  await show(`/block/${idOf(3)}/proof?path=/1&address=64&length=32`, "Verified in this page");
  await page.getByRole("button", { name: "Change one byte" }).click();
  await page.getByText("the proof is refused").waitFor();
  await page.getByRole("button", { name: "Put the byte back" }).click();
  await page.getByText("Verified in this page").waitFor();
  await page.getByLabel("Id of the block").fill(idOf(4));
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("not the header of the block with this id").waitFor();
});

test("from the keyboard: find a block, go to its neighbours, and back to the chain", { skip }, async () => {
  await show("/", `${TOP + 3} blocks, heights`);
  await page.keyboard.press("/");
  await page.keyboard.type("3");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Block 3" }).waitFor();
  await page.keyboard.press("]");
  await page.getByRole("heading", { name: "Block 4" }).waitFor();
  await page.keyboard.press("[");
  await page.getByRole("heading", { name: "Block 3" }).waitFor();
  await page.keyboard.press("c");
  await page.getByText(`${TOP + 3} blocks, heights`).waitFor();
  await page.keyboard.press("Tab");
  assert.notEqual(await page.evaluate("document.activeElement.tagName"), "BODY");
  await page.keyboard.press("/");
  await page.keyboard.type("12345");
  await page.keyboard.press("Enter");
  await page.getByText("block 12345 is not retained").waitFor();
  browser.complaints.length = 0; // the browser says that an answer had a status of 404
});

test("a state that is not stored is made, and the page says from which block", { skip }, async () => {
  const path = join(parent, "logged");
  const writer = await openBank({ path, durability: "logged", checkpointMs: 3_600_000 });
  await fill(writer);
  await writer.runtime.checkpoint();
  const { source, reader } = await sourceOf(path);
  const running = await serve(source);
  try {
    const stored = reader.anchors().map(({ id }) => id);
    const block = reader.blocks()[3];
    assert.ok(block !== undefined && !stored.includes(block.id));
    await page.goto(`${running.url}/#/block/${block.id}`);
    await page.getByText("it is made again from block 0, by running 3 blocks").waitFor();
    await page.goto(`${running.url}/#/block/${block.id}/memory?path=/1&name=accounts`);
    await page
      .getByText(/balance: \d+/)
      .first()
      .waitFor();
    const first = reader.anchors()[0];
    await page.goto(`${running.url}/#/block/${first?.id}`);
    await page.getByRole("heading", { name: `Block ${first?.height}` }).waitFor();
    assert.doesNotMatch(await text(), /made again/);
  } finally {
    await running.close(0);
    await source[Symbol.asyncDispose]();
    await reader.close();
    await writer.close();
  }
});

test("new blocks of a running app appear by themselves, and a server that is gone is said so", {
  skip,
}, async () => {
  const app: App = await openBank();
  const source = new Source({
    ...{ name: "bank.ts", kind: "runtime", chain: app.runtime },
    trace: (block) => app.trace(block),
    recorded: async () => null,
    record: () => Promise.reject(new Error("not asked")),
  });
  const running = await serve(source);
  try {
    await page.goto(`${running.url}/#/`);
    await page.getByText("2 blocks, heights 0 to 1").waitFor();
    submit(app, 1n);
    await app.produce();
    await page.getByText("3 blocks, heights 0 to 2").waitFor();
    await page.getByRole("link", { name: "2", exact: true }).first().click();
    await page.getByText(`transactions, ${TRANSACTIONS} failed`).waitFor();
  } finally {
    await running.close(0);
    await app.close();
  }
  await page.getByText("not connected").waitFor({ timeout: 10_000 });
  assert.match(await text(), /Block 2/);
});
