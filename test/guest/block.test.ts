/**
 * The block reader of the guest SDK: every kind of value, and an abort that says what is missing and where.
 */

import assert from "node:assert/strict";
import { before, beforeEach, test } from "node:test";
import { type Guest, instantiate } from "./harness.ts";

let guest: Guest;
let start = 0;

before(async () => {
  guest = await instantiate("test/guests/sdk.ts");
  start = guest.call("scratch");
});

beforeEach(() => {
  guest.write(
    start,
    Uint8Array.from({ length: 128 }, (_, i) => i + 1),
  );
});

const open = (length: number): number => guest.call("block_reset", start, length);

test("reads little-endian values one after the other", () => {
  open(128);
  assert.equal(guest.call("block_u8"), 0x01);
  assert.equal(guest.call("block_u16"), 0x0302);
  assert.equal(guest.call("block_u32"), 0x07060504);
  assert.equal(guest.call64("block_u64"), 0x0f0e0d0c0b0a0908n);
  assert.equal(guest.call64("block_i64"), 0x1716151413121110n);
  guest.view().setFloat64(start + 23, -1.5, true);
  assert.equal(guest.call("block_f64"), -1.5);
  assert.equal(guest.call("block_u256"), start + 31);
  assert.equal(guest.call("block_bytes", 5), start + 63);
  assert.equal(guest.call("block_records", 3, 20), start + 68);
  assert.equal(guest.call("block_remaining"), 0);
  guest.call("block_end");
});

const kinds: [name: string, bytes: number][] = [
  ["u8", 1],
  ["u16", 2],
  ["u32", 4],
  ["u64", 8],
  ["i64", 8],
  ["f64", 8],
  ["u256", 32],
];

for (const [name, bytes] of kinds) {
  test(`${name} aborts when it is cut, and stays where it was`, () => {
    open(bytes + 2);
    guest.call("block_bytes", 3);
    assert.throws(() => guest.call(`block_${name}`), {
      message: `block: truncated: ${bytes} bytes at 3 of ${bytes + 2}`,
    });
    assert.equal(guest.call("block_offset"), 3);
  });
}

test("lengths near 2^32 do not wrap", () => {
  open(100);
  guest.call("block_bytes", 50);
  assert.throws(() => guest.call("block_bytes", 0xffffffff), /truncated: 4294967295 bytes at 50 of 100/);
  assert.throws(
    () => guest.call("block_records", 0x10000, 0x10000),
    /truncated: 65536 things of 65536 bytes at 50 of 100/,
  );
  assert.throws(() => guest.call("block_records", 0x80000001, 2), /truncated/);
  assert.equal(guest.call("block_records", 0, 0xffffffff), start + 50);
});

test("expect, zeros and end say what they found", () => {
  open(8);
  assert.throws(() => guest.call("block_expect", 1), { message: "block: version: expected 1, got 67305985" });
  assert.throws(() => guest.call("block_zeros", 4), { message: "block: padding: not zero" });
  open(8);
  guest.call("block_expect", 0x04030201);
  assert.throws(() => guest.call("block_end"), { message: "block: 4 bytes too many at 4" });
});

test("an empty block has nothing", () => {
  open(0);
  guest.call("block_end");
  assert.throws(() => guest.call("block_u8"), { message: "block: truncated: 1 bytes at 0 of 0" });
});
