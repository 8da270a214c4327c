/** Profiles: all gas is accounted for, is found where it is spent, and nothing changes for it. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { App, type Contracts, profileBlock, TestContract } from "../../runtime/app/index.ts";
import {
  flameGraph,
  formatProfile,
  type Profile,
  profileFunctions,
  profileLines,
  speedscope,
  TestProcess,
} from "../../runtime/testing.ts";
import { stillpoint } from "../cli/stillpoint.ts";
import { guest } from "../fixture.ts";
import { project } from "./project.ts";

const WORK = `import { StateCell, contract, transaction } from "stillpoint/guest";
const total = new StateCell<u64>();
// @ts-ignore
@inline function step(x: u64): u64 { return x * 6364136223846793005 + 1442695040888963407; }
function cheap(n: u32): u64 {
  let x: u64 = 1;
  for (let i: u32 = 0; i < n; i++) x = step(x);
  return x;
}
function dear(n: u32): u64 {
  let x: u64 = 1;
  for (let i: u32 = 0; i < n; i++) x = step(step(step(step(x)))) ^ (x >> 3); // dear
  return x;
}
@contract class Work {
  @transaction run(n: u32): void { total.value = cheap(n) + dear(n); }
}
`;
const alice = `0x${"a1".repeat(20)}` as const;

function checkSums(profile: Profile): void {
  const sum = profile.samples.reduce((total, { gas }) => total + gas, 0);
  const ofFunctions = profileFunctions(profile).reduce((total, { self }) => total + self, 0);
  const ofLines = profileLines(profile).reduce((total, { self }) => total + self, 0);
  const { gasUsed } = profile;
  assert.deepEqual([sum, ofFunctions, ofLines], [gasUsed, gasUsed, gasUsed]);
}

test("the gas of all functions and of all lines is that of the call, which is what it was", async () => {
  const contract = join(project({ "work.ts": WORK }), "work.ts");
  const tested = await TestContract.open<Contracts>(contract);
  const other = await TestContract.open(contract);
  const call = tested.client.Work?.run?.({ n: 4000 }) as never;
  const profile = tested.profile(call, { from: alice });
  checkSums(profile);
  assert.equal(tested.checkpoint.hash, other.checkpoint.hash, "nothing of it is kept");
  const [one, two] = [tested, other].map((each) => each.call(call, { from: alice, height: 2, time: 3 }));
  assert.deepEqual(one, two);
  assert.equal(one?.gasUsed, profile.gasUsed);
  let runs = 0;
  tested.profile(call, { from: alice }, { samples: 20, onSample: () => runs++ });
  assert.equal(runs, 20, "onSample is called for each run");
  assert.equal(tested.checkpoint.hash, other.checkpoint.hash, "the same root");
  const few = () => tested.profile(call, { from: alice }, { samples: 20 });
  assert.deepEqual(few(), few());

  const more = tested.profile(tested.client.Work?.run?.({ n: 8000 }) as never, { from: alice });
  const of = (each: Profile, text: string): number => {
    const line = WORK.split("\n").findIndex((at) => at.includes(text)) + 1;
    return profileLines(each).find(({ name }) => name.endsWith(`work.ts:${line}`))?.self ?? 0;
  };
  const [dear, twice] = [of(profile, "// dear"), of(more, "// dear")];
  assert.ok(dear > of(profile, "x = step(x);") && dear > profile.gasUsed / 4, formatProfile(profile));
  assert.ok(twice > 1.9 * dear && twice < 2.1 * dear, "twice the turns cost twice as much there");
  assert.match(formatProfile(profile), /^[\d,]+ gas\n\n +self +total {2}function\n +[\d,]+ +\d+%/);
});

test("a coarse profile accounts for all gas as well, and so does one of a single unit", async () => {
  const process = await TestProcess.open(await guest("batch/payments"));
  for (const samples of [1, 7, 100]) {
    const input = new Uint8Array(Uint32Array.of(200, 2, 3, 4).buffer);
    const profile = process.profileItem("mix2", input, { samples });
    checkSums(profile);
    assert.ok(profile.samples.length <= samples);
  }
  assert.throws(() => process.profileItem("mix2", new Uint8Array(16), { samples: 0 }), {
    code: "BAD_OPTION",
  });
});

test("a block of an app: all of its gas, below its transactions; flame graph and speedscope", async () => {
  const directory = project({ "work.ts": WORK });
  const [contract, store] = [join(directory, "work.ts"), join(directory, "state")];
  const app = await App.open({ contract, store, workers: 1 });
  for (const n of [500, 1500]) app.submit(app.client.Work?.run?.({ n }) as never, { from: alice });
  const { block, outcomes } = await app.produce();
  const profile = await profileBlock(app, block, { samples: 200 });
  checkSums(profile);
  assert.equal(profile.gasUsed, block.gasUsed);
  for (const [i, { gasUsed }] of outcomes.entries()) {
    const own = profileFunctions(profile).find(({ name }) => name === `${i} Work.run`);
    assert.equal(own?.total, gasUsed, "each transaction has what it used in the block");
  }
  await app.close();

  const file = speedscope(profile, "work") as Speedscope;
  checkSpeedscope(file);
  assert.equal(file.profiles[0]?.endValue, block.gasUsed);
  const svg = flameGraph(profile, "work");
  checkSvg(svg);
  assert.ok(svg.includes("<title>1 Work.run: "));
  assert.ok(flameGraph({ gasUsed: 2, samples: [{ stack: [{ name: "a<b&c", file: "", line: 0 }], gas: 2 }] }));

  const files = { svg: join(directory, "gas.svg"), speedscope: join(directory, "gas.json") };
  const { status, stdout, stderr } = stillpoint(
    ...["inspect", store, "profile", String(block.height), "--app", contract, "--samples", "50"],
    ...["--svg", files.svg, "--speedscope", files.speedscope],
  );
  assert.deepEqual([status, stderr], [0, ""]);
  assert.match(stdout, new RegExp(`^${block.gasUsed.toLocaleString("en-US")} gas\n`));
  checkSvg(readFileSync(files.svg, "utf8"));
  checkSpeedscope(JSON.parse(readFileSync(files.speedscope, "utf8")));
});

interface Speedscope {
  readonly $schema: string;
  readonly shared: { readonly frames: readonly { name: string; file?: string; line?: number }[] };
  readonly profiles: readonly {
    type: string;
    name: string;
    unit: string;
    startValue: number;
    endValue: number;
    samples: number[][];
    weights: number[];
  }[];
}

/** What the published schema demands of a file with a sampled profile. */
function checkSpeedscope(file: Speedscope): void {
  assert.equal(file.$schema, "https://www.speedscope.app/file-format-schema.json");
  const { frames } = file.shared;
  for (const { name, file: at, line } of frames) {
    assert.equal(typeof name, "string");
    assert.ok(at === undefined ? line === undefined : typeof at === "string" && Number.isInteger(line));
  }
  for (const { type, unit, name, startValue, endValue, samples, weights } of file.profiles) {
    assert.deepEqual([type, unit, typeof name, startValue], ["sampled", "none", "string", 0]);
    assert.equal(samples.length, weights.length);
    assert.ok(
      samples.every((stack) => stack.length > 0 && stack.every((index) => frames[index] !== undefined)),
    );
    assert.equal(
      weights.reduce((sum, weight) => sum + weight, 0),
      endValue,
    );
  }
}

/** Its elements are closed, and boxes lie within. */
function checkSvg(svg: string): void {
  const open: string[] = [];
  for (const [, close, name, self] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (close === "/") assert.equal(open.pop(), name);
    else if (self === "") open.push(name as string);
  }
  assert.deepEqual(open, []);
  assert.match(svg, /^<svg [^>]*role="img" aria-label="Flame graph of [^"]+: [\d,]+ gas">/);
  for (const [, x, width] of svg.matchAll(/<rect x="([\d.]+)" y="\d+" width="([\d.]+)"/g))
    assert.ok(Number(x) + Number(width) <= 1200.1);
}
