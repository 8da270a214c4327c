/** How a report names the places over which items met. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { contendedPlaces } from "../../runtime/batch/contended.ts";
import { readState, type Variable } from "../../runtime/program/decode/state.ts";
import { CHILD_LIMIT } from "../../syscalls/abi.ts";
import { guest } from "../fixture.ts";

const BOUND = 1 << 16;

function nameOf(line: number, variables: readonly Variable[]): string | null {
  const [place] = contendedPlaces(new Map([[line, 1]]), [4], BOUND, variables);
  assert.ok(place?.kind === "memory");
  assert.deepEqual([place.process, place.address, place.count], [[4], line * 64, 1]);
  return place.name;
}

test("a line is named by what begins in it, and by what began before", () => {
  const variables = [
    { name: "fees", address: 64, stride: 0 },
    { name: "miner", address: 96, stride: 0 },
    { name: "small", address: 256, stride: 16 },
    { name: "accounts", address: 1024, stride: 64 },
    { name: "large", address: 4096, stride: 200 },
    { name: "log", address: 8192 + 32, stride: 0 },
  ];
  const expected: [line: number, name: string | null][] = [
    [0, null],
    [1, "fees, miner"],
    [2, "miner + 32"],
    [4, "small[0..3]"],
    [5, "small[4..7]"],
    [16, "accounts[0]"],
    [33, "accounts[17]"],
    [64, "large[0]"],
    [65, "large[0] + 64"],
    [67, "large[0..1]"],
    [128, "large[20] + 96, log"],
    [129, "log + 32"],
  ];
  for (const [line, name] of expected) assert.equal(nameOf(line, variables), name, `line ${line}`);
  assert.equal(nameOf(3, []), null);
});

test("from the bound on lines are children, and their quotas; the most contended places come first", () => {
  const first = BOUND / 64;
  const lines = new Map([
    [first + 7, 2],
    [first, 5],
    [first + CHILD_LIMIT, 3],
    [9, 5],
    ...Array.from({ length: 40 }, (_, i) => [100 + i, 1] as const),
  ]);
  const places = contendedPlaces(lines, [1, 2], BOUND, []);
  assert.equal(places.length, 16);
  assert.deepEqual(places.slice(0, 4), [
    { kind: "memory", process: [1, 2], address: 576, name: null, count: 5 },
    { kind: "child", process: [1, 2, 0], count: 5 },
    { kind: "quotas", process: [1, 2], count: 3 },
    { kind: "child", process: [1, 2, 7], count: 2 },
  ]);
});

test("names come from exported constants of letters and digits, and from no others", async () => {
  const module = Buffer.from(await guest("batch/payments"));
  const state = { stateBytes: 16 << 20, variables: [{ name: "accounts", address: 0, stride: 64 }] };
  const { memoryPages, layouts, dataLayout, ...declared } = readState(module);
  assert.ok(memoryPages > 256);
  assert.deepEqual([layouts.size, dataLayout], [0, null]);
  assert.deepEqual(declared, state);
  const stride = module.indexOf("STATE_ACCOUNTS_STRIDE");
  const change = (at: number, text: string): ReturnType<typeof readState> => {
    const changed = Buffer.from(module);
    changed.write(text, at, "latin1");
    return readState(changed);
  };
  assert.deepEqual(change(stride, "STATE_ACCOUNTS\nSTRIDE").variables, [
    { name: "accounts", address: 0, stride: 0 },
  ]);
  // One without its owner is a place as any other.
  assert.deepEqual(change(stride, "STATE_BCCOUNTS_STRIDE").variables, [
    { name: "accounts", address: 0, stride: 0 },
    { name: "bccounts_stride", address: 64, stride: 0 },
  ]);
  const { stateBytes, variables } = readState(module.subarray(0, 40));
  assert.deepEqual([stateBytes, variables], [0, []]);
});
