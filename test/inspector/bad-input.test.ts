/** The inspector against what is damaged, malformed or hostile: it says so, and nothing is written. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Listener } from "../../runtime/http/listener.ts";
import { ANSWER_BYTES } from "../../runtime/inspector/routes.ts";
import type { ChainView } from "../../runtime/inspector/views/chain.ts";
import type { MemoryView } from "../../runtime/inspector/views/memory.ts";
import { Database } from "../../runtime/store/database.ts";
import type { Stored } from "../../runtime/store/format.ts";
import { openReader, type Reader } from "../../runtime/store.ts";
import { stillpoint } from "../cli/stillpoint.ts";
import { makeStore, serve, sourceOf, TOP } from "./bank-store.ts";

const parent = mkdtempSync(join(tmpdir(), "stillpoint-inspector-"));
const path = join(parent, "store");
let listener: Listener;
let reader: Reader;

before(async () => {
  await makeStore(path);
  const found = await sourceOf(path);
  reader = found.reader;
  listener = await serve(found.source);
});
after(async () => {
  await listener.close(0);
  await reader.close();
  await rm(parent, { recursive: true });
});

const get = (url: string, headers: Record<string, string> = {}) => fetch(listener.url + url, { headers });

/** An HTTP request as these lines, for what `fetch` would not send; the first line of the answer. */
function raw(lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(listener.url).port), "127.0.0.1");
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes;
    });
    socket.on("close", () => resolve(text.split("\r\n")[0] ?? ""));
    socket.on("error", reject);
    socket.end(`${lines.join("\r\n")}\r\n\r\n`);
  });
}

test("a directory that is no store, and one that is none any more", () => {
  const none = stillpoint("inspect", join(parent, "none"), "--web");
  assert.deepEqual([none.status, none.stdout], [2, ""]);
  assert.match(none.stderr, /there is no store in /);
  const broken = join(parent, "broken");
  mkdirSync(broken);
  writeFileSync(join(broken, "data.mdb"), "x".repeat(20_000));
  const refused = stillpoint("inspect", broken, "--web");
  assert.deepEqual([refused.status, refused.stdout], [1, ""]);
  assert.match(refused.stderr, /damaged|not a store/);
});

/** A copy in which one bit is another. */
function flipped(bytes: Buffer, at: number): Buffer {
  const other = Buffer.from(bytes);
  other[at] = (other[at] as number) ^ 1;
  return other;
}

test("a port that is in use", () => {
  const { port } = new URL(listener.url);
  const refused = stillpoint("inspect", path, "--web", "--port", port);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, new RegExp(`port ${port} cannot be listened on \\(EADDRINUSE\\): .*--port`));
});

test("a store that is damaged in the middle: what is whole is shown, what is not is named", async () => {
  const copy = join(parent, "damaged");
  cpSync(path, copy, { recursive: true });
  const blocks = reader.blocks();
  const [record, state] = [blocks[2]?.id ?? "", blocks[TOP]?.id ?? ""];
  const page = createHash("sha256")
    .update(reader.read([1], 0, 4096, TOP))
    .digest();
  const database = new Database(copy);
  database.transaction(() => {
    const id = Buffer.from(record, "hex");
    database.putBlock(id, flipped(database.block(id) as Buffer, 9));
    const stored = database.object(page) as Stored;
    database.removeObject(page);
    database.putObject(page, { ...stored, bytes: flipped(stored.bytes, 8) });
  });
  await database.close();
  const found = await sourceOf(copy);
  const damaged = await serve(found.source);
  try {
    const ask = async <T>(url: string): Promise<T> => (await fetch(damaged.url + url)).json() as Promise<T>;
    const chain = await ask<ChainView>("/api/chain");
    assert.deepEqual(chain.damaged, { count: 1, ids: [record] });
    assert.ok(chain.rows.length === TOP + 2 && !chain.rows.some(({ id }) => id === record));
    const memory = await ask<MemoryView>(`/api/memory?block=${state}&path=/1&address=0&length=12288`);
    assert.deepEqual(
      memory.damaged.map(({ address, length }) => [address, length]),
      [[0, 4096]],
    );
    assert.match(memory.damaged[0]?.reason ?? "", /damaged/);
    const rest = Buffer.from(reader.read([1], 4096, 8192, TOP)).toString("hex");
    assert.equal(memory.hex, "00".repeat(4096) + rest);
    // The block before has a whole page there, the damaged record no block.
    const before = await ask<MemoryView>(`/api/memory?block=${blocks[TOP - 1]?.id}&path=/1&length=64`);
    assert.deepEqual(before.damaged, []);
    const lost = await fetch(`${damaged.url}/api/block?block=${record}`);
    const { error } = (await lost.json()) as { error: { code: string } };
    assert.deepEqual([lost.status, error.code], [500, "STORE_CORRUPT"]);
  } finally {
    await damaged.close(0);
    await found.reader.close();
  }
});

test("requests that are malformed, unknown, or of another method", async () => {
  const answers: [url: string, status: number, code: string][] = [
    ["/api/block?block=7", 400, "BAD_ARGUMENT"],
    [`/api/block?block=${"0".repeat(64)}`, 404, "NOT_RETAINED"],
    ["/api/block?height=99999", 404, "NOT_RETAINED"],
    ["/api/processes?path=/9/9", 400, "NO_PROCESS"],
    ["/api/memory?path=/1&address=-1", 400, "BAD_ARGUMENT"],
    ["/api/memory?path=/1&length=1000000", 400, "BAD_ARGUMENT"],
    ["/api/memory?path=/1&address=0xffffffffff", 400, "BAD_ARGUMENT"],
    ["/api/state?path=/1&name=%00%ff", 400, "BAD_ARGUMENT"],
    ["/api/part?other=../../etc", 400, "BAD_ARGUMENT"],
    ["/api/chain?nonsense=1", 400, "BAD_ARGUMENT"],
    ["/api/chain?at=1&at=2", 400, "BAD_ARGUMENT"],
    ["/api/proof?length=99999999", 400, "BAD_ARGUMENT"],
    ["/api/nothing", 404, "NO_ROUTE"],
    ["/../../etc/passwd", 404, "NO_ROUTE"],
    ["/page.js.map", 404, "NO_ROUTE"],
  ];
  for (const [url, status, code] of answers) {
    const answer = await get(url);
    const { error } = (await answer.json()) as { error: { code: string } };
    assert.deepEqual([answer.status, error.code], [status, code], url);
  }
  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
    const answer = await fetch(`${listener.url}/api/chain`, { method });
    assert.equal(answer.status, 405, method);
    await answer.body?.cancel();
  }
});

test("requests that are too large, of another host, or of another origin", async () => {
  const { host } = new URL(listener.url);
  assert.match(
    await raw([`GET /api/chain?at=${"1".repeat(9000)} HTTP/1.1`, `Host: ${host}`]),
    /^HTTP\/1\.1 431 /,
  );
  assert.match(await raw(["GET /api/chain HTTP/1.1", "Host: evil.example"]), /^HTTP\/1\.1 421 /);
  assert.match(await raw(["GET /api/chain HTTP/1.1"]), /^HTTP\/1\.1 4\d\d /);
  assert.match(await raw(["NONSENSE"]), /^HTTP\/1\.1 400 /);
  const foreign = await get("/api/chain", { origin: "https://evil.example" });
  assert.deepEqual([foreign.status, foreign.headers.get("access-control-allow-origin")], [403, null]);
  await foreign.body?.cancel();
});

test("the page allows no inline script and nothing from elsewhere, and may not be framed", async () => {
  for (const url of ["/", "/page.js", "/page.css", "/api/chain"]) {
    const answer = await get(url);
    assert.equal(answer.status, 200, url);
    const policy = answer.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:|data:/);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    assert.equal(answer.headers.get("cross-origin-resource-policy"), "same-origin");
    const text = await answer.text();
    assert.ok(text.length < (url === "/page.js" ? 300_000 : ANSWER_BYTES), url);
    if (url === "/") assert.doesNotMatch(text, /https?:|<style|style=|onclick|<script>/);
  }
});

test("whoever waits for a block and goes away keeps nothing open", async () => {
  const { version } = (await (await get("/api/next")).json()) as { version: string };
  const leaving = new AbortController();
  const url = `${listener.url}/api/next?version=${encodeURIComponent(version)}`;
  const waiting = Array.from({ length: 20 }, () => fetch(url, { signal: leaving.signal }));
  for (let tries = 0; listener.openRequests < 20 && tries < 200; tries++) await sleep(10);
  assert.equal(listener.openRequests, 20);
  leaving.abort();
  await Promise.allSettled(waiting);
  for (let tries = 0; listener.openRequests > 0 && tries < 500; tries++) await sleep(10);
  assert.equal(listener.openRequests, 0);
});

test("nothing that is asked changes a byte of the store", async () => {
  const before = contents(path);
  const block = reader.head.id;
  const urls = ["chain", "next", "block", "transactions", "gas", "faults", "diff", "processes?path=/1"];
  for (const url of [
    ...urls,
    "pages?path=/1",
    "memory?path=/1",
    "state?path=/1&name=fees",
    "proof?path=/1",
  ]) {
    const answer = await get(
      `/api/${url}${url.includes("?") ? "&" : "?"}${/^(chain|next|diff)/.test(url) ? "" : `block=${block}`}`,
    );
    assert.equal(answer.status, 200, `${url}: ${await answer.clone().text()}`);
    assert.ok((await answer.text()).length <= ANSWER_BYTES);
  }
  assert.deepEqual(contents(path), before);
  const writer = await openReader(path);
  assert.equal(writer.head.id, block);
  await writer.close();
});

/** Names and hashes of the files of a store, but for lmdb's table of readers. */
function contents(directory: string): [string, string][] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "lock.mdb")
    .map((entry): [string, string] => {
      const file = join(entry.parentPath, entry.name);
      return [file, createHash("sha256").update(readFileSync(file)).digest("hex")];
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
