/** Coverage: counts of lines and functions as they are in the sources, and nothing changes for them. */

import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { TestContract } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { Coverage, type FileCoverage, TestProcess } from "../../runtime/testing.ts";
import { guest } from "../fixture.ts";
import { project } from "../typed/project.ts";

/** What a line must have, at its end: "//= 3"; without that it has no count. */
const EXPECTED = /\/\/= (\d+)$/;

const SHOP = `import { StateCell, StateMap, Address, caller } from "stillpoint/guest";
import { contract, fail, transaction, view } from "stillpoint/guest"; import { tax } from './tax';

const stock = new StateMap<Address, u64>(100);
const sold = new StateCell<u64>();

function half(x: u64): u64 {
  return x / 2; //= 4
}

// @ts-ignore
@inline function third(x: u64): u64 {
  if (x < 3) //= 2
    return 0; //= 1
  return x / 3; //= 1
}

function nobody(x: u64): u64 {
  const y = x * 7; //= 0
  return y + 1; //= 0
}

function same<T>(value: T): T {
  return value;
}

@contract
class Shop {
  @transaction fill(amount: u64): u64 {
    if (amount == 0) //= 3
      fail("nothing"); //= 1
    let sum: u64 = 0; //= 2
    for (let i: u64 = 0; i < amount; i++) { //= 8
      sum += tax( //= 6
        i, //= 6
      );
      if (i % 2 == 0) { //= 6
        sum += 1; //= 4
      } else if (i > 100) { //= 2
        sum += 1000; //= 0
        sum = nobody(sum); //= 0
      }
    }
    stock.set(caller(), half(sum) + half(amount)); //= 2
    sold.add(1); //= 2
    return sum;
  }

  @transaction take(amount: u64): u64 {
    const has = stock.get(caller()); //= 2
    if (has < amount) fail("too little"); //= 2
    stock.delete(caller()); //= 1
    sold.add(amount); //= 1
    return third(same<u64>(amount)) + third(has + 9); //= 1
  }

  @transaction never(): void {
    sold.add(5); //= 0
    stock.delete(caller()); //= 0
  }

  @view left(): u64 {
    return stock.get(caller()); //= 1
  }
}
`;
const TAX = `import { contract, view } from "stillpoint/guest";

export function tax(x: u64): u64 {
  if (x > 4) { //= 6
    return 1; //= 0
  }
  return x; //= 6
}

@contract
class Tax {
  @view of(x: u64): u64 {
    return tax(x); //= 0
  }
}
`;
const alice = `0x${"a1".repeat(20)}` as const;

function expected(text: string): [line: number, count: number][] {
  return text.split("\n").flatMap((line, i): [number, number][] => {
    const found = EXPECTED.exec(line);
    return found === null ? [] : [[i + 1, Number(found[1])]];
  });
}

function linesOf(files: readonly FileCoverage[], name: string): [line: number, count: number][] {
  const file = files.find((each) => each.file.endsWith(`/${name}`));
  return [...(file?.lines ?? [])];
}

type Branches = [line: number, held: number | null, not: number | null][];

function branchesOf(files: readonly FileCoverage[]): Branches[] {
  return files.map(({ branches }) => branches.map(({ line, counts }) => [line, ...counts]));
}

async function shop(coverage?: Coverage) {
  const directory = project({ "shop.ts": SHOP, "tax.ts": TAX });
  const tested = await TestContract.open<never>(join(directory, "shop.ts"), coverage && { coverage });
  const { Shop } = tested.client as Record<string, Record<string, (values?: object) => never>>;
  const calls = [
    Shop?.fill?.({ amount: 0n }),
    Shop?.fill?.({ amount: 5n }),
    Shop?.fill?.({ amount: 1n }),
    Shop?.take?.({ amount: 1000n }),
    Shop?.left?.(),
    Shop?.take?.({ amount: 0n }),
  ];
  const outcomes = calls.map((call) => tested.call(call as never, { from: alice }));
  return { tested, outcomes, directory, call: calls[1] as never };
}

test("each line is counted as often as it ran, and gas, outcomes and roots are the same", async () => {
  const coverage = new Coverage();
  const counted = await shop(coverage);
  const plain = await shop();
  assert.deepEqual(counted.outcomes, plain.outcomes);
  assert.equal(counted.tested.checkpoint.hash, plain.tested.checkpoint.hash);
  assert.deepEqual(
    counted.outcomes.map((outcome) => (outcome.ok ? "ok" : outcome.at)),
    ["shop.ts:31", "ok", "ok", "shop.ts:51", "ok", "ok"],
  );
  const files = await coverage.files();
  assert.deepEqual(linesOf(files, "shop.ts"), expected(SHOP));
  assert.deepEqual(linesOf(files, "tax.ts"), expected(TAX));
  const calls = files.flatMap(({ functions }) => functions.map(({ name, calls }) => [name, calls]));
  assert.deepEqual(calls, [
    ["half", 4],
    ["third", 2],
    ["nobody", 0],
    ["Shop#fill", 3],
    ["Shop#take", 2],
    ["Shop#never", 0],
    ["Shop#left", 1],
    ["tax", 6],
    ["Tax#of", 0],
  ]);

  // Of conditions whose code the optimiser has put together with other code nothing is said.
  assert.deepEqual(branchesOf(files), [
    [
      [30, 1, 2],
      [37, 4, 2],
      [39, 0, 2],
      [51, 1, 1],
    ],
    [[4, 0, 6]],
  ]);
  // A profile is made of many runs of a call, which are none of the test's.
  counted.tested.profile(counted.call, { from: alice }, { samples: 20 });
  assert.deepEqual(await coverage.files(), files);

  const lcov = await coverage.lcov();
  const [, of] = lcov.split("end_of_record\n");
  assert.match(lcov, /^TN:\nSF:.*shop\.ts\nFN:7,half\n/);
  const functions = "FN:3,tax\nFN:12,Tax#of\nFNDA:6,tax\nFNDA:0,Tax#of\nFNF:2\nFNH:1\n";
  const branches = "BRDA:4,0,0,0\nBRDA:4,0,1,6\nBRF:2\nBRH:1\n";
  assert.ok(of?.includes(`tax.ts\n${functions}${branches}DA:4,6\n`), lcov);
  assert.match(of as string, /LF:4\nLH:2\n$/);

  // A file that has gone is left out, the others are there.
  rmSync(join(counted.directory, "tax.ts"));
  assert.deepEqual(
    (await coverage.files()).map(({ file }) => file.split("/").at(-1)),
    ["shop.ts"],
  );
});

test("what a process and its forks run counts together, of guests without contracts too", async () => {
  const SUM = `function grow(x: u64): u64 { return x * 3; } //= 2
let total: u64 = 0;
export function add(x: i64): i64 {
  if (x < 0) { //= 3
    total = 0; //= 0
    return -1; //= 0
  }
  total += grow(x); //= 2
  assert(total < 100); //= 2
  total++; //= 1
  return total; //= 1
}
`.replace("//= 3", "//= 2");
  const directory = project({});
  writeFileSync(join(directory, "sum.ts"), SUM);
  const program = await compileGuest(join(directory, "sum.ts"));
  const coverage = new Coverage();
  const one = await TestProcess.open(program, { coverage });
  assert.equal(one.fork().call("add", 7n), 22n);
  assert.throws(() => one.call("add", 1000n), { code: "GUEST_FAULT", message: /sum\.ts:9/ });
  assert.deepEqual(linesOf(await coverage.files(), "sum.ts"), expected(SUM));
});

for (const name of ["sum", "counter", "grow", "state", "names", "recurse"]) {
  test(`every call of "${name}" gives what it gives without coverage`, async () => {
    const program = await guest(name);
    const coverage = new Coverage();
    const counted = await TestProcess.open(program, { coverage, gas: 2_000_000 });
    const plain = await TestProcess.open(program, { gas: 2_000_000 });
    const entries = new WebAssembly.Module(program as BufferSource);
    for (const entry of WebAssembly.Module.exports(entries).filter(({ kind }) => kind === "function")) {
      const run = (process: TestProcess): unknown => {
        try {
          const result = process.call(entry.name, 3n);
          return [result, process.gasUsed, process.state.hash, process.trace];
        } catch (error) {
          const { code, facts, frames } = error as { code: string; facts: object; frames: object };
          return [code, facts, frames, process.state.hash];
        }
      };
      assert.deepEqual(run(counted), run(plain), entry.name);
    }
    const ran = (await coverage.files()).flatMap(({ lines }) => [...lines.values()]);
    assert.ok(ran.some((count) => count > 0));
  });
}

test("wrong options are refused; a program without sources runs, and nothing is counted", async () => {
  const program = await guest("sum");
  await assert.rejects(TestProcess.open(program, { coverage: {} as never }), { code: "BAD_OPTION" });
  const coverage = new Coverage();
  const padded = Uint8Array.of(...program, 0, 2, 1, 120); // a custom section: another program
  const process = await TestProcess.open(padded, { coverage });
  assert.ok(process.state.hash);
  assert.deepEqual([await coverage.files(), await coverage.lcov()], [[], ""]);
});

test("branches: how often each way was taken, of a condition that faulted neither", async () => {
  const directory = project({
    "ways.ts": `let total: u64 = 0;
export function add(x: i64): i64 {
  if (x < 0) return -1;
  if (x % 2 == 0) total += 7;
  else {
    total += 3;
  }
  if (x > 10 && x < 20)
    total *= 2;
  for (let i: i64 = 0; i < x; i++) {
    if (i == 5) total++;
    if (i == 1000) { total--; total *= 3; }
  }
  if (looked(x)) total = 1;
  return total;
}
export function never(x: i64): i64 {
  if (x == total) total = 5;
  return x;
}
function looked(x: i64): bool {
  if (x == 30) unreachable();
  return x > 70;
}
`,
  });
  const program = await compileGuest(join(directory, "ways.ts"));
  const coverage = new Coverage();
  const process = await TestProcess.open(program, { coverage });
  for (const x of [-1n, 2n, 3n, 12n, 15n, 80n]) process.call("add", x);
  assert.throws(() => process.call("add", 30n), { code: "GUEST_FAULT" });
  assert.deepEqual(branchesOf(await coverage.files()), [
    [
      [3, 1, 6],
      [4, 4, 2],
      [8, 2, 4],
      [11, 4, 138],
      [12, 0, 142],
      [14, 1, 4],
      [18, null, null],
      [22, 1, 5],
    ],
  ]);
  assert.match(await coverage.lcov(), /\nBRDA:18,6,0,-\nBRDA:18,6,1,-\n/);
});
