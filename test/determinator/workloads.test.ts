/**
 * Determinator's benchmark programs in small: as parallel processes they give what the plain module gives,
 * and what a host computes where that is simple.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { instantiateBytes } from "../guest/harness.ts";
import { compile, Fleet } from "./harness.ts";

const COPIES = 4;
const SIZES = {
  md5: 4000n,
  multiply: 64n,
  sorting: 30_000n,
  fourier: 64n,
  decompose: 128n,
  options: 400n,
};

/** Piece after piece, without a runtime. */
async function plainly(bytes: Uint8Array, size: bigint): Promise<Buffer> {
  const guest = await instantiateBytes(bytes);
  const result = guest.call64("prepare", size);
  const phases = guest.call64("phases", 0n);
  for (let phase = 0n; phase < phases; phase++) {
    guest.call64("before", phase);
    for (let i = 0n; i < COPIES; i++) guest.call64("piece", phase * BigInt(COPIES) + i);
  }
  return Buffer.from(guest.bytes(Number(result >> 32n), Number(result & 0xffffffffn)));
}

for (const [name, size] of Object.entries(SIZES)) {
  test(`${name} gives the same in copies and in one`, async () => {
    const bytes = await compile(`workloads/${name}`);
    const expected = await plainly(bytes, size);
    const fleet = await Fleet.open(bytes);
    try {
      const result = await fleet.everywhere(async (guest) => {
        const range = BigInt.asUintN(64, await guest.call("prepare", size));
        await guest.call("solve");
        return guest.read(range >> 32n, Number(range & 0xffffffffn));
      });
      assert.ok(result.equals(expected));
    } finally {
      await fleet.close();
    }
  });
}

test("the search finds the least MD5", async () => {
  const result = await plainly(await compile("workloads/md5"), SIZES.md5);
  const share = Number(SIZES.md5) / COPIES;
  for (let index = 0; index < COPIES; index++) {
    let least = 2 ** 32;
    for (let i = index * share; i < (index + 1) * share; i++) {
      const text = [...i.toString(16).padStart(8, "0")].reverse().join("");
      least = Math.min(least, createHash("md5").update(text).digest().readUInt32BE(0));
    }
    assert.equal(result.readUInt32LE(index * 8), least);
  }
});

test("the sort sorts", async () => {
  const result = await plainly(await compile("workloads/sorting"), SIZES.sorting);
  const numbers = new Uint32Array(result.buffer, result.byteOffset, result.length / 4);
  assert.ok(numbers.every((number, i) => i === 0 || (numbers[i - 1] as number) <= number));
});
