/**
 * Memories of 4 GiB: every address is used as a number that may have 32 bits, and nothing is copied, compared
 * or hashed that was never written.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Runtime, verify } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { DRIVER_INITIAL_MEMORY, quota, REGION, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH, ENDLESS_GAS, play, withRuntime } from "../fixture.ts";

const END = 2 ** 32;
const PAGES = 65_536;
const MIDDLE = 2 ** 31;
const GAS = 4_000_000_000;
const GROWTH = PAGES - DRIVER_INITIAL_MEMORY;
/** Three processes of 4 GiB, and some pages. */
const OPTIONS = {
  memoryQuotaPages: quota(4 * PAGES),
  gasLimit: ENDLESS_GAS,
  heldGasQuota: 0,
  retainBlocks: 16,
};
/** What one block may take of the heap and of the host's memory: far below one pass over a process's. */
const BLOCK_BYTES = 8 << 20;
const RESIDENT_BYTES = 1 << 30;

/** Where scripts of the large child lie: its last MiB, so that what they name has addresses of 32 bits. */
const HIGH = END - 0x100000;
const HIGH_SCRATCH = END - 0x80000;

const high = (): Script => new Script({ base: HIGH, commands: 32, scratch: HIGH_SCRATCH });

/** Runs `inner` in child 1. */
function run(script: Script, inner: Script): number {
  script.put(1, {
    ranges: [{ source: inner.metadata(), target: inner.base }],
    start: { entry: "run", argument: BigInt(inner.base), gas: GAS },
  });
  return script.get(1, { status: true, hash: true });
}

const blocks: ((runtime: Runtime) => Promise<void>)[] = [
  async function grows(runtime) {
    const inner = new Script({ base: REGION });
    inner.grow(GROWTH);
    inner.grow(1);
    inner.size();
    inner.store(END - 8, 0x1122_3344_5566_7788n);
    inner.store(END - 16, -1n);
    inner.fill(MIDDLE - 256, 512, 7);
    inner.fill(END - 5000, 300, 9);
    inner.copy(MIDDLE + 0x100000 - 100, MIDDLE - 256, 512);
    inner.load(END - 8);
    const { results, handles } = await play(runtime, (s) => {
      s.put(1, { program: DRIVER_HASH, memoryQuotaPages: quota(PAGES + 160), processQuota: 2 });
      const first = run(s, inner);
      return [first, s.get(1, { copy: [{ source: 0x300000, length: 8 + 9 * 8 }] })] as const;
    });
    assert.equal(results.status(handles[0]).kind, abi.STATUS_RETURNED);
    assert.equal(results.status(handles[0]).memoryPages, PAGES);
    const view = new DataView(Uint8Array.from(results.bytes(handles[1])).buffer);
    const value = (i: number) => view.getBigInt64(8 + 8 * i, true);
    assert.deepEqual([value(0), value(1)], [BigInt(DRIVER_INITIAL_MEMORY), -1n]);
    assert.deepEqual([value(2), value(8)], [BigInt(PAGES), 0x1122_3344_5566_7788n]);
  },

  async function callsFromItsLastMebibyte(runtime) {
    // A grandchild, by requests, names, ranges and a hash that all lie above 2^31.
    const grand = new Script({ base: REGION });
    grand.store(SCRATCH + 0x80000, 77n);
    grand.abort();
    const inner = high();
    const bytes = inner.place(new Uint8Array(8192).fill(5), 4096);
    inner.put(2, {
      program: DRIVER_HASH,
      ranges: [
        { source: grand.metadata(), target: REGION },
        { source: bytes, target: SCRATCH, length: 8192 },
        { source: END - 100, target: SCRATCH + 9000, length: 100 },
      ],
      start: { entry: "run", argument: BigInt(REGION), gas: 100_000_000 },
    });
    const got = inner.get(2, {
      status: true,
      detail: 100,
      hash: true,
      copy: [
        { source: SCRATCH, length: 8192, target: END - 0x20000 },
        { source: SCRATCH + 9000, length: 100, target: END - 100 },
      ],
    });
    inner.put(2, { start: { entry: "run", argument: BigInt(REGION), gas: 100_000_000, keep: true } });
    inner.get(2, { hash: true });
    inner.get(2, { words: { [abi.GET_PARTS]: abi.PART_GET_STATUS, [abi.GET_STATUS_POINTER]: END - 8 } });
    const { results, handles } = await play(runtime, (s) => {
      const first = run(s, inner);
      return [first, s.get(1, { copy: [{ source: 0x300000, length: 4096 }] })] as const;
    });
    assert.equal(results.status(handles[0]).kind, abi.STATUS_RETURNED);
    const data = Uint8Array.from(results.bytes(handles[1]));
    const values = new BigInt64Array(data.buffer, 8, inner.length);
    assert.deepEqual([...values.slice(0, 2)], [0n, 0n]);
    assert.equal(values[inner.length - 1], BigInt(abi.E_RANGE), "a status over the end");
    const view = runtime.inspect([1, 2]);
    assert.deepEqual([view?.fault, view?.text], ["abort", "driver: command ABORT in test/guests/driver.ts"]);
    assert.deepEqual([...runtime.read([1], END - 0x20000, 8192)], Array(8192).fill(5));
    assert.ok(got > 0);
  },

  async function moreIsOutOfBounds(runtime) {
    const over = high();
    over.fill(END - 8, 9, 1);
    const wide = high();
    wide.store(END - 7, 1n);
    for (const inner of [over, wide]) {
      const { results, handles } = await play(runtime, (s) => run(s, inner));
      assert.equal(results.status(handles).fault, abi.FAULT_MEMORY_BOUNDS);
    }
  },

  async function rangesUpToTheEnd(runtime) {
    const { results, handles } = await play(runtime, (s) => {
      const source = s.place(new Uint8Array(8192).fill(3), 4096);
      return [
        s.put(1, { ranges: [{ source, target: END - 8192, length: 8192 }] }),
        s.put(1, { ranges: [{ target: END - 4096, length: 4095, zero: true }] }),
        s.put(1, { ranges: [{ source, target: END - 8, length: 9 }] }),
        s.put(1, { ranges: [{ target: MIDDLE, length: END - MIDDLE - 4096, zero: true }] }),
        s.get(1, { copy: [{ source: END - 1, length: 2 }] }),
        s.get(1, { copy: [{ source: END - 8192, length: 8192 }] }),
      ];
    });
    assert.deepEqual(
      handles.map((handle) => results.value(handle)),
      [0n, 0n, BigInt(abi.E_RANGE), 0n, BigInt(abi.E_RANGE), 0n],
    );
    assert.deepEqual([...results.bytes(handles[5] as number)], [...Array(8191).fill(0), 3]);
  },

  async function mergesAboveTheMiddle(runtime) {
    // The root has 4 GiB too; a copy of it changes what lies far apart.
    const inner = new Script({ base: END - 0x40000, commands: 8, scratch: END - 0x20000 });
    inner.store(END - 8, 5n);
    inner.store(MIDDLE + 8, 6n);
    inner.store(END - 8 - 4096 * 20, 7n);
    const { results, handles } = await play(runtime, (s) => {
      const grown = s.grow(GROWTH);
      s.store(END - 16, 99n);
      s.put(3, { clone: abi.CLONE_SELF, memoryQuotaPages: quota(PAGES) });
      s.put(3, {
        ranges: [{ source: inner.metadata(), target: inner.base }],
        start: { entry: "run", argument: BigInt(inner.base), gas: GAS },
      });
      s.store(END - 24, 98n);
      const merge = s.get(3, { merge: { address: MIDDLE, length: MIDDLE - 4096 * 64 } });
      const last = s.get(3, { merge: { address: END - 4096 * 32, length: 4096 * 32 } });
      const conflict = s.store(END - 8, 1n);
      const refused = s.get(3, { merge: { address: END - 8, length: 8 } });
      s.put(3, { drop: true });
      return { grown, merge, last, conflict, refused };
    });
    assert.equal(results.value(handles.grown), BigInt(DRIVER_INITIAL_MEMORY));
    assert.equal(results.value(handles.merge), 0n);
    assert.equal(results.value(handles.last), 0n);
    assert.equal(results.value(handles.refused), BigInt(abi.E_CONFLICT));
    assert.equal(results.merge(handles.refused).first, END - 8);
    const word = (address: number) =>
      new DataView(runtime.read([], address, 8).slice().buffer).getBigInt64(0, true);
    assert.deepEqual([END - 8, END - 16, END - 24, MIDDLE + 8, END - 8 - 4096 * 20].map(word), [
      1n,
      99n,
      98n,
      6n,
      7n,
    ]);
  },

  async function copiesWhatIsThere(runtime) {
    // Two GiB of which some pages exist, out of the child and back into it.
    const { results, handles } = await play(runtime, (s) => {
      const length = MIDDLE - 4096 * 256;
      s.store(MIDDLE + 4096 * 9, 4n);
      return [
        s.put(1, { ranges: [{ source: MIDDLE, target: MIDDLE, length }] }),
        s.get(1, { copy: [{ source: MIDDLE, target: MIDDLE, length }], hash: true }),
      ];
    });
    assert.deepEqual(
      handles.map((handle) => results.value(handle)),
      [0n, 0n],
    );
    assert.deepEqual([...runtime.read([1], MIDDLE + 4096 * 9, 8)], [4, 0, 0, 0, 0, 0, 0, 0]);
  },
];

async function chain(runtime: Runtime, between = async () => {}): Promise<string[]> {
  const ids: string[] = [];
  for (const block of blocks) {
    const before = runtime.engine.heap.usedBytes;
    const resident = process.memoryUsage.rss();
    await block(runtime);
    const touched = process.memoryUsage.rss() - resident;
    assert.ok(touched < RESIDENT_BYTES, `${block.name} left alone what does not exist`);
    assert.ok(runtime.engine.heap.usedBytes - before < BLOCK_BYTES, `${block.name} took what it changed`);
    ids.push(runtime.head.id);
    await between();
  }
  return ids;
}

test("a process of 4 GiB: at its far ends, in snapshots, reverts, proofs and on other workers", async () => {
  const expected = await withRuntime([], { ...OPTIONS, workers: 1 }, async (runtime) => {
    const ids = await chain(runtime);
    assert.equal(runtime.inspect([1])?.memoryBytes, END);
    await runtime.revert(0);
    assert.deepEqual(await chain(runtime), ids, "after a revert to a small memory and back");

    const proof = runtime.prove([1], END - 4097, 4097);
    const statement = verify(runtime.head.root, proof);
    assert.ok(statement.absent === null);
    assert.deepEqual(statement.bytes, runtime.read([1], END - 4097, 4097));
    assert.equal(verify(runtime.head.root, runtime.prove([1], END - 1, 2)).absent, "memory");
    assert.throws(() => runtime.read([1], END - 1, 2), { code: "RANGE" });

    const { differences, truncated } = runtime.diff(0, runtime.head, { limit: 100_000 });
    assert.equal(truncated, false);
    const high = differences.filter((one) => one.kind === "memory" && one.address >= MIDDLE);
    assert.ok(high.length > 0);
    return ids;
  });
  await withRuntime([], { ...OPTIONS, workers: 3 }, async (runtime) => {
    let kills = 0;
    const other = async () => {
      await runtime.engine.pool.kill(kills++);
      await runtime.engine.collect();
    };
    assert.deepEqual(await chain(runtime, other), expected);
  });
});
