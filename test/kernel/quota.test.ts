/** What counts against the memory quota of a process, to the page, and what happens where it is used up. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { keptLimit, pagesTaken } from "../../runtime/image/quota.ts";
import { programHash, type Runtime, type RuntimeOptions } from "../../runtime/index.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import * as abi from "../../syscalls/abi.ts";
import * as loop from "../batch/loop.ts";
import { type Item, input } from "../batch/loop.ts";
import { getOutcomes, putBatch, readOutcomes } from "../batch/requests.ts";
import type { PutSpec, Script } from "../driver.ts";
import { guest, play, withRuntime } from "../fixture.ts";
import { build } from "../program/build.ts";
import { seeded } from "../seed.ts";
import { checkTree } from "./invariants.ts";

const { PROCESS_PAGES, KEPT_BYTES, E_QUOTA } = abi;
const PAGE = 4096;
const GAS = 100_000_000;
/** Of the guest "items": what it takes, and where its mail is. */
const ITEMS_PAGES = PROCESS_PAGES + 20 * 16;
const INBOX = 0x20000;

const itemsProgram = await guest("items");
const deep = await guest("deep");
const grower = await guest("grower");
const trivial = await guest("trivial");
const ITEMS = programHash(itemsProgram);

/** A batch of `list` for child 1; the codes, and what became of the items. */
async function batchOf(runtime: Runtime, list: readonly Item[], more: PutSpec = {}) {
  const { results, handles } = await play(runtime, (s: Script) => {
    const put = putBatch(s, 1, { items: list, inbox: INBOX }, more);
    return { put, all: getOutcomes(s, 1, { count: list.length, capacity: 300_000 }) };
  });
  checkTree(runtime);
  const put = Number(results.value(handles.put));
  return { put, items: put === 0 ? readOutcomes(results, handles.all).items : [] };
}

const nothing = (count: number): Item[] =>
  Array.from({ length: count }, () => ({ input: input(), gas: 30_000 }));
const ofLength = (length: number): Item => ({ input: input([loop.LENGTH, length]), gas: 200_000 });

/** Runs `use` with the loop, and with items that run in parallel whatever it costs. */
async function withBoth(use: (runtime: Runtime) => Promise<unknown>): Promise<void> {
  const found: unknown[] = [];
  for (const options of [
    { runner: "sequential" },
    { workers: 2, debug: { force: true, paranoid: true } },
  ] as const) {
    await withRuntime([itemsProgram], options as Partial<RuntimeOptions>, async (runtime) => {
      found.push([await use(runtime), runtime.head.root]);
    });
  }
  assert.deepEqual(found[1], found[0]);
}

test("the limit of kept bytes is the most that takes no further page", () => {
  const small = fc.nat(5000);
  fc.assert(
    fc.property(small, small, fc.nat(20_000), (memory, program, more) => {
      const share = pagesTaken(memory, program, 0) + more;
      const limit = keptLimit(memory, program, share);
      assert.ok(pagesTaken(memory, program, limit) <= share);
      assert.equal(pagesTaken(memory, program, limit + 1), share + 1);
    }),
    { numRuns: 300 },
  );
  assert.equal(pagesTaken(0, 0, 0), PROCESS_PAGES, "no process is free");
});

test("inputs and outcomes of a batch count against the quota of the child", async () => {
  await withRuntime([itemsProgram], {}, async (runtime) => {
    const give = async (list: readonly Item[], pages: number) => {
      const { put } = await batchOf(runtime, list, { program: ITEMS, memoryQuotaPages: pages });
      return put;
    };
    // 32 bytes of outcome for each item are more than the 16 of an input without bytes.
    const fits = Math.floor((KEPT_BYTES - 32 - 100) / abi.OUTCOME_SIZE);
    assert.equal(await give(nothing(fits), ITEMS_PAGES), 0);
    assert.equal(await give(nothing(fits + 4), ITEMS_PAGES), E_QUOTA);
    assert.equal(await give(nothing(fits + 4), ITEMS_PAGES + 1), 0);
    const long = [{ input: new Uint8Array(KEPT_BYTES), gas: 30_000 }];
    assert.equal(await give(long, ITEMS_PAGES), E_QUOTA);
    assert.equal(await give(long, ITEMS_PAGES + 1), 0);
  });
});

test("an item whose output does not fit into the quota is out of gas, in both runners", async () => {
  await withBoth(async (runtime) => {
    const list = [5000, 5000, 5000, 5000, 100, 1200].map(ofLength);
    const { items } = await batchOf(runtime, list, { program: ITEMS, memoryQuotaPages: ITEMS_PAGES + 1 });
    assert.deepEqual(
      items.map(({ status, fault }) => [status, fault]),
      [
        [abi.ITEM_RETURNED, 0],
        [abi.ITEM_RETURNED, 0],
        [abi.ITEM_RETURNED, 0],
        [abi.ITEM_FAULTED, abi.FAULT_OUT_OF_GAS],
        [abi.ITEM_RETURNED, 0],
        [abi.ITEM_FAULTED, abi.FAULT_OUT_OF_GAS],
      ],
    );
    return items;
  });
});

test("outputs of many items are cut off at the same byte in both runners", async (t) => {
  const lengths = fc.array(fc.nat(900), { minLength: 300, maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.integer({ min: 2, max: 40 }), async (list, pages) => {
      await withBoth(async (runtime) => {
        const spec = { program: ITEMS, memoryQuotaPages: ITEMS_PAGES + pages };
        const { items } = await batchOf(runtime, list.map(ofLength), spec);
        const kept = items.reduce((sum, { output }) => sum + output.length / 2, 0);
        assert.ok(kept <= KEPT_BYTES + pages * PAGE);
        return items;
      });
    }),
    seeded(t, 4),
  );
});

test("a stack that does not fit is a fault, and the child can be started again", async () => {
  await withRuntime([deep], {}, async (runtime) => {
    const child = { program: programHash(deep) };
    const start =
      (depth: bigint, more: PutSpec = {}) =>
      async () => {
        const { results, handles } = await play(runtime, (s) => {
          s.put(1, { ...more, start: { entry: "deep", argument: depth, gas: GAS } });
          return s.get(1, { status: true });
        });
        checkTree(runtime);
        const { kind, fault } = results.status(handles);
        return [kind, fault];
      };
    assert.deepEqual(await start(2000n, child)(), [abi.STATUS_FAULTED, abi.FAULT_QUOTA]);
    assert.equal(runtime.inspect([1])?.fault, "quota");
    assert.deepEqual(await start(20n)(), [abi.STATUS_RET, 0]);
    const more = { ...child, memoryQuotaPages: PROCESS_PAGES + 16 * 20 + 40 };
    assert.deepEqual(await start(2000n, more)(), [abi.STATUS_RET, 0]);
  });
});

test("SNAPSHOT with more data than the quota allows returns E_QUOTA", async () => {
  const own = PROCESS_PAGES + 80 * 16;
  for (const [pages, fits] of [
    [own + 1, false],
    [own + 3, true],
  ] as const) {
    await withRuntime([], { memoryQuotaPages: pages }, async (runtime) => {
      const block = play(runtime, (s) => s.out(0x200000, KEPT_BYTES + PAGE));
      if (fits) await block;
      else await assert.rejects(block, { code: "BLOCK_FAULT", message: /driver: snapshot failed/ });
      checkTree(runtime);
    });
  }
});

test("globals count, and so does a program that was installed", async () => {
  const wide = build({
    functions: [{ export: "run", parameters: [op.I64], results: [op.I64], code: (code) => code.get(0) }],
    globals: Array.from({ length: 2000 }, () => ({
      type: op.V128,
      initial: (code) => {
        code.u8(0xfd);
        code.u32(12);
        code.bytes(new Uint8Array(16));
      },
    })),
  });
  const pages = PROCESS_PAGES + 16 + Math.ceil((2000 * 16 - KEPT_BYTES) / PAGE);
  const installed = abi.PROGRAM_PAGES + Math.ceil(trivial.length / abi.PROGRAM_BYTES);
  await withRuntime([wide], {}, async (runtime) => {
    const { results, handles } = await play(runtime, (s) => [
      s.put(1, { program: programHash(wide), memoryQuotaPages: pages - 1 }),
      s.put(1, { program: programHash(wide), memoryQuotaPages: pages }),
      s.put(2, { install: trivial, memoryQuotaPages: PROCESS_PAGES + 16 + installed - 1 }),
      s.put(2, { install: trivial, memoryQuotaPages: PROCESS_PAGES + 16 + installed }),
      s.put(3, { program: programHash(trivial), memoryQuotaPages: PROCESS_PAGES + 16 + installed - 1 }),
      s.put(3, { program: programHash(trivial) }),
    ]);
    checkTree(runtime);
    const codes = handles.map((handle) => Number(results.value(handle)));
    assert.deepEqual(codes, [E_QUOTA, 0, E_QUOTA, 0, E_QUOTA, 0]);
    assert.deepEqual(
      [1, 2, 3].map((child) => runtime.inspect([child])?.quota.memoryPages),
      [0, 0, 0],
    );
  });
});

test("memory does not grow into what the outcomes of a batch need", async () => {
  await withRuntime([grower], {}, async (runtime) => {
    for (const [count, grows] of [
      [10, true],
      [400, false],
    ] as const) {
      await play(runtime, (s) => s.put(1, { program: programHash(grower) }));
      const initial = (runtime.inspect([1])?.memoryBytes as number) / 65536;
      const memoryQuotaPages = PROCESS_PAGES + (initial + 2) * 16;
      await play(runtime, (s) => {
        const list = Array.from({ length: count }, () => ({ input: new Uint8Array(), gas: 30_000 }));
        const program = { program: programHash(grower), memoryQuotaPages };
        putBatch(s, 1, { items: list, inbox: 65536 }, program);
        s.get(1, { status: true });
      });
      checkTree(runtime);
      assert.equal(runtime.inspect([1])?.memoryBytes, (initial + (grows ? 2 : 0)) * 65536);
    }
  });
});
