/** Recordings: what they say of a block agrees with its reports, and their files harm no block. */

import assert from "node:assert/strict";
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { WINDOW_ITEMS } from "../../runtime/batch/experience.ts";
import { HEAP_BYTES_LIMIT } from "../../runtime/chain/options.ts";
import { type BlockRecording, readRecording, recordBlock, type SpanRecord } from "../../runtime/debug.ts";
import {
  type Block,
  type BlockFault,
  Runtime,
  type RuntimeEvent,
  type RuntimeOptions,
} from "../../runtime/index.ts";
import type { RawRecording } from "../../runtime/record/raw.ts";
import { Recorder } from "../../runtime/record/recorder.ts";
import { type BatchInput, openBatches, runBatch } from "../batch/batches.ts";
import { steps } from "../batch/everywhere.ts";
import { batch, item, line, op, PLENTY, SCRIPT, WARM } from "../batch/scripts.ts";
import { quota, Script } from "../driver.ts";
import { driver, fitted, withRuntime } from "../fixture.ts";
import { withDirectory } from "../store/directory.ts";

const { heapBytes, workers, views } = fitted({});
const HOST = { heapBytes, workers, views };
const LIMITS = { memoryQuotaPages: quota(4096) };

const faults = (item: number): boolean => item % 50 === 7;

/** Items that meet over three lines, some of which fault. */
function meeting(): BatchInput {
  const items = Array.from({ length: 300 }, (_, i) =>
    item([op.work(500), op.add(line(i % 3), 1), ...(faults(i) ? [op.fail(1)] : [])], PLENTY),
  );
  return batch(items, 300 * PLENTY);
}

/** Items of lines of their own. */
function apart(): BatchInput {
  return batch(
    Array.from({ length: 300 }, (_, i) => item([op.add(line(i), 1)], PLENTY)),
    300 * PLENTY,
  );
}

/** The recordings of batches until one of them satisfies `isWanted`. */
async function recorded(
  input: BatchInput,
  options: Partial<RuntimeOptions>,
  isWanted: (recording: BlockRecording) => boolean = () => true,
): Promise<BlockRecording> {
  const runtime = await openBatches(SCRIPT, { ...LIMITS, record: true, ...options });
  try {
    await runBatch(runtime, WARM);
    for (let round = 0; ; round++) {
      const { block } = await runBatch(runtime, input);
      const recording = (await readRecording(runtime)).read(block.height);
      assert.ok(recording !== null && recording.id === block.id);
      check(recording);
      if (isWanted(recording)) return recording;
      assert.ok(round < 20);
    }
  } finally {
    await runtime.close();
  }
}

const ofKind = <W extends SpanRecord["what"]>({ spans }: BlockRecording, what: W) =>
  spans.filter((span): span is Extract<SpanRecord, { what: W }> => span.what === what);

/** What holds of every recording. */
function check(recording: BlockRecording): void {
  const { spans, batches, milliseconds, spansLost } = recording;
  assert.equal(spansLost, 0);
  for (const [i, span] of spans.entries()) {
    assert.ok(span.parent < spans.length && span.parent !== i);
    assert.ok(span.end === null || span.end >= span.begin);
    if (span.what === "collection") continue;
    assert.ok(span.begin >= 0 && span.begin <= milliseconds * 1000 + 1);
    if ("batch" in span) assert.ok(span.batch >= 0 && span.batch < batches.length, span.what);
  }
  for (const { span } of batches) assert.equal(spans[span]?.what, "activation");
}

for (const [name, input] of [
  ["meet", meeting()],
  ["do not meet", apart()],
] as const) {
  test(`every incarnation, validation and read is in the recording: items that ${name}`, async () => {
    const isMeeting = name === "meet";
    const debug = { force: true, ...(isMeeting ? { steps: steps("stall") } : {}) };
    const met = ({ batches: [batch] }: BlockRecording) => (batch?.report.aborts ?? 0) > 0;
    const recording = await recorded(input, { workers: 3, debug }, isMeeting ? met : undefined);
    assert.equal(recording.batches.length, 1);
    const [{ report, accesses, places, accessesCut }] = recording.batches as [BlockRecording["batches"][0]];
    assert.deepEqual(report.endings, ["done"]);
    const items = ofKind(recording, "item");
    const validations = ofKind(recording, "validation");
    assert.equal(items.length, report.executions);
    assert.equal(validations.length, report.validations);
    assert.equal(validations.filter(({ valid }) => !valid).length, report.aborts);
    assert.equal(items.filter(({ ended }) => ended === "gave-up").length, report.givenUp);
    assert.equal(items.filter(({ ended }) => ended === "expired").length, report.expired);
    const lastOf = new Map(items.map((span) => [span.item, span]));
    assert.equal(lastOf.size, 300);
    assert.equal(accessesCut, false);
    // Dependencies, by another way; the report has those within a window.
    const isWithin = (item: number, from: number | null): boolean =>
      from !== null && from >= 0 && Math.floor(item / WINDOW_ITEMS) === Math.floor(from / WINDOW_ITEMS);
    const pairs = new Set(
      accesses.flatMap(({ item, from }) => (isWithin(item, from) ? [`${item},${from}`] : [])),
    );
    assert.deepEqual([...pairs].sort(), report.dependencies?.map(String).sort());
    const written = new Map<number, number[]>();
    for (const { item, line, wrote } of accesses)
      if (wrote) written.set(line, [...(written.get(line) ?? []), item]);
    const shared = [...written].filter(([, by]) => new Set(by).size > 1).map(([line]) => line);
    assert.deepEqual(
      shared.filter((line) => !places.some((place) => place.line === line)),
      [],
    );
    if (isMeeting) {
      assert.equal(shared.length, 3);
      const writers = shared.flatMap((line) => written.get(line) ?? []);
      assert.equal(writers.length, 294, "those that fault leave nothing");
      const met = accesses.filter(({ line }) => shared.includes(line));
      assert.equal(met.length, 300);
      for (const { item, from } of met) {
        let writer = item - 3;
        while (writer >= 0 && faults(writer)) writer -= 3;
        assert.equal(from, Math.max(writer, -1), `item ${item} reads what the last one left, of any window`);
      }
    } else {
      assert.deepEqual([shared, places], [[], []]);
    }
  });
}

test("items of the loop are in the recording, with what each used", async () => {
  for (const options of [{ workers: 1 }, { workers: 2, runner: "sequential" }] as const) {
    const recording = await recorded(meeting(), options);
    const loop = ofKind(recording, "loop");
    assert.deepEqual(
      loop.map(({ item }) => item),
      Array.from({ length: 300 }, (_, i) => i),
    );
    assert.equal(loop.filter(({ fault }) => fault !== "none").length, 6);
    assert.ok(loop.every(({ gasUsed }) => gasUsed > 0));
    assert.deepEqual(recording.batches[0]?.accesses, []);
  }
});

test("no root and no gas depends on whether it is recorded, nor on how many threads are", async () => {
  const force = { force: true };
  const all: { root: string; gasUsed: number }[] = [];
  for (const options of [
    { workers: 1 },
    { workers: 3, debug: force },
    { workers: 3, debug: force, record: false },
  ]) {
    const runtime = await openBatches(SCRIPT, { ...LIMITS, record: true, ...options });
    await runBatch(runtime, WARM);
    const { block } = await runBatch(runtime, meeting());
    all.push({ root: block.root, gasUsed: block.gasUsed });
    await runtime.close();
  }
  assert.deepEqual(all, [all[0], all[0], all[0]]);
});

test("a block that failed is recorded with the input from which it can be traced", async () => {
  await withRuntime([], { record: true }, async (runtime) => {
    const script = new Script();
    script.abort();
    const metadata = script.metadata();
    const error: BlockFault = await runtime.produce(metadata, { gasLimit: 1e9 }).catch((thrown) => thrown);
    await runtime.produce(new Script().metadata());
    const recordings = await readRecording(runtime);
    const [first, failed, made] = recordings.entries();
    assert.deepEqual([first?.height, recordings.read(0)?.root], [0, runtime.blocks()[0]?.root]);
    assert.deepEqual([failed?.id, failed?.height, made?.height], [null, 1, 1]);
    const recording = recordings.read(failed as NonNullable<typeof failed>) as BlockRecording;
    const { code, text, deterministic, metadata: kept } = recording.failure ?? assert.fail();
    assert.deepEqual([code, deterministic, recording.gasLimit], ["BLOCK_FAULT", true, 1e9]);
    assert.equal(error.code, code);
    assert.ok(error.message.startsWith(text.slice(0, 40)));
    assert.deepEqual(Buffer.from(kept as string, "base64"), Buffer.from(metadata));
    assert.equal(recordings.read(1)?.failure, null, "by its height the block that was made");
  });
});

test("without a recording a block runs again, and gives the same block", async () => {
  await withDirectory(async (store) => {
    const runtime = await openBatches(SCRIPT, { ...LIMITS, store, workers: 2 });
    await runBatch(runtime, WARM);
    const { block } = await runBatch(runtime, meeting());
    await assert.rejects(readRecording(runtime), { code: "NO_RECORDING" });
    const live = await recordBlock(runtime, block, { workers: 2 });
    await runtime.close();
    assert.deepEqual((await readRecording(store)).entries(), []);
    const again = await recordBlock(store, block.height, { workers: 1 });
    for (const recording of [live, again]) {
      check(recording);
      const { source, id, height, parent, root, gasUsed, batches } = recording;
      assert.deepEqual({ source, id, height, parent, root, gasUsed }, { ...known(block), source: "again" });
      assert.deepEqual(batches[0]?.report.block, { height, parent, id });
    }
    assert.ok(ofKind(live, "item").length >= 300);
    assert.equal(ofKind(again, "loop").length, 300);
    await assert.rejects(recordBlock(store, 0), { code: "NOT_RETAINED" });
    await assert.rejects(recordBlock(store, 99), { code: "NOT_RETAINED" });
  });
});

const known = ({ id, height, parent, root, gasUsed }: Block) => ({ id, height, parent, root, gasUsed });

// ---- files ------------------------------------------------------------------------------------------------

const filesIn = (store: string) => readdirSync(join(store, "recording")).sort();

/** Makes so many blocks that are recorded beside the store; of a new store block 0 as well. */
async function makeBlocks(
  store: string,
  count: number,
  record: RuntimeOptions["record"] = true,
): Promise<Block[]> {
  const runtime = await Runtime.open(fitted({ root: driver, programs: [driver], store, record }));
  try {
    const made: Block[] = runtime.head.height === 0 ? [runtime.head] : [];
    for (let i = 0; i < count; i++) made.push(await runtime.produce(new Script().metadata()));
    return made;
  } finally {
    await runtime.close();
  }
}

test("recordings stay when the runtime is opened again, which begins a new file", async () => {
  await withDirectory(async (store) => {
    const made = [...(await makeBlocks(store, 3)), ...(await makeBlocks(store, 2))];
    assert.equal(filesIn(store).length, 2);
    const recordings = await readRecording(store);
    assert.deepEqual(
      recordings.entries().map(({ height, id, parent }) => ({ height, id, parent })),
      made.map(({ height, id, parent }) => ({ height, id, parent })),
    );
    for (const block of made) {
      const recording = recordings.read(block.id);
      assert.deepEqual(known(recording as never), known(block));
      assert.equal(recording?.source, "recorded");
      assert.equal(ofKind(recording as BlockRecording, "activation")[0]?.gasUsed, block.gasUsed);
    }
    assert.equal(recordings.read("00".repeat(32)), null);
  });
});

test("a record that was cut off or damaged is left out, and those behind it in its file", async () => {
  await withDirectory(async (store) => {
    await makeBlocks(store, 2);
    const [first] = filesIn(store).map((name) => join(store, "recording", name)) as [string];
    const bytes = readFileSync(first);
    const ends = (await readRecording(store)).entries().map(({ bytes }) => bytes);
    const two = (ends[0] as number) + (ends[1] as number);
    const heights = async () => (await readRecording(store)).entries().map(({ height }) => height);
    for (const cut of [bytes.length - 1, two + 1, two + 95, two]) {
      writeFileSync(first, bytes.subarray(0, cut));
      assert.deepEqual(await heights(), [0, 1], `cut at ${cut}`);
    }
    for (const at of [0, 5, 20, 40, 100, 200]) {
      const damaged = Buffer.from(bytes);
      damaged[(ends[0] as number) + at]! ^= 1;
      writeFileSync(first, damaged);
      assert.deepEqual(await heights(), [0], `damaged at ${at}`);
    }
    writeFileSync(first, bytes.subarray(0, two + 50));
    await makeBlocks(store, 1);
    assert.deepEqual(await heights(), [0, 1, 3], "what follows is in another file");
    writeFileSync(join(store, "recording", "something else"), "");
    assert.equal((await heights()).length, 3);
  });
});

test("no more than the limit is kept, and the newest stay", async () => {
  for (const isStored of [true, false]) {
    await withDirectory(async (directory) => {
      const record = { limitBytes: 1 << 16 };
      const place = isStored ? { store: directory } : {};
      const runtime = await Runtime.open(fitted({ root: driver, programs: [driver], ...place, record }));
      // Metadata of failed attempts fills it.
      const script = new Script();
      script.abort();
      const noise = Buffer.alloc(4000, "x").map((_, i) => (i * i * 31) % 251);
      for (let i = 0; i < 60; i++) {
        await runtime.produce(Buffer.concat([script.metadata(), noise])).catch(() => {});
        await runtime.produce(new Script().metadata());
      }
      const entries = (await readRecording(runtime)).entries();
      const sum = entries.reduce((total, { bytes }) => total + bytes, 0);
      assert.ok(sum <= record.limitBytes && sum > record.limitBytes / 2, `${sum}`);
      assert.equal(entries.at(-1)?.height, 60);
      if (isStored) {
        const sizes = filesIn(directory).map((name) => statSync(join(directory, "recording", name)).size);
        assert.equal(
          sizes.reduce((a, b) => a + b),
          sum,
        );
      }
      await runtime.close();
    });
  }
});

test("blocks that a crash makes run again are recorded, those that were already are not", async () => {
  await withDirectory(async (path) => {
    const store = { path: join(path, "store"), durability: "logged", checkpointMs: 3_600_000 } as const;
    const options = { ...LIMITS, store, record: true };
    const runtime = await openBatches(SCRIPT, options);
    const blocks: Block[] = [];
    for (let i = 0; i < 3; i++) blocks.push((await runBatch(runtime, meeting())).block);
    await readRecording(runtime); // all of them are written
    // What a crash leaves, with the recordings and without.
    for (const name of ["with", "without"])
      cpSync(store.path, join(path, name), {
        recursive: true,
        filter: (file) => name === "with" || !file.endsWith("/recording"),
      });
    await runtime.close();
    const seen: Record<string, (string | undefined)[]> = {};
    for (const name of ["with", "without"]) {
      const again = await Runtime.open({
        ...{ ...HOST, heapBytes: HEAP_BYTES_LIMIT },
        ...{ store: join(path, name), record: true },
      });
      assert.equal(again.head.id, blocks.at(-1)?.id);
      const recordings = await readRecording(again);
      const ids = blocks.map(({ id }) => id);
      const entries = recordings.entries().filter(({ id }) => ids.includes(id ?? ""));
      assert.deepEqual(
        entries.map(({ id }) => id),
        ids,
        `${name}: each once`,
      );
      seen[name] = ids.map((id) => recordings.read(id)?.source);
      const items = ids.map((id) => recordings.read(id)?.batches[0]?.report.items);
      assert.deepEqual(items, [300, 300, 300]);
      await again.close();
    }
    const all = (source: string): string[] => blocks.map(() => source);
    assert.deepEqual(seen, { with: all("recorded"), without: all("again") });
  });
});

const IO = "/proc/self/io";
const counts = existsSync(IO) ? false : `there is no ${IO}, which counts what a process reads and writes`;

test("what recording a block reads and writes does not grow with what is there", {
  skip: counts,
}, async (t) => {
  const raws: RawRecording[] = [];
  const { add } = Recorder.prototype;
  t.mock.method(Recorder.prototype, "add", function (this: Recorder, raw: RawRecording): void {
    raws.push(raw);
    add.call(this, raw);
  });
  await recorded(apart(), {});
  t.mock.restoreAll();
  const raw = raws.at(-1) ?? assert.fail();
  await withDirectory(async (directory) => {
    // One that never has to make room, and one that does for each of its files.
    for (const limitBytes of [1 << 30, 1 << 20]) {
      const path = join(directory, String(limitBytes));
      const recorder = new Recorder(path, limitBytes, ({ text }) => assert.fail(text));
      const added = async (count: number): Promise<{ read: number; written: number }> => {
        const before = io();
        for (let i = 1; i <= count; i++) {
          recorder.add(raw);
          if (i % 50 === 0) await recorder.flush();
        }
        const after = io();
        return { read: after.read - before.read, written: after.written - before.written };
      };
      await added(200);
      const early = await added(400);
      await added(4000);
      const late = await added(400);
      assert.ok(early.written > 400 * 1000, JSON.stringify(early));
      assert.ok(late.written <= 1.05 * early.written, JSON.stringify([early, late]));
      assert.ok(late.read <= early.read + 64 * 1024, JSON.stringify([early, late]));
      assert.equal(recorder.lost, 0);
    }
  });
});

/** Bytes that this process has read and written so far. */
function io(): { read: number; written: number } {
  const text = readFileSync(IO, "utf8");
  const of = (name: string): number => Number(new RegExp(`${name}: (\\d+)`).exec(text)?.[1]);
  return { read: of("rchar"), written: of("wchar") };
}

test("what cannot be written ends the recording with an event, and no block", async () => {
  await withDirectory(async (store) => {
    await makeBlocks(store, 1, false);
    writeFileSync(join(store, "recording"), "in the way");
    const runtime = await Runtime.open({ store, record: true, ...HOST });
    const events = runtime.events();
    for (let i = 0; i < 3; i++) await runtime.produce(new Script().metadata());
    await readRecording(runtime);
    assert.equal(runtime.head.height, 4);
    await runtime.close();
    const stops: RuntimeEvent[] = [];
    for await (const event of events) if (event.kind === "recordingStopped") stops.push(event);
    assert.equal(stops.length, 1);
    const [{ code, text }] = stops as [Extract<RuntimeEvent, { kind: "recordingStopped" }>];
    assert.equal(code, "EEXIST");
    assert.match(text, /the recording has stopped, and blocks continue: .*EEXIST/);
  });
});

test("options that cannot be used are refused", async () => {
  for (const record of [1, null, { limitBytes: 0 }, { limit: 5 }, { limitBytes: 1.5 }])
    await assert.rejects(Runtime.open({ root: driver, record: record as never }), { code: "BAD_OPTION" });
  await assert.rejects(readRecording(7 as never), { code: "BAD_ARGUMENT" });
});
