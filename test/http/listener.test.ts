/** The checks of everything that listens, against clients that keep to no rule. */

import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LimitError, UsageError } from "../../runtime/errors.ts";
import { Content, Listener, type ListenOptions, type Routes } from "../../runtime/http/listener.ts";

const ROUTES: Routes = {
  "GET /blocks/:height": ({ parts, query }) => ({
    height: parts.height,
    query: query.get("q"),
    big: 2n ** 60n,
  }),
  "GET /text": () => new Content("text/plain", "grün"),
  "POST /echo": ({ body }) => ({ body }),
  "POST /usage": () => {
    throw new UsageError("BAD_ARGUMENT", "not so");
  },
  "POST /limit": () => {
    throw new LimitError("HEAP_FULL", "no room");
  },
  "POST /defect": () => {
    throw new Error("a secret of the host");
  },
  "GET /wait": ({ signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(new LimitError("GIVEN_UP", "waited long enough")));
    }),
};

async function listening(use: (listener: Listener) => Promise<void>, options: ListenOptions = {}) {
  const listener = await Listener.open(ROUTES, options);
  try {
    await use(listener);
  } finally {
    await listener.close(0);
  }
}

/** Sends text as it is and reads until the other side closes, or until `enough` of it is there. */
function raw({ url }: Listener, text: string, enough = /$^/): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    let read = "";
    socket.on("data", (bytes) => {
      read += bytes;
      if (enough.test(read)) socket.destroy();
    });
    socket.on("close", () => resolve(read));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") reject(error);
    });
    socket.write(text);
  });
}

const head = (lines: readonly string[], first = "GET /text HTTP/1.1"): string =>
  `${[first, ...lines].join("\r\n")}\r\n\r\n`;
const HOST = "Host: localhost:1";
const JSON_TYPE = "Content-Type: application/json";

test("routes get parts, query and body, and answer JSON, text, or an error with its code", async () => {
  const errors: unknown[] = [];
  await listening(
    async ({ url }) => {
      const ask = async (path: string, body?: string): Promise<[number, unknown]> => {
        const headers = { "content-type": "application/json; charset=utf-8" };
        const answer = await fetch(url + path, body === undefined ? {} : { method: "POST", body, headers });
        assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
        return [answer.status, await answer.json().catch(() => null)];
      };
      const code = async (path: string, body?: string) => {
        const [status, said] = await ask(path, body);
        return [status, (said as { error: { code: string } }).error.code];
      };
      assert.deepEqual(await ask("/blocks/7?q=a%20b"), [
        200,
        { height: "7", query: "a b", big: String(2n ** 60n) },
      ]);
      assert.equal(await (await fetch(`${url}/text`)).text(), "grün");
      assert.deepEqual(await ask("/echo", '{"a":[1]}'), [200, { body: { a: [1] } }]);
      assert.deepEqual(await code("/usage", "{}"), [400, "BAD_ARGUMENT"]);
      assert.deepEqual(await code("/limit", "{}"), [503, "HEAP_FULL"]);
      const [status, said] = await ask("/defect", "{}");
      assert.equal(status, 500);
      assert.ok(!JSON.stringify(said).includes("secret"));
      assert.deepEqual(await code("/nowhere"), [404, "NO_ROUTE"]);
      assert.deepEqual(await code("/blocks/7/more"), [404, "NO_ROUTE"]);
      assert.deepEqual(await code("/echo"), [405, "BAD_METHOD"]);
      for (const body of ["", "{", "nul", '{"a":1}x', "[".repeat(60_000)])
        assert.deepEqual(await code("/echo", body), [400, "BAD_JSON"], body.slice(0, 9));
      const bad = await fetch(`${url}/echo`, {
        method: "POST",
        body: Uint8Array.of(34, 255, 34),
        headers: { "content-type": "application/json" },
      });
      assert.equal(bad.status, 400);
    },
    { onError: (error) => errors.push(error) },
  );
  assert.equal(errors.length, 1);
});

test("a request must come from where it may", async () => {
  const options = { hosts: ["Node.example"], origins: ["https://wallet.example"] };
  await listening(async (listener) => {
    const status = async (lines: readonly string[], first?: string): Promise<string> =>
      (await raw(listener, head([...lines, "Connection: close"], first))).slice(9, 12);
    for (const host of [
      "localhost",
      "LOCALHOST:99",
      "127.0.0.1:1",
      "[::1]:1",
      "node.example",
      "node.example:80",
    ])
      assert.equal(await status([`Host: ${host}`]), "200", host);
    for (const host of [
      "evil.example",
      "localhost.evil.example",
      "evil.example:80",
      "localhost:x",
      "::1",
      "",
    ])
      assert.equal(await status([`Host: ${host}`]), "421", host);
    assert.equal(await status([HOST, "Host: evil.example"]), "421");
    assert.equal(await status([]), "400", "no Host at all");
    assert.equal(await status([HOST], "GET http://evil.example/text HTTP/1.1"), "400");
    for (const origin of ["https://evil.example", "null", "http://localhost", "https://wallet.example:444"])
      assert.equal(await status([HOST, `Origin: ${origin}`]), "403", origin);
    const allowed = await raw(
      listener,
      head([HOST, "Origin: https://wallet.example", "Connection: close"], "OPTIONS /echo HTTP/1.1"),
    );
    assert.match(allowed, /^HTTP\/1.1 200[\s\S]*access-control-allow-origin: https:\/\/wallet\.example/);
    assert.match(allowed, /access-control-allow-headers: content-type/);
  }, options);
});

test("a body must be JSON by its type, and short, whether it says so or not", async () => {
  await listening(
    async (listener) => {
      const post = (lines: readonly string[], body = ""): Promise<string> =>
        raw(listener, head([HOST, ...lines], "POST /echo HTTP/1.1") + body, /\r\n\r\n.*\}/);
      for (const type of [
        "text/plain",
        "application/json; charset=latin1",
        "multipart/form-data",
        "application/jsonx",
      ])
        assert.match(
          await post([`Content-Type: ${type}`, "Content-Length: 2"], "{}"),
          /^HTTP\/1.1 415/,
          type,
        );
      assert.match(await post(["Content-Length: 2"], "{}"), /^HTTP\/1.1 415/);
      assert.match(await post([JSON_TYPE, "Content-Encoding: gzip", "Content-Length: 2"], "{}"), / 415/);
      assert.match(await post([JSON_TYPE, "Content-Length: 2"], "{}"), /^HTTP\/1.1 200/);
      // Nothing of it has come, and nothing of it is waited for.
      assert.match(
        await post([JSON_TYPE, "Content-Length: 1000000"]),
        /^HTTP\/1.1 413[\s\S]*connection: close/,
      );
      const chunk = `190\r\n${"1".repeat(400)}\r\n`;
      const chunked = [JSON_TYPE, "Transfer-Encoding: chunked"];
      assert.match(await post(chunked, chunk.repeat(2)), /^HTTP\/1.1 413/);
      assert.match(await post(chunked, `${chunk}0\r\n\r\n`), /^HTTP\/1.1 200/);
    },
    { bodyBytes: 500 },
  );
});

test("open requests are bounded; one that ends makes room, and closing answers the others", async () => {
  const listener = await Listener.open(ROUTES, { openRequests: 2 });
  const wait = (signal: AbortSignal | null = null) => fetch(`${listener.url}/wait`, { signal });
  const gone = new AbortController();
  const first = wait(gone.signal).catch(() => "gone");
  const second = wait();
  while (listener.openRequests < 2) await sleep(1);
  const refused = await wait();
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);
  gone.abort();
  assert.equal(await first, "gone");
  while (listener.openRequests > 1) await sleep(1);
  assert.equal((await fetch(`${listener.url}/text`)).status, 200);
  const closing = listener.close(20);
  await assert.rejects(fetch(`${listener.url}/text`));
  assert.equal((await second).status, 503);
  await closing;
  assert.equal(listener.openRequests, 0);
});

test("slow clients are cut off: in the headers, in the body", async () => {
  await listening(
    async (listener) => {
      const begun = `POST /echo HTTP/1.1\r\n${HOST}\r\n`;
      assert.match(await raw(listener, begun), /^(HTTP\/1.1 408|$)/);
      assert.match(
        await raw(listener, `${begun + JSON_TYPE}\r\nContent-Length: 9\r\n\r\n{`),
        /^(HTTP\/1.1 408|$)/,
      );
      while (listener.openRequests > 0) await sleep(1);
    },
    { headersMs: 50 },
  );
});

test("input that is not HTTP is refused and affects no other request", async () => {
  await listening(async (listener) => {
    for (const text of [
      "\0\0\0\0\r\n\r\n",
      "GET\r\n\r\n",
      head([`X: ${"y".repeat(20_000)}`]),
      "\x16\x03\x01\x02\r\n\r\n",
    ])
      assert.match(await raw(listener, text), /^HTTP\/1.1 4(00|31)/);
    const both = head(
      [HOST, JSON_TYPE, "Content-Length: 2", "Transfer-Encoding: chunked"],
      "POST /echo HTTP/1.1",
    );
    assert.match(await raw(listener, `${both}0\r\n\r\n`), /^HTTP\/1.1 400/);
    assert.equal((await fetch(`${listener.url}/text`)).status, 200);
  });
});
