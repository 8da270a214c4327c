/**
 * What the kernel writes into a guest's memory touches pages like the guest's own stores: the first write to
 * each since the activation began is paid.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { programHash } from "../../runtime/index.ts";
import { COST_PAGE_TOUCH } from "../../runtime/kernel/gas.ts";
import * as abi from "../../syscalls/abi.ts";
import { putBatch } from "../batch/requests.ts";
import { REGION, Script } from "../driver.ts";
import { DRIVER_HASH, driver, guest, withRuntime } from "../fixture.ts";
import { Scripted } from "./scripted.ts";

const PAGE = 4096;
/** Memory that nothing else writes, and of the child. */
const AREA = 0x400000;
const ELSEWHERE = 0x480000;
/** Where a script has its requests, behind the commands. */
const REQUESTS = REGION + 32 * PAGE;
/** Of the items. */
const INBOX = 0x20000;

const items = await guest("items");
const scripted = await Scripted.open([driver, items]);

// Child 1 has aborted, child 2 has run a batch.
scripted.play((s) => {
  const abort = new Script({ base: REGION, commands: 1 });
  abort.abort();
  s.put(1, {
    program: DRIVER_HASH,
    ranges: [{ source: abort.metadata(), target: REGION }],
    start: { entry: "run", argument: BigInt(REGION), gas: 1e6 },
  });
  s.get(1, { status: true });
  const input = new Uint8Array(16);
  putBatch(s, 2, { items: [{ input, gas: 1e6 }], inbox: INBOX }, { program: programHash(items) });
});

/** Gas of a script that is run twice, so that the second time it changes nothing. */
function gasOf(write: (script: Script) => void): number {
  scripted.play(write);
  const { fault, gasUsed } = scripted.play(write);
  assert.equal(fault, 0);
  return gasUsed;
}

/** A store that changes nothing in the end. */
function touch(script: Script, page: number): void {
  script.store(page * PAGE + 2048, 0n);
}

const page = (address: number): number => Math.floor(address / PAGE);
const pages = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => page(from) + i);

/** Calls, and the pages that the kernel writes. */
const CALLS: readonly (readonly [string, (s: Script) => void, readonly number[]])[] = [
  ["nothing", () => {}, []],
  ["STATUS", (s) => s.get(1, { status: true, words: status(AREA) }), pages(AREA, 1)],
  [
    "STATUS over two pages",
    (s) => s.get(1, { status: true, words: status(AREA + PAGE - 8) }),
    pages(AREA, 2),
  ],
  [
    "STATUS with the text of an abort",
    (s) =>
      s.get(1, {
        status: true,
        detail: 200,
        words: { ...status(AREA), [abi.GET_DETAIL_POINTER]: AREA + 3 * PAGE },
      }),
    [page(AREA), page(AREA) + 3],
  ],
  [
    "HASH",
    (s) => s.get(1, { hash: true, words: { [abi.GET_HASH_POINTER]: AREA + PAGE - 16 } }),
    pages(AREA, 2),
  ],
  ["COPY of some bytes", (s) => copy(s, AREA + 100, 8), pages(AREA, 1)],
  ["COPY of nothing", (s) => copy(s, AREA + 100, 0), []],
  ["COPY of bytes over pages", (s) => copy(s, AREA + 100, 3 * PAGE), pages(AREA, 4)],
  ["COPY of pages that are shared", (s) => copy(s, AREA, 3 * PAGE), pages(AREA, 3)],
  [
    "a MERGE's report",
    (s) => {
      s.put(1, { start: { entry: "run", argument: BigInt(REGION), gas: 1 } });
      s.get(1, { merge: { address: AREA, length: 64 } });
    },
    pages(REQUESTS, 1),
  ],
  ["a refused program's reason", (s) => s.put(3, { install: new Uint8Array(9) }), pages(REQUESTS, 1)],
  [
    "OUTCOMES",
    (s) => {
      const struct = new DataView(new ArrayBuffer(abi.OUTCOMES_SIZE));
      const words = { count: 1, records: AREA, output: AREA + 2 * PAGE, capacity: 64 };
      struct.setUint32(abi.OUTCOMES_COUNT, words.count, true);
      struct.setUint32(abi.OUTCOMES_POINTER, words.records, true);
      struct.setUint32(abi.OUTCOMES_OUTPUT_POINTER, words.output, true);
      struct.setUint32(abi.OUTCOMES_OUTPUT_CAPACITY, words.capacity, true);
      const pointer = s.place(new Uint8Array(struct.buffer));
      s.get(2, {
        words: { [abi.GET_PARTS]: abi.PART_GET_OUTCOMES, [abi.GET_OUTCOMES_POINTER]: pointer },
      });
    },
    [page(AREA), page(REQUESTS)],
  ],
  ["COPY with shared pages inside", (s) => copy(s, AREA + 2048, 3 * PAGE, 2048), pages(AREA, 4)],
];

function status(address: number): Record<number, number> {
  return { [abi.GET_STATUS_POINTER]: address };
}

function copy(s: Script, target: number, length: number, source = 0): void {
  s.get(1, { copy: [{ source, length, target }] });
}

for (const [name, call, written] of CALLS) {
  test(`${name}: ${written.length} pages are paid, once`, () => {
    // The same stores to the pages that are written, before the call, and to others.
    const before = gasOf((s) => {
      for (const one of written) touch(s, one);
      call(s);
    });
    const beside = gasOf((s) => {
      for (const one of written) touch(s, one - page(AREA) + page(ELSEWHERE));
      call(s);
    });
    assert.equal(beside - before, written.length * COST_PAGE_TOUCH);
  });

  test(`${name}: with less gas than it takes there is no result`, () => {
    const gas = gasOf(call);
    assert.equal(scripted.play(call, gas).fault, abi.FAULT_NONE);
    assert.equal(scripted.play(call, gas - 1).fault, abi.FAULT_OUT_OF_GAS);
  });
}

/** How many pages more are paid where the last store comes after the call than where it comes before. */
function paidAgain(call: (s: Script) => void): number {
  const before = gasOf((s) => {
    touch(s, page(AREA));
    touch(s, page(AREA));
    call(s);
  });
  const behind = gasOf((s) => {
    touch(s, page(AREA));
    call(s);
    touch(s, page(AREA));
  });
  return (behind - before) / COST_PAGE_TOUCH;
}

test("pages are untouched again when the caller has cloned itself, after no other call", () => {
  const copied = (length: number) => (s: Script) =>
    s.put(1, { ranges: [{ source: AREA, length, target: AREA }] });
  assert.equal(paidAgain(copied(PAGE)), 0);
  assert.equal(paidAgain(copied(PAGE - 1)), 0);
  assert.equal(
    paidAgain((s) => s.put(4, { clone: abi.CLONE_SELF })),
    1,
  );
  assert.equal(
    paidAgain((s) => s.get(1, { copy: [{ source: AREA, length: PAGE, target: AREA }] })),
    0,
  );
  assert.equal(
    paidAgain((s) => s.get(1, { status: true })),
    0,
  );
});

test("the root pays for the pages that a block's metadata takes", async () => {
  await withRuntime([], {}, async (runtime) => {
    const script = new Script();
    script.size();
    const metadata = Buffer.from(script.metadata());
    const gas = async (pages: number): Promise<number> => {
      const { gasUsed } = await runtime.produce(Buffer.concat([metadata, Buffer.alloc(pages * PAGE)]));
      return gasUsed;
    };
    await gas(5);
    const [none, one, five] = [await gas(0), await gas(1), await gas(5)];
    assert.equal(one - none, COST_PAGE_TOUCH);
    assert.equal(five - one, 4 * COST_PAGE_TOUCH);
  });
});
