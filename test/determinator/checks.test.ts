/**
 * Determinator's own checks of its kernel (Aviram and others, OSDI 2010), rewritten for guests: what copies
 * of a process may and may not see of each other. Each with one, two and four workers, and equal states.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as abi from "../../syscalls/abi.ts";
import { compile, Fleet, type Guest } from "./harness.ts";

// A conversion out of range is to fault, not to saturate.
const checks = await compile("determinator/checks", { disable: ["nontrapping-f2i"] });
const AREA_BYTES = 4 * 4096;

let fleet: Fleet;
before(async () => {
  fleet = await Fleet.open(checks);
});
after(() => fleet.close());

async function out(guest: Guest, count: number): Promise<bigint[]> {
  return guest.words(await guest.call("outAddress"), count);
}

function text(guest: Guest, place: bigint): string {
  return guest.read(place >> 32n, Number(place & 0xffffffffn)).toString();
}

test("copies use the same stack addresses, each with its own contents", async () => {
  const copies = 12;
  const words = await fleet.everywhere(async (guest) => {
    assert.equal(await guest.call("sameStack", BigInt(copies)), 0n);
    return out(guest, copies * 2);
  });
  const fibonacci = (n: number, salt: bigint): bigint =>
    n < 2 ? BigInt(n) + salt : fibonacci(n - 1, salt) + fibonacci(n - 2, salt);
  for (let i = 0; i < copies; i++) {
    assert.equal(words[i * 2], fibonacci(12, BigInt(i) * 1000n));
    assert.equal(words[i * 2 + 1], words[1]);
  }
});

test("every kind of trap is reflected to the parent, and a faulted copy merges nothing", async () => {
  const words = await fleet.everywhere(async (guest) => {
    assert.equal(await guest.call("traps", 99n), 99n);
    return out(guest, abi.FAULT_CALL_DEPTH);
  });
  const faults = words.map((word) => Number(word & 0xffffffffn));
  assert.deepEqual(
    faults,
    // AssemblyScript reads a table by indirect calls only.
    Array.from({ length: abi.FAULT_CALL_DEPTH }, (_, i) => i + 1).with(
      abi.FAULT_TABLE_BOUNDS - 1,
      abi.FAULT_BAD_INDIRECT_CALL,
    ),
  );
  assert.ok(words.every((word, i) => (word >> 32n !== 0n) === (i + 1 === abi.FAULT_ABORT)));
});

test("a fork tells which copy faulted and why, with those before it merged", async () => {
  for (const [fault, words] of [
    [
      abi.FAULT_ABORT,
      /^parallel: copy 2: child \d+ faulted: abort: on purpose in .*checks\.ts \(line \d+\)$/,
    ],
    [abi.FAULT_MEMORY_BOUNDS, /^parallel: copy 2: child \d+ faulted: memory bounds$/],
    [abi.FAULT_OUT_OF_GAS, /^parallel: copy 2: child \d+ faulted: out of gas$/],
  ] as const) {
    const message = await fleet.everywhere(async (guest) => {
      assert.equal(await guest.call("faultOf", BigInt(fault)), 1n + 2n);
      const [failed, place] = await out(guest, 2);
      assert.equal(failed, 2n);
      return text(guest, place as bigint);
    });
    assert.match(message, words);
  }
});

test("without asking for an answer, a faulted copy aborts its parent", async () => {
  const { status, detail } = await fleet.everywhere((guest) =>
    guest.start("abortsInParallel", BigInt(abi.FAULT_DIVISION_BY_ZERO)),
  );
  assert.equal(status.fault, abi.FAULT_ABORT);
  assert.match(detail, /^parallel: copy 2: child \d+ faulted: division by zero in /);
});

test("what copies do to memory, its size, globals and children of their own is hidden", async () => {
  const words = await fleet.everywhere(async (guest) => {
    assert.equal(await guest.call("hidden", 7n), BigInt(abi.E_NO_CHILD));
    return out(guest, 5);
  });
  assert.equal(words[0], words[1]);
  assert.equal(new Set(words.slice(1)).size, 4, "each saw its own changes");
});

test("copies see memory as at the fork, and the parent's later writes stay", async () => {
  assert.equal(await fleet.everywhere((guest) => guest.call("writesBehind", 5n)), 5_000_042n);
});

test("neighbouring bytes and words of different copies all arrive", async () => {
  for (const copies of [2, 7, 8]) {
    const expected = Buffer.alloc(AREA_BYTES, 0xff);
    for (let i = 0; i < 1024; i++) {
      const index = i % copies;
      expected.writeUInt8((index + i) & 0xff, i);
      expected.writeUInt16LE((index * 257 + i) & 0xffff, 1024 + i * 2);
      expected.writeUInt32LE(index * 65537 + i, 4096 + i * 4);
      expected.writeBigUInt64LE((BigInt(index) << 40n) + BigInt(i), 8192 + i * 8);
    }
    const area = await fleet.everywhere(async (guest) => {
      await guest.call("neighbours", BigInt(copies));
      return guest.read(await guest.call("areaAddress"), AREA_BYTES);
    });
    assert.deepEqual(area, expected);
  }
});

test("x = y and y = x at once swap", async () => {
  const swapped = await fleet.everywhere((guest) => guest.call("swap", (7n << 32n) | 3n));
  assert.equal(swapped, (3n << 32n) | 7n);
});

test("copies that write the same value agree, different values are a conflict", async () => {
  const run = (values: bigint) =>
    fleet.everywhere(async (guest) => {
      const byte = await guest.call("sameByte", values);
      const [failed, place, neighbours] = await out(guest, 3);
      return { byte, failed, neighbours, message: text(guest, place as bigint) };
    });
  const all = 0xffffffffff020100n;
  assert.deepEqual(await run(0x090909n), {
    byte: 9n,
    failed: -1n,
    neighbours: BigInt.asIntN(64, all),
    message: "",
  });
  // Nothing is a change: the value that was there.
  assert.equal((await run(0x050000n)).byte, 5n);
  const conflict = await run(0x080909n);
  assert.equal(conflict.byte, 9n);
  assert.equal(conflict.failed, 2n);
  assert.match(
    conflict.message,
    /^parallel: copy 2: 1 conflicting bytes, the first at \d+: 8 in the copy, 9 here$/,
  );
});

test("ADD, MIN and MAX reduce over copies", async () => {
  const sums = new BigInt64Array(128);
  const small = new Uint32Array(8).fill(1000);
  let [least, greatest, leastU32, state] = [(1n << 63n) - 1n, -(1n << 63n), 0xffffffffn, 1n];
  for (let i = 0; i < 4096; i++) {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    sums[Number(state >> 57n)]! += 1n;
    small[Number(state >> 61n)]! -= 1;
    const signed = BigInt.asIntN(64, state);
    if (signed < least) least = signed;
    if (signed > greatest) greatest = signed;
    if (state >> 32n < leastU32) leastU32 = state >> 32n;
  }
  const area = await fleet.everywhere(async (guest) => {
    await guest.call("reduce", 9n);
    return guest.read(await guest.call("areaAddress"), 4096);
  });
  assert.deepEqual(area.subarray(0, 1024), Buffer.from(sums.buffer));
  assert.deepEqual(area.subarray(2048, 2080), Buffer.from(small.buffer));
  assert.equal(area.readBigInt64LE(3072), least);
  assert.equal(area.readBigInt64LE(3080), greatest);
  assert.equal(area.readUInt32LE(3088), Number(leastU32));
});

test("a fork that cannot be made says why", async () => {
  await fleet.everywhere(async (guest) => {
    const detail = async (entry: string) => (await guest.start(entry)).detail;
    assert.match(
      await detail("tooMuchGas"),
      /^parallel: copy 1: E_GAS: 2 copies with 1125899906842624 gas each are more than there is/,
    );
    assert.match(
      await detail("tooMuchMemory"),
      /^parallel: copy 0: E_QUOTA: each needs a quota of \d+ pages/,
    );
    assert.equal(await guest.call("outside"), 0n);
    assert.equal(await guest.call("nobody"), -1n);
  });
});

test("a fork without the exported entry says what to write", async () => {
  const other = await Fleet.open(await compile("determinator/unexported"), [1]);
  try {
    const { detail } = await other.everywhere((guest) => guest.start("fork"));
    assert.match(detail, /^parallel: copy 1: E_NO_ENTRY: write export \{ forked \} from "stillpoint\/guest"/);
  } finally {
    await other.close();
  }
});

test("copies use strings, maps and the collector as they like, and give numbers back", async () => {
  const digests = new Set<bigint>();
  for (const runtime of ["stub", "minimal", "incremental"] as const) {
    const other = await Fleet.open(await compile("determinator/managed", { runtime }), [1, 4]);
    try {
      digests.add(await other.everywhere((guest) => guest.call("run", 3n)));
    } finally {
      await other.close();
    }
  }
  assert.equal(digests.size, 1);
});
