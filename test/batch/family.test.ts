/**
 * Children in items: what items do to them, what is left of that when an item ends, and what is not. Scripts
 * of raw calls run as items of test/guests/family.ts; its children are of the same program.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { tableDiff, tableGet } from "../../runtime/heap/table.ts";
import { hashOf } from "../../runtime/image/hash.ts";
import { readMemory } from "../../runtime/image/memory.ts";
import { loadProcess, type Process, publishProcess } from "../../runtime/image/process.ts";
import { pagesLeft } from "../../runtime/image/quota.ts";
import { programHash } from "../../runtime/index.ts";
import { admit } from "../../runtime/program/admit.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota, type Results, Script } from "../driver.ts";
import { guest } from "../fixture.ts";
import { Loop } from "./loop.ts";
import { putBatch } from "./requests.ts";

const family = await guest("family");
const FAMILY = programHash(family);
const PAGES = 19;
const STATE = 0x10000;
const INBOX = STATE;
const SCRATCH = 0x80000;
/** Where children find their scripts, and leave their results. */
const SCRIPT = 0xc0000;
const RESULTS = 0x100000;
const GAS = 20_000_000;
const ITEM_GAS = 200_000_000;
const TOTAL = 1e12;

const loop = new Loop(admit(family));
const { heap } = loop;

type Write = (script: Script) => void;

/** A script at an address that runs as a child's, or as an item's. */
function scriptAt(base: number, write: Write): Script {
  const script = new Script({ base, commands: 40, scratch: SCRATCH });
  write(script);
  return script;
}

const count = (script: Script, value: bigint): number => script.command(17, 0, 0, 0, value);

/** PUT of a script into a child, and its start. */
function start(script: Script, child: number, write: Write, gas = GAS): number {
  const inner = scriptAt(SCRIPT, write);
  script.put(child, { ranges: [{ source: inner.metadata(), target: SCRIPT }] });
  return script.put(child, { start: { entry: "run", argument: BigInt(SCRIPT), gas } });
}

interface Ran {
  readonly process: Process;
  readonly items: readonly { status: number; fault: number; gasUsed: number; results: Results | null }[];
}

/** Gives a batch of scripts to a process, and reads what each gave. */
function run(process: Process, ...writes: Write[]): Ran {
  const scripts = writes.map((write) => scriptAt(INBOX, write));
  const items = scripts.map((script) => ({ input: script.metadata(), gas: ITEM_GAS }));
  const after = loop.run(process, "item", items, TOTAL);
  assert.equal(after.status, abi.STATUS_RETURNED);
  publishProcess(heap, after);
  const seen = loop.image(after).items.map(({ status, fault, gasUsed, output }, i) => ({
    status,
    fault,
    gasUsed,
    results: status === abi.ITEM_RETURNED ? (scripts[i] as Script).read(Buffer.from(output, "hex")) : null,
  }));
  return { process: after, items: seen };
}

const fresh = (): Process => loop.fresh([20 * PAGES, 20]);

function childOf(process: Process, ...path: number[]): Process | null {
  let found: Process | null = process;
  for (const number of path) {
    const ref: number = found === null ? 0 : tableGet(heap, found.children, number);
    found = ref === 0 ? null : loadProcess(heap, ref);
  }
  return found;
}

function word(process: Process | null, address: number): bigint {
  assert.ok(process !== null);
  const bytes = Buffer.alloc(8);
  readMemory(heap, process.memory, address, bytes, 0, 8);
  return bytes.readBigInt64LE(0);
}

function resultsOf(ran: Ran, item: number): Results {
  const { results, fault } = ran.items[item] as Ran["items"][number];
  assert.ok(results !== null, `item ${item}: fault ${fault}`);
  return results;
}

const hash = (process: Process | null): string =>
  process === null ? "" : Buffer.from(hashOf(heap, publishProcess(heap, process))).toString("hex");

const make = (script: Script, child: number, more: [number, number] = [0, 0]): number =>
  script.put(child, { program: FAMILY, memoryQuotaPages: quota(PAGES + more[0]), processQuota: more[1] });

test("what an item makes of a child lasts as far as it is state", () => {
  const ran = run(
    fresh(),
    (s) => void make(s, 3),
    (s) => {
      start(s, 3, (child) => {
        child.store(64, 7n);
        child.store(SCRATCH, 8n);
        count(child, 5n);
      });
      // In the item all of it is there.
      s.get(3, {
        status: true,
        copy: [
          { source: SCRATCH, length: 8 },
          { source: RESULTS + 8, length: 24 },
        ],
      });
    },
    (s) => {
      start(s, 3, (child) => {
        child.load(64);
        child.load(SCRATCH);
        count(child, 0n);
      });
      s.get(3, { copy: [{ source: RESULTS + 8, length: 24 }] });
    },
  );
  const second = resultsOf(ran, 1);
  const get = 2;
  assert.equal(second.status(get).kind, abi.STATUS_RETURNED);
  assert.equal(Buffer.from(second.bytes(get)).readBigInt64LE(0), 8n);
  const third = Buffer.from(resultsOf(ran, 2).bytes(2));
  // The state is there; private memory and the global are as PROGRAM made them, so the start function ran
  // again.
  assert.deepEqual(
    [third.readBigInt64LE(0), third.readBigInt64LE(8), third.readBigInt64LE(16)],
    [7n, 0n, 100n],
  );
  const child = childOf(ran.process, 3) as Process;
  assert.equal(word(child, 64), 7n);
  assert.equal(word(child, SCRATCH), 0n);
  assert.equal(word(child, 0x8000), 2n, "the start function has run twice");
  assert.equal(child.status, abi.STATUS_FRESH);
  assert.equal(child.started, 0);
  assert.ok(!child.hasReference);
});

test("a child that was there before the batch is put back to how it was then", () => {
  let process = fresh();
  // Outside of batches: a child that has run, with private memory of its own.
  const setup = scriptAt(SCRIPT, (s) => {
    make(s, 1);
    start(s, 1, (child) => {
      child.store(64, 1n);
      child.store(SCRATCH, 2n);
      count(child, 3n);
    });
    s.get(1, { status: true });
  });
  process = ordinary(process, setup);
  const before = childOf(process, 1) as Process;
  assert.ok(!before.hasReference);
  const look: Write = (s) => {
    start(s, 1, (child) => {
      child.load(64);
      child.load(SCRATCH);
      count(child, 0n);
      child.store(64, 10n);
      child.store(SCRATCH, 20n);
      count(child, 30n);
    });
    s.get(1, { copy: [{ source: RESULTS + 8, length: 24 }] });
  };
  const ran = run(process, look, look);
  const seen = ran.items.map(({ results }) => {
    const bytes = Buffer.from((results as Results).bytes(2));
    return [bytes.readBigInt64LE(0), bytes.readBigInt64LE(8), bytes.readBigInt64LE(16)];
  });
  assert.deepEqual(seen, [
    [1n, 2n, 103n],
    [10n, 2n, 103n],
  ]);
  const after = childOf(ran.process, 1) as Process;
  assert.deepEqual([word(after, 64), word(after, SCRATCH), word(after, 0x8000)], [10n, 2n, 1n]);
  assert.deepEqual(
    [after.status, after.gasUsed, after.codeLow],
    [before.status, before.gasUsed, before.codeLow],
  );
  assert.ok(!after.hasReference);
});

/** Runs a script in a process outside of batches. */
function ordinary(process: Process, script: Script): Process {
  const bytes = Buffer.from(script.metadata());
  const start = loop.runnable(process, "run", SCRIPT, TOTAL);
  start.memory = loop.write(process.memory, SCRIPT, bytes);
  const after = loop.kernel.activate(start, 1);
  assert.equal(after.status, abi.STATUS_RETURNED);
  publishProcess(heap, after);
  return loadProcess(heap, after.ref);
}

test("an item that faults leaves no changes of children, nor of quotas", () => {
  const started = run(fresh(), (s) => {
    make(s, 1);
    start(s, 1, (child) => void child.store(64, 5n));
  }).process;
  const before = [1, 2].map((number) => hash(childOf(started, number)));
  const ran = run(started, (s) => {
    start(s, 1, (child) => void child.store(64, 6n));
    make(s, 2);
    s.put(1, { drop: true });
    make(s, 1);
    s.trap();
  });
  assert.equal(ran.items[0]?.fault, abi.FAULT_UNREACHABLE);
  assert.deepEqual(
    [1, 2].map((number) => hash(childOf(ran.process, number))),
    before,
  );
  assert.equal(ran.process.memoryPassed, started.memoryPassed);
  assert.equal(ran.process.processQuota, started.processQuota);
  assert.equal(ran.process.childCount, 1);
});

test("a child that is made again is another one, a child that is dropped is gone", () => {
  const ran = run(
    fresh(),
    (s) => {
      make(s, 1);
      make(s, 2);
      start(s, 1, (child) => void child.store(64, 5n));
      start(s, 2, (child) => void child.store(64, 5n));
    },
    (s) => {
      s.put(1, { drop: true });
      s.put(2, { drop: true });
      make(s, 2);
    },
    (s) => {
      s.get(1, { status: true });
      s.get(2, { copy: [{ source: 64, length: 8 }] });
    },
  );
  const last = resultsOf(ran, 2);
  assert.equal(last.value(0), BigInt(abi.E_NO_CHILD));
  assert.deepEqual([...last.bytes(2)], [0, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(ran.process.childCount, 1);
  assert.equal(childOf(ran.process, 1), null);
});

test("a started child that nobody joins runs when the item ends; its fault takes back to its START", () => {
  const ran = run(
    fresh(),
    (s) => {
      make(s, 1);
      make(s, 2);
      s.put(2, { ranges: [{ source: new Uint8Array(8).fill(1), target: 128 }] });
      start(s, 1, (child) => void child.store(64, 5n));
      start(s, 2, (child) => {
        child.store(64, 6n);
        child.trap();
      });
    },
    (s) => {
      start(s, 2, (child) => void child.trap());
      s.get(2, { status: true });
    },
  );
  assert.equal(word(childOf(ran.process, 1), 64), 5n);
  const two = childOf(ran.process, 2);
  assert.equal(word(two, 64), 0n);
  assert.equal(word(two, 128), 0x0101010101010101n, "what was copied in before its START is kept");
  const status = resultsOf(ran, 1).status(2);
  assert.deepEqual([status.kind, status.fault], [abi.STATUS_FAULTED, abi.FAULT_UNREACHABLE]);
  assert.equal(two?.status, abi.STATUS_FRESH);
  assert.equal(two?.fault, 0);
});

test("gas that started children leave comes back to the item, also at its end", () => {
  const used = [1_000_000, 5_000_000].map((gas) => {
    const ran = run(fresh(), (s) => {
      make(s, 1);
      start(s, 1, (child) => void child.store(64, 5n), gas);
    });
    return ran.items[0]?.gasUsed;
  });
  assert.ok((used[0] as number) > 16_384);
  assert.equal(used[0], used[1]);
});

test("grandchildren too: by their own START, their own state, to any depth", () => {
  const deep: Write = (s) => {
    make(s, 1, [3 * PAGES, 3]);
    start(s, 1, (child) => {
      make(child, 2, [PAGES, 1]);
      child.put(2, { ranges: [{ source: new Uint8Array(8).fill(9), target: SCRATCH }] });
      child.put(2, { start: { entry: "idle", argument: 1n, gas: 1_000_000 } });
      child.store(72, 1n);
    });
  };
  const ran = run(fresh(), deep, (s) => {
    // The grandchild was joined when its parent ended, and private memory that was copied in is gone.
    start(s, 1, (child) => {
      child.get(2, {
        status: true,
        copy: [
          { source: SCRATCH, length: 8 },
          { source: 0x8000, length: 8 },
        ],
      });
    });
    s.get(1, { copy: [{ source: RESULTS, length: 200 }] });
  });
  const grandchild = childOf(ran.process, 1, 2);
  assert.equal(word(grandchild, 0x8000), 1n);
  assert.equal(word(grandchild, SCRATCH), 0n);
  assert.equal(grandchild?.status, abi.STATUS_FRESH);
  const parent = childOf(ran.process, 1);
  assert.deepEqual(
    [parent?.childCount, parent?.memoryPassed, parent?.processQuota],
    [1, quota(2 * PAGES), 1],
  );
  const inner = Buffer.from(resultsOf(ran, 1).bytes(2));
  // Results of the child's script: GET and three OUTs, then status and both words.
  const at = 8 + 8 * 4;
  assert.equal(inner.readUInt32LE(at), abi.STATUS_FRESH);
  assert.equal(inner.readBigInt64LE(at + abi.STATUS_SIZE), 0n);
  assert.equal(inner.readBigInt64LE(at + abi.STATUS_SIZE + 8), 1n);
});

test("parts that items have not, and what suspends there", () => {
  const standing = ordinary(
    fresh(),
    scriptAt(SCRIPT, (s) => {
      make(s, 1);
      start(s, 1, (child) => void child.ret(5n));
      s.get(1, { status: true });
      make(s, 2);
    }),
  );
  assert.equal(childOf(standing, 1)?.status, abi.STATUS_RET);
  const before = [1, 2, 3].map((number) => hash(childOf(standing, number)));
  const ran = run(standing, (s) => {
    s.put(3, { clone: 1 });
    s.put(3, { clone: abi.CLONE_SELF });
    s.put(2, { start: { entry: "idle", gas: 1000, keep: true } });
    s.put(1, { start: { gas: 100_000 } });
    s.put(2, { words: { [abi.PUT_PARTS]: abi.PART_BATCH, [abi.PUT_BATCH_POINTER]: s.place(batchStruct()) } });
    s.get(2, { hash: true });
    s.get(2, { merge: { address: 0, length: 8 } });
    s.ret(4n);
    s.command(4, 0, s.place(new Uint8Array(abi.SNAPSHOT_SIZE)));
    s.grow(0);
  });
  const seen = resultsOf(ran, 0).values;
  const calls = [0, 1, 2, 3, 4, 5, 7].map((at) => Number(seen[at]));
  assert.deepEqual(
    calls,
    Array.from({ length: 7 }, () => abi.E_NOT_IN_BATCH),
  );
  assert.deepEqual(seen.slice(9), [BigInt(abi.E_PERMISSION), BigInt(abi.E_PERMISSION), -1n]);
  assert.deepEqual(
    [1, 2, 3].map((number) => hash(childOf(ran.process, number))),
    before,
  );
});

function batchStruct(): Uint8Array {
  const view = new DataView(new ArrayBuffer(abi.BATCH_SIZE));
  view.setUint32(abi.BATCH_INBOX, 0x20000, true);
  view.setUint32(abi.BATCH_OUTBOX, 0x20000, true);
  view.setUint32(abi.BATCH_OUTBOX_CAPACITY, 4, true);
  return new Uint8Array(view.buffer);
}

test("in a child of an item memory does not grow, and ret does not suspend", () => {
  const ran = run(fresh(), (s) => {
    make(s, 1, [5, 0]);
    start(s, 1, (child) => {
      child.grow(1);
      child.ret(1n);
    });
    s.get(1, { status: true, copy: [{ source: RESULTS + 8, length: 16 }] });
  });
  const results = resultsOf(ran, 0);
  assert.equal(results.status(3).kind, abi.STATUS_RETURNED);
  const bytes = Buffer.from(results.bytes(3));
  assert.deepEqual([bytes.readBigInt64LE(0), bytes.readBigInt64LE(8)], [-1n, BigInt(abi.E_PERMISSION)]);
});

test("whole pages go in and out of children, and are taken back with a fault", () => {
  const page = (value: number): Uint8Array => new Uint8Array(4096).fill(value);
  const move = (s: Script, value: number): void => {
    const source = s.place(page(value), 4096);
    s.put(1, {
      ranges: [
        { source, target: 0x3000, length: 4096 },
        { source: 0x5000, target: 0x4000, length: 8192 },
      ],
    });
    s.get(1, { copy: [{ source: 0x3000, length: 4096, target: 0x5000 }] });
    s.get(1, { copy: [{ source: 0x3000, length: 4096, target: SCRATCH + 0x10000 }] });
    s.load(SCRATCH + 0x10000);
    s.load(0x5ff8);
  };
  const ran = run(
    fresh(),
    (s) => {
      make(s, 1);
      move(s, 3);
    },
    (s) => {
      move(s, 4);
      s.trap();
    },
    (s) => {
      s.get(1, {
        copy: [
          { source: 0x3000, length: 8 },
          { source: 0x4000, length: 8 },
        ],
      });
      s.load(0x5000);
      s.load(SCRATCH + 0x10000);
    },
    (s) => move(s, 5),
  );
  const of = (value: number): bigint => BigInt(`0x${value.toString(16).padStart(2, "0").repeat(8)}`);
  assert.deepEqual(resultsOf(ran, 0).values.slice(-2), [of(3), of(3)]);
  assert.equal(ran.items[1]?.fault, abi.FAULT_UNREACHABLE);
  const third = resultsOf(ran, 2);
  assert.deepEqual([...third.bytes(0, 0)], [...page(3).subarray(0, 8)]);
  assert.deepEqual([...third.bytes(0, 1)], [...page(0).subarray(0, 8)]);
  assert.deepEqual(third.values.slice(-2), [of(3), 0n]);
  const child = childOf(ran.process, 1);
  assert.deepEqual(
    [word(child, 0x3000), word(child, 0x4000), word(ran.process, 0x5000)],
    [of(5), of(3), of(5)],
  );
});

test("the tables of children have exactly the children that exist", () => {
  const { process } = run(fresh(), (s) => {
    for (let child = 0; child < 5; child++) make(s, child * 100);
    s.put(200, { drop: true });
  });
  const numbers: number[] = [];
  tableDiff(heap, 0, process.children, (number) => numbers.push(number));
  assert.deepEqual(numbers, [0, 100, 300, 400]);
  assert.equal(process.childCount, 4);
  assert.equal(process.memoryPassed, 4 * quota(PAGES));
  assert.equal(process.processQuota, 16);
});

test("a child that an item starts has lost the outcomes of its earlier batch, and what they took", () => {
  const batchFor = (s: Script, child: number): void => {
    const items = Array.from({ length: 400 }, () => ({ input: new Uint8Array(), gas: 30_000 }));
    putBatch(s, child, { entry: "idle", items, inbox: INBOX });
    s.get(child, { status: true });
  };
  const setup = scriptAt(INBOX, (s) => {
    make(s, 1, [PAGES, 1]);
    batchFor(s, 1);
  });
  let process = loop.runnable(fresh(), "item", 0, TOTAL);
  process.memory = loop.write(process.memory, INBOX, Buffer.from(setup.metadata()));
  process = loop.kernel.activate(process, 1);
  publishProcess(heap, process);
  process.status = abi.STATUS_RETURNED;
  const before = childOf(process, 1) as Process;
  assert.notEqual(before.outcomes, 0);
  const left = before.memoryGiven - abi.PROCESS_PAGES - PAGES * 16;
  // All that is left without outcomes goes to a grandchild.
  const ran = run(process, (s) => {
    start(s, 1, (child) => child.put(2, { program: FAMILY, memoryQuotaPages: left }));
    s.get(1, { status: true });
  });
  const after = childOf(ran.process, 1) as Process;
  assert.deepEqual([after.outcomes, after.childCount, after.memoryPassed], [0, 1, left]);
  assert.ok(pagesLeft(heap, after) >= 0);
});
