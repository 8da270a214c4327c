/** CLONE and MERGE: copies of processes, and three-way merges against a model on flat bytes. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { programHash, type Runtime } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, Script } from "../driver.ts";
import { guest, open, play, withRuntime } from "../fixture.ts";
import { seeded } from "../seed.ts";
import { sized } from "../sizes.ts";

const trivial = await guest("trivial");
const nested = await guest("nested");
const TRIVIAL = programHash(trivial);
const NESTED = programHash(nested);
const GAS = 50_000_000;

/** Three pages in the driver's memory that nothing else uses. */
const AREA = 0x280000;
const AREA_BYTES = 3 * 4096;
/** Where the script of a clone lies: in the caller's memory, of which it is a copy. */
const INNER = 0x2c0000;

let runtime: Runtime;
before(async () => {
  runtime = await open([trivial, nested]);
});
after(() => runtime.close());

interface Write {
  readonly at: number;
  readonly length: number;
  readonly byte: number;
}

const write: fc.Arbitrary<Write> = fc.record({
  // Often near page borders, so that writes of both sides meet.
  at: fc.oneof(fc.integer({ min: 0, max: AREA_BYTES - 1 }), fc.integer({ min: 4080, max: 4110 })),
  length: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 6000 })),
  byte: fc.integer({ min: 0, max: 3 }),
});

function apply(bytes: Uint8Array, writes: readonly Write[]): Uint8Array {
  const copy = bytes.slice();
  for (const { at, length, byte } of writes) copy.fill(byte, at, Math.min(at + length, AREA_BYTES));
  return copy;
}

function fill(script: Script, writes: readonly Write[]): void {
  for (const { at, length, byte } of writes) {
    script.fill(AREA + at, Math.min(length, AREA_BYTES - at), byte);
  }
}

/** A block in which a clone of the root and the root itself write, and then merge. */
async function forkAndMerge(
  common: readonly Write[],
  child: readonly Write[],
  own: readonly Write[],
  merge: { kind?: number; address: number; length: number },
) {
  await runtime.revert(0);
  return play(runtime, (s) => {
    fill(s, common);
    const inner = new Script({ base: INNER, commands: 16 });
    fill(inner, child);
    const code = s.place(inner.metadata());
    s.copy(INNER, code, inner.metadata().length);
    s.put(1, { clone: abi.CLONE_SELF, start: { entry: "run", argument: BigInt(INNER), gas: GAS } });
    fill(s, own);
    return { merge: s.get(1, { merge }), area: s.out(AREA, AREA_BYTES) };
  });
}

const writes = fc.array(write, { maxLength: 4 });

test("MERGE_BYTES is the three-way merge of flat bytes, or reports conflicts and does nothing", async (t) => {
  let conflicting = 0;
  const range = fc.record({
    address: fc.integer({ min: 0, max: AREA_BYTES / 2 }),
    length: fc.oneof(fc.constant(AREA_BYTES / 2), fc.integer({ min: 0, max: AREA_BYTES / 2 })),
  });
  await fc.assert(
    fc.asyncProperty(
      writes,
      writes,
      writes,
      range,
      async (common, childWrites, ownWrites, { address, length }) => {
        const start = apply(new Uint8Array(AREA_BYTES), common);
        const child = apply(start, childWrites);
        const own = apply(start, ownWrites);
        const expected = own.slice();
        const conflicts: number[] = [];
        for (let i = address; i < address + length; i++) {
          if (child[i] === start[i] || child[i] === own[i]) continue;
          if (own[i] === start[i]) expected[i] = child[i] as number;
          else conflicts.push(i);
        }
        const { results, handles } = await forkAndMerge(common, childWrites, ownWrites, {
          address: AREA + address,
          length,
        });
        const report = results.merge(handles.merge);
        assert.equal(report.conflicts, conflicts.length);
        if (conflicts.length === 0) {
          assert.equal(results.value(handles.merge), 0n);
          assert.deepEqual(results.bytes(handles.area), expected);
        } else {
          conflicting++;
          const first = conflicts[0] as number;
          assert.equal(Number(results.value(handles.merge)), abi.E_CONFLICT);
          assert.deepEqual(report, {
            conflicts: conflicts.length,
            first: AREA + first,
            child: child[first],
            caller: own[first],
          });
          assert.deepEqual(results.bytes(handles.area), own, "nothing is merged");
        }
      },
    ),
    seeded(t, 150),
  );
  assert.ok(conflicting > sized(0, 10), `${conflicting} cases had conflicts`);
});

const KINDS: readonly [
  name: string,
  kind: number,
  bytes: 4 | 8,
  (old: bigint, now: bigint, own: bigint) => bigint,
][] = [
  ["ADD_32", abi.MERGE_ADD_32, 4, (old, now, own) => own + now - old],
  ["ADD_64", abi.MERGE_ADD_64, 8, (old, now, own) => own + now - old],
  [
    "MIN_I32",
    abi.MERGE_MIN_I32,
    4,
    (_, now, own) => (BigInt.asIntN(32, now) < BigInt.asIntN(32, own) ? now : own),
  ],
  ["MIN_U32", abi.MERGE_MIN_U32, 4, (_, now, own) => (now < own ? now : own)],
  [
    "MIN_I64",
    abi.MERGE_MIN_I64,
    8,
    (_, now, own) => (BigInt.asIntN(64, now) < BigInt.asIntN(64, own) ? now : own),
  ],
  ["MIN_U64", abi.MERGE_MIN_U64, 8, (_, now, own) => (now < own ? now : own)],
  [
    "MAX_I32",
    abi.MERGE_MAX_I32,
    4,
    (_, now, own) => (BigInt.asIntN(32, now) > BigInt.asIntN(32, own) ? now : own),
  ],
  ["MAX_U32", abi.MERGE_MAX_U32, 4, (_, now, own) => (now > own ? now : own)],
  [
    "MAX_I64",
    abi.MERGE_MAX_I64,
    8,
    (_, now, own) => (BigInt.asIntN(64, now) > BigInt.asIntN(64, own) ? now : own),
  ],
  ["MAX_U64", abi.MERGE_MAX_U64, 8, (_, now, own) => (now > own ? now : own)],
];

for (const [name, kind, bytes, combine] of KINDS) {
  test(`MERGE_${name} combines integers and never conflicts`, async (t) => {
    // Bytes over 127 make negative integers.
    const wide = fc.array(
      write.map((w) => ({ ...w, byte: [0, 1, 0x7f, 0xff][w.byte] as number })),
      { maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(wide, wide, wide, async (common, childWrites, ownWrites) => {
        const start = apply(new Uint8Array(AREA_BYTES), common);
        const child = apply(start, childWrites);
        const own = apply(start, ownWrites);
        const expected = Buffer.from(own);
        const read = (array: Uint8Array, at: number): bigint => {
          const view = new DataView(array.buffer, array.byteOffset);
          return bytes === 4 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true);
        };
        for (let at = 0; at < AREA_BYTES; at += bytes) {
          if (read(child, at) === read(start, at)) continue;
          const value = BigInt.asUintN(bytes * 8, combine(read(start, at), read(child, at), read(own, at)));
          if (bytes === 4) expected.writeUInt32LE(Number(value), at);
          else expected.writeBigUInt64LE(value, at);
        }
        const range = { kind, address: AREA, length: AREA_BYTES };
        const { results, handles } = await forkAndMerge(common, childWrites, ownWrites, range);
        assert.equal(results.value(handles.merge), 0n);
        assert.deepEqual(Buffer.from(results.bytes(handles.area)), expected);
      }),
      seeded(t, 15),
    );
  });
}

test("x = y and y = x at once swap the values", async () => {
  await runtime.revert(0);
  const { results, handles } = await play(runtime, (s) => {
    s.store(AREA, 1n);
    s.store(AREA + 8, 2n);
    [
      [AREA, AREA + 8],
      [AREA + 8, AREA],
    ].forEach(([to, from], child) => {
      const inner = new Script({ base: INNER + child * 0x1000, commands: 4 });
      inner.copy(to as number, from as number, 8);
      s.copy(INNER + child * 0x1000, s.place(inner.metadata()), inner.metadata().length);
      s.put(child, {
        clone: abi.CLONE_SELF,
        start: { entry: "run", argument: BigInt(INNER + child * 0x1000), gas: GAS },
      });
    });
    for (const child of [0, 1]) s.get(child, { merge: { address: AREA, length: 16 } });
    return [s.load(AREA), s.load(AREA + 8)];
  });
  assert.deepEqual(
    handles.map((handle) => results.value(handle)),
    [2n, 1n],
  );
});

test("a merge is refused where it cannot be meant", async () => {
  await runtime.revert(0);
  const { results, handles } = await play(runtime, (s) => {
    s.put(1, { program: TRIVIAL });
    const never = s.get(1, { merge: { address: 0, length: 8 } });
    s.put(1, { start: { entry: "run", gas: GAS } });
    return [
      never,
      s.get(1, { merge: { address: 0, length: 65_537 } }),
      s.get(1, { merge: { address: 0xfffffff0, length: 0x20 } }),
      s.get(1, { merge: { kind: 11, address: 0, length: 8 } }),
      s.get(1, { merge: { kind: abi.MERGE_ADD_64, address: 4, length: 8 } }),
      s.get(1, { merge: { kind: abi.MERGE_ADD_32, address: 4, length: 6 } }),
      s.get(1, {
        merge: { address: 0x210000, length: 8 },
        words: { [abi.GET_PARTS]: 5, [abi.GET_STATUS_POINTER]: 0x210000 },
      }),
      s.get(1, { merge: { address: 0, length: 8 }, copy: [{ source: 0, length: 8, target: AREA }] }),
    ];
  });
  assert.deepEqual(
    handles.map((handle) => Number(results.value(handle))),
    [abi.E_STATE, abi.E_RANGE, abi.E_RANGE, ...Array(5).fill(abi.E_BAD_REQUEST)],
  );
});

test("a clone of a child has its memory, globals and place, not its gas or reference snapshot", async () => {
  await runtime.revert(0);
  const { results, handles } = await play(runtime, (s) => {
    s.put(1, { program: NESTED, start: { entry: "calls", argument: 1n, gas: GAS } });
    s.get(1, { status: true });
    s.put(2, { clone: 1 });
    const merge = s.get(2, { merge: { address: 0, length: 8 } });
    const step = (child: number, argument: bigint) => {
      s.put(child, { start: { argument, gas: GAS } });
      return s.get(child, { status: true, hash: true });
    };
    return { merge, one: [5n, 6n, 7n].map((a) => step(1, a)), two: [5n, 6n, 7n].map((a) => step(2, a)) };
  });
  assert.equal(Number(results.value(handles.merge)), abi.E_STATE);
  const codes = (list: readonly number[]) => list.map((handle) => results.status(handle).code);
  assert.deepEqual(codes(handles.one), codes(handles.two));
});

test("a clone of a started child has no gas; it fails for that and can be started again", async () => {
  for (const workers of [1, 2]) {
    await withRuntime([trivial], { workers }, async (other) => {
      const { results, handles } = await play(other, (s) => {
        s.put(1, { program: TRIVIAL, start: { entry: "run", argument: 4n, gas: GAS } });
        s.put(2, { clone: 1 });
        const seen = [s.get(2, { status: true }), s.get(1, { status: true })];
        s.put(2, { start: { entry: "run", argument: 4n, gas: GAS } });
        return [...seen, s.get(2, { status: true })];
      });
      const kinds = handles.map((handle) => results.status(handle));
      assert.deepEqual(
        kinds.map(({ kind, fault, code }) => [kind, fault, code]),
        [
          [abi.STATUS_FAULTED, abi.FAULT_OUT_OF_GAS, 0n],
          [abi.STATUS_RETURNED, 0, 5n],
          [abi.STATUS_RETURNED, 0, 5n],
        ],
      );
    });
  }
});

test("clones take quota like what they copy, and give it back", async () => {
  await withRuntime(
    [trivial],
    { memoryQuotaPages: 80 * 16 + 4 + quota(7), processQuota: 3 },
    async (small) => {
      const { results, handles } = await play(small, (s) => [
        s.put(1, { program: TRIVIAL, memoryQuotaPages: quota(3), processQuota: 1 }),
        s.put(2, { clone: 1 }),
        s.put(1, { drop: true }),
        s.put(1, { clone: 2, memoryQuotaPages: quota(1) }),
        s.put(3, { clone: abi.CLONE_SELF }),
        s.put(3, { clone: 7 }),
        s.put(3, { clone: -2 }),
        s.put(2, { drop: true }),
        s.put(2, { program: TRIVIAL, memoryQuotaPages: quota(7), processQuota: 2 }),
      ]);
      const { E_NO_CHILD, E_QUOTA } = abi;
      assert.deepEqual(
        handles.map((handle) => Number(results.value(handle))),
        [0, E_QUOTA, 0, E_NO_CHILD, E_QUOTA, E_NO_CHILD, E_NO_CHILD, E_NO_CHILD, 0],
      );
    },
  );
});
