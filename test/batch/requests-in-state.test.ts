/**
 * Requests that lie in the state, with all that belongs to them: items that call with them read lines that
 * other items wrote, whatever the kernel thinks of the request in the end, and whatever gas is left.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { BatchReport } from "../../runtime/index.ts";
import { quota, Script } from "../driver.ts";
import { type BatchOutcome, type Item, openBatches, runBatch } from "./batches.ts";
import { FAMILY, FAMILY_PAGES, family, PAGES, wholeFamily } from "./families.ts";
import { getOutcomes, putBatch } from "./requests.ts";

const INBOX = 0x10000;
const SCRATCH = 0x80000;
/** Where a child finds its script. */
const INNER = 0xc0000;
/** Where the state has the requests, and where they have things written. */
const FIRST = 0x1000;
const OUTPUT = 0xe000;
const STORES = 700;

const start = { entry: "idle", argument: 3n, gas: 20_000 };
/** The list is read before it is paid. */
const ranges = Array.from({ length: 600 }, (_, i) => ({
  source: OUTPUT,
  length: 8,
  target: 64 + 8 * (i % 9),
}));
const merge = { address: 0x40, length: 128 };
const item = { input: new Uint8Array(40), gas: 5 };

/** Each writes one request. */
const REQUESTS: readonly ((script: Script) => unknown)[] = [
  (s) => s.put(1, { ranges: [{ source: 0, length: 600, target: 64 }], start }),
  (s) => s.put(1, { ranges }),
  (s) => s.put(1, { clone: 2 }),
  (s) => s.put(1, { program: FAMILY, memoryQuotaPages: quota(PAGES) }),
  (s) => s.put(1, { install: new Uint8Array(300).fill(7) }),
  (s) => putBatch(s, 1, { items: [item], inbox: INBOX }),
  (s) => putBatch(s, 1, { items: [item], inbox: INBOX, inboxCapacity: 3 }),
  (s) => s.get(0, { status: true, detail: 0x1800 }),
  (s) => s.get(0, { copy: [{ source: 0, length: 300, target: OUTPUT + 60 }] }),
  (s) => s.get(0, { merge }),
  (s) => s.get(0, { merge: { ...merge, kind: 99 } }),
  (s) => s.get(0, { hash: true }),
  (s) => getOutcomes(s, 0, { count: 1 }),
  (s) => getOutcomes(s, 0, { count: 2, words: { 28: 1 } }),
];

interface Placed {
  readonly at: number;
  readonly bytes: Buffer;
  /** Which call it is for, and with which pointer. */
  readonly call: number;
  readonly pointer: number;
}

let at = FIRST;
const placed: readonly Placed[] = REQUESTS.map((write) => {
  const script = new Script({ base: at, commands: 8, scratch: OUTPUT });
  write(script);
  const bytes = Buffer.from(script.metadata());
  const one = { at, bytes, call: bytes.readUInt32LE(32), pointer: bytes.readUInt32LE(32 + 8) };
  at = Math.ceil((at + bytes.length) / 64) * 64;
  return one;
});

/** Items that leave the requests in the state. */
function leaving(): Item[] {
  const stores = placed.flatMap(({ at, bytes }) =>
    Array.from(
      { length: Math.floor(bytes.length / 8) },
      (_, i) => [at + 8 * i, bytes.readBigInt64LE(8 * i)] as const,
    ),
  );
  const items: Item[] = [];
  for (let first = 0; first < stores.length; first += STORES) {
    const script = new Script({ base: INBOX, commands: STORES, scratch: SCRATCH });
    for (const [to, value] of stores.slice(first, first + STORES)) script.store(to, value);
    items.push({ input: script.metadata(), gas: 10_000_000 });
  }
  return items;
}

/** An item that makes one of the calls, after a child of it has aborted; and looks at what came of it. */
function calling({ call, pointer }: Placed, gas = 60_000_000): Item {
  const abort = new Script({ base: INNER, commands: 1 });
  abort.abort();
  const script = new Script({ base: INBOX, commands: 20, scratch: SCRATCH });
  script.put(0, {
    ranges: [{ source: abort.metadata(), target: INNER }],
    start: { entry: "run", argument: BigInt(INNER), gas: 20_000 },
  });
  script.command(call, call === 1 ? 1 : 0, pointer);
  for (const address of [OUTPUT, OUTPUT + 56, OUTPUT + 64, OUTPUT + 128]) script.load(address);
  return { input: script.metadata(), gas };
}

/** What is left of an item's gas when it is short of what it needs. */
const SHORT = [0, 1, 400, 900, 1500, 2500, 5000, 10_000, 30_000, 60_000];

test("calls with requests in the state are those of the loop, with enough gas and with less", async () => {
  const options = { memoryQuotaPages: quota(4096) };
  const reports: BatchReport[] = [];
  const onBatch = (report: BatchReport): void => void reports.push(report);
  const batch = (items: readonly Item[]) => ({ entry: "item", items, inbox: INBOX, gas: 5e10 });
  let short: Item[] = [];
  const play = async (settings: object): Promise<BatchOutcome[]> => {
    await using runtime = await openBatches(family, { ...options, ...settings }, FAMILY_PAGES);
    await runBatch(runtime, wholeFamily);
    const left = await runBatch(runtime, batch(leaving()));
    const enough = await runBatch(runtime, batch(placed.map((one) => calling(one))));
    if (short.length === 0) {
      short = placed.flatMap((one, i) =>
        SHORT.map((less) => calling(one, Math.max(0, (enough.outcomes[i]?.gasUsed ?? 0) - less))),
      );
    }
    return [left, enough, await runBatch(runtime, batch(short))];
  };
  const expected = await play({ workers: 1, runner: "sequential" });
  const codes = expected[1]?.outcomes.map(({ output }) => Number(Buffer.from(output).readBigInt64LE(16)));
  assert.deepEqual(codes, [0, 0, -11, 0, -5, -11, -2, 0, 0, -11, -1, -11, -11, -1]);
  assert.ok(expected[2]?.outcomes.some(({ fault }) => fault !== 0));
  for (const workers of [1, 2, 4]) {
    assert.deepEqual(
      await play({ workers, debug: { force: true, paranoid: true }, onBatch }),
      expected,
      `${workers} workers`,
    );
  }
  assert.ok(reports.reduce((sum, { parallel }) => sum + parallel, 0) > 2 * short.length);
});
