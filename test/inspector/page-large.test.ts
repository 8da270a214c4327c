/**
 * The page over 10,000 blocks and 100,000 processes, and over a batch of 10,000 items, in a real browser:
 * whatever is looked at, it has at most 2,000 nodes, no answer is larger than 256 KiB, and none grows with
 * the history.
 */

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Contracts } from "../../runtime/app/index.ts";
import { recordBlock } from "../../runtime/debug.ts";
import type { Listener } from "../../runtime/http/listener.ts";
import type { Runtime } from "../../runtime/index.ts";
import { ANSWER_BYTES } from "../../runtime/inspector/routes.ts";
import { Source } from "../../runtime/inspector/source.ts";
import type { BatchView } from "../../runtime/inspector/views/batch.ts";
import { Script } from "../driver.ts";
import { ALICE, openBank, serve } from "./bank-store.ts";
import { Browser, skip } from "./browser.ts";
import { BLOCKS, COMMANDS, openLarge, PROCESSES } from "./large-chain.ts";

const parent = mkdtempSync(join(tmpdir(), "stillpoint-inspector-"));
let runtime: Runtime;
let listener: Listener;
/** Where the browser looks. */
let url = "";
let browser: Browser;
/** Answers of the server: what was asked for, and how many bytes came. */
const answers: { readonly what: string; readonly bytes: number }[] = [];

before(async () => {
  if (skip !== false) return;
  const large = await openLarge();
  runtime = large.runtime;
  listener = await serve(large.source);
  url = listener.url;
  browser = await Browser.open(join(parent, "browser"), () => url);
  browser.page.on("response", async (response) => {
    const url = new URL(response.url());
    if (!url.pathname.startsWith("/api/")) return;
    const body = await response.body().catch(() => Buffer.alloc(0));
    answers.push({ what: url.pathname + url.search, bytes: body.length });
  });
});
after(async () => {
  await browser?.[Symbol.asyncDispose]();
  await listener?.close(0);
  await runtime?.close();
  await rm(parent, { recursive: true, force: true });
});

/** Shows a place; what is there when that view's answer has come is small, and so are all answers so far. */
async function check(view: string, place: string, ...words: (string | RegExp)[]): Promise<void> {
  const { page } = browser;
  const answered = page.waitForResponse((response) => new URL(response.url()).pathname === `/api/${view}`);
  await browser.show(place, ...words);
  assert.ok((await answered).status() < 500, place);
  await page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))");
  await browser.checkNodes(place);
  for (const { what, bytes } of answers) assert.ok(bytes <= ANSWER_BYTES, `${what}: ${bytes} bytes`);
}

test("every view of 10,000 blocks and 100,000 processes is small", { skip }, async () => {
  const { id } = runtime.head;
  const [first, second] = runtime.blocks();
  const block = `/block/${id}`;
  await check("chain", "/", /10,001 blocks, heights 0 to 10,000/);
  await check("chain", "/?at=5000", "5,000 to 4,961");
  await check("block", block, "Block 10,000");
  await check("processes", `${block}/processes`, "100,000");
  await check("processes", `${block}/processes?changed=1`);
  await check("processes", `${block}/processes?from=${PROCESSES - 100}`);
  await check("processes", `${block}/processes?path=/99999`, "Process /99999");
  await check("transactions", `${block}/transactions`, "not one of an App");
  await check("gas", `${block}/gas`);
  await check("faults", `${block}/faults`);
  await check("batch", `/block/${second?.id}/batch`);
  await check("memory", `${block}/memory?path=/&address=0`);
  await check("diff", `${block}/compare?with=${first?.id}`);
  await check("proof", `${block}/proof?path=/99999&address=64&length=32`, "Verified in this page");
  assert.deepEqual(browser.elsewhere, []);
  // Of transactions, which only apps have.
  assert.deepEqual(
    browser.complaints.filter((text) => !text.includes("status of 400")),
    [],
  );
});

test("a new block costs the page as little as the first one", { skip }, async () => {
  await check("chain", "/", /10,001 blocks/);
  answers.length = 0;
  await runtime.produce(new Script({ commands: 0 }).metadata());
  await browser.page.getByText(/heights \d[\d,]* to 10,001/).waitFor();
  await browser.checkNodes("the chain with a new block");
  const sum = answers.reduce((all, { bytes }) => all + bytes, 0);
  assert.ok(sum <= ANSWER_BYTES / 4, `${sum} bytes for ${answers.map(({ what }) => what).join(", ")}`);
  assert.ok(BLOCKS > 1000 && COMMANDS > 1000);
});

const ITEMS = 10_000;
/** Of which each is met by ten items. */
const RECEIVERS = 1000;

test("every view of a batch of 10,000 items is small", { skip }, async () => {
  await using app = await openBank();
  const bank = app.client.Bank as Contracts[string] & Record<string, (args: object) => never>;
  for (let i = 0; i < ITEMS; i++) {
    const to = `0x${(1 + (i % RECEIVERS)).toString(16).padStart(40, "0")}`;
    app.submit(bank.mint?.({ to, amount: 1n }) as never, { from: ALICE });
  }
  const { block } = await app.produce();
  const recording = await recordBlock(app.runtime, block);
  assert.deepEqual(
    recording.batches.map(({ report }) => [report.items, report.parallel]),
    [[ITEMS, ITEMS]],
  );
  await using source = new Source({
    ...{ name: "bank.ts", kind: "runtime", chain: app.runtime },
    trace: (of, signal) => app.trace(of, { signal }),
    recorded: async () => null,
    record: async () => recording,
  });
  const large = await serve(source);
  const before = url;
  url = large.url;
  try {
    const at = `/block/${block.id}`;
    await check("block", at, "10,000");
    await check("transactions", `${at}/transactions`, "10,000 transactions, 0 failed");
    await check("transactions", `${at}/transactions?from=9980`, "from 9,980");
    await check("batch", `${at}/batch`, "10,000 items", "Where items met", "critical path");
    const { batch } = (await (await fetch(`${url}/api/batch?block=${block.id}`)).json()) as BatchView;
    assert.ok(batch !== null && batch.graph.dependent > ITEMS / 2 && batch.places.length > 0);
    assert.equal(
      batch.graph.depths.reduce((sum, count) => sum + count, 0),
      ITEMS,
    );
    const [from, to] = batch.whole;
    const middle = Math.floor((from + to) / 2);
    await check("batch", `${at}/batch?from=${middle}&to=${middle + 500}`, "Threads");
    await check("place", `${at}/batch?line=${batch.places[0]?.line}`, "touched these 64 bytes");
    await check(
      "item",
      `${at}/batch?item=${ITEMS - 1}`,
      `Item ${(ITEMS - 1).toLocaleString("en")}`,
      "Bank.mint",
    );
    await check("item", `${at}/batch?item=5000&line=${batch.places[0]?.line}`, "Item 5,000");
    await check("gas", `${at}/gas`, "with the same root", "Bank.mint");
    await check("faults", `${at}/faults`);
    await check("pages", `${at}/processes?path=/1`, "Process /1");
    await check("state", `${at}/memory?path=/1&name=accounts`, "1,000 of 1,000");
    await check("memory", `${at}/memory?path=/1&address=64`);
    await check("diff", `${at}/compare?path=/1`, "Bytes of /1");
    assert.deepEqual(
      browser.elsewhere.filter((asked) => !asked.startsWith(before)),
      [],
    );
  } finally {
    url = before;
    await browser.page.goto("about:blank");
    await large.close(0);
  }
});
