/**
 * Random items with children: scripts of raw calls (test/guests/family.ts). Children are of the same program,
 * and start children of their own.
 */

import fc from "fast-check";
import { programHash } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, Script } from "../driver.ts";
import { guest } from "../fixture.ts";
import type { BatchInput, Item } from "./batches.ts";

export const family = await guest("family");
export const FAMILY = programHash(family);
/** Of 64 KiB, which the program has at first. */
export const PAGES = 19;
const INBOX = 0x10000;
const SCRATCH = 0x80000;
const SCRIPT = 0xc0000;
/** A request may lie in the state as well: so low that ranges of items meet it. */
const CHILDREN = 6;
/** How they are made: with room for two below them, which may continue running. */
const CHILD = { program: FAMILY, memoryQuotaPages: quota(3 * PAGES), processQuota: 2, heldGas: 200_000 };

/** Writes commands of an item. */
export type Write = (script: Script) => void;

const child = fc.oneof(
  { weight: 20, arbitrary: fc.nat(CHILDREN - 1) },
  // Cells on other pages, and the last one, behind which the quotas lie.
  { weight: 1, arbitrary: fc.constantFrom(63, 64, 5000, abi.CHILD_LIMIT - 1, abi.CHILD_LIMIT) },
);
const address = fc.oneof(fc.nat(200), fc.constantFrom(4090, 0x8000, 0xfffc, 0x10004, SCRATCH));
const value = fc.nat(250);

const store: fc.Arbitrary<Write> = fc.tuple(address, value).map(
  ([at, what]) =>
    (script) =>
      void script.store(at, BigInt(what)),
);
const look: fc.Arbitrary<Write> = child.map((number) => (script) => {
  script.get(number, {
    status: true,
    copy: [
      { source: 64, length: 16 },
      { source: SCRATCH, length: 8 },
    ],
  });
});
const make: fc.Arbitrary<Write> = child.map((number) => (script) => {
  script.put(number, CHILD);
});
/** Nobody has this program, for which all children are searched: that item runs in the loop. */
const search: fc.Arbitrary<Write> = child.map((number) => (script) => {
  script.put(number, { program: new Uint8Array(32).fill(7), memoryQuotaPages: quota(PAGES) });
});
const drop: fc.Arbitrary<Write> = child.map((number) => (script) => void script.put(number, { drop: true }));
const write: fc.Arbitrary<Write> = fc
  .tuple(child, address, value)
  .map(([number, target, what]) => (script) => {
    script.put(number, { ranges: [{ source: new Uint8Array(8).fill(what), target }] });
  });
/** From one child to another over the item's state, in which the bytes stay. */
const carry: fc.Arbitrary<Write> = fc
  .tuple(child, child, fc.oneof(fc.nat(60), fc.constant(1023)))
  .map(([from, to, line]) => (script) => {
    script.get(from, { copy: [{ source: 64, length: 16, target: line * 64 + 56 }] });
    script.put(to, { ranges: [{ source: line * 64 + 56, length: 16, target: 64 }] });
  });
/** A PUT as it lies in the state with all that belongs to it, and where: stores of items may spoil it. */
const requests = [false, true].map((starts) => {
  const script = new Script({ base: 8, commands: 1 });
  const ranges = [{ source: 0, length: 16, target: 64 }];
  const start = { entry: "idle", argument: 5n, gas: 50_000 };
  script.put(0, starts ? { ranges, start } : { ranges });
  const bytes = Buffer.from(script.metadata());
  return { at: script.base, bytes, pointer: bytes.readUInt32LE(32 + 8) };
});
const leave: fc.Arbitrary<Write> = fc.constantFrom(...requests).map(({ at, bytes }) => (script) => {
  for (let i = 0; i + 8 <= bytes.length; i += 8) script.store(at + i, bytes.readBigInt64LE(i));
});
/** Makes the call of a request in the state, whatever is there. */
const recall: fc.Arbitrary<Write> = fc
  .tuple(fc.constantFrom(1, 1, 1, 2), child, fc.constantFrom(...requests))
  .map(
    ([call, number, { pointer }]) =>
      (script) =>
        void script.command(call, number, pointer),
  );
/** Adds to an integer of the state, where requests may lie. */
const add: fc.Arbitrary<Write> = fc
  .tuple(fc.constantFrom(8, 16, 32), fc.nat(255), value, fc.boolean())
  .map(([width, at, delta, subtract]) => {
    const request = new DataView(new ArrayBuffer(abi.ACCUMULATE_SIZE));
    request.setUint32(abi.ACCUMULATE_VERSION, abi.ABI_VERSION, true);
    request.setUint32(abi.ACCUMULATE_FLAGS, subtract ? abi.ACCUMULATE_SUBTRACT : 0, true);
    request.setUint32(abi.ACCUMULATE_ADDRESS, at - (at % width), true);
    request.setUint32(abi.ACCUMULATE_WIDTH, width, true);
    request.setUint32(abi.ACCUMULATE_DELTA, delta, true);
    return (script) => void script.command(18, 0, script.place(new Uint8Array(request.buffer)));
  });
const fault: fc.Arbitrary<Write> = fc.constant((script) => void script.trap());
const spin: fc.Arbitrary<Write> = fc.nat(3000).map((turns) => (script) => void script.spin(turns));

/** A script that a child runs, and how it ends. */
function started(inside: fc.Arbitrary<Write[]>): fc.Arbitrary<Write> {
  const end = fc.constantFrom("returns", "returns", "returns", "traps", "aborts", "spins");
  return fc.tuple(child, inside, end).map(([number, writes, how]) => (script) => {
    const inner = new Script({ base: SCRIPT, commands: 20, scratch: SCRATCH + 0x8000 });
    for (const one of writes) one(inner);
    inner.command(17, 0, 0, 0, 1n);
    if (how === "traps") inner.trap();
    if (how === "aborts") inner.abort();
    if (how === "spins") inner.spin(1_000_000);
    script.put(number, { ranges: [{ source: inner.metadata(), target: SCRIPT }] });
    script.put(number, { start: { entry: "run", argument: BigInt(SCRIPT), gas: 2_000_000 } });
  });
}

const grandchild = fc.constant((script: Script) => {
  script.put(1, { program: FAMILY, memoryQuotaPages: quota(PAGES) });
  script.put(1, { start: { entry: "idle", argument: 3n, gas: 100_000 } });
});
/** What a child does with its own memory, globals and children: what of it lasts the end of the item says. */
const inside = fc.oneof(
  store,
  store,
  add,
  grandchild,
  fc.constantFrom(0, 1, 2).map((pages) => (script: Script) => void script.grow(pages)),
  value.map((more) => (script: Script) => void script.command(17, 0, 0, 0, BigInt(more))),
  fc.constant((script: Script) => void script.ret(3n)),
  fc.nat(2).map((number) => (script: Script) => void script.get(number, { status: true })),
);
const start = started(fc.array(inside, { maxLength: 4 }));

const item = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: start },
    { weight: 3, arbitrary: look },
    { weight: 2, arbitrary: store },
    { weight: 2, arbitrary: write },
    { weight: 2, arbitrary: carry },
    { weight: 1, arbitrary: make },
    { weight: 1, arbitrary: spin },
    { weight: 1, arbitrary: leave },
    { weight: 2, arbitrary: recall },
    { weight: 2, arbitrary: add },
  ),
  { maxLength: 5 },
);
const rare = fc.array(fc.oneof(make, drop, fault, start, search), { minLength: 1, maxLength: 4 });
/** The scripts of a batch. */
export const scripts = fc.array(fc.oneof({ weight: 8, arbitrary: item }, { weight: 1, arbitrary: rare }), {
  minLength: 1,
  maxLength: 40,
});

/** The item that runs a script. */
function itemOf(writes: readonly Write[]): Item {
  const script = new Script({ base: INBOX, commands: 160, scratch: SCRATCH });
  for (const one of writes) one(script);
  return { input: script.metadata(), gas: 60_000_000 };
}

/** Memory quota of the process that takes the batches. */
export const FAMILY_PAGES = 64 * PAGES;

/** The batch whose items run these scripts. */
export function familyBatch(list: readonly (readonly Write[])[]): BatchInput {
  return { entry: "item", items: list.map(itemOf), inbox: INBOX };
}

/** Every child is there. */
export const wholeFamily = familyBatch(
  [...Array(CHILDREN).keys()].map((number) => [(script) => void script.put(number, CHILD)]),
);
