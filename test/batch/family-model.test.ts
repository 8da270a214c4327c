/**
 * Random items with children, against a model: an item is run as an ordinary activation, whose children are
 * ordinary children; then all but state is put back by hand.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tableDiff, tableDiffCount, tableGet, tableUpdate } from "../../runtime/heap/table.ts";
import { hashOf } from "../../runtime/image/hash.ts";
import { loadProcess, Process, publishProcess } from "../../runtime/image/process.ts";
import { programHash } from "../../runtime/index.ts";
import { costOfItem } from "../../runtime/kernel/gas.ts";
import { freshProcess } from "../../runtime/kernel/images.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, Script } from "../driver.ts";
import { guest } from "../fixture.ts";
import { seeded } from "../seed.ts";
import { sized } from "../sizes.ts";
import { costOfDelivery, delivered, endCost, Loop } from "./loop.ts";

const family = await guest("family");
const FAMILY = programHash(family);
const PAGES = 19;
const INBOX = 0x10000;
const OUTBOX = 0x18000;
const SCRATCH = 0x80000;
const SCRIPT = 0xc0000;
const STATE_PAGES = 16;
const CHILDREN = 3;

const loop = await Loop.byLines(family);
const { heap } = loop;

/** What an item does, one after the other. */
type Operation =
  | { readonly kind: "make" | "drop" | "look"; readonly child: number }
  | { readonly kind: "write"; readonly child: number; readonly address: number; readonly value: number }
  | {
      readonly kind: "start";
      readonly child: number;
      readonly does: readonly (readonly [address: number, value: number])[];
      readonly end: "returns" | "traps" | "aborts" | "spins";
    }
  | { readonly kind: "store"; readonly address: number; readonly value: number }
  | { readonly kind: "fault" };

function write(script: Script, operations: readonly Operation[]): void {
  for (const operation of operations) {
    switch (operation.kind) {
      case "make":
        script.put(operation.child, { program: FAMILY, memoryQuotaPages: quota(PAGES) });
        break;
      case "drop":
        script.put(operation.child, { drop: true });
        break;
      case "look":
        look(script, operation.child);
        break;
      case "write": {
        const source = new Uint8Array(8).fill(operation.value);
        script.put(operation.child, { ranges: [{ source, target: operation.address }] });
        break;
      }
      case "store":
        script.store(operation.address, BigInt(operation.value));
        break;
      case "fault":
        script.trap();
        break;
      case "start": {
        const inner = new Script({ base: SCRIPT, commands: 6 });
        for (const [address, value] of operation.does) inner.store(address, BigInt(value));
        inner.command(17, 0, 0, 0, 1n);
        if (operation.end === "traps") inner.trap();
        if (operation.end === "aborts") inner.abort();
        if (operation.end === "spins") inner.spin(1_000_000);
        const source = inner.metadata();
        script.put(operation.child, { ranges: [{ source, target: SCRIPT }] });
        const start = { entry: "run", argument: BigInt(SCRIPT), gas: 1_000_000 };
        script.put(operation.child, { start });
      }
    }
  }
  // The model joins in the script; that an item does it by itself is tested elsewhere.
  for (let child = 0; child < CHILDREN; child++) look(script, child);
}

function look(script: Script, child: number): void {
  script.get(child, {
    status: true,
    copy: [
      { source: 64, length: 16 },
      { source: SCRATCH, length: 8 },
    ],
  });
}

const script = (operations: readonly Operation[]): Script => {
  const made = new Script({ base: INBOX, commands: 60, scratch: SCRATCH });
  write(made, operations);
  return made;
};

/** Images that a child falls back to in all but state, by number. */
type Bases = Map<number, Process>;

interface Model {
  process: Process;
  bases: Bases;
}

function step(base: Process, model: Model, operations: readonly Operation[], limit: number): object {
  const made = script(operations);
  const input = Buffer.from(made.metadata());
  const start = loop.runnable(model.process, "item", input.length, 2 ** 40);
  start.memory = loop.write(model.process.memory, INBOX, input);
  const after = delivered(INBOX, input.length, () => loop.kernel.activate(start, 1));
  if (after.status === abi.STATUS_FAULTED)
    return { status: abi.ITEM_FAULTED, fault: after.fault, gasUsed: limit, output: "" };
  publishProcess(heap, after);
  const state = changed(start.memory, after.memory).filter((page) => page < STATE_PAGES).length;
  const length = after.codeLow;
  const instructions = after.gasUsed - endCost(heap, loop.program, start.memory, after.memory);
  const gasUsed = costOfDelivery(INBOX, input.length) + instructions + costOfItem(state, length);
  const output = Buffer.from(loop.read(after.memory, OUTBOX + 4, length));
  const results = made.read(output);
  // Which children there are now, and what was done to them: by the calls that gave 0.
  const touched = new Set<number>();
  for (const { handle, child, kind } of puts(operations)) {
    if (results.value(handle) !== 0n) continue;
    touched.add(child);
    if (kind === "drop") model.bases.delete(child);
    if (kind === "make") model.bases.set(child, freshProcess(loop.program, quota(PAGES), 0));
  }
  const numbers: number[] = [];
  const refs: number[] = [];
  for (let child = 0; child < CHILDREN; child++) {
    const ref = tableGet(heap, after.children, child);
    if (ref !== 0 && !touched.has(child)) continue;
    numbers.push(child);
    refs.push(ref === 0 ? 0 : putBack(loadProcess(heap, ref), model.bases.get(child) as Process));
  }
  const next = after.copy();
  next.memory = withState(base.memory, after.memory);
  next.presentPages = tableDiffCount(heap, 0, next.memory);
  next.children = tableUpdate(heap, after.children, numbers, refs, numbers.length);
  next.status = abi.STATUS_RETURNED;
  next.reference = null;
  next.referenceRef = 0;
  model.process = next;
  return { status: abi.ITEM_RETURNED, fault: 0, gasUsed, output: output.toString("hex") };
}

/** The PUTs of a script: which command, on which child. */
function puts(operations: readonly Operation[]): { handle: number; child: number; kind: string }[] {
  const list: { handle: number; child: number; kind: string }[] = [];
  let handle = 0;
  for (const operation of operations) {
    if (operation.kind === "look") {
      handle += 4;
    } else if (operation.kind === "store" || operation.kind === "fault") {
      handle += 1;
    } else {
      const { child, kind } = operation;
      for (let i = 0; i < (kind === "start" ? 2 : 1); i++) list.push({ handle: handle++, child, kind });
    }
  }
  return list;
}

function putBack(now: Process, base: Process): number {
  const back = base.copy();
  back.memory = withState(base.memory, now.memory);
  back.presentPages = tableDiffCount(heap, 0, back.memory);
  back.reference = null;
  back.referenceRef = 0;
  return publishProcess(heap, back);
}

/** The memory `rest`, with the state of `state`: page by page. */
function withState(rest: number, state: number): number {
  const pages = Array.from({ length: STATE_PAGES }, (_, page) => page);
  return tableUpdate(
    heap,
    rest,
    pages,
    pages.map((page) => tableGet(heap, state, page)),
    pages.length,
  );
}

function changed(a: number, b: number): number[] {
  const list: number[] = [];
  tableDiff(heap, a, b, (page) => {
    const [left, right] = [a, b].map((root) => Buffer.from(loop.read(root, page * 4096, 4096)));
    if (!(left as Buffer).equals(right as Buffer)) list.push(page);
  });
  return list;
}

const hash = (ref: number): string => Buffer.from(hashOf(heap, ref)).toString("hex");

const child = fc.integer({ min: 0, max: CHILDREN - 1 });
const address = fc.constantFrom(64, 72, 4096, 0xfff8, SCRATCH, SCRATCH + 4096, 0xfffc);
const value = fc.integer({ min: 0, max: 255 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constantFrom("make", "make", "drop", "look"), child }) as fc.Arbitrary<Operation>,
  fc.record({ kind: fc.constant("write"), child, address, value }) as fc.Arbitrary<Operation>,
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("start"),
      child,
      does: fc.array(fc.tuple(address, value), { maxLength: 3 }),
      end: fc.constantFrom("returns", "returns", "returns", "traps", "aborts", "spins"),
    }) as fc.Arbitrary<Operation>,
  },
  fc.record({ kind: fc.constant("store"), address, value }) as fc.Arbitrary<Operation>,
);
const item = fc
  .tuple(fc.array(operation, { maxLength: 8 }), fc.integer({ min: 0, max: 5 }))
  .map(([list, fault]): Operation[] => (fault === 0 ? [...list, { kind: "fault" }] : list));

test("random items with children leave what the model says", (t) => {
  const limit = 100_000_000;
  let returned = 0;
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 6 }),
      fc.array(item, { minLength: 1, maxLength: 5 }),
      (setup, items) => {
        // Outside of batches first: children with reference snapshots, and a memory that was used.
        let process = loop.fresh([CHILDREN * PAGES, CHILDREN]);
        const before = script(setup);
        const start = loop.runnable(process, "item", 0, 2 ** 40);
        start.memory = loop.write(start.memory, INBOX, Buffer.from(before.metadata()));
        process = loop.kernel.activate(start, 1);
        process = loadProcess(heap, publishProcess(heap, process));
        if (process.status === abi.STATUS_FAULTED) return;
        const batch = items.map((list) => ({ input: script(list).metadata(), gas: limit }));
        const found = loop.run(process, "item", batch, 2 ** 41);
        publishProcess(heap, found);

        const bases: Bases = new Map();
        tableDiff(heap, 0, process.children, (number, _none, ref) => {
          bases.set(number, loadProcess(heap, ref));
        });
        const model: Model = { process, bases };
        const expected = items.map((list) => step(process, model, list, limit));
        const seen = loop.image(found).items.map(({ status, fault, gasUsed, output }) => {
          if (status === abi.ITEM_RETURNED) returned++;
          return { status, fault, gasUsed, output };
        });
        assert.deepEqual(seen, expected);
        const { memory, children, childCount, memoryPassed, processQuota } = model.process;
        assert.equal(hash(found.memory), hash(memory));
        for (let number = 0; number < CHILDREN; number++) {
          const [one, other] = [found.children, children].map((table) => tableGet(heap, table, number));
          assert.equal(hash(one as number), hash(other as number), `child ${number}`);
        }
        assert.deepEqual(
          [found.childCount, found.memoryPassed, found.processQuota],
          [childCount, memoryPassed, processQuota],
        );
        assert.ok(found instanceof Process);
      },
    ),
    seeded(t, 250),
  );
  t.diagnostic(`${returned} items returned`);
  assert.ok(returned > sized(80, 250));
});
