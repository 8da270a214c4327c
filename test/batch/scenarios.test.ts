/**
 * What engines like this one got wrong: the result in parallel is that of the loop. Numbers are those of a
 * collection of such cases, from the test suites and the defects of engines in use.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { BatchReport } from "../../runtime/index.ts";
import { ITEM_FAULTED, ITEM_RETURNED } from "../../syscalls/abi.ts";
import { random } from "../kernel/trees.ts";
import { sized } from "../sizes.ts";
import type { BatchOutcome } from "./batches.ts";
import { chain, engine, everywhere, once, steps, total } from "./everywhere.ts";
import { LINES, line, many, type Operation, op, SCRATCH, STATE_BYTES } from "./scripts.ts";

const outputs = ({ outcomes }: BatchOutcome): bigint[] =>
  outcomes.flatMap(({ output }) => [
    ...new BigUint64Array(output.buffer.slice(output.byteOffset, output.byteOffset + output.length)),
  ]);
const codes = ({ outcomes }: BatchOutcome): bigint[] => outcomes.map(({ code }) => code);
/** A batch that reads so many places, 64 bytes apart. */
const readLines = (count: number) => many(count, (i) => [op.outputAt(line(i))]);

test("1: no item, one item, fewer items than workers, items that do nothing", async () => {
  for (const count of [0, 1, 3]) await once(many(count, (i) => [op.add(line(i), 1)]));
  const { outcomes } = await once(many(700, () => []));
  assert.ok(outcomes.every(({ status }) => status === ITEM_RETURNED));
});

test("2: independent items", async () => {
  const { reports } = await everywhere([many(3000, (i) => [op.add(line(i % LINES), i)])]);
  assert.equal(total(reports, "aborts"), 0);
});

test("2: 100,000 independent items", async () => {
  const batches = [many(100_000, (i) => [op.add(line(i % LINES), i)])];
  const expected = await chain(await engine({ workers: 1, runner: "sequential" }), batches);
  const parallel = await engine({ workers: 2, debug: { paranoid: true } });
  for (let run = 0; run < sized(1, 2); run++) assert.deepEqual(await chain(parallel, batches), expected);
});

test("3: one account does everything; two and three random accounts", async () => {
  for (const accounts of [1, 2, 3]) {
    const next = random(accounts);
    const account = () => line(next(accounts));
    const fund = many(accounts, (i) => [op.add(line(i), 1000)]);
    const rounds = Array.from({ length: sized(15, 40) }, () =>
      many(1 + next(40), () => [op.transfer(account(), account(), next(300)), op.outputAt(account())]),
    );
    await everywhere([fund, ...rounds]);
  }
});

test("4: one counter, 80 increments, 8 workers, round after round: 80 each", async () => {
  const { runtime } = await engine({ workers: 8 });
  const parallel = { runtime, reports: [] };
  const increments = many(80, () => [op.add(0, 1), op.outputAt(0)]);
  const found = await chain(parallel, Array(sized(400, 1500)).fill(increments));
  for (const [round, outcome] of found.entries()) {
    assert.deepEqual(
      outputs(outcome),
      Array.from({ length: 80 }, (_, i) => BigInt(80 * round + i + 1)),
    );
  }
});

test("5: each item reads what the one before wrote, and outputs it", async () => {
  const each = (i: number) => [op.copyAdd(line(i), line(i + 1), 1), op.outputAt(line(i + 1))];
  const outcome = await once(many(600, each));
  assert.deepEqual(
    outputs(outcome),
    Array.from({ length: 600 }, (_, i) => BigInt(i + 1)),
  );
});

test("6: one sender, and now and then somebody else", async () => {
  const each = (i: number) =>
    i % 10 === 9 ? [op.add(line(1000 + i), 5)] : [op.transfer(0, line(i + 1), 3), op.outputAt(0)];
  await once(
    many(400, each),
    many(1, () => [op.add(0, 1_000_000)]),
  );
});

test("7: cheap and expensive items", async () => {
  const each = (i: number) => [op.work(i % 7 === 0 ? 30_000 : i % 20), op.add(line(i % 5), 1), op.output()];
  await once(many(300, each));
});

test("8: every hundredth item reads all lines, or writes all", async () => {
  const all = Array.from({ length: 32 }, (_, i) => i * 4095);
  const each = (i: number): Operation[] => {
    if (i % 100 === 50) return [...all.map((at) => op.sum(at, 4095)), op.output()];
    if (i % 100 === 99) return all.map((at) => op.fill(at, 4095, i));
    return [op.add(line((i * 37) % LINES), i)];
  };
  await once(many(500, each));
});

test("9: fifty lines, each written a hundred times", async () => {
  const each = (i: number) => [op.add(line((i * 7) % 50), 1)];
  const { outcomes } = await everywhere([many(5000, each), readLines(50)]);
  assert.deepEqual(outputs(outcomes[1] as BatchOutcome), Array(50).fill(100n));
});

test("10: which lines an item touches depends on what it has read", async () => {
  const each = (i: number) => [
    op.indirect(line(i % 11), 64 * i),
    op.walk(line(i % 3), 20, i),
    op.skipUnless(line(i % 5), 64, 1),
    op.copyAdd(line(i % 5), line(i % 11), 64),
    op.output(),
  ];
  await everywhere([many(300, each), many(300, each)]);
});

test("11: behaviour changes with the incarnation, and what stale ones wrote vanishes", async () => {
  const each = (i: number) => [op.add(line((i * 3) % 40), 1), op.outputAt(line((i * 5) % 40))];
  const { reports } = await everywhere([many(200, each), many(60, each)], { steps: steps("incarnations") });
  const parallel = reports.reduce((sum, report) => sum + report.parallel, 0);
  assert.ok(total(reports, "executions") >= 4 * parallel, "each wrong incarnation was ended");
});

test("12: sums are conserved, sequence numbers are total", async () => {
  const accounts = 9;
  const next = random(12);
  const place = () => line(next(accounts));
  const pay = many(500, () => [
    op.transfer(place(), place(), next(100)),
    op.add(line(100), 1),
    op.outputAt(line(100)),
  ]);
  const batches = [many(accounts, (i) => [op.add(line(i), 500)]), pay, readLines(accounts)];
  const { outcomes } = await everywhere(batches);
  assert.deepEqual(
    outputs(outcomes[1] as BatchOutcome),
    Array.from({ length: 500 }, (_, i) => BigInt(i + 1)),
  );
  const sum = outputs(outcomes[2] as BatchOutcome).reduce((a, b) => a + b);
  assert.equal(sum, BigInt(500 * accounts));
});

test("13: an item reads what it wrote, twice", async () => {
  const each = () => [op.add(0, 1), op.outputAt(0), op.add(0, 1), op.add(0, 1), op.outputAt(0)];
  const outcome = await once(many(200, each));
  assert.deepEqual(
    outputs(outcome),
    Array.from({ length: 200 }, (_, i) => [BigInt(3 * i + 1), BigInt(3 * i + 3)]).flat(),
  );
});

test("14: zero and write again; a zero of an item that faults is taken back", async () => {
  const each = (i: number) => {
    const write = [op.outputAt(0), op.zero(0), op.add(0, 7 + i)];
    return i % 3 === 1 ? [...write, op.fail(i % 4)] : write;
  };
  const outcome = await once(many(200, each));
  const kept = Array.from({ length: 200 }, (_, i) => i).filter((i) => i % 3 !== 1);
  assert.deepEqual(
    outputs(outcome),
    kept.map((_, k) => BigInt(k === 0 ? 0 : 7 + (kept[k - 1] as number))),
  );
  assert.equal(outcome.outcomes.filter(({ status }) => status === ITEM_FAULTED).length, 67);
});

test("15: accesses across lines, bulk copies and fills, SIMD", async () => {
  const each = (i: number): Operation[] => [
    op.xor16((i * 61) % 3000, (i * 53 + 9) % 3000, i),
    op.add((i * 64 + 60) % 4000, i),
    op.copy((i * 97) % 9000, (i * 41) % 9000, 700),
    op.fill((i * 131) % 9000, (i * 17) % 300, i),
    op.overwrite((i * 64) % 4096, i),
    [18, i, i],
    [19, (i * 31) % 700, (i * 13) % 900, i],
    [20, (i * 29) % 700, (i * 11) % 900, i],
  ];
  await everywhere([many(300, each), many(300, each)]);
});

test("16: what is written again as it was is no conflict", async () => {
  const { reports } = await everywhere([many(250, (i) => [op.copyAdd(0, 0, 0), op.add(line(i + 1), 1)])]);
  assert.equal(total(reports, "aborts"), 0);
});

test("17: one item reads a line of which another writes the neighbouring bytes", async () => {
  const each = (i: number) => [op.add1(i % 64, i), op.outputAt((i * 8) % 64), op.add2((i * 2) % 62, 1)];
  await once(many(400, each));
});

test("18: in an item memory does not grow", async () => {
  const outcome = await once(many(100, (i) => [op.grow(1 + (i % 2)), op.output(), op.add(0, 1)]));
  assert.deepEqual(new Set(codes(outcome)), new Set([-1n]));
});

test("19: globals and the allocator start again in every item", async () => {
  const each = (i: number) => [
    op.counter(),
    op.counter(),
    op.output(),
    op.allocate(100 + i),
    op.allocate(5000),
    op.output(),
    op.scratch(8 * i, i),
    op.add(0, 1),
  ];
  const outcome = await once(many(200, each));
  const found = outputs(outcome);
  assert.deepEqual(new Set(found.filter((_, i) => i % 2 === 0)), new Set([3n]));
  const private_ = many(100, (i) => [op.read(SCRATCH + 8 * i), op.output(), op.add(SCRATCH + 8 * i, 1)]);
  assert.deepEqual(new Set(outputs(await once(private_))), new Set([0n]));
});

test("40: aborts happen where there are conflicts, and the report names their lines", async () => {
  const hot = line(77);
  const reports: BatchReport[] = [];
  // A machine may run the threads one after the other; not for ever, where they are held up.
  for (let round = 0; round < 20 && total(reports, "aborts") === 0; round++) {
    const batches = [many(250, () => [op.work(3000), op.add(hot, 1)])];
    reports.push(...(await everywhere(batches, { steps: steps("stall") })).reports);
  }
  const contended = reports.flatMap((report) => report.contended);
  assert.ok(total(reports, "aborts") > 0);
  for (const { count, ...place } of contended) {
    assert.deepEqual(place, { kind: "memory", process: [1], address: hot, name: null });
    assert.ok(count > 0);
  }
  assert.ok(hot < STATE_BYTES);
});
