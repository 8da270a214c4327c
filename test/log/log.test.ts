/** A log of blocks: who may append, what followers do with what they read, and what they refuse. */

import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { programHash, type Runtime } from "../../runtime/index.ts";
import { DirectoryStorage } from "../../runtime/log/directory.ts";
import { decodeEntry, encodeEntry } from "../../runtime/log/entry.ts";
import {
  type BlockEntry,
  BlockLog,
  directoryLog,
  type Follower,
  type FoundDivergence,
  follow,
  type LogEntry,
  LogError,
  memoryLog,
  sequence,
} from "../../runtime/log/index.ts";
import { MemoryStorage } from "../../runtime/log/storage.ts";
import { batchMetadata, openBatches } from "../batch/batches.ts";
import { line, many, op, SCRIPT } from "../batch/scripts.ts";
import { metadata } from "../crash/metadata.ts";
import { guest, open } from "../fixture.ts";
import { everyState, withDirectory } from "../store/directory.ts";
import { changed } from "./places.ts";

const OPTIONS = { workers: 1, runner: "sequential" } as const;
const A = { writer: "a" } as const;

/** Waits until a follower has what the log has. */
async function caughtUp(follower: { metrics: Follower["metrics"]; done: Promise<void> }): Promise<void> {
  while ((await follower.metrics()).lag > 0) {
    await Promise.race([follower.done, new Promise((resolve) => setTimeout(resolve, 2))]);
  }
}

async function entriesOf(log: BlockLog): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const { entry } of log.read()) entries.push(entry);
  return entries;
}

test("an entry is read as it was written, and any other bytes are refused", () => {
  const common = { genesis: "1".repeat(64), term: 7, writer: "ä", height: 3, id: "2".repeat(64) };
  const block: BlockEntry = {
    kind: "block",
    ...common,
    parent: "3".repeat(64),
    metadata: Uint8Array.of(1, 2),
    gasLimit: 5,
    rules: { gasLimit: 9 },
    hints: [{ inputs: "4".repeat(64), dependencies: [[2, 1]] }],
  };
  for (const entry of [{ kind: "term", ...common } as const, block]) {
    const bytes = encodeEntry(entry);
    assert.deepEqual(decodeEntry(bytes, 1), entry);
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decodeEntry(bytes.subarray(0, length), 4), {
        code: "LOG_CORRUPT",
        message: /entry 4 of the log cannot be read/,
      });
    }
    assert.throws(() => decodeEntry(Uint8Array.of(...bytes, 0), 1), { code: "LOG_CORRUPT" });
    assert.throws(() => decodeEntry(Uint8Array.of(9, ...bytes.subarray(1)), 1), /version 9/);
  }
});

for (const kind of ["memory", "directory"] as const) {
  test(`${kind}: of two who append behind the same entry one succeeds; heights are found`, async () => {
    await withDirectory(async (path) => {
      const storage = kind === "memory" ? new MemoryStorage() : new DirectoryStorage(path);
      const log = new BlockLog(storage);
      assert.deepEqual([await log.first(), await log.last()], [null, null]);
      const entry = (height: number, writer: string): LogEntry => ({
        ...{ kind: "term", genesis: "1".repeat(64), term: 1, writer, height, id: "2".repeat(64) },
      });
      const tries = await Promise.allSettled(
        ["a", "b", "c"].map((writer) => log.append(entry(0, writer), 0)),
      );
      assert.equal(tries.filter(({ status }) => status === "fulfilled").length, 1);
      for (const one of tries)
        if (one.status === "rejected") assert.equal(one.reason.code, "LOG_TAKEN", String(one.reason));
      // Heights 0, 1, 1, 2, 3, 3, 3, 4: the same bytes again are no other entry.
      for (const [i, height] of [1, 1, 2, 3, 3, 3, 4].entries()) {
        for (let again = 0; again < 2; again++) await log.append(entry(height, "a"), i + 1);
      }
      assert.equal((await log.last())?.number, 8);
      const firstOf = async (height: number) => (await log.read({ height }).next()).value?.number;
      assert.deepEqual(await Promise.all([1, 2, 3, 4, 5].map(firstOf)), [2, 4, 5, 8, undefined]);
      await assert.rejects(firstOf(0), { code: "LOG_TRUNCATED" });
      // A waiting reader gets the entries that come, and the end.
      const stop = new AbortController();
      const numbers: number[] = [];
      const reading = (async () => {
        for await (const { number } of log.read({ height: 4, signal: stop.signal })) {
          numbers.push(number);
          if (number === 9) stop.abort();
        }
      })();
      await log.append(entry(5, "a"), 8);
      await reading;
      assert.deepEqual(numbers, [8, 9]);
      await log.close();
      await assert.rejects(log.append(entry(6, "a"), 9), { code: "LOG_CLOSED" });
    });
  });
}

test("a directory: old folders can be deleted, and what was only begun is no entry", async () => {
  await withDirectory(async (path) => {
    const storage = new DirectoryStorage(path);
    await storage.put(1, Uint8Array.of(1));
    // As if those between had been put as well.
    for (const [folder, number] of [
      [0, 999],
      [1, 1500],
      [1, 1999],
    ] as const) {
      const directory = join(path, `${folder}`.padStart(15, "0"));
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, `${number}`.padStart(15, "0")), Uint8Array.of(number & 255));
    }
    for (const number of [1000, 2000, 2001]) await storage.put(number, Uint8Array.of(number & 255));
    await assert.rejects(storage.put(2003, Uint8Array.of(1)), { code: "LOG_LOST", message: /entry 2002/ });
    mkdirSync(join(path, `${"0".repeat(14)}3`)); // made, and the writer died
    writeFileSync(join(path, `${"0".repeat(14)}2`, `${"0".repeat(11)}2002.x`), "half");
    assert.deepEqual(await storage.bounds(), { first: 1, last: 2001 });
    rmSync(join(path, "0".repeat(15)), { recursive: true });
    assert.deepEqual(await storage.bounds(), { first: 1000, last: 2001 });
    assert.deepEqual([...(await storage.get(1500))], [1500 & 255]);
  });
});

test("a second writer is refused, or takes over and fences the first, which can follow", async () => {
  const log = memoryLog();
  await using one = await open([], OPTIONS);
  await using two = await open([], OPTIONS);
  const first = await sequence(one, log, A);
  const block = await first.produce(metadata(1, 0));
  await assert.rejects(sequence(two, log, { writer: "b" }), {
    code: "LOG_OWNED",
    facts: { writer: "a", term: 1 },
    message: /"a" writes the log: follow it/,
  });
  assert.equal(two.head.height, 0);
  const seen: number[] = [];
  const second = await sequence(two, log, {
    writer: "b",
    takeOver: true,
    onBlock: ({ height }) => void seen.push(height),
  });
  assert.equal(two.head.id, block.id);
  const next = await second.produce(metadata(2, 1));
  const refused = { code: "LOG_FENCED", message: /"b" writes the log since entry 3/ };
  await assert.rejects(first.produce(metadata(2, 0)), refused);
  await assert.rejects(first.produce(metadata(2, 0)), refused);
  assert.deepEqual([one.head.height, first.metrics().fenced, seen], [1, true, [1, 2]]);
  const follower = await follow(one, log);
  await caughtUp(follower);
  assert.equal(one.head.id, next.id);
  await follower.stop();
  // The same writer again: what still runs under its name is fenced.
  const third = await sequence(one, log, { writer: "b" });
  await third.produce(metadata(3, 0));
  await assert.rejects(second.produce(metadata(3, 1)), { code: "LOG_FENCED" });
  assert.deepEqual(
    (await entriesOf(log)).map(({ kind, term, writer, height }) => `${kind} ${term} ${writer} ${height}`),
    ["term 1 a 0", "block 1 a 1", "term 2 b 1", "block 2 b 2", "term 3 b 2", "block 3 b 3"],
  );
});

test("a follower is promoted: it takes what is there, and the old writer is fenced", async () => {
  const log = memoryLog();
  await using one = await open([], OPTIONS);
  await using two = await open([], OPTIONS);
  const first = await sequence(one, log, A);
  const follower = await follow(two, log);
  for (let i = 1; i <= 5; i++) await first.produce(metadata(i, 0));
  const promoted = await follower.promote({ writer: "b" });
  assert.deepEqual([two.head.id, promoted.metrics().term], [one.head.id, 2]);
  await promoted.produce(metadata(6, 0));
  await assert.rejects(first.produce(metadata(6, 1)), { code: "LOG_FENCED" });
  await follower.done;
});

test("what a full log refuses is not committed, and the next block is made", async () => {
  let full = true;
  const storage = new MemoryStorage();
  const refuse = async (number: number, bytes: Uint8Array) => {
    if (full && number === 3) throw new LogError("LOG_FULL", "no room");
    await storage.put(number, bytes);
  };
  const log = new BlockLog(changed(storage, { put: refuse }));
  await using runtime = await open([], OPTIONS);
  const sequencer = await sequence(runtime, log, A);
  await sequencer.produce(metadata(1, 0));
  for (let i = 0; i < 3; i++) await assert.rejects(sequencer.produce(metadata(2, i)), { code: "LOG_FULL" });
  assert.equal(runtime.head.height, 1);
  full = false;
  await sequencer.produce(metadata(2, 9));
  assert.deepEqual([runtime.head.height, (await log.last())?.number], [2, 3]);
});

test("a block whose acknowledgement is lost is taken before the next one is made", async () => {
  const storage = new MemoryStorage();
  const lose = async (number: number, bytes: Uint8Array) => {
    await storage.put(number, bytes);
    if (number === 2 || number === 4) throw new LogError("LOG_UNCERTAIN", "no answer");
  };
  const log = new BlockLog(changed(storage, { put: lose }));
  await using runtime = await open([], OPTIONS);
  const sequencer = await sequence(runtime, log, A);
  await assert.rejects(sequencer.produce(metadata(1, 0)), { code: "LOG_UNCERTAIN" });
  assert.equal(runtime.head.height, 0);
  await sequencer.produce(metadata(2, 0));
  await assert.rejects(sequencer.produce(metadata(3, 0)), { code: "LOG_UNCERTAIN" });
  assert.equal((await sequencer.produce(metadata(4, 0))).height, 4);
  await using other = await open([], OPTIONS);
  for (let i = 1; i <= 4; i++) await other.produce(metadata(i, 0));
  assert.equal(runtime.head.id, other.head.id);
});

test("blocks that are made or reverted beside the sequencer are noticed", async () => {
  const log = memoryLog();
  await using runtime = await open([], OPTIONS);
  const sequencer = await sequence(runtime, log, A);
  await sequencer.produce(metadata(1, 0));
  await runtime.produce(metadata(2, 0));
  await assert.rejects(sequencer.produce(metadata(3, 0)), {
    code: "LOG_BYPASSED",
    message: /block 2, at which/,
  });
  await runtime.revert(1);
  assert.equal((await sequencer.produce(metadata(2, 1))).height, 2);
  await sequencer.stop();
  await assert.rejects(sequencer.produce(metadata(3, 0)), { code: "CLOSED" });
});

test("a byte that differs in the log stops the follower, which names the height and both ids", async () => {
  const storage = new MemoryStorage();
  const log = new BlockLog(storage);
  await using one = await open([], OPTIONS);
  const sequencer = await sequence(one, log, A);
  const ids = [one.head.id];
  for (let i = 1; i <= 6; i++) ids.push((await sequencer.produce(metadata(i, 0))).id);
  async function* flipped(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let number = from;
    for await (const bytes of storage.follow(from, signal)) {
      const entry = decodeEntry(bytes, number);
      const isFourth = entry.kind === "block" && entry.height === 4;
      number++;
      yield encodeEntry(isFourth ? { ...entry, metadata: metadata(4, 1) } : entry);
    }
  }
  await using two = await open([], OPTIONS);
  const found: FoundDivergence[] = [];
  const follower = await follow(two, new BlockLog(changed(storage, { follow: flipped })), {
    onDivergence: (divergence) => void found.push(divergence),
  });
  await assert.rejects(follower.done, { code: "LOG_DIVERGED" });
  assert.deepEqual([found[0]?.height, found[0]?.logged, two.head.height], [4, ids[4], 3]);
  assert.notEqual(found[0]?.made, ids[4]);
  assert.equal((await follower.metrics()).divergedAt, 4);
  await assert.rejects(follower.promote({ writer: "b" }), { code: "LOG_DIVERGED" });
  // The same log, read as it is: it continues from where it stands.
  const told: [height: number, lag: number][] = [];
  const again = await follow(two, log, { onBlock: ({ height }, lag) => void told.push([height, lag]) });
  await caughtUp(again);
  assert.equal(two.head.id, ids[6]);
  assert.deepEqual(told, [
    [4, 2],
    [5, 1],
    [6, 0],
  ]);
  await again.stop();
});

test("where a replica parted is found from the ids, and the bytes from the writer's store", async () => {
  await withDirectory(async (store) => {
    const log = memoryLog();
    await using one = await open([], { ...OPTIONS, store: everyState(store) });
    await using two = await open([], OPTIONS);
    const sequencer = await sequence(one, log, A);
    for (let i = 1; i <= 9; i++) await sequencer.produce(metadata(i, 0));
    for (let i = 1; i <= 7; i++) await two.produce(metadata(i, i === 3 ? 1 : 0));
    const found: FoundDivergence[] = [];
    const follower = await follow(two, log, {
      compareWith: store,
      onDivergence: (divergence) => void found.push(divergence),
    });
    await assert.rejects(follower.done, { code: "LOG_DIVERGED", message: /block 3 is/ });
    assert.deepEqual([found[0]?.height, found[0]?.difference?.height], [3, 3]);
    assert.ok((found[0]?.difference?.differences.length ?? 0) > 0);
    assert.equal(found[0]?.made, two.blocks()[3]?.id);
  });
});

test("logs of another chain, and logs that begin too high, are refused in a sentence", async () => {
  const log = memoryLog();
  await using one = await open([], OPTIONS);
  for (let i = 1; i <= 3; i++) await one.produce(metadata(i, 0));
  const sequencer = await sequence(one, log, A);
  await sequencer.produce(metadata(4, 0));
  await using other = await open([await guest("nested")], OPTIONS);
  await assert.rejects((await follow(other, log)).done, {
    code: "LOG_TRUNCATED",
    message: /begins with block 4/,
  });
  for (let i = 1; i <= 3; i++) await other.produce(metadata(i, 0));
  await assert.rejects((await follow(other, log)).done, { code: "LOG_GENESIS", message: /another chain/ });
  await assert.rejects(sequence(other, log, A), { code: "LOG_GENESIS" });
  await using fork = await one.fork({ at: 3 });
  const follower = await follow(fork, log);
  await caughtUp(follower);
  assert.equal(fork.head.id, one.head.id);
  await follower.stop();
});

test("a log that has lost its end gets it back from the store of its writer", async () => {
  const log = memoryLog();
  await using runtime = await open([], OPTIONS);
  const sequencer = await sequence(runtime, log, A);
  for (let i = 1; i <= 6; i++) await sequencer.produce(metadata(i, 0));
  const shorter = memoryLog();
  for await (const { number, entry } of log.read()) if (number <= 4) await shorter.append(entry, number - 1);
  await sequence(runtime, shorter, A);
  assert.deepEqual(
    (await entriesOf(shorter)).map(({ height, id }) => `${height} ${id}`),
    ["0", "1", "2", "3", "3", "4", "5", "6"].map(
      (height) => `${height} ${runtime.blocks()[Number(height)]?.id}`,
    ),
  );
});

test("followers get what the writer learnt of dependencies, which changes no id", async () => {
  const log = memoryLog();
  const options = { workers: 2, debug: { force: true } };
  await using one = await openBatches(SCRIPT, { ...options, dependencies: true });
  const sequencer = await sequence(one, log, A);
  const hot = batchMetadata(many(60, (i) => [op.copyAdd(line(i % 3), line((i + 1) % 3), 1)]));
  for (let i = 0; i < 3; i++) await sequencer.produce(hot);
  const blocks = (await entriesOf(log)).filter((entry) => entry.kind === "block");
  assert.ok(blocks.some(({ hints }) => (hints[0]?.dependencies?.length ?? 0) > 0));
  const plain = memoryLog();
  let number = 0;
  for (const entry of await entriesOf(log))
    await plain.append(entry.kind === "term" ? entry : { ...entry, hints: [] }, number++);
  for (const source of [log, plain]) {
    await using two = await openBatches(SCRIPT, options);
    const follower = await follow(two, source);
    await caughtUp(follower);
    assert.equal(two.head.id, one.head.id);
    await follower.stop();
  }
});

test("a change of rules goes over the log as any block", async () => {
  const log = memoryLog();
  await using one = await open([], OPTIONS);
  await using two = await open([], OPTIONS);
  const nested = await guest("nested");
  const sequencer = await sequence(one, log, A);
  await sequencer.produce(metadata(1, 0), { rules: { programs: [nested] }, gasLimit: 1_000_000_000 });
  await sequencer.produce(metadata(2, 0));
  const follower = await follow(two, log);
  await caughtUp(follower);
  assert.equal(two.head.id, one.head.id);
  assert.ok(two.rules().programs.includes(Buffer.from(programHash(nested)).toString("hex")));
  await follower.stop();
});

test("wrong arguments are refused", async () => {
  await using runtime = await open([], OPTIONS);
  const log = memoryLog();
  const wrong = (made: Promise<unknown>, message: RegExp) => assert.rejects(made, message);
  await wrong(sequence({} as Runtime, log, A), /target must be a Runtime or an App/);
  await wrong(
    sequence(runtime, {} as BlockLog, A),
    /log must be a BlockLog, as memoryLog\(\) and others make it, got object/,
  );
  await wrong(sequence(runtime, log, {} as never), /"writer" must be a name/);
  await wrong(sequence(runtime, log, { ...A, onBlock: 3 as never }), /"onBlock" must be a function/);
  await wrong(sequence(runtime, log, { ...A, name: "x" } as never), /there is no option "name"/);
  await wrong(follow(runtime, log, { onDivergence: 3 as never }), /"onDivergence" must be a function/);
  await wrong(
    follow(runtime, log, { compareWith: 3 as never }),
    /compareWith must be the directory of a store/,
  );
  assert.throws(() => directoryLog(""), /path must be a directory/);
});
