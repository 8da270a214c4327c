/** Scenarios of integers that many add to, and of children in items (numbers as in scenarios.test.ts). */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Block, RuntimeOptions } from "../../runtime/index.ts";
import { ITEM_RETURNED } from "../../syscalls/abi.ts";
import { quota } from "../driver.ts";
import { sized } from "../sizes.ts";
import { type BatchOutcome, openBatches, runBatch } from "./batches.ts";
import { chain, engine, everywhere, once, steps, total, WORKERS } from "./everywhere.ts";
import { FAMILY, FAMILY_PAGES, family, familyBatch, PAGES, type Write, wholeFamily } from "./families.ts";
import { line, many, op } from "./scripts.ts";

const outputs = ({ outcomes }: BatchOutcome): bigint[] =>
  outcomes.flatMap(({ output }) => [
    ...new BigUint64Array(output.buffer.slice(output.byteOffset, output.byteOffset + output.length)),
  ]);
/** u64: added, taken, added up to 4096. */
const ADD = 0x1000;
const TAKE = 0x1004;
const BOUNDED = 0x1008;
const sum = (count: number): bigint => (BigInt(count) * BigInt(count - 1)) / 2n;

test("38: every item adds to one integer, without a conflict", async () => {
  const { outcomes, reports } = await everywhere([
    many(2000, (i) => [op.accumulate(0, i, ADD)]),
    many(1, () => [op.outputAt(0)]),
  ]);
  assert.equal(total(reports, "aborts"), 0);
  assert.deepEqual(outputs(outcomes[1] as BatchOutcome), [sum(2000)]);
});

test("38: a reader in the middle sees the exact prefix, also of items that run again", async () => {
  for (const options of [{}, { steps: steps("stall") }, { steps: steps("incarnations") }]) {
    // Only those that see the bit that the one before them has set add something more.
    const each = (i: number) => [
      op.accumulate(0, 1, ADD),
      op.skipUnless(line(8 + (i % 5)), 1, 1),
      op.accumulate(0, 1000, ADD),
      op.add(line(8 + ((i + 1) % 5)), 1),
      ...(i % 20 === 10 ? [op.outputAt(0)] : []),
    ];
    await everywhere([many(200, each)], options);
  }
});

test("38: what does not fit is refused exactly where it does not", async () => {
  const each = (i: number) => [
    op.accumulate(0, 97, BOUNDED),
    op.output(),
    op.accumulate(0, i % 11 === 0 ? 300 : 0, TAKE),
    op.output(),
  ];
  const outcome = await once(many(400, each));
  assert.ok(new Set(outputs(outcome)).size > 1);
});

test("38: the last of 100,000 items reads what all others have added", async () => {
  const each = many(100_000, (i) => (i === 99_999 ? [op.outputAt(0)] : [op.accumulate(0, i, ADD)]));
  const items = { ...each, gas: 50_000_000_000 };
  const expected = await chain(await engine({ workers: 1, runner: "sequential" }), [items]);
  assert.deepEqual(outputs(expected[0] as BatchOutcome), [sum(99_999)]);
  for (let run = 0; run < sized(1, 2); run++) {
    assert.deepEqual(await chain(await engine({ workers: 2, debug: { paranoid: true } }), [items]), expected);
  }
});

test("39: the account that collects fees also sends", async () => {
  const each = (i: number) => {
    if (i % 9 === 4) return [op.transfer(0, line(8 + i), 10), op.outputAt(0)];
    return [op.transfer(line(300), line(301 + (i % 50)), 1), op.accumulate(0, 3, ADD)];
  };
  await everywhere([many(1, () => [op.add(line(300), 5000)]), many(600, each), many(600, each)]);
});

test("20: children made, started and dropped in items; a fault leaves nothing of them", async () => {
  const make = (number: number): Write => {
    return (script) =>
      void script.put(number, { program: FAMILY, memoryQuotaPages: quota(PAGES), processQuota: 0 });
  };
  const start = (number: number): Write => {
    return (script) =>
      void script.put(number, { start: { entry: "idle", argument: BigInt(number), gas: 100_000 } });
  };
  const each = (i: number): Write[] => {
    const child = i % 6;
    const drop: Write = (script) => void script.put(child, { drop: true });
    const store: Write = (script) =>
      void script.put(child, { ranges: [{ source: Uint8Array.of(i), target: 64 }] });
    const fault: Write = (script) => void script.trap();
    if (i % 5 === 1) return [drop, make(child), start(child), store];
    if (i % 5 === 2) return [drop, make(child), store, start(child), fault];
    if (i % 5 === 3) return [start(child), store];
    return [store, make((child + 1) % 6), drop, fault];
  };
  const batches = [familyBatch(Array.from({ length: 120 }, (_, i) => each(i)))];
  batches.push(familyBatch(Array.from({ length: 60 }, (_, i) => each(i * 7))));
  const run = async (options: Partial<RuntimeOptions>): Promise<{ blocks: Block[]; children: unknown }> => {
    await using runtime = await openBatches(family, options, FAMILY_PAGES);
    await runBatch(runtime, wholeFamily);
    const blocks: Block[] = [];
    for (const input of batches) {
      const { block, outcomes } = await runBatch(runtime, input);
      assert.ok(outcomes.some(({ status }) => status === ITEM_RETURNED));
      blocks.push(block);
    }
    return { blocks, children: runtime.inspect([1])?.children };
  };
  const expected = await run({ workers: 1, runner: "sequential" });
  for (const workers of WORKERS) {
    for (let i = 0; i < sized(1, 2); i++) {
      assert.deepEqual(
        await run({ workers, debug: { force: true, paranoid: true, steps: steps("stall") } }),
        expected,
      );
    }
  }
});
