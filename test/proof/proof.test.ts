/** What proofs show is what the runtime reads, for any process, range and block. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TABLE_LIMIT as HEAP_TABLE_LIMIT } from "../../runtime/heap/table.ts";
import { fieldBytes, HASHED_FIELDS } from "../../runtime/image/record.ts";
import { type Block, type Runtime, type Statement, UsageError, verify } from "../../runtime/index.ts";
import { verify as verifyAnywhere } from "../../runtime/proof/verify.ts";
import { TABLE_LIMIT } from "../../runtime/units.ts";
import { quota } from "../driver.ts";
import { DRIVER_HASH, open, play } from "../fixture.ts";
import { baseSeed, seeded } from "../seed.ts";
import { type Path, pathsOf, withTrees } from "./trees.ts";

/**
 * What a proof must show, taken from the runtime itself; the process is compared field by field elsewhere.
 */
function expected(runtime: Runtime, block: Block, path: Path, address: number, length: number): object {
  const view = runtime.inspect(path, block);
  if (view === null) {
    let known = 0;
    while (runtime.inspect(path.slice(0, known + 1), block) !== null) known++;
    return { absent: "process", path, missing: path.slice(0, known + 1) };
  }
  if (address + length > view.memoryBytes) return { absent: "memory", path, address, length };
  return { absent: null, path, address, bytes: runtime.read(path, address, length, block) };
}

/** A statement without the process, whose fields are compared with `inspect`. */
function checked(runtime: Runtime, block: Block, statement: Statement): object {
  if (statement.absent === "process") return statement;
  const { process, ...rest } = statement;
  const view = runtime.inspect(statement.path, block);
  assert.ok(view);
  assert.equal(process.program, view.program);
  assert.equal(process.memoryPages * 65536, view.memoryBytes);
  assert.equal(process.childCount, view.children.length);
  assert.equal(process.gasUsed, view.gasUsed);
  assert.equal(process.gas, view.gas);
  assert.equal(process.reference, view.reference);
  assert.equal(process.code, view.code);
  assert.equal(process.processQuota, view.quota.processes);
  return rest;
}

function check(runtime: Runtime, block: Block, path: Path, address: number, length: number): Uint8Array {
  const proof = runtime.prove(path, address, length, block);
  const statement = verify(block.root, proof);
  assert.deepEqual(verifyAnywhere(block.root, proof), statement);
  const text = `[${path}] ${address} ${length}`;
  assert.deepEqual(checked(runtime, block, statement), expected(runtime, block, path, address, length), text);
  return proof;
}

const near = (points: readonly number[]): fc.Arbitrary<number> =>
  fc
    .tuple(fc.constantFrom(...points), fc.integer({ min: -5000, max: 5000 }))
    .map(([a, b]) => Math.max(0, a + b));
const address = fc.oneof(near([0, 0x100000, 0x200000, 0x280000, 0x2c0000, 0x300000, 80 * 65536, 2 ** 32]), {
  arbitrary: fc.maxSafeNat(),
  weight: 1,
});
const length = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 9000 }), near([65536, 2 ** 20, 2 ** 22]));

test("a proof shows what the runtime reads, or that it is absent, in any block", async (t) => {
  await withTrees(baseSeed(t), 10, (runtime, blocks) => {
    const known = blocks.map((block) => pathsOf(runtime, block));
    t.diagnostic(`processes: ${known.map((paths) => paths.length)}`);
    assert.ok(known.flat().length > 20);
    const number = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: TABLE_LIMIT - 1 }));
    const tail = fc.oneof(fc.constant([]), fc.array(number, { maxLength: 3 }));
    const seen = { bytes: 0, memory: 0, process: 0 };
    fc.assert(
      fc.property(fc.nat(), fc.nat(), tail, address, length, (a, b, more, from, size) => {
        const block = blocks[a % blocks.length] as Block;
        const paths = known[a % blocks.length] as Path[];
        const path = [...(paths[b % paths.length] as Path), ...more];
        if (!Number.isSafeInteger(from + size)) return;
        const proof = check(runtime, block, path, from, size);
        seen[verify(block.root, proof).absent ?? "bytes"]++;
      }),
      seeded(t, 500),
    );
    for (const [kind, count] of Object.entries(seen)) assert.ok(count > 20, `${kind}: ${count}`);
  });
});

test("the edges of memory, of pages and of what is there", async (t) => {
  await withTrees(baseSeed(t) + 10, 1, (runtime, blocks) => {
    const block = blocks[1] as Block;
    const { memoryBytes } = runtime.inspect([], block) ?? assert.fail();
    const ranges: [address: number, length: number][] = [
      [0, 0],
      [memoryBytes, 0],
      [memoryBytes + 1, 0],
      [memoryBytes - 1, 1],
      [memoryBytes - 1, 2],
      [0, memoryBytes],
      [0, memoryBytes + 1],
      [4095, 1],
      [4095, 2],
      [4096, 4096],
      [2 ** 32, 1],
      [2 ** 32 - 1, 1],
      [Number.MAX_SAFE_INTEGER, 0],
    ];
    for (const [from, size] of ranges) check(runtime, block, [], from, size);
    check(runtime, block, [HEAP_TABLE_LIMIT - 1], 0, 1);
    check(runtime, block, Array(255).fill(0), 0, 1);
  });
});

test("a proof holds nothing that its statement does not need", async () => {
  const runtime = await open();
  try {
    await play(runtime, (script) => {
      for (const child of [0, 1, 40_000])
        script.put(child, { program: DRIVER_HASH, memoryQuotaPages: quota(80) });
    });
    const size = (path: Path, from: number, bytes: number): number => check1(path, from, bytes).length;
    const check1 = (path: Path, from: number, bytes: number) =>
      check(runtime, runtime.head, path, from, bytes);
    // Version, path and range; which hashes are present; the fields that are no hashes.
    const header = (depth: number): number => 20 + 4 * depth;
    const others = HASHED_FIELDS.filter(([, type]) => type !== "hash");
    const fields = 2 + others.reduce((sum, [, type]) => sum + fieldBytes(type), 0);
    const root = 6 * 32; // all but the reference snapshot and what a batch has
    assert.equal(size([], 0, 0), header(0) + fields + root);
    assert.equal(size([], 2 ** 40, 1), size([], 0, 0));
    // Fresh children: program, memory, globals. The children's table: 0 and 1 share three nodes and a part
    // of the fourth.
    const child = 3 * 32;
    const table = (nodes: number, hashes: number): number => nodes * 4 + hashes * 32;
    const through = header(1) + fields + root - 32;
    assert.equal(size([0], 0, 0), through + table(4, 2) + fields + child);
    assert.equal(size([40_000], 0, 0), through + table(4, 1) + fields + child);
    assert.equal(size([2], 0, 0), through + table(4, 3));
    assert.equal(size([40_001], 0, 0), through + table(4, 2));
    assert.equal(size([600_000], 0, 0), through + table(1, 2));
    assert.equal(size([600_000, 5, 6], 0, 0), through + 8 + table(1, 2));
    assert.equal(size([0, 5], 0, 0), through + 4 + table(4, 2) + fields + child);
    // A page; nothing where there are zeros. REGION's script was not copied: 1.5 MiB of zeros are two
    // bitmaps.
    const memory = runtime.inspect([0])?.memoryBytes as number;
    assert.ok(size([0], memory - 4096, 4096) < size([0], 0, 0) + table(4, 31));
    assert.ok(size([0], memory - 1_500_000, 1_500_000) < size([0], 0, 0) + table(4, 31));
  } finally {
    await runtime.close();
  }
});

test("arguments that make no sense are refused by name", async () => {
  const runtime = await open();
  try {
    const bad = (use: () => unknown, code: string): void => {
      assert.throws(use, (error) => error instanceof UsageError && error.code === code);
    };
    bad(() => runtime.prove([-1], 0, 1), "BAD_ARGUMENT");
    bad(() => runtime.prove([1.5], 0, 1), "BAD_ARGUMENT");
    bad(() => runtime.prove([TABLE_LIMIT], 0, 1), "BAD_ARGUMENT");
    bad(() => runtime.prove(Array(256).fill(0), 0, 1), "BAD_ARGUMENT");
    bad(() => runtime.prove([], -1, 1), "BAD_ARGUMENT");
    bad(() => runtime.prove([], 0, Number.NaN), "BAD_ARGUMENT");
    bad(() => runtime.prove([], Number.MAX_SAFE_INTEGER, 1), "BAD_ARGUMENT");
    bad(() => runtime.prove([], 0, 1, 7), "NOT_RETAINED");
    const proof = runtime.prove([], 0, 1);
    bad(() => verify("abc", proof), "BAD_ARGUMENT");
    bad(() => verify(new Uint8Array(31), proof), "BAD_ARGUMENT");
    bad(() => verify(runtime.head.root, [...proof] as unknown as Uint8Array), "BAD_ARGUMENT");
    bad(() => verify(runtime.head.root, proof, { lengthLimit: -1 }), "BAD_ARGUMENT");
    assert.deepEqual(
      verify(Buffer.from(runtime.head.root, "hex"), proof),
      verify(runtime.head.root.toUpperCase(), proof),
    );
    assert.equal(TABLE_LIMIT, HEAP_TABLE_LIMIT);
  } finally {
    await runtime.close();
  }
});
