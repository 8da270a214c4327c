/** Items that insert into a map and delete from it: which of them disturb each other, and which do not. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { BatchReport, Runtime } from "../../runtime/index.ts";
import { TestProcess } from "../../runtime/testing.ts";
import { ITEM_RETURNED } from "../../syscalls/abi.ts";
import { quota } from "../driver.ts";
import { guest } from "../fixture.ts";
import { type BatchInput, openBatches, runBatch } from "./batches.ts";
import { steps } from "./everywhere.ts";

const PROGRAM = await guest("state");
const STATE_BYTES = 1 << 20;
const COUNT = 1000;
const opened: Runtime[] = [];
after(async () => {
  for (const runtime of opened) await runtime.close();
});

async function reporter() {
  const reports: BatchReport[] = [];
  const onBatch = (report: BatchReport): void => void reports.push(report);
  const options = {
    memoryQuotaPages: quota(4096),
    workers: 4,
    debug: { force: true, steps: steps("stall") },
    onBatch,
  };
  const runtime = await openBatches(PROGRAM, options);
  opened.push(runtime);
  return async (entry: string, keys: readonly bigint[]): Promise<BatchReport> => {
    const { outcomes } = await runBatch(runtime, batch(entry, keys));
    assert.ok(outcomes.every(({ status }) => status === ITEM_RETURNED));
    return reports.pop() as BatchReport;
  };
}

function batch(entry: string, keys: readonly bigint[]): BatchInput {
  const items = keys.map((key) => ({ input: input(key), gas: 200_000 }));
  return { entry, items, inbox: STATE_BYTES };
}

function input(key: bigint): Uint8Array {
  return new Uint8Array(new BigUint64Array([key]).buffer);
}

/**
 * The slots that each key's insertion goes through, from the first to its own, in this order of insertions.
 */
async function waysOf(keys: readonly bigint[]): Promise<number[][]> {
  const process = await TestProcess.open(PROGRAM);
  const start = Number(process.call("place", 0));
  const slots = Number(process.call("place", 1));
  const empty = process.state;
  const used = (): Set<number> => {
    const bytes = process.read(start, slots * 64);
    return new Set(Array.from({ length: slots }, (_, i) => i).filter((i) => bytes[i * 64] === 1));
  };
  const homes = keys.map((key) => {
    process.state = empty;
    process.batch("insert", [input(key)]);
    return [...used()][0] as number;
  });
  const taken = new Set<number>();
  return homes.map((home) => {
    const way = [home];
    while (taken.has(way.at(-1) as number)) way.push(((way.at(-1) as number) + 1) % slots);
    taken.add(way.at(-1) as number);
    return way;
  });
}

/** Pairs of items that touch a slot in common. */
function meetings(ways: readonly number[][]): number {
  const bySlot = new Map<number, number[]>();
  ways.forEach((way, i) => {
    for (const slot of way) bySlot.set(slot, [...(bySlot.get(slot) ?? []), i]);
  });
  const pairs = [...bySlot.values()].flatMap((items) =>
    items.flatMap((a, i) => items.slice(i + 1).map((b) => `${a} ${b}`)),
  );
  return new Set(pairs).size;
}

const KEYS = Array.from({ length: COUNT }, (_, i) => BigInt(i * i + 7));

test("1,000 items that insert abort only where two of them share a line; to delete, too", async () => {
  const ways = await waysOf(KEYS);
  const meet = meetings(ways);
  assert.ok(meet > 0 && meet < COUNT / 2, `${meet} pairs share a line`);
  const run = await reporter();
  for (const entry of ["insert", "remove"]) {
    const { aborts, parallel } = await run(entry, KEYS);
    assert.equal(parallel, COUNT);
    assert.ok(aborts <= meet, `${entry}: ${aborts} aborts, ${meet} pairs`);
  }
});

test("items whose ways share no line never abort; where each counts in a cell they do", async () => {
  const ways = await waysOf(KEYS);
  const taken = new Set<number>();
  const apart = KEYS.filter((_, i) => {
    const way = ways[i] as number[];
    if (way.length > 1 || taken.has(way[0] as number)) return false;
    taken.add(way[0] as number);
    return true;
  });
  assert.ok(apart.length > COUNT / 2);
  const run = await reporter();
  assert.equal((await run("insert", apart)).aborts, 0);
  assert.equal((await run("remove", apart)).aborts, 0);
  let aborts = 0;
  for (let round = 0; round < 10 && aborts === 0; round++) {
    aborts += (await run("insertAndCount", apart)).aborts;
    await run("remove", apart);
  }
  assert.ok(aborts > 0, "a counter that is read and written is found");
});
