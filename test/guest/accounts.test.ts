/**
 * The account table of the guest SDK against a Map, and its promises: records stay, equal operations give
 * equal memory.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Guest, instantiate, random, SEED } from "./harness.ts";

class Table {
  readonly #guest: Guest;
  readonly scratch: number;

  constructor(guest: Guest) {
    this.#guest = guest;
    this.scratch = guest.call("scratch");
  }

  find(address: Uint8Array): number {
    this.#guest.write(this.scratch, address);
    return this.#guest.call("accounts_find", this.scratch);
  }

  findOrAdd(address: Uint8Array): number {
    this.#guest.write(this.scratch, address);
    return this.#guest.call("accounts_findOrAdd", this.scratch);
  }

  findMany(addresses: readonly Uint8Array[], stride: number): number[] {
    const target = this.scratch + addresses.length * stride;
    addresses.forEach((address, i) => {
      this.#guest.write(this.scratch + i * stride, address);
    });
    this.#guest.call("accounts_findMany", this.scratch, stride, addresses.length, target);
    return addresses.map((_, i) => this.#guest.view().getUint32(target + 4 * i, true));
  }

  record(address: number): Uint8Array {
    return this.#guest.bytes(address, 64);
  }

  at(number: number): number {
    return this.#guest.call("accounts_at", number);
  }

  get count(): number {
    return this.#guest.call("accounts_count");
  }
}

const make = async (): Promise<{ guest: Guest; table: Table }> => {
  const guest = await instantiate("test/guests/sdk.ts");
  return { guest, table: new Table(guest) };
};

function randomAddresses(count: number, seed: number): Uint8Array[] {
  const next = random(seed);
  return Array.from({ length: count }, () => Uint8Array.from({ length: 20 }, () => next() & 255));
}

test("behaves like a map on random operations", async () => {
  const { guest, table } = await make();
  const name = fc.tuple(fc.nat(3), fc.nat(40)).map(([place, value]) => {
    const address = new Uint8Array(20);
    address[place * 6] = value; // differ in one byte, at the start, in the middle or at the end
    return address;
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), name), { maxLength: 200 }), (operations) => {
      guest.call("accounts_reset", 0, 1n, 2n);
      const model = new Map<string, number>();
      for (const [add, address] of operations) {
        const key = address.join();
        const record = add ? table.findOrAdd(address) : table.find(address);
        const known = model.get(key);
        assert.equal(record !== 0, known !== undefined || add);
        if (known !== undefined) assert.equal(record, known);
        if (record === 0) continue;
        assert.deepEqual(table.record(record).slice(0, 20), address);
        model.set(key, record);
      }
      assert.equal(table.count, model.size);
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test("grows to many accounts; records neither move nor meet", async () => {
  const { table } = await make();
  const addresses = randomAddresses(20_000, 1);
  const records = addresses.map((address) => table.findOrAdd(address));
  assert.equal(table.count, addresses.length);
  addresses.forEach((address, i) => {
    const record = records[i]!;
    assert.equal(record % 64, 0);
    assert.deepEqual(table.record(record).slice(20), new Uint8Array(44), "a new record is zero");
    table.record(record).fill(i & 255, 20);
    assert.equal(table.find(address), record);
    assert.equal(table.at(i), record, "numbered in the order of adding");
  });
  addresses.forEach((address, i) => {
    assert.deepEqual([...table.record(records[i]!)], [...address, ...Array(44).fill(i & 255)]);
  });
  assert.equal(new Set(records).size, addresses.length);
  assert.throws(() => table.at(addresses.length), /no such record/);
});

test("many lookups at once give what single ones give", async () => {
  const { table } = await make();
  const addresses = randomAddresses(3000, 2);
  for (const address of addresses.slice(0, 2000)) table.findOrAdd(address);
  for (const [from, to, stride] of [
    [0, 0, 20],
    [1990, 2010, 20],
    [0, 32, 64],
    [0, 33, 128],
    [1000, 3000, 24],
  ] as const) {
    const some = addresses.slice(from, to);
    assert.deepEqual(
      table.findMany(some, stride),
      some.map((address) => table.find(address)),
    );
  }
});

test("addresses that differ in a few bits are kept apart", async () => {
  const { table } = await make();
  for (let i = 0; i < 20_000; i++) {
    const address = new Uint8Array(20);
    new DataView(address.buffer).setUint32((i % 5) * 4, Math.floor(i / 5), true);
    table.findOrAdd(address);
  }
  assert.equal(table.count, 20_000 - 4, "the zero address was met five times");
});

test("equal operations give equal memory, and another key another place", async () => {
  const images = await Promise.all(
    [5n, 5n, 6n].map(async (key) => {
      const { guest, table } = await make();
      guest.call("accounts_reset", 100, key, 7n);
      for (const address of randomAddresses(3000, 3)) table.findOrAdd(address);
      return Buffer.from(guest.memory.buffer);
    }),
  );
  assert.ok(images[0]!.equals(images[1]!));
  assert.ok(!images[0]!.equals(images[2]!));
});

test("in a region a table is all there, is found again, and says when the region is full", async () => {
  const { guest, table } = await make();
  const length = 0x80000;
  const start = guest.memory.grow(length / 65536) * 65536;
  const rest = guest.bytes(0, start);
  guest.call("accounts_within", start, length);
  guest.write(table.scratch, new Uint8Array(20));
  const before = Buffer.from(rest);
  const addresses = randomAddresses(5000, 8);
  const records = addresses.slice(0, 4096).map((address) => table.findOrAdd(address));
  const first = start + Number(guest.call("records_offset"));
  assert.ok(first % 64 === 0);
  assert.deepEqual(
    records,
    records.map((_, i) => first + 64 * i),
  );
  guest.write(table.scratch, new Uint8Array(20));
  assert.ok(before.equals(rest), "nothing else was written");
  assert.throws(() => table.findOrAdd(addresses[4096]!), /the region is full/);
  guest.call("accounts_reset", 0, 1n, 2n);
  assert.equal(table.count, 0);
  guest.call("accounts_within", start, length);
  assert.equal(table.count, 4096);
  assert.deepEqual(
    addresses.slice(0, 4096).map((address) => table.find(address)),
    records,
  );
});

for (const runtime of ["minimal", "incremental"] as const) {
  test(`works with AssemblyScript's ${runtime} runtime, whose memory is not fresh`, async () => {
    const guest = await instantiate("test/guests/sdk.ts", {}, { runtime, optimize: false });
    const table = new Table(guest);
    const addresses = randomAddresses(10_000, 6);
    for (const round of [1, 2]) {
      guest.call("accounts_reset", 0, BigInt(round), 7n);
      const records = addresses.map((address) => table.findOrAdd(address));
      assert.deepEqual(table.findMany(addresses.slice(0, 500), 20), records.slice(0, 500));
      for (const record of records) {
        assert.deepEqual(table.record(record).slice(20), new Uint8Array(44), "a new record is zero");
        table.record(record).fill(0xff, 20);
      }
      guest.call("discard", 2_000_000);
    }
  });
}
