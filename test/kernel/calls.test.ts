/** The four calls through a real runtime: what they do, and what they refuse without changing anything. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { programHash, type Runtime } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, SCRATCH } from "../driver.ts";
import { DRIVER_HASH, guest, open, play, withRuntime } from "../fixture.ts";

const trivial = await guest("trivial");
const nested = await guest("nested");
const TRIVIAL = programHash(trivial);
const NESTED = programHash(nested);
const GAS = 10_000_000;

let runtime: Runtime;
before(async () => {
  runtime = await open([trivial, nested]);
});
after(() => runtime.close());

/** Every test begins at block 0. */
async function fresh(write: Parameters<typeof play>[1]): ReturnType<typeof play> {
  await runtime.revert(0);
  return play(runtime, write);
}

test("a child keeps its memory from one activation to the next", async () => {
  await runtime.revert(0);
  const { results, handles } = await play(runtime, (s) => {
    s.put(1, { program: TRIVIAL });
    return [1n, 2n, 3n].map((argument) => {
      s.put(1, { start: { entry: "run", argument, gas: GAS } });
      return s.get(1, { status: true });
    });
  });
  assert.deepEqual(
    handles.map((handle) => results.status(handle).code),
    [2n, 4n, 6n],
  );
  const status = results.status(handles[2] as number);
  assert.equal(status.kind, abi.STATUS_RETURNED);
  assert.equal(status.memoryPages, 1);
  assert.equal(runtime.inspect([1])?.code, 6n);
});

test("the join gives the rest of the gas back, exactly", async () => {
  await runtime.revert(0);
  const gasOf = async (gas: number): Promise<[number, bigint]> => {
    await runtime.revert(0);
    const { block, results, handles } = await play(runtime, (s) => {
      s.put(1, { program: TRIVIAL, start: { entry: "run", gas } });
      return s.get(1, { status: true });
    });
    return [block.gasUsed, results.status(handles).gasUsed];
  };
  const [used, child] = await gasOf(1_000_000);
  assert.deepEqual(await gasOf(2_000_000), [used, child], "what is given and not used costs nothing");
  assert.ok(child > 16_384n, "the changed page is paid");
});

test("COPY brings bytes in and out, over page borders, shared and not", async () => {
  const bytes = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 31 + (i >> 8)) & 255);
  for (const [source, target] of [
    [0, 0],
    [100, 100],
    [100, 4196],
    [4090, 7],
    [0, 4096],
  ] as const) {
    await runtime.revert(0);
    const { results, handles } = await play(runtime, (s) => {
      const at = s.place(bytes, 4096);
      s.put(1, { program: TRIVIAL });
      s.put(1, { ranges: [{ source: at + source, target, length: 15_000 }] });
      return [
        s.get(1, { copy: [{ source: target, length: 15_000 }] }),
        s.get(1, { copy: [{ source: target + 3, length: 9_000, target: SCRATCH + 0x80000 }] }),
        s.out(SCRATCH + 0x80000, 9_000),
      ];
    });
    const [whole, , part] = handles;
    assert.deepEqual(
      results.bytes(whole as number),
      bytes.slice(source, source + 15_000),
      `${source} to ${target}`,
    );
    assert.deepEqual(results.bytes(part as number), bytes.slice(source + 3, source + 9_003));
  }
});

test("ZERO clears bytes, and ranges apply in the order of the list", async () => {
  await runtime.revert(0);
  const { results, handles } = await play(runtime, (s) => {
    s.put(1, { program: TRIVIAL });
    s.put(1, {
      ranges: [
        { source: new Uint8Array(9000).fill(7), target: 0 },
        { target: 10, length: 5000, zero: true },
        { source: Uint8Array.of(1, 2, 3), target: 12 },
      ],
    });
    return s.get(1, { copy: [{ source: 0, length: 9000 }] });
  });
  const expected = new Uint8Array(9000).fill(7);
  expected.fill(0, 10, 5010);
  expected.set([1, 2, 3], 12);
  assert.deepEqual(results.bytes(handles), expected);
});

test("HASH is the child's root as seen from outside, whatever the way to its state", async () => {
  await runtime.revert(0);
  const { results, handles } = await play(runtime, (s) => {
    s.put(1, { program: TRIVIAL });
    s.put(2, { program: TRIVIAL });
    s.put(1, { ranges: [{ source: new Uint8Array(4096).fill(9), target: 8192 }] });
    s.put(1, { ranges: [{ target: 8192, length: 4096, zero: true }] });
    return [s.get(1, { hash: true }), s.get(2, { hash: true })];
  });
  const [one, two] = handles.map((handle) => Buffer.from(results.hash(handle)).toString("hex"));
  assert.equal(one, two);
  assert.equal(runtime.inspect([1])?.hash, one);
});

test("HASH of many changed pages, which threads share, is that of one thread", async () => {
  const pages = new Uint8Array(200 * 4096).map((_, i) => (i >> 12) + 3 * i);
  const hashes = await Promise.all(
    [1, 4].map((workers) =>
      withRuntime([], { memoryQuotaPages: quota(6000), workers }, async (shared) => {
        const { results, handles } = await play(shared, (s) => {
          s.put(1, { program: DRIVER_HASH, memoryQuotaPages: quota(3000) });
          s.put(1, { ranges: [{ source: pages, target: 0 }] });
          return [s.get(1, { hash: true })];
        });
        const [hash] = handles.map((handle) => Buffer.from(results.hash(handle)).toString("hex"));
        assert.equal(shared.inspect([1])?.hash, hash);
        return hash;
      }),
    ),
  );
  assert.equal(hashes[0], hashes[1]);
});

test("DROP removes a child, and its quota can be used again", async () => {
  await withRuntime([trivial], { memoryQuotaPages: 80 * 16 + 4 + 40, processQuota: 1 }, async (small) => {
    const { results, handles } = await play(small, (s) => [
      s.put(1, { program: TRIVIAL }),
      s.put(2, { program: TRIVIAL }),
      s.put(1, { drop: true }),
      s.get(1, { status: true }),
      s.put(2, { program: TRIVIAL, memoryQuotaPages: quota(3) }),
      s.put(2, { program: TRIVIAL, memoryQuotaPages: quota(2) }),
      s.put(2, { program: TRIVIAL, memoryQuotaPages: quota(1) }),
    ]);
    const codes = handles.map((handle) => Number(results.value(handle)));
    assert.deepEqual(codes, [0, abi.E_QUOTA, 0, abi.E_NO_CHILD, abi.E_QUOTA, 0, 0]);
    assert.deepEqual(small.inspect([])?.children, [2]);
  });
});

test("RET suspends in nested calls, and START continues there with its argument", async () => {
  await runtime.revert(0);
  const { results, handles } = await play(runtime, (s) => {
    s.put(1, { program: NESTED, start: { entry: "calls", argument: 2n, gas: GAS } });
    const seen = [s.get(1, { status: true })];
    for (const argument of [10n, 20n, 30n, 40n, 50n]) {
      s.put(1, { start: { argument, gas: GAS } });
      seen.push(s.get(1, { status: true }));
    }
    return seen;
  });
  const statuses = handles.map((handle) => results.status(handle));
  assert.deepEqual(
    statuses.map(({ kind, code }) => [kind, code]),
    [
      [abi.STATUS_RET, 2n],
      [abi.STATUS_RET, 1n],
      [abi.STATUS_RET, 0n],
      [abi.STATUS_RET, -1n],
      [abi.STATUS_RET, -2n],
      // down(1) = 20·3 + 30 + 1 + 40 = 131; down(2) = 10·3 + 131 + 2 + 50
      [abi.STATUS_RETURNED, 213n],
    ],
  );
});

test("a process stopped in nested calls continues in other blocks, workers, and after reverts", async () => {
  for (const workers of [1, 3]) {
    await withRuntime([nested], { workers }, async (other) => {
      const step = (argument: bigint) =>
        play(other, (s) => {
          s.put(1, { start: { argument, gas: GAS } });
          return s.get(1, { status: true });
        });
      await play(other, (s) =>
        s.put(1, { program: NESTED, start: { entry: "closure", argument: 5n, gas: GAS } }),
      );
      const model = closureModel(5n);
      model.next();
      const roots: string[] = [];
      for (let argument = 3n; ; argument++) {
        if (workers > 1) await other.engine.pool.kill(Number(argument));
        const { block, results, handles } = await step(argument);
        roots.push(block.root);
        const expected = model.next(argument);
        const status = results.status(handles);
        assert.equal(status.code, expected.value);
        if (expected.done === true) break;
      }
      const height = other.head.height;
      await other.revert(height - roots.length);
      const again: string[] = [];
      for (let i = 0; i < roots.length; i++) again.push((await step(3n + BigInt(i))).block.root);
      assert.deepEqual(again, roots);
    });
  }
});

/** What `closure` of test/guests/nested.ts does: yields the codes of RET, takes the arguments of START. */
function* closureModel(n: bigint): Generator<bigint, bigint, bigint> {
  const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);
  function* step(k: bigint, a: bigint, i: bigint): Generator<bigint, bigint, bigint> {
    if (k % 3n === 0n) return wrap(a + (yield i));
    if (k % 3n === 1n) return wrap(a * (yield i) + i);
    return yield* step(i + 1n, yield a, i);
  }
  let a = 7n;
  for (let i = 0n; i < n; i++) a = yield* step(i, a, i);
  return a;
}

describe("a refused call changes nothing", () => {
  const HUGE = 0xffffffff;
  type Spec = Parameters<
    Parameters<typeof play>[1] extends (s: infer S) => unknown ? (s: S) => void : never
  >[0];
  const cases: readonly [string, (s: Spec) => number, number][] = [
    ["PUT to no child", (s) => s.put(7, { start: { entry: "run", gas: 1 } }), abi.E_NO_CHILD],
    ["PUT to child -1", (s) => s.put(-1, { drop: true }), abi.E_NO_CHILD],
    ["PUT to child 2^20", (s) => s.put(abi.CHILD_LIMIT, { program: TRIVIAL }), abi.E_NO_CHILD],
    ["GET from no child", (s) => s.get(7, { status: true }), abi.E_NO_CHILD],
    ["GET from child 2^31 - 1", (s) => s.get(0x7fffffff, { status: true }), abi.E_NO_CHILD],
    ["request at an odd address", (s) => s.command(1, 1, SCRATCH + 4), abi.E_BAD_REQUEST],
    ["request beyond memory", (s) => s.command(1, 1, 0xfffffff8), abi.E_RANGE],
    ["request across the end of memory", (s) => s.command(2, 1, 80 * 65536 - 32), abi.E_RANGE],
    ["version 0", (s) => s.put(1, { drop: true, words: { [abi.PUT_VERSION]: 0 } }), abi.E_BAD_REQUEST],
    [
      "another version",
      (s) => s.get(1, { status: true, words: { [abi.GET_VERSION]: 9 } }),
      abi.E_BAD_REQUEST,
    ],
    ["no parts", (s) => s.put(1, {}), abi.E_BAD_REQUEST],
    ["unknown parts", (s) => s.put(1, { words: { [abi.PUT_PARTS]: 0x80000008 } }), abi.E_BAD_REQUEST],
    ["unknown parts of GET", (s) => s.get(1, { words: { [abi.GET_PARTS]: 0x41 } }), abi.E_BAD_REQUEST],
    ["reserved word", (s) => s.put(1, { drop: true, words: { [abi.PUT_RESERVED]: 1 } }), abi.E_BAD_REQUEST],
    [
      "unknown flags",
      (s) => s.put(1, { start: { entry: "run" }, words: { [abi.PUT_FLAGS]: 2 } }),
      abi.E_BAD_REQUEST,
    ],
    ["DROP with START", (s) => s.put(1, { drop: true, start: { entry: "run" } }), abi.E_BAD_REQUEST],
    ["unknown program", (s) => s.put(2, { program: new Uint8Array(32) }), abi.E_BAD_PROGRAM],
    ["program hash beyond memory", (s) => s.put(2, { program: HUGE - 30 }), abi.E_RANGE],
    ["more quota than there is", (s) => s.put(2, { program: TRIVIAL, memoryQuotaPages: HUGE }), abi.E_QUOTA],
    ["more processes than there are", (s) => s.put(2, { program: TRIVIAL, processQuota: HUGE }), abi.E_QUOTA],
    [
      "less quota than a fresh process takes",
      (s) => s.put(2, { program: DRIVER_HASH, memoryQuotaPages: 80 * 16 + 3 }),
      abi.E_QUOTA,
    ],
    ["unknown entry", (s) => s.put(1, { start: { entry: "walk", gas: 1 } }), abi.E_NO_ENTRY],
    [
      "empty entry of a child that does not stand in RET",
      (s) => s.put(1, { start: { gas: 1 } }),
      abi.E_STATE,
    ],
    [
      "entry name beyond memory",
      (s) => s.put(1, { start: { entry: "run" }, words: { [abi.PUT_ENTRY_LENGTH]: HUGE } }),
      abi.E_RANGE,
    ],
    [
      "entry name of a megabyte",
      (s) => s.put(1, { start: { entry: "run" }, words: { [abi.PUT_ENTRY_LENGTH]: 1 << 20 } }),
      abi.E_NO_ENTRY,
    ],
    ["more gas than the caller has", (s) => s.put(1, { start: { entry: "run", gas: 2 ** 52 } }), abi.E_GAS],
    ["gas of 2^64 - 1", (s) => s.put(1, { start: { entry: "run", gas: 2n ** 64n - 1n } }), abi.E_GAS],
    [
      "COPY from beyond memory",
      (s) => s.put(1, { ranges: [{ source: HUGE - 10, target: 0, length: 16 }] }),
      abi.E_RANGE,
    ],
    ["COPY of 4 GiB", (s) => s.put(1, { ranges: [{ source: 8, target: 0, length: HUGE }] }), abi.E_RANGE],
    [
      "COPY to beyond the child's memory",
      (s) => s.put(1, { ranges: [{ source: 8, target: 65530, length: 16 }] }),
      abi.E_RANGE,
    ],
    [
      "ZERO beyond the child's memory",
      (s) => s.put(1, { ranges: [{ zero: true, target: HUGE, length: HUGE }] }),
      abi.E_RANGE,
    ],
    [
      "ZERO with a source",
      (s) => s.put(1, { ranges: [{ zero: true, source: 8, target: 0, length: 8 }] }),
      abi.E_BAD_REQUEST,
    ],
    [
      "ranges beyond memory",
      (s) =>
        s.put(1, { ranges: [], words: { [abi.PUT_RANGES_POINTER]: 0xfffffffc, [abi.PUT_RANGES_COUNT]: 1 } }),
      abi.E_RANGE,
    ],
    [
      "ranges at an odd address",
      (s) => s.put(1, { ranges: [], words: { [abi.PUT_RANGES_POINTER]: SCRATCH + 2 } }),
      abi.E_BAD_REQUEST,
    ],
    [
      "too many ranges",
      (s) => s.put(1, { ranges: [], words: { [abi.PUT_RANGES_COUNT]: HUGE } }),
      abi.E_BAD_REQUEST,
    ],
    [
      "GET COPY from beyond the child's memory",
      (s) => s.get(1, { copy: [{ source: 65530, length: 16, target: SCRATCH }] }),
      abi.E_RANGE,
    ],
    [
      "GET COPY to beyond memory",
      (s) => s.get(1, { copy: [{ source: 0, length: 16, target: HUGE - 4 }] }),
      abi.E_RANGE,
    ],
    [
      "STATUS beyond memory",
      (s) => s.get(1, { words: { [abi.GET_PARTS]: 1, [abi.GET_STATUS_POINTER]: 0xfffffff8 } }),
      abi.E_RANGE,
    ],
    [
      "STATUS at an odd address",
      (s) => s.get(1, { words: { [abi.GET_PARTS]: 1, [abi.GET_STATUS_POINTER]: SCRATCH + 4 } }),
      abi.E_BAD_REQUEST,
    ],
    [
      "detail beyond memory",
      (s) => s.get(1, { status: true, words: { [abi.GET_DETAIL_CAPACITY]: HUGE } }),
      abi.E_RANGE,
    ],
    [
      "HASH beyond memory",
      (s) => s.get(1, { words: { [abi.GET_PARTS]: abi.PART_GET_HASH, [abi.GET_HASH_POINTER]: HUGE } }),
      abi.E_RANGE,
    ],
    ["SNAPSHOT at a wild address", (s) => s.command(4, 0, 0xfffffff0), abi.E_RANGE],
  ];

  for (const [name, call, code] of cases) {
    test(name, async () => {
      const { results, handles, block } = await fresh((s) => {
        s.put(1, {
          program: TRIVIAL,
          memoryQuotaPages: quota(4),
          start: { entry: "run", argument: 3n, gas: GAS },
        });
        const before = s.get(1, { hash: true });
        const refused = call(s as Spec);
        return [refused, before, s.get(1, { hash: true, status: true }), s.get(2, { status: true })];
      });
      const [refused, before, afterwards, other] = handles as number[];
      assert.equal(Number(results.value(refused as number)), code);
      assert.deepEqual(results.hash(afterwards as number), results.hash(before as number));
      assert.equal(Number(results.value(other as number)), abi.E_NO_CHILD);
      assert.deepEqual(runtime.inspect([])?.children, [1]);
      assert.ok(block.gasUsed > 0);
    });
  }
});

test("SNAPSHOT is the root's alone", async () => {
  const { Script } = await import("../driver.ts");
  const inner = new Script({ base: 0x200000 });
  inner.command(4, 0, 0x200000);
  await runtime.revert(0);
  const { results, handles } = await play(runtime, (s) => {
    s.put(1, { program: DRIVER_HASH });
    s.put(1, { ranges: [{ source: inner.metadata(), target: 0x200000 }] });
    s.put(1, { start: { entry: "run", argument: 0x200000n, gas: GAS } });
    return s.get(1, { status: true, copy: [{ source: 0x300000, length: 24 }] });
  });
  assert.equal(results.status(handles).kind, abi.STATUS_RETURNED);
  const view = new DataView(results.bytes(handles).buffer);
  assert.equal(Number(view.getBigInt64(8, true)), abi.E_PERMISSION);
});
