/** What an activation knows of its children: those that exist and those that changed, and nothing else. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Heap, Ref } from "../../runtime/heap/heap.ts";
import { tableUpdate } from "../../runtime/heap/table.ts";
import { publishProcess } from "../../runtime/image/process.ts";
import { Children } from "../../runtime/kernel/children.ts";
import { COST_PROGRAM_SEARCH } from "../../runtime/kernel/gas.ts";
import * as abi from "../../syscalls/abi.ts";
import { guest } from "../fixture.ts";
import { type Solo, solo } from "../solo.ts";
import { Bench, counted } from "./counted.ts";

const TRIVIAL = await guest("trivial");
const ABSENT = 5000;

/** Children with these numbers, all of program 0. */
function childrenOf({ heap, fresh }: Solo, numbers: readonly number[]): Children {
  const refs = numbers.map(() => publishProcess(heap, fresh(0)));
  const children = tableUpdate(heap, 0, numbers, refs, refs.length);
  return new Children(heap, { children, gasEpoch: 0 }, numbers.length);
}

const touched = (children: Children): number[] => [...children.touched()].map(({ number }) => number);

test("numbers without a child leave nothing behind", async () => {
  const one = await solo([TRIVIAL]);
  const children = childrenOf(one, [3]);
  const { searched } = children;
  for (let i = 10; i < ABSENT; i++) assert.equal(children.at(i).process, null);
  assert.deepEqual([touched(children), children.searched, children.more], [[], searched, 0]);
  // One that comes and goes neither.
  const child = children.at(7);
  children.replace(child, one.fresh(0));
  assert.deepEqual([touched(children), children.more], [[7], 1]);
  assert.equal(children.at(7), child);
  children.replace(child, null);
  assert.deepEqual([touched(children), children.changed(), children.more], [[], [], 0]);
  // One that was there and is dropped does.
  children.replace(children.at(3), null);
  assert.deepEqual([touched(children), children.more], [[3], -1]);
  assert.equal(children.at(3).process, null);
});

test("a search looks at each child once, and at no more than it says", async () => {
  const one = await solo([TRIVIAL, await guest("echo")]);
  const { heap } = one;
  const numbers = Array.from({ length: 500 }, (_, i) => 40 * i);
  const children = childrenOf(one, numbers);
  for (let i = 0; i < ABSENT; i++) children.at(40 * i + 1);
  const dropped = numbers.slice(0, 100);
  for (const number of dropped) children.replace(children.at(number), null);
  children.replace(children.at(77), one.fresh(1));
  const asked: Ref[] = [];
  const search = (wanted: Ref): { found: Ref; visits: number } => {
    asked.length = 0;
    const { result, work } = counted(heap as Heap, () =>
      children.findProgram((program) => {
        asked.push(program);
        return program === wanted;
      }),
    );
    return { found: result, visits: work.visits };
  };
  const [first, second] = [one.fresh(0).program, one.fresh(1).program];
  const { found, visits } = search(0);
  assert.equal(found, 0);
  assert.deepEqual(asked, [second, first], "neighbours of one program are asked once");
  // A record each, and the nodes of the table above them.
  assert.ok(visits <= 2 * children.searched, `${visits} objects for ${children.searched} children`);
  assert.equal(search(first).found, first);
  assert.equal(search(second).found, second);
  for (const number of numbers) children.replace(children.at(number), null);
  assert.equal(search(first).found, 0, "a dropped child's program is not found");
});

test("a search costs the children there were and those used since, not numbers looked at", async () => {
  const bench = await Bench.open();
  const unknown = new Uint8Array(32).fill(9);
  const self = new Uint8Array(Buffer.from(bench.solo.programs[0]?.hashHex as string, "hex"));
  const gasOf = (absent: number, used: readonly number[]): number => {
    const look = (search: boolean): number =>
      bench.run((s) => {
        for (let i = 0; i < absent; i++) s.get(1000 + i, { status: true });
        for (const child of used) s.get(child, { status: true });
        if (search) s.put(9, { program: unknown });
        else s.load(0);
      }).result.gasUsed;
    return look(true) - look(false);
  };
  const alone = gasOf(0, []);
  assert.equal(gasOf(50, []), alone);
  bench.run((s) => {
    for (let i = 0; i < 5; i++) s.put(i, { program: self });
  });
  assert.equal(gasOf(50, []) - alone, 5 * COST_PROGRAM_SEARCH);
  assert.equal(gasOf(0, [2, 3]) - alone, 7 * COST_PROGRAM_SEARCH);
  assert.equal(bench.process.childCount, 5);
  assert.equal(bench.process.status, abi.STATUS_RETURNED);
});
