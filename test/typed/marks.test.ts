/** Outcomes of blocks name the author's line also where the SDK or the standard library has failed. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import { App, type Contracts, type Outcome, TestContract } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { project } from "./project.ts";

const HELPER = `import { StateMap, plus } from "stillpoint/guest";
export const stock = new StateMap<u32, u64>(2);
export function take(kind: u32): u64 {
  return stock.get(kind); // in a helper
}
export function sum(a: u64, b: u64): u64 {
  const twice = (x: u64): u64 => plus(x, x);
  return a > 0 ? twice(a) : b; // where a closure is called
}
`;
/** Each case ends with a line that is marked with its number. */
const SHOP = `import { Option, StateCell, StateVector, contract, debug } from "stillpoint/guest";
import { max, record, transaction } from "stillpoint/guest";
  import { stock, sum, take } from "./helper";

@record class Note { @max(4) text: string = ""; kind: Option<u32>; }

const notes = new StateVector<Note>(2);
const total = new StateCell<u64>();
const few = new StateVector<u32>(2);

@contract class Shop {
  @transaction run(which: u32, n: u32): u64 {
    const list = new StaticArray<u32>(2);
    if (which == 0) return stock.get(n); // case 0
    else if (which == 1)
      stock.set(n, 1); // case 1
    else if (which == 2) for (let i: u32 = 0; i <= n; i++)
      few.push(i); // case 2
    else if (which == 3) while (true)
      total.subtract(1) // case 3
    else if (which == 4) return take(n);
    else if (which == 5) return list[n]; // case 5
    switch (which) {
      case 6: throw new Error("as said"); // case 6
      case 7: assert(n < 2, "small"); // case 7
      case 8: {
        const note = new Note();
        note.text = "too long"; // case 8
        break;
      }
      case 9:
        return notes[n].kind.value; // case 9
      case 10: do debug("turn", n); while (few[n] > 0) // case 10
      case 11: sum(u64.MAX_VALUE, 1);
    }
    return 0;
  }
}
`;
const FILES: Readonly<Record<string, string>> = { "shop.ts": SHOP, "helper.ts": HELPER };

const placeOf = (text: string): string => {
  for (const [file, source] of Object.entries(FILES)) {
    const line = source.split("\n").findIndex((each) => each.endsWith(`// ${text}`));
    if (line >= 0) return `${file}:${line + 1}`;
  }
  return assert.fail(text);
};

const CASES: readonly (readonly [which: number, error: string, at: string])[] = [
  [0, "no such entry", placeOf("case 0")],
  [2, "full", placeOf("case 2")],
  [3, "overflow", placeOf("case 3")],
  [4, "no such entry", placeOf("in a helper")],
  [5, "abort", placeOf("case 5")],
  [6, "abort", placeOf("case 6")],
  [7, "abort", placeOf("case 7")],
  [8, "full", placeOf("case 8")],
  [9, "no such entry", placeOf("case 9")],
  [10, "no such entry", placeOf("case 10")],
  [11, "overflow", placeOf("where a closure is called")],
];

let file: string;

before(() => {
  file = join(project(FILES), "shop.ts");
});

const call = (client: Contracts, which: number, n: number) => client.Shop?.run?.({ which, n }) as never;

test("in blocks, by either runner, in tests and where a call is only checked", async () => {
  const program = await compileGuest(file);
  const tested = await TestContract.open(file, { print: () => undefined });
  for (const runner of ["sequential", "parallel"] as const) {
    await using app = await App.open({ program, workers: 1, runner, debug: { force: true } });
    const from = `0x${"a1".repeat(20)}` as const;
    const submitted = CASES.map(([which]) => app.submit(call(app.client, which, 7), { from }));
    await app.produce();
    for (const [i, [which, error, at]] of CASES.entries()) {
      const outcome = (await submitted[i]) as Outcome;
      assert.deepEqual(outcome, { ok: false, error, at, gasUsed: outcome.gasUsed }, `case ${which}`);
      assert.deepEqual(tested.call(call(tested.client, which, 7), { from }), outcome, "in a test");
      const { gasUsed: _, ...checked } = await app.check(call(app.client, which, 7), { from });
      assert.deepEqual(checked, { ok: false, error, at }, "where it is only checked");
    }
  }
});

test("what did not fail before does not now: the third entry of a map of two", async () => {
  const tested = await TestContract.open(file, { print: () => undefined });
  const outcomes = [1, 2, 3].map((n) => tested.call(call(tested.client, 1, n)) as Outcome);
  assert.deepEqual(
    outcomes.map((outcome) => [outcome.ok, outcome.ok || outcome.error, outcome.ok || outcome.at]),
    [
      [true, true, true],
      [true, true, true],
      [false, "full", placeOf("case 1")],
    ],
  );
});
