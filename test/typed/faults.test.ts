/** Faults name the author's line, optimised as programs are: of `fail`, of the SDK, and of the library. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import { compileGuest } from "../../runtime/compile.ts";
import { GuestFault, TestProcess } from "../../runtime/testing.ts";
import { project } from "./project.ts";

const SOURCE = `import { Address, StateMap, StateVector, fail } from "stillpoint/guest";
export const STATE_BYTES: u32 = 1 << 16;
const accounts = new StateMap<Address, u64>(10, 0);
const entries = new StateVector<u64>(10, accounts.end);
export function failing(x: i64): i64 {
  if (x > 5) fail("too much");
  return x;
}
export function missing(x: i64): i64 {
  store<i64>(0x8000, x);
  return <i64>accounts.get(Address.from(0x8000));
}
export function beyond(x: i64): i64 {
  return <i64>entries[<u32>x];
}
export function element(x: i64): i64 {
  const list = new StaticArray<i32>(3);
  return list[<i32>x];
}
export function index(x: i64): i64 {
  const list = new Array<i64>(3);
  return list[<i32>x];
}
export function absent(x: i64): i64 {
  const map = new Map<i64, i64>();
  return map.get(x);
}
export function copied(x: i64): i64 {
  memory.copy(0, <usize>x << 24, 64);
  return 0;
}
export function divided(x: i64): i64 {
  return 10 / (x - 7);
}
`;
/** Entry, and the text of the line that it must name. */
const LINES = {
  failing: "fail(",
  missing: "accounts.get",
  beyond: "entries[",
  element: "return list[<i32>x];\n}\nexport function index",
  index: "return list[<i32>x];\n}\nexport function absent",
  absent: "map.get",
  copied: "memory.copy",
  divided: "10 /",
};

let guest: TestProcess;

before(async () => {
  const file = join(project({ "app.ts": SOURCE }), "app.ts");
  guest = await TestProcess.open(await compileGuest(file));
});

for (const [entry, text] of Object.entries(LINES)) {
  test(`${entry}: the author's line`, () => {
    const line = SOURCE.slice(0, SOURCE.indexOf(text)).split("\n").length;
    const pattern = new RegExp(`\\(app.ts:${line}:\\d+[,)]`);
    assert.throws(
      () => guest.call(entry, 7n),
      (error) => error instanceof GuestFault && pattern.test(error.message),
    );
  });
}
