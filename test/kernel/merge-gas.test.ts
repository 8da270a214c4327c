/** What MERGE costs and what it does for that: by counts of work, never by time. */

import "../counting.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileGuest } from "../../runtime/compile.ts";
import type { Process } from "../../runtime/image/process.ts";
import { programHash } from "../../runtime/index.ts";
import { COST_CALL, COST_MERGE_PAGE, COST_MERGE_RANGE_PAGE } from "../../runtime/kernel/gas.ts";
import { PAGE_BYTES } from "../../runtime/limits.ts";
import * as abi from "../../syscalls/abi.ts";
import { Script } from "../driver.ts";
import { driver } from "../fixture.ts";
import { Scripted } from "./scripted.ts";

/** As large as the driver can be told to be: the merged range lies beyond everything else. */
const WASM_PAGES = 1024;
const large = await compileGuest(new URL("../guests/driver.ts", import.meta.url).pathname, {
  initialMemory: WASM_PAGES,
});
const LARGE = programHash(large);
const AREA = 0x800000;
const PAGES = 8192;
/** Two pages of the caller with equal bytes, and one that differs. */
const [SAME, TWIN, OTHER] = [0x600000, 0x601000, 0x602000];
/** Nodes on the way to one page, in both tables and at both ends of a range. */
const PATH_NODES = 8;
/** What the caller's return point compares of its own pages: requests, results, the report. */
const OWN_BYTES = 4 * PAGE_BYTES;

/** Shares the page at `source` over pages `first` to `end` - 1 of child 1. */
function cover(s: Script, source: number, first: number, end: number): void {
  for (let from = first; from < end; from += abi.RANGES_LIMIT) {
    const ranges = [];
    for (let page = from; page < Math.min(from + abi.RANGES_LIMIT, end); page++) {
      ranges.push({ source, target: AREA + page * PAGE_BYTES, length: PAGE_BYTES });
    }
    s.put(1, { ranges });
  }
}

/** A driver with pages of its own and a child 1. */
async function parent(): Promise<Scripted> {
  const scripted = await Scripted.open([large, driver]);
  scripted.play((s) => {
    s.fill(SAME, PAGE_BYTES, 7);
    s.fill(TWIN, PAGE_BYTES, 7);
    s.fill(OTHER, PAGE_BYTES, 9);
    s.put(1, { program: LARGE });
  });
  return scripted;
}

/** A driver, and what gives its child 1 `before` all over the area, starts it, and gives it `now` in part. */
async function covered(before: number, now: number, first: number, end: number): Promise<Covered> {
  const cover1 = (s: Script): void => {
    cover(s, before, 0, PAGES);
    s.put(1, { start: { entry: "run", argument: 0n, gas: 1e9 } });
    cover(s, now, first, end);
  };
  return { scripted: await parent(), cover: cover1 };
}

interface Covered {
  readonly scripted: Scripted;
  readonly cover: (script: Script) => void;
}

/** Gas and work of `count` MERGEs, and of what comes before. */
function merges({ scripted, cover }: Covered, count: number, address: number, length: number, hash = false) {
  return scripted.play((s) => {
    cover(s);
    if (hash) s.get(1, { hash: true });
    for (let i = 0; i < count; i++) s.get(1, { merge: { address, length } });
  });
}

/**
 * Gas and work of one MERGE, as the difference between three and two; what they change was changed before,
 * but for the results, which are others each time.
 */
function oneMerge(covered: Covered, address: number, length: number, hash = false) {
  merges(covered, 1, address, length, hash);
  const two = merges(covered, 2, address, length, hash);
  const three = merges(covered, 3, address, length, hash);
  return {
    gas: three.gasUsed - two.gasUsed,
    nodes: three.work.nodesVisited - two.work.nodesVisited,
    compared: three.work.bytesCompared - two.work.bytesCompared,
  };
}

test("gas follows the range and the bytes that the child changed, whatever is shared or hashed", async () => {
  const length = PAGES * PAGE_BYTES;
  const shared = await covered(SAME, SAME, 0, 100);
  const twin = await covered(SAME, TWIN, 0, 100);
  const expected = oneMerge(shared, AREA, length).gas;
  assert.ok(expected >= COST_CALL + PAGES * COST_MERGE_RANGE_PAGE);
  for (const hash of [false, true]) {
    assert.equal(oneMerge(twin, AREA, length, hash).gas, expected, `equal bytes, hashed: ${hash}`);
    assert.equal(oneMerge(shared, AREA, length, hash).gas, expected, `the same pages, hashed: ${hash}`);
  }
  const other = await covered(SAME, OTHER, 40, 140);
  assert.equal(oneMerge(other, AREA, length).gas, expected + 100 * COST_MERGE_PAGE);
});

test("pages are compared once a MERGE at most, and the range has paid for that", async () => {
  const twin = await covered(SAME, TWIN, 0, 2000);
  const { compared, gas } = oneMerge(twin, AREA, 2000 * PAGE_BYTES);
  assert.ok(compared >= 2000 * PAGE_BYTES, "the child's other pages, which have the same bytes");
  assert.ok(compared <= 2000 * PAGE_BYTES + OWN_BYTES, `${compared} bytes compared`);
  assert.ok(gas >= 2000 * COST_MERGE_RANGE_PAGE);
});

test("the walk stays in the range", async () => {
  const scripted = await covered(SAME, OTHER, 0, PAGES);
  const empty = oneMerge(scripted, AREA, 0);
  const one = oneMerge(scripted, AREA + 3000 * PAGE_BYTES + 5, 100);
  const all = oneMerge(scripted, AREA, PAGES * PAGE_BYTES);
  assert.ok(empty.compared <= OWN_BYTES, `${empty.compared} bytes compared for a range of no length`);
  assert.ok(empty.nodes <= PATH_NODES, `${empty.nodes} nodes for a range of no length`);
  assert.ok(one.nodes - empty.nodes <= PATH_NODES, `${one.nodes} nodes for a hundred bytes`);
  assert.ok(all.nodes > PAGES / 32, "there is much outside of it");
  assert.equal(one.gas - empty.gas, COST_MERGE_RANGE_PAGE + COST_MERGE_PAGE);
});

test("a page is paid before it is merged: what cannot be paid is not begun", async () => {
  const scripted = await parent();
  const inner = new Script({ base: SAME, commands: 4 });
  inner.fill(AREA, 1000 * PAGE_BYTES, 9);
  scripted.process = scripted.process.copy();
  scripted.process.heldGasGiven = 1e9;
  const fresh = scripted.process;
  /** A child that is left running: its START image is the reference snapshot. */
  const start = (gas: number): Process => {
    scripted.process = fresh;
    const { fault } = scripted.play((s) => {
      // The caller has zeros there: whatever the child changes is a conflict.
      cover(s, SAME, 0, 1000);
      const ranges = [{ source: inner.metadata(), target: SAME }];
      s.put(1, { ranges, start: { entry: "run", argument: BigInt(SAME), gas } });
    });
    assert.equal(fault, abi.FAULT_NONE);
    return scripted.process;
  };
  let started = start(1e9);
  const again = (gas: number, merge: boolean) => {
    scripted.process = started;
    const range = { address: AREA, length: 1000 * PAGE_BYTES };
    return scripted.play((s) => s.get(1, merge ? { merge: range } : { status: true }), gas);
  };
  // With what it needs, so that nothing comes back.
  const first = again(1e9, false);
  started = start(Number(first.results.status(first.handles).gasUsed));
  const join = again(1e9, false);
  const whole = again(1e9, true);
  assert.equal(whole.work.bytesMerged, 1000 * PAGE_BYTES, "looked at for conflicts; then taken whole");
  // The range is paid, and twenty of its pages: the activation ends at the next one.
  const gas = COST_CALL + 1000 * COST_MERGE_RANGE_PAGE + 20 * COST_MERGE_PAGE + 3000;
  const short = again(gas, true);
  assert.equal(short.fault, abi.FAULT_OUT_OF_GAS);
  assert.equal(short.work.bytesMerged, 0);
  const compared = short.work.bytesCompared - join.work.bytesCompared;
  assert.ok(compared <= 22 * PAGE_BYTES + OWN_BYTES, `${compared} bytes compared`);
});
