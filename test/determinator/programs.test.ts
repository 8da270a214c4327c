/** Determinator's programs: quicksort by recursive forks, and a product of matrices in 64 copies. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { compile, Fleet } from "./harness.ts";

test("quicksort by recursive forks sorts, at every depth", async () => {
  const sort = await compile("determinator/sort");
  const count = 20_000;
  const numbers = new Uint32Array(count);
  let state = 12345n;
  for (let i = 0; i < count; i++) {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    numbers[i] = Number(state >> 32n);
  }
  const expected = Buffer.from(numbers.sort().buffer);
  const fleet = await Fleet.open(sort);
  try {
    for (const depth of [0n, 1n, 4n]) {
      const sorted = await fleet.everywhere(async (guest) =>
        guest.read(await guest.call("sort", depth), count * 4),
      );
      assert.ok(sorted.equals(expected), `depth ${depth}`);
    }
  } finally {
    await fleet.close();
  }
});

test("64 copies multiply matrices", async () => {
  const n = 64;
  const salt = 31;
  const cell = (f: (i: number, j: number) => number) =>
    Int32Array.from({ length: n * n }, (_, at) => f(Math.floor(at / n), at % n));
  const a = cell((i, j) => i * salt + j);
  const b = cell((i, j) => i - j * salt);
  const expected = cell((i, j) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum = (sum + Math.imul(a[i * n + k]!, b[k * n + j]!)) | 0;
    return sum;
  });
  const fleet = await Fleet.open(await compile("determinator/matrix"));
  try {
    const product = await fleet.everywhere(async (guest) =>
      guest.read(await guest.call("multiply", BigInt(salt)), n * n * 4),
    );
    assert.deepEqual(product, Buffer.from(expected.buffer));
  } finally {
    await fleet.close();
  }
});
