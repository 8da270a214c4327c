/** The server of ABCI against clients that keep to the protocol, and clients that do not. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, linkSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { serveAbci } from "../../runtime/abci/index.ts";
import { ACCEPTING, type Answered, Client, framed, request, serving } from "./client.ts";

const NOTHING = new Uint8Array(1000);
const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;
const exceptionOf = (answered: Answered | null): string | undefined =>
  answered?.case === "exception" ? answered.value.error : undefined;
const echoOf = (answered: Answered | null): string | undefined =>
  answered?.case === "echo" ? answered.value.message : undefined;
/** A turn of the event loop is not always enough for a socket. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

// ---- framing ----------------------------------------------------------------------------------------------

test("300 bytes, one at a time", () =>
  serving({}, async (server) => {
    const client = await Client.connect(server);
    client.socket.setNoDelay(true);
    const message = "x".repeat(296);
    const frame = request("echo", { message });
    assert.equal(frame.length, 304); // two bytes of length, twice
    for (const byte of frame) {
      await new Promise((written) => client.socket.write(Uint8Array.of(byte), written));
      await turn();
    }
    assert.equal(echoOf(await client.next()), message);
  }));

test("1,000 requests in one write are answered in order, Flush among them", () =>
  serving({}, async (server) => {
    const client = await Client.connect(server);
    const frames = Array.from({ length: 1000 }, (_, i) =>
      i % 10 === 9 ? request("flush") : request(i % 2 === 0 ? "echo" : "query", asked(i)),
    );
    client.send(...frames);
    for (let i = 0; i < 1000; i++) {
      const answered = await client.next();
      if (i % 10 === 9) assert.equal(answered?.case, "flush");
      else if (i % 2 === 0) assert.equal(echoOf(answered), `${i}`);
      else assert.equal(answered?.case === "query" && Buffer.from(answered.value.value).toString(), `${i}`);
    }
  }));

function asked(i: number): object {
  return i % 2 === 0 ? { message: `${i}` } : { data: Buffer.from(`${i}`) };
}

const NO_FRAMES: [what: string, code: string, bytes: Uint8Array][] = [
  ["an endless varint", "BAD_FRAME", new Uint8Array(100_000).fill(0xff)],
  ["a message longer than any may be", "MESSAGE_TOO_LONG", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f)],
  ["a message a byte too long", "MESSAGE_TOO_LONG", framed(new Uint8Array(1001))],
];

for (const [what, code, bytes] of NO_FRAMES) {
  test(`${what}: what came before is answered, that socket is closed and nothing else`, () =>
    serving(
      {},
      async (server, errors) => {
        const [other, client] = [await Client.connect(server), await Client.connect(server)];
        client.send(request("echo", { message: "before" }), bytes);
        assert.deepEqual((await client.rest()).map(echoOf), ["before"]);
        assert.deepEqual(errors.map(codeOf), [code]);
        assert.equal(echoOf(await other.ask("echo", { message: "other" })), "other");
        client.socket.destroy();
        await until(() => server.connections === 1);
      },
      { messageBytes: 1000 },
    ));
}

test("a message of the greatest length is answered", () =>
  serving(
    {},
    async (server) => {
      const client = await Client.connect(server);
      const message = "x".repeat(994); // two keys of a byte, two lengths of two
      assert.equal(request("echo", { message }).length, 1002);
      assert.equal(echoOf(await client.ask("echo", { message })), message);
    },
    { messageBytes: 1000 },
  ));

// ---- requests ---------------------------------------------------------------------------------------------

const UNKNOWN: [what: string, frame: Uint8Array][] = [
  ["an empty message", Uint8Array.of(0)],
  ["a request that ABCI 2.0 has no more", framed(Uint8Array.of((4 << 3) | 2, 0))],
  ["a request of a number that is not used", framed(Uint8Array.of(0xfa, 0x01, 0))],
  ["bytes that are no message", framed(Uint8Array.of(0x0a, 0xff))],
  ["a request for which the application has no method", request("extendVote")],
];

for (const [what, frame] of UNKNOWN) {
  test(`${what} is answered with an Exception, and the connection continues`, () =>
    serving({}, async (server, errors) => {
      const client = await Client.connect(server);
      client.send(frame);
      assert.match(exceptionOf(await client.next()) as string, /^UNKNOWN_REQUEST: /);
      assert.deepEqual(errors.map(codeOf), ["UNKNOWN_REQUEST"]);
      assert.equal(echoOf(await client.ask("echo", { message: "on" })), "on");
    }));
}

test("each request reaches its method, and the answer its client", () =>
  serving({ extendVote: ({ height }) => ({ voteExtension: Buffer.from(`${height}`) }) }, async (server) => {
    const client = await Client.connect(server);
    const tx = Buffer.from("pay");
    const info = await client.ask("info");
    assert.equal(info?.case === "info" && info.value.data, "accepting");
    const checked = await client.ask("checkTx", { tx });
    assert.deepEqual(checked?.case === "checkTx" && Buffer.from(checked.value.data), tx);
    const made = await client.ask("finalizeBlock", { txs: [tx, tx], height: 7n });
    assert.equal(made?.case === "finalizeBlock" && made.value.txResults.length, 2);
    const extended = await client.ask("extendVote", { height: 1n << 40n });
    const vote = extended?.case === "extendVote" && Buffer.from(extended.value.voteExtension).toString();
    assert.equal(vote, `${1n << 40n}`);
    assert.equal((await client.ask("listSnapshots"))?.case, "listSnapshots");
    const offered = await client.ask("offerSnapshot");
    assert.equal(offered?.case === "offerSnapshot" && offered.value.result, 2); // ABORT
  }));

test("a method that throws, rejects or answers what cannot be sent: Exceptions, and on it goes", () =>
  serving(
    {
      commit: () => {
        throw new Error("the disk is full");
      },
      query: () => Promise.reject(new Error("not now")),
      info: () => ({ lastBlockHeight: "many" as unknown as bigint }),
    },
    async (server, errors) => {
      const client = await Client.connect(server);
      client.send(request("commit"), request("query"), request("info"), request("flush"));
      assert.equal(exceptionOf(await client.next()), "Error: the disk is full");
      assert.equal(exceptionOf(await client.next()), "Error: not now");
      assert.match(exceptionOf(await client.next()) as string, /./);
      assert.equal((await client.next())?.case, "flush");
      assert.equal(errors.length, 3);
    },
  ));

test("an answer longer than a message may be is an Exception", () =>
  serving(
    { query: () => ({ value: new Uint8Array(1001) }) },
    async (server) => {
      const client = await Client.connect(server);
      assert.match(exceptionOf(await client.ask("query")) as string, /^MESSAGE_TOO_LONG: .* 1007 bytes/);
    },
    { messageBytes: 1000 },
  ));

// ---- order ------------------------------------------------------------------------------------------------

/** An application whose CheckTx end when they are told to. */
function gated() {
  const open: (() => void)[] = [];
  const log: string[] = [];
  const checkTx = async ({ tx }: { tx: Uint8Array }) => {
    const name = Buffer.from(tx).toString();
    log.push(name);
    await new Promise<void>((resolve) => open.push(resolve));
    return { data: tx };
  };
  const query = () => {
    log.push("query");
    return {};
  };
  const check = (name: string): Uint8Array => request("checkTx", { tx: Buffer.from(name) });
  return { open, log, application: { checkTx, query }, check };
}

test("a connection's requests run one after another, and connections beside each other", async () => {
  const { open, log, application, check } = gated();
  await serving(application, async (server) => {
    const [first, second] = [await Client.connect(server), await Client.connect(server)];
    first.send(check("a"), check("b"), request("flush"));
    await until(() => log.length === 1);
    second.send(check("c"));
    await until(() => log.length === 2);
    assert.deepEqual(log, ["a", "c"]);
    open[0]?.();
    assert.equal((await first.next())?.case, "checkTx");
    await until(() => log.length === 3);
    assert.deepEqual(log, ["a", "c", "b"]);
    for (const end of open) end();
    assert.deepEqual([(await first.next())?.case, (await first.next())?.case], ["checkTx", "flush"]);
  });
});

test("CheckTx overlaps up to the option's number; answers keep their order, others wait", async () => {
  const { open, log, application, check } = gated();
  await serving(
    application,
    async (server) => {
      const client = await Client.connect(server);
      client.send(check("a"), check("b"), check("c"), check("d"), request("query"), check("e"));
      await until(() => log.length === 3);
      open[2]?.();
      open[1]?.();
      await turn();
      assert.deepEqual(log, ["a", "b", "c"]); // "a" is the oldest, and not answered
      open[0]?.();
      const names = [await client.next(), await client.next(), await client.next()].map((answered) =>
        answered?.case === "checkTx" ? Buffer.from(answered.value.data).toString() : answered?.case,
      );
      assert.deepEqual(names, ["a", "b", "c"]);
      await until(() => log.length === 4);
      await turn();
      assert.deepEqual(log.slice(3), ["d"]);
      open[3]?.();
      await until(() => log.length === 6);
      assert.deepEqual(log.slice(3), ["d", "query", "e"]);
      open[4]?.();
    },
    { checksAtOnce: 3 },
  );
});

// ---- limits -----------------------------------------------------------------------------------------------

test("a client that does not read is held, and others are served", async () => {
  let made = 0;
  const big = new Uint8Array(1 << 20);
  const query = () => {
    made++;
    return { value: big };
  };
  await serving({ query }, async (server) => {
    const [slow, other] = [await Client.connect(server), await Client.connect(server)];
    slow.socket.pause();
    slow.send(...Array.from({ length: 64 }, () => request("query")));
    let last = -1;
    for (let quiet = 0; quiet < 200; quiet++, last = made) {
      if (last !== made) quiet = 0;
      await turn();
    }
    assert.ok(made < 32, `${made} answers of a megabyte were made for a client that reads none`);
    assert.equal(echoOf(await other.ask("echo", { message: "on" })), "on");
    slow.socket.resume();
    for (let i = 0; i < 64; i++) assert.equal((await slow.next())?.case, "query");
    assert.equal(made, 64);
  });
});

test("bytes in all buffers are bounded: a connection that sends more is closed", async () => {
  const { open, log, application, check } = gated();
  await serving(
    application,
    async (server, errors) => {
      const [patient, client] = [await Client.connect(server), await Client.connect(server)];
      patient.send(check("x".repeat(900)));
      await until(() => log.length === 1);
      client.send(framed(new Uint8Array(1000)).subarray(0, 999));
      assert.deepEqual(await client.rest(), []);
      assert.deepEqual(errors.map(codeOf), ["BUFFERS_FULL"]);
      client.socket.destroy();
      await until(() => server.connections === 1);
      open[0]?.();
      assert.equal((await patient.next())?.case, "checkTx");
      // All of it is free again.
      const another = await Client.connect(server);
      for (let i = 0; i < 5; i++)
        assert.equal((await another.ask("query", { data: Buffer.alloc(900) }))?.case, "query");
    },
    { messageBytes: 1000, bufferedBytes: 1500 },
  );
});

test("one connection more than the limit is closed at once", () =>
  serving(
    {},
    async (server, errors) => {
      const client = await Client.connect(server);
      const more = await Client.connect(server);
      assert.deepEqual(await more.rest(), []);
      assert.deepEqual(errors.map(codeOf), ["TOO_MANY_CONNECTIONS"]);
      assert.equal(echoOf(await client.ask("echo", { message: "on" })), "on");
    },
    { connectionsLimit: 1 },
  ));

// ---- ends -------------------------------------------------------------------------------------------------

test("a client that has sent all is answered to the end", () =>
  serving({}, async (server) => {
    const client = await Client.connect(server);
    client.socket.end(Buffer.concat([request("echo", { message: "last" }), request("flush")]));
    assert.deepEqual(
      (await client.rest()).map((answered) => answered?.case),
      ["echo", "flush"],
    );
    await until(() => server.connections === 0);
  }));

test("when a client disconnects the signal of its request is aborted, and nothing else happens", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let begun = false;
  const query = (_: unknown, { signal }: { signal: AbortSignal }) => {
    begun = true;
    return new Promise<object>((answer) => {
      signal.addEventListener("abort", () => {
        answer({});
        resolve();
      });
    });
  };
  await serving({ query }, async (server, errors) => {
    const client = await Client.connect(server);
    client.send(request("query"), request("query"));
    await until(() => begun);
    client.socket.resetAndDestroy();
    await promise;
    await until(() => server.connections === 0);
    assert.deepEqual(errors, []);
  });
});

test("a client that goes before its answer is written disturbs nobody", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stillpoint-abci-"));
  try {
    for (const address of ["tcp://127.0.0.1:0", `unix://${join(folder, "app.sock")}`]) {
      const held: (() => void)[] = [];
      const query = () => new Promise<object>((resolve) => held.push(() => resolve({ value: NOTHING })));
      await serving(
        { query },
        async (server, errors) => {
          const clients = await Promise.all(Array.from({ length: 8 }, () => Client.connect(server)));
          for (const client of clients) client.send(request("query"));
          await until(() => held.length === 8);
          for (const client of clients) client.socket.destroy();
          // Some answers are written before the server has seen it, and some after.
          for (const [i, answer] of held.entries()) {
            for (let turns = 0; turns < i; turns++) await turn();
            answer();
          }
          await until(() => server.connections === 0);
          const client = await Client.connect(server);
          assert.equal(echoOf(await client.ask("echo", { message: "on" })), "on");
          client.socket.destroy();
          assert.deepEqual(errors, []);
        },
        { address },
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("close answers what has begun, begins nothing more, and ends idle connections", async () => {
  const { open, log, application, check } = gated();
  const server = await serveAbci({ ...ACCEPTING, ...application }, { address: "tcp://127.0.0.1:0" });
  const [busy, idle] = [await Client.connect(server), await Client.connect(server)];
  assert.equal(echoOf(await idle.ask("echo", { message: "here" })), "here");
  busy.send(check("a"), check("b"));
  await until(() => log.length === 1);
  const closed = server.close();
  assert.deepEqual(await idle.rest(), []);
  open[0]?.();
  assert.deepEqual(
    (await busy.rest()).map((answered) => answered?.case),
    ["checkTx"],
  );
  for (const client of [busy, idle]) client.socket.destroy();
  await closed;
  assert.deepEqual(log, ["a"]);
  assert.equal(server.connections, 0);
});

test("close does not wait for ever", async () => {
  const { log, application, check } = gated();
  const server = await serveAbci({ ...ACCEPTING, ...application }, { address: "tcp://127.0.0.1:0" });
  const client = await Client.connect(server);
  client.send(check("a"));
  await until(() => log.length === 1);
  await server.close(0);
  assert.equal(server.connections, 0);
});

// ---- addresses --------------------------------------------------------------------------------------------

test("a unix socket is readable by its owner only, and a stale one is replaced", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stillpoint-abci-"));
  const address = `unix://${join(folder, "app.sock")}`;
  const path = join(folder, "app.sock");
  try {
    await leaveSocket(path);
    await serving(
      {},
      async (server) => {
        assert.equal(server.address, address);
        assert.equal(statSync(path).mode & 0o777, 0o600);
        assert.equal(echoOf(await (await Client.connect(server)).ask("echo", { message: "on" })), "on");
        await assert.rejects(serveAbci(ACCEPTING, { address }), { code: "EADDRINUSE" });
      },
      { address },
    );
    assert.ok(!existsSync(path));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** A file of a socket that nobody listens at, as a process that was killed leaves it. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer();
  server.listen(`${path}.made`);
  await once(server, "listening");
  linkSync(`${path}.made`, path);
  server.close();
  await once(server, "close");
  assert.ok(existsSync(path));
}

const BAD: [options: object, message: RegExp][] = [
  [{ address: "127.0.0.1:26658" }, /option "address" must be "tcp:\/\/HOST:PORT" or "unix:\/\/PATH"/],
  [{ address: "tcp://127.0.0.1:70000" }, /option "address"/],
  [{ messageBytes: 0 }, /option "messageBytes" must be an integer/],
  [{ messageBytes: 10, bufferedBytes: 9 }, /option "bufferedBytes"/],
  [{ checksAtOnce: 0 }, /option "checksAtOnce"/],
  [{ onError: 1 }, /option "onError"/],
  [{ port: 1 }, /there is no option "port"/],
];

for (const [options, message] of BAD) {
  test(`${JSON.stringify(options)} is refused`, () =>
    assert.rejects(serveAbci(ACCEPTING, options), { code: "BAD_OPTION", message }));
}
