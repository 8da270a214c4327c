/**
 * Batches of programs that were installed at run time: in parallel as those of genesis, with the same blocks
 * as the loop, whoever makes their batch variant and whoever dies.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type BatchReport, programHash, type Runtime } from "../../runtime/index.ts";
import { type PutSpec, quota, Script } from "../driver.ts";
import { blocksOf, DRIVER_HASH, guest, open, play } from "../fixture.ts";
import { sized } from "../sizes.ts";
import { FAMILY, family, PAGES } from "./families.ts";
import { ADD, input, OUT, TRAP } from "./loop.ts";
import { putBatch } from "./requests.ts";
import { item, line, type Operation, op, SCRIPT, STATE_BYTES } from "./scripts.ts";
import { SEVERAL, scriptOf } from "./several.ts";

const ITEMS = await guest("items");
const ITEMS_INBOX = 0x20000;
const FAMILY_INBOX = 0x10000;
const SCRATCH = 0x80000;
/** Where a child of the driver finds its script. */
const INNER = 0x100000;

/** Compares the loop with one worker and several, by force, and tells what ran in parallel. */
async function same(
  scripts: readonly Script[],
  during: (runtime: Runtime, turn: number) => Promise<void> = async () => {},
): Promise<BatchReport[]> {
  const options = { ...SEVERAL, memoryQuotaPages: quota(13_000) };
  await using loop = await open([family], { ...options, workers: 1, runner: "sequential" });
  const expected = await blocksOf(loop, scripts);
  const reports: BatchReport[] = [];
  const onBatch = (report: BatchReport): void => void reports.push(report);
  for (const workers of sized([1, 4], [1, 2, 4])) {
    await using runtime = await open([family], {
      ...options,
      workers,
      debug: { force: true, paranoid: true },
      onBatch,
    });
    for (let run = 0; run < sized(1, 2); run++) {
      let turn = 0;
      const found = blocksOf(runtime, scripts);
      const busy = setInterval(() => void during(runtime, turn++), 15);
      try {
        assert.deepEqual(await found, expected, `${workers} workers, run ${run}`);
      } finally {
        clearInterval(busy);
      }
      await runtime.engine.collect();
    }
    if (workers === 1) assert.ok(reports.splice(0).every(({ parallel }) => parallel === 0));
  }
  return reports;
}

/** Items on lines of their own, and some that all meet. */
function operations(i: number): Operation[] {
  if (i % 10 === 9) return [op.work(500), op.add(line(3), i), op.output()];
  return i % 17 === 5
    ? [op.add(line(100 + i), 1), op.fail(i % 4)]
    : [op.copyAdd(line(100 + (i % 40)), line(200 + i), 7)];
}

function give(script: Script, child: number, rest: PutSpec, count = 300): void {
  const items = Array.from({ length: count }, (_, i) => item(operations(i), 500_000));
  putBatch(script, child, { items, inbox: STATE_BYTES, gas: 400_000_000 }, rest);
}

/** Installs the program and gives it batches; later others are made of it by its hash. */
const LIFE = [
  scriptOf((script) => give(script, 1, { install: SCRIPT, memoryQuotaPages: quota(120) })),
  scriptOf((script) => {
    give(script, 1, {});
    give(script, 2, { program: programHash(SCRIPT), memoryQuotaPages: quota(120) });
    script.get(1, { status: true, hash: true });
    script.get(2, { status: true, hash: true });
  }),
  scriptOf((script) => {
    // The one that was made first is gone; the other one's program continues.
    give(script, 1, { install: ITEMS, memoryQuotaPages: quota(40) }, 0);
    give(script, 2, {});
    script.get(2, { status: true, hash: true });
  }),
];

test("a batch of an installed program runs in parallel, by bytes and by hash", async () => {
  const reports = await same(LIFE);
  // Two at once: one finds the engine taken now and then, but not for ever.
  const parallel = new Set(reports.flatMap((one) => (one.parallel > 0 ? [`${one.process}`] : [])));
  assert.deepEqual(parallel, new Set(["1", "2"]));
});

test("the same while threads die", async () => {
  // A new thread takes a while to start, and admits the program before it gets anywhere.
  const times = [0, 1, 4, 9, 16, 25];
  await same([...LIFE, ...LIFE], async (runtime, turn) => {
    if (times.includes(turn)) await runtime.engine.pool.kill(turn % 4);
  });
});

test("an installed program has batches further down in the tree", async () => {
  const reports = await same([
    scriptOf((script) => {
      const inner = scriptOf((below) => {
        give(below, 0, { install: SCRIPT, memoryQuotaPages: quota(120) });
        below.get(0, { status: true, hash: true });
        give(below, 0, {});
      }).metadata();
      const start = { entry: "run", argument: BigInt(INNER), gas: 3_000_000_000 };
      const ranges = [{ source: inner, target: INNER }];
      script.put(5, { program: DRIVER_HASH, memoryQuotaPages: quota(400), processQuota: 4, ranges, start });
    }),
    scriptOf((script) => void script.get(5, { status: true, hash: true })),
    scriptOf((script) => {
      const inner = scriptOf((below) => void below.get(0, { status: true, hash: true })).metadata();
      const start = { entry: "run", argument: BigInt(INNER), gas: 3_000_000_000 };
      script.put(5, { ranges: [{ source: inner, target: INNER }], start });
      script.get(5, { status: true, hash: true });
    }),
  ]);
  assert.ok(reports.length >= sized(1, 4));
  for (const { process, items, parallel } of reports) {
    assert.deepEqual(process, [5, 0]);
    // A speculative run that was given up may hold the engine for some items longer: those run in the loop.
    assert.ok(parallel > items / 2, `${parallel} of ${items} in parallel`);
  }
});

test("items install programs for children, and run them", async () => {
  const items = Array.from({ length: 120 }, (_, i) => {
    const script = new Script({ base: FAMILY_INBOX, commands: 60, scratch: SCRATCH });
    const child = i % 5;
    if (i % 12 === child) {
      script.put(child, { install: ITEMS, memoryQuotaPages: quota(20) });
    } else {
      const bytes = input([ADD, 64, i], [OUT, 64], ...(i % 7 === 3 ? [[TRAP, 0] as const] : []));
      const start = { entry: "run", argument: BigInt(bytes.length), gas: 100_000 };
      script.put(child, { ranges: [{ source: bytes, target: ITEMS_INBOX }], start });
      script.get(child, { status: true, copy: [{ source: 64, length: 8 }] });
    }
    return { input: script.metadata(), gas: 30_000_000 };
  });
  const reports = await same([
    scriptOf((script) => {
      const batch = { entry: "item", items, inbox: FAMILY_INBOX, gas: 4_000_000_000 };
      putBatch(script, 1, batch, { program: FAMILY, memoryQuotaPages: quota(8 * PAGES), processQuota: 10 });
      script.get(1, { status: true, hash: true });
    }),
  ]);
  for (const { items: count, parallel } of reports) assert.equal(parallel, count);
});

test("a program of which the runner knows nothing starts in the loop, and goes over by itself", async () => {
  const reports: BatchReport[] = [];
  const onBatch = (report: BatchReport): void => void reports.push(report);
  await using runtime = await open([], { ...SEVERAL, workers: 2, onBatch });
  for (let block = 0; block < 6; block++) {
    await play(runtime, (script) => {
      const items = Array.from({ length: 500 }, (_, i) =>
        item([op.work(60_000), op.add(line(i), 1)], 5_000_000),
      );
      const rest = block === 0 ? { install: SCRIPT, memoryQuotaPages: quota(120) } : {};
      putBatch(script, 1, { items, inbox: STATE_BYTES, gas: 4_000_000_000 }, rest);
      script.get(1, { status: true });
    });
  }
  assert.ok(reports.some(({ parallel }) => parallel > 0));
});
