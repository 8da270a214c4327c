/** A log on a real nats-server: built by Go where STILLPOINT_FULL=1 demands it, else skipped. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { DiscardPolicy, jetstreamManager } from "@nats-io/jetstream";
import {
  type BlockLog,
  follow,
  jetStreamLog,
  type NatsConnection,
  sequence,
} from "../../runtime/log/index.ts";
import { JetStreamStorage } from "../../runtime/log/jetstream.ts";
import { metadata } from "../crash/metadata.ts";
import { open } from "../fixture.ts";
import { baseSeed } from "../seed.ts";
import { withDirectory } from "../store/directory.ts";
import { chaos } from "./chaos.ts";
import { NatsServer, natsServer } from "./nats.ts";
import { canMount, smallDisk } from "./small-disk.ts";

const found = natsServer();
const skip = "missing" in found ? found.missing : false;
const program = "program" in found ? found.program : "";
const OPTIONS = { workers: 1, runner: "sequential" } as const;
/** Each ends a server and the connection to it: also those of a test that hangs, so that the process ends. */
const endings: (() => Promise<void>)[] = [];
after(async () => {
  for (const end of endings) await end();
});

/** Hands a server and a connection to `use`. */
async function withServer(
  use: (connection: NatsConnection, server: NatsServer, directory: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const server = new NatsServer(program, `${directory}-nats`);
    endings.push(() => server.kill());
    await server.start();
    const connection = await server.connect();
    const end = async (): Promise<void> => {
      await connection.close();
      await server.kill();
    };
    endings.push(end);
    try {
      await use(connection, server, directory);
    } finally {
      await end();
    }
  });
}

test("200 blocks: who dies, comes back, or is replaced, has the chain of the log", { skip }, async (t) => {
  await withServer(async (connection, _, directory) => {
    const place = { open: () => JetStreamStorage.open({ connection, stream: "chain" }) };
    const seen = await chaos(place, { seed: baseSeed(t) + 2, blocks: 200, directory });
    t.diagnostic(JSON.stringify(Object.fromEntries(seen)));
  });
});

test("a server that is killed and comes back: the writer waits for it, the follower continues", {
  skip,
}, async () => {
  await withServer(async (connection, server) => {
    const log = await jetStreamLog({ connection, stream: "chain" });
    await using one = await open([], OPTIONS);
    await using two = await open([], OPTIONS);
    const sequencer = await sequence(one, log, { writer: "a" });
    const follower = await follow(two, log);
    for (let i = 1; i <= 5; i++) await sequencer.produce(metadata(i, 0));
    for (let round = 0; round < 3; round++) {
      await server.kill();
      const made = sequencer.produce(metadata(100 + round, 0));
      await new Promise((resolve) => setTimeout(resolve, 500));
      await server.start();
      await made;
    }
    while ((await follower.metrics()).lag > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual([one.head.height, two.head.id], [8, one.head.id]);
    await follower.stop();
  });
});

test("who reads can be told to stop at any moment, also while the server is being asked", {
  skip,
}, async () => {
  await withServer(async (connection) => {
    const storage = await JetStreamStorage.open({ connection, stream: "chain" });
    const outcomes = new Set<string>();
    for (let turns = 0; turns < 60; turns++) {
      const stop = new AbortController();
      const first = storage.follow(1, stop.signal).next();
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      stop.abort();
      outcomes.add(JSON.stringify(await first));
    }
    assert.deepEqual([...outcomes], ['{"done":true}']);
  });
});

test("a server that does not answer: the block is uncertain, and the next call reads whether it is there", {
  skip,
}, async () => {
  await withServer(async (connection, server) => {
    const log = await jetStreamLog({ connection, stream: "chain", timeoutMs: 300 });
    await using runtime = await open([], OPTIONS);
    const sequencer = await sequence(runtime, log, { writer: "a" });
    await sequencer.produce(metadata(1, 0));
    await server.kill();
    await assert.rejects(sequencer.produce(metadata(2, 0)), { code: "LOG_UNCERTAIN" });
    assert.equal(runtime.head.height, 1);
    await server.start();
    while ((await sequencer.produce(metadata(3, 0)).catch(() => null)) === null);
    assert.equal((await log.last())?.entry.id, runtime.head.id);
  });
});

test("a stream that is full refuses a block, and takes it once there is room", { skip }, async () => {
  await withServer(async (connection) => {
    const log = await jetStreamLog({ connection, stream: "chain" });
    const { streams } = await jetstreamManager(connection);
    await using runtime = await open([], OPTIONS);
    const sequencer = await sequence(runtime, log, { writer: "a" });
    await sequencer.produce(metadata(1, 0));
    await streams.update("chain", { max_bytes: (await streams.info("chain")).state.bytes + 100 });
    await assert.rejects(sequencer.produce(metadata(2, 0)), { code: "LOG_FULL", message: /Make room/ });
    assert.equal(runtime.head.height, 1);
    await streams.update("chain", { max_bytes: -1 });
    assert.equal((await sequencer.produce(metadata(2, 1))).height, 2);
  });
});

test("a disk that is full: nothing is acknowledged and nothing lost, and it continues with room", {
  skip: skip || canMount(),
}, async (t) => {
  await withDirectory(async (directory) => {
    const disk = await smallDisk(`${directory}-nats`);
    const server = new NatsServer(program, `${directory}-nats`, ["nsenter", `--mount=${disk.namespace}`]);
    endings.push(() => server.kill(), disk.end);
    await server.start();
    const connection = await server.connect();
    endings.push(() => connection.close());
    const log = await jetStreamLog({ connection, stream: "chain", timeoutMs: 500 });
    await using one = await open([], OPTIONS);
    await using two = await open([], OPTIONS);
    const sequencer = await sequence(one, log, { writer: "a" });
    await sequencer.produce(metadata(1, 0));
    disk.fill();
    let made = 1;
    const refused = new Set<string>();
    while (refused.size === 0 && made < 10_000) {
      await sequencer.produce(metadata(made + 1, 0)).then(
        () => made++,
        ({ code }) => refused.add(code),
      );
    }
    t.diagnostic(`${made} blocks, then ${[...refused]}`);
    assert.ok(refused.has("LOG_UNCERTAIN") || refused.has("LOG_FULL"), [...refused].join());
    assert.equal(one.head.height, made);
    disk.free();
    await server.kill();
    await server.start();
    while ((await sequencer.produce(metadata(made + 1, 1)).catch(() => null)) === null);
    const follower = await follow(two, log);
    while ((await follower.metrics()).lag > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(two.head.id, one.head.id);
    assert.ok(one.head.height > made);
    await follower.stop();
    await connection.close();
    await server.kill();
    await disk.end();
  });
});

test("streams that forget, entries that are deleted or too large: each says so", { skip }, async () => {
  await withServer(async (connection) => {
    const { streams } = await jetstreamManager(connection);
    await streams.add({ name: "old", subjects: ["old.entries"], discard: DiscardPolicy.Old });
    await assert.rejects(jetStreamLog({ connection, stream: "old" }), {
      code: "LOG_CONFIGURATION",
      message: /has discard "old", and a log needs "new"/,
    });
    await assert.rejects(jetStreamLog({ connection, stream: "a.b" }), { code: "BAD_ARGUMENT" });
    const log: BlockLog = await jetStreamLog({ connection, stream: "chain" });
    await using runtime = await open([], OPTIONS);
    const sequencer = await sequence(runtime, log, { writer: "a" });
    for (let i = 1; i <= 3; i++) await sequencer.produce(metadata(i, 0));
    const large = new Uint8Array(connection.info?.max_payload ?? 0);
    const storage = await JetStreamStorage.open({ connection, stream: "chain" });
    await assert.rejects(storage.put(5, large), { code: "LOG_TOO_LARGE", message: /raise its max_payload/ });
    await streams.deleteMessage("chain", 3);
    await using other = await open([], OPTIONS);
    const follower = await follow(other, log);
    await assert.rejects(follower.done, { code: "LOG_LOST", message: /entry 3 is not in the stream chain/ });
    assert.equal(other.head.height, 0);
  });
});
