/**
 * The collections in state against Map, Set and arrays: results, order, failures, and the bytes they leave.
 */

import assert from "node:assert/strict";
import { before, test } from "node:test";
import fc from "fast-check";
import { type Guest, instantiate, random, SEED } from "./harness.ts";

const STATE_BYTES = 1 << 20;
let guest: Guest;
let scratch: number;
const seen: { bounds: bigint[] } = { bounds: [] };

/** ACCUMULATE of a u64, as the kernel does it; `add` of large integers is tested with the kernel. */
function accumulate(request: number): number {
  const view = guest.view();
  const address = view.getUint32(request + 8, true);
  const flags = view.getUint32(request + 4, true);
  const delta = view.getBigUint64(request + 16, true);
  const value = view.getBigUint64(address, true);
  const result = flags & 1 ? value - delta : value + delta;
  const maximum = flags & 2 ? view.getBigUint64(request + 80, true) : 2n ** 64n - 1n;
  if (flags & 2) seen.bounds.push(maximum);
  if (result < 0n || result > maximum) return 0;
  view.setBigUint64(address, result, true);
  return 1;
}

before(async () => {
  guest = await instantiate("test/guests/state.ts", { accumulate });
  scratch = guest.call("scratch");
});

/** All collections are empty again. */
function clear(): void {
  guest.bytes(0, STATE_BYTES).fill(0);
}

function key(bytes: Uint8Array): number {
  guest.write(scratch, bytes);
  return scratch;
}

function address(number: number): Uint8Array {
  const bytes = new Uint8Array(20);
  new DataView(bytes.buffer).setUint32(number % 17, number, true);
  return bytes;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("the collections lie behind each other, in the state", () => {
  assert.ok(guest.call("end") <= STATE_BYTES);
});

test("a map behaves like Map on random operations, and is zero when all is deleted", () => {
  const operation = fc.tuple(fc.constantFrom("add", "add", "delete", "read"), fc.nat(90));
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 400 }), (operations) => {
      clear();
      const model = new Map<string, bigint>();
      for (const [what, number] of operations) {
        const at = key(address(number));
        const name = hex(address(number));
        const known = model.get(name);
        if (what === "add") {
          if (known === undefined && model.size === 48) {
            assert.throws(() => guest.call64("accounts_add", at, 1n), /^Error: full$/);
            continue;
          }
          assert.equal(guest.call64("accounts_add", at, BigInt(number)), (known ?? 0n) + BigInt(number));
          model.set(name, (known ?? 0n) + BigInt(number));
        } else if (what === "delete") {
          assert.equal(guest.call("accounts_delete", at), known === undefined ? 0 : 1);
          model.delete(name);
        } else if (known === undefined) {
          assert.throws(() => guest.call64("accounts_balance", at), /no such entry/);
        } else {
          assert.equal(guest.call64("accounts_balance", at), known);
        }
        assert.equal(guest.call("accounts_size"), model.size);
      }
      const found = new Map(entries().map(({ name, balance }) => [name, balance]));
      assert.deepEqual([...found].sort(), [...model].sort());
      for (const name of model.keys()) guest.call("accounts_delete", key(Buffer.from(name, "hex")));
      assert.ok(
        guest.bytes(0, STATE_BYTES).every((byte) => byte === 0),
        "nothing is left behind",
      );
    }),
    { seed: SEED, numRuns: 100 },
  );
});

function entries(): { name: string; balance: bigint }[] {
  const found = [];
  for (let at = guest.call("accounts_next", 0); at !== 0; at = guest.call("accounts_next", at)) {
    const name = hex(guest.bytes(guest.call("accounts_key", at), 20));
    found.push({ name, balance: guest.view().getBigUint64(guest.call("accounts_at", at), true) });
  }
  return found;
}

test("a map is full at its capacity, and takes another entry when one is deleted", () => {
  clear();
  seen.bounds.length = 0;
  for (let i = 0; i < 48; i++) guest.call64("accounts_add", key(address(i)), 1n);
  assert.throws(() => guest.call64("accounts_add", key(address(99)), 1n), /^Error: full$/);
  assert.ok(seen.bounds.length > 0 && seen.bounds.every((bound) => bound === 48n));
  guest.call64("accounts_add", key(address(7)), 1n); // one that is there
  guest.call("accounts_delete", key(address(7)));
  guest.call64("accounts_add", key(address(99)), 5n);
  assert.equal(guest.call64("accounts_balance", key(address(99))), 5n);
});

test("entries stay where they are while others come and go, and deletions leave nothing to search", () => {
  clear();
  const next = random(SEED);
  const kept = Array.from({ length: 20 }, (_, i) => 1000 + i);
  for (const number of kept) guest.call64("accounts_add", key(address(number)), BigInt(number));
  const places = () => entries().filter(({ balance }) => balance >= 1000n).length;
  const first = entries().map(({ name }) => name);
  for (let i = 0; i < 3000; i++) {
    const number = next() % 900;
    guest.call64("accounts_add", key(address(number)), 1n);
    guest.call("accounts_delete", key(address(number)));
    assert.equal(places(), kept.length);
  }
  assert.deepEqual(
    entries().map(({ name }) => name),
    first,
  );
  // Searches end where nothing has passed: what passes is counted by those that are there, and by no others.
  const passed = Array.from({ length: 73 }, (_, i) => guest.view().getUint32(64 + 128 + i * 64 + 4, true));
  assert.ok(passed.reduce((sum, count) => sum + count, 0) <= kept.length * kept.length);
});

test("equal operations give equal bytes and an equal order; another seed gives another order", () => {
  const run = (seed: bigint): [string, string] => {
    clear();
    guest.call("accounts_seed", seed, 1n);
    for (let i = 0; i < 40; i++) guest.call64("accounts_add", key(address(i * 3)), 1n);
    for (let i = 0; i < 40; i += 3) guest.call("accounts_delete", key(address(i * 3)));
    return [
      hex(guest.bytes(0, STATE_BYTES)),
      entries()
        .map(({ name }) => name)
        .join(),
    ];
  };
  assert.deepEqual(run(1n), run(1n));
  assert.notEqual(run(1n)[1], run(2n)[1]);
  assert.throws(() => guest.call("accounts_seed", 3n, 3n), /the map has entries/);
});

test("the hash is SipHash-1-3: of an address it is that of the table of accounts", async () => {
  // SipHash-1-3 in 64-bit integers, by its paper.
  const mask = 2n ** 64n - 1n;
  const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & mask;
  const sip = (bytes: Uint8Array, k0: bigint, k1: bigint): bigint => {
    const v = [
      k0 ^ 0x736f6d6570736575n,
      k1 ^ 0x646f72616e646f6dn,
      k0 ^ 0x6c7967656e657261n,
      k1 ^ 0x7465646279746573n,
    ] as [bigint, bigint, bigint, bigint];
    const round = (): void => {
      v[0] = (v[0] + v[1]) & mask;
      v[2] = (v[2] + v[3]) & mask;
      v[1] = rotate(v[1], 13n) ^ v[0];
      v[3] = rotate(v[3], 16n) ^ v[2];
      v[0] = rotate(v[0], 32n);
      v[2] = (v[2] + v[1]) & mask;
      v[0] = (v[0] + v[3]) & mask;
      v[1] = rotate(v[1], 17n) ^ v[2];
      v[3] = rotate(v[3], 21n) ^ v[0];
      v[2] = rotate(v[2], 32n);
    };
    const padded = new Uint8Array(Math.floor(bytes.length / 8) * 8 + 8);
    padded.set(bytes);
    padded[padded.length - 1] = bytes.length;
    const view = new DataView(padded.buffer);
    for (let at = 0; at < padded.length; at += 8) {
      const word = view.getBigUint64(at, true);
      v[3] ^= word;
      round();
      v[0] ^= word;
    }
    v[2] ^= 0xffn;
    for (let i = 0; i < 3; i++) round();
    return v[0] ^ v[1] ^ v[2] ^ v[3];
  };
  for (let i = 0; i < 50; i++) {
    clear();
    guest.call("accounts_seed", BigInt(i), 5n);
    guest.call64("accounts_add", key(address(i)), 1n);
    const slot = ((sip(address(i), BigInt(i), 5n) >> 32n) * 73n) >> 32n;
    assert.equal(
      guest.view().getUint32(64 + 128 + Number(slot) * 64, true),
      1,
      `key ${i} is in slot ${slot}`,
    );
  }
});

test("a map of numbers", () => {
  clear();
  const model = new Map<number, number>();
  const next = random(SEED + 1);
  for (let i = 0; i < 2000; i++) {
    const number = next() % 40;
    if (next() % 2 === 0 && (model.size < 20 || model.has(number))) {
      guest.call("numbers_set", number, i);
      model.set(number, i);
    } else {
      assert.equal(guest.call("numbers_delete", number) === 1, model.delete(number));
    }
    const asked = next() % 40;
    assert.equal(guest.call("numbers_has", asked) === 1, model.has(asked));
    if (model.has(asked)) assert.equal(guest.call("numbers_get", asked), model.get(asked));
    else assert.throws(() => guest.call("numbers_get", asked), /no such entry/);
  }
});

test("a set behaves like Set", () => {
  clear();
  const model = new Set<number>();
  const next = random(SEED + 2);
  for (let i = 0; i < 1000; i++) {
    const number = next() % 60;
    const at = key(new Uint8Array(32).fill(number, number % 32));
    if (next() % 3 > 0 && (model.size < 30 || model.has(number))) {
      assert.equal(guest.call("names_add", at) === 1, !model.has(number));
      model.add(number);
    } else {
      assert.equal(guest.call("names_delete", at) === 1, model.delete(number));
    }
    assert.equal(guest.call("names_has", at) === 1, model.has(number));
    assert.equal(guest.call("names_size"), model.size);
  }
});

test("vectors hold records on lines of their own, and integers next to each other", () => {
  clear();
  for (let i = 0; i < 10; i++) assert.equal(guest.call("journal_add", BigInt(i * 7)), i + 1);
  assert.throws(() => guest.call("journal_add", 1n), /^Error: full$/);
  assert.equal(guest.call64("journal_at", 9), 63n);
  assert.throws(() => guest.call64("journal_at", 10), /no such entry/);
  guest.call("journal_pop");
  assert.throws(() => guest.call64("journal_at", 9), /no such entry/);
  guest.call("journal_add", 5n);
  assert.equal(guest.call64("journal_at", 9), 5n);
  for (let i = 0; i < 100; i++) assert.equal(guest.call("bytes_push", i), i);
  assert.throws(() => guest.call("bytes_push", 1), /^Error: full$/);
  guest.call("bytes_set", 50, 7);
  assert.equal(guest.call("bytes_get", 50), 7);
  assert.throws(() => guest.call("bytes_set", 100, 7), /no such entry/);
  for (let i = 0; i < 100; i++) guest.call("bytes_pop");
  assert.throws(() => guest.call("bytes_pop"), /no such entry/);
  for (let i = 0; i < 10; i++) guest.call("journal_pop");
  assert.ok(
    guest.bytes(0, STATE_BYTES).every((byte) => byte === 0),
    "nothing is left behind",
  );
});

test("cells: sums that fail instead of wrapping, and values that are copies", () => {
  clear();
  assert.equal(guest.call64("total_add", 2n ** 64n - 2n), 2n ** 64n - 2n);
  assert.throws(() => guest.call64("total_add", 2n), /^Error: overflow$/);
  assert.equal(guest.call64("total_subtract", 5n), 2n ** 64n - 7n);
  assert.throws(() => guest.call64("total_subtract", 2n ** 64n - 6n), /^Error: overflow$/);
  guest.call("owner_replace", key(address(77)));
  const before = guest.call("owner_replace", key(address(78)));
  assert.equal(hex(guest.bytes(before, 20)), hex(address(77)));
});

test("plus, minus and times fail where the type does not hold the result", () => {
  const operations = {
    plus: (a: bigint, b: bigint) => a + b,
    minus: (a: bigint, b: bigint) => a - b,
    times: (a: bigint, b: bigint) => a * b,
  };
  const fits = (value: bigint, type: string): boolean => {
    const bits = BigInt(type.slice(1));
    return type.startsWith("u")
      ? value === BigInt.asUintN(Number(bits), value)
      : value === BigInt.asIntN(Number(bits), value);
  };
  const check = (name: keyof typeof operations, type: string, a: bigint, b: bigint): void => {
    const expected = operations[name](a, b);
    const narrow = type.endsWith("8");
    const run = (): bigint => {
      const result = narrow
        ? BigInt(guest.call(`${name}_${type}`, Number(a), Number(b)))
        : guest.call64(`${name}_${type}`, a, b);
      return type.startsWith("i") ? BigInt.asIntN(64, result) : result;
    };
    if (fits(expected, type)) assert.equal(run(), expected, `${a} ${name} ${b} in ${type}`);
    else assert.throws(run, /^Error: overflow$/, `${a} ${name} ${b} in ${type}`);
  };
  for (const name of ["plus", "minus", "times"] as const) {
    for (let a = 0n; a < 256n; a += 5n) {
      for (let b = 0n; b < 256n; b++) {
        check(name, "u8", a, b);
        check(name, "i8", a - 128n, b - 128n);
      }
    }
    for (const type of ["u64", "i64"]) {
      const low = type === "u64" ? 0n : -(2n ** 63n);
      const high = type === "u64" ? 2n ** 64n - 1n : 2n ** 63n - 1n;
      const edges = [
        low,
        low + 1n,
        low / 2n,
        0n,
        1n,
        3n,
        2n ** 32n,
        2n ** 32n - 1n,
        high / 2n,
        high / 2n + 1n,
        high - 1n,
        high,
      ];
      if (type === "i64") edges.push(-1n, -2n, -(2n ** 32n));
      for (const a of edges) for (const b of edges) check(name, type, a, b);
    }
  }
});
