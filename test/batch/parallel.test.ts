/** Batches in parallel against the loop: the same blocks. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { BatchReport, Block, Hints, RuntimeOptions } from "../../runtime/index.ts";
import { guest } from "../fixture.ts";
import { batchMetadata, openBatches, runBatch } from "./batches.ts";

const payments = await guest("batch/payments");
const BOUND = 16 << 20;

async function play(options: Partial<RuntimeOptions>, accounts: number): Promise<Block[]> {
  await using runtime = await openBatches(payments, options);
  const blocks: Block[] = [];
  let seed = 7;
  const random = (limit: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % limit;
  };
  for (let block = 0; block < 3; block++) {
    const items = Array.from({ length: 600 }, () => ({
      input: new Uint8Array(Uint32Array.of(20, 2, random(accounts), random(accounts)).buffer),
      gas: 100_000,
    }));
    const { put, get, block: made } = await runBatch(runtime, { entry: "mix2", items, inbox: BOUND });
    assert.deepEqual([put, get], [0, 0]);
    blocks.push(made);
  }
  return blocks;
}

for (const accounts of [2, 50, 10_000]) {
  test(`payments among ${accounts} accounts are the same in parallel`, async () => {
    const expected = await play({ runner: "sequential", workers: 1 }, accounts);
    for (const workers of [2, 4])
      assert.deepEqual(await play({ workers, debug: { force: true } }, accounts), expected);
    assert.deepEqual(await play({ workers: 2 }, accounts), expected);
  });
}

test("a report tells of conflicts, contended lines and dependencies", async () => {
  const reports: BatchReport[] = [];
  await using runtime = await openBatches(payments, {
    workers: 2,
    debug: { force: true, paranoid: true, timing: true },
    dependencies: true,
    onBatch: (report) => void reports.push(report),
  });
  // Every item pays from account 0 to an account of its own.
  const items = Array.from({ length: 300 }, (_, i) => ({
    input: new Uint8Array(Uint32Array.of(2000, 2, 0, i + 1).buffer),
    gas: 1_000_000,
  }));
  await runBatch(runtime, { entry: "mix2", items, inbox: BOUND });
  const [report] = reports as [BatchReport];
  assert.equal(reports.length, 1);
  assert.equal(report.entry, "mix2");
  assert.equal(report.items, 300);
  assert.ok(report.executions >= report.parallel && report.parallel > 0);
  assert.ok(report.versions >= 2 * report.parallel);
  assert.deepEqual(report.process, [1]);
  for (const { count, ...place } of report.contended) {
    assert.deepEqual(place, { kind: "memory", process: [1], address: 0, name: "accounts[0]" });
    assert.ok(count > 0);
  }
  // Within a window each item has read what the one before left.
  const pairs = report.dependencies as [number, number][];
  assert.ok(pairs.every(([item, lower]) => lower === item - 1));
  assert.ok(pairs.length > 0.9 * report.parallel);
  assert.match(report.inputs as string, /^[0-9a-f]{64}$/);
  assert.ok((report.nanoseconds?.guest ?? 0) > 0);
  const { batches, blocks, workersDied, heapUsedBytes, heapLimitBytes } = runtime.metrics();
  assert.deepEqual([blocks, workersDied], [3, 0]);
  assert.ok(heapUsedBytes > 0 && heapUsedBytes < heapLimitBytes);
  const { parallel, sequential, refused, notRun, executions, validations, aborts, givenUp } = report;
  const { expired, renewed, waits } = report;
  const ran = { parallel, sequential, refused, notRun, executions, validations, aborts, givenUp };
  const counted = { ...ran, expired, renewed, waits };
  assert.deepEqual(batches, { batches: 1, items: 300, ...counted });
});

test("hints save executions, and wrong ones change nothing", async () => {
  const reports: BatchReport[] = [];
  const options = {
    workers: 2,
    debug: { force: true },
    dependencies: true,
    onBatch: (report: BatchReport) => void reports.push(report),
  };
  await using runtime = await openBatches(payments, options);
  const items = Array.from({ length: 256 }, (_, i) => ({
    input: new Uint8Array(Uint32Array.of(3000, 2, i % 7, (i + 1) % 7).buffer),
    gas: 1_000_000,
  }));
  const metadata = batchMetadata({ entry: "mix2", items, inbox: BOUND });
  const before = runtime.head;
  const first = await runtime.produce(metadata);
  const [report] = reports as [BatchReport];
  const random = [...Array(5000).keys()].map((i) => [(i * 7919) % 300, (i * 104729) % 300] as const);
  const hints: Hints[] = [
    { inputs: report.inputs, dependencies: report.dependencies },
    { inputs: report.inputs, dependencies: random },
    { inputs: report.inputs, dependencies: [...Array(256).keys()].map((i) => [i, i - 1] as const).slice(1) },
    { inputs: "0".repeat(64), dependencies: [[1, 0]] },
    { inputs: null, dependencies: null },
  ];
  for (const hint of hints) {
    await runtime.revert(before);
    assert.deepEqual(await runtime.produce(metadata, { hints: [hint] }), first);
  }
  assert.equal(reports[1]?.executions, 256, "with exact hints each item runs once");
  await assert.rejects(runtime.produce(metadata, { hints: [{ inputs: "x", dependencies: null }] }), {
    code: "BAD_OPTION",
  });
});

test("a block that is cancelled in the middle of a batch leaves nothing; the next is whole", async () => {
  const items = Array.from({ length: 2000 }, (_, i) => ({
    input: new Uint8Array(Uint32Array.of(30_000, 2, i % 50, (i * 7) % 50).buffer),
    gas: 1_000_000,
  }));
  const metadata = batchMetadata({ entry: "mix2", items, inbox: BOUND });
  await using loop = await openBatches(payments, { workers: 1, runner: "sequential" });
  await using runtime = await openBatches(payments, { workers: 3, debug: { force: true } });
  for (const ms of [1, 5, 20]) {
    await assert.rejects(runtime.produce(metadata, { signal: AbortSignal.timeout(ms) }), {
      code: "CANCELLED",
    });
  }
  assert.deepEqual(await runtime.produce(metadata), await loop.produce(metadata));
});

test("items without state run in parallel too, each as if it were alone", async () => {
  const stateless = await guest("batch/stateless");
  const { instance } = await WebAssembly.instantiate(stateless as BufferSource, { env: { abort: () => {} } });
  const mail = instance.exports.mail as (which: bigint) => bigint;
  const reports: BatchReport[] = [];
  const onBatch = (report: BatchReport): void => void reports.push(report);
  await using runtime = await openBatches(stateless, {
    workers: 2,
    debug: { force: true, paranoid: true },
    onBatch,
  });
  const items = Array.from({ length: 300 }, (_, i) => {
    const input = new Uint8Array(44).fill(i);
    new DataView(input.buffer).setUint32(0, 1 + (i % 50), true);
    return { input, gas: 10_000_000 };
  });
  const [inbox, outbox] = [Number(mail(0n)), Number(mail(1n))];
  const give = { entry: "hash", items, inbox, inboxCapacity: 4096, outbox, outboxCapacity: 64 };
  const { outcomes } = await runBatch(runtime, give);
  for (const [i, { code, output }] of outcomes.entries()) {
    let expected: Uint8Array = (items[i] as { input: Uint8Array }).input.subarray(4);
    for (let turn = 0; turn < 1 + (i % 50); turn++) expected = createHash("sha256").update(expected).digest();
    assert.deepEqual([code, Buffer.from(output)], [1n, Buffer.from(expected)], "the global starts again");
  }
  const [{ parallel, executions, validations }] = reports as [BatchReport];
  assert.deepEqual([parallel, executions, validations], [300, 300, 300]);
});
