/** BATCH and OUTCOMES through a real runtime: what they give, and what they refuse. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { programHash, type Runtime, verify } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { type PutSpec, quota, Script } from "../driver.ts";
import { DRIVER_HASH, guest, open, play, withRuntime } from "../fixture.ts";
import { checkTree } from "../kernel/invariants.ts";
import * as op from "./loop.ts";
import { type Item, input, Loop } from "./loop.ts";
import { type BatchSpec, getOutcomes, putBatch, readOutcomes } from "./requests.ts";

const items = await guest("items");
const trivial = await guest("trivial");
const nested = await guest("nested");
const [ITEMS, TRIVIAL, NESTED] = [items, trivial, nested].map(programHash) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const STATE = 0x20000;
const GAS = 1_000_000;
/** Its start function reads and writes. */
const FRESH: PutSpec = { program: ITEMS };

let runtime: Runtime;
before(async () => {
  runtime = await open([items, trivial, nested], { gasLimit: 10_000_000_000 });
});
after(() => runtime.close());

async function fresh<T>(write: (script: Script) => T): ReturnType<typeof play<T>> {
  await runtime.revert(0);
  const played = await play(runtime, write);
  checkTree(runtime);
  return played;
}

const item = (bytes: Uint8Array, gas: number | bigint = GAS): Item => ({ input: bytes, gas });
const add = (value: number): Item => item(input([op.ADD, 64, value], [op.OUT, 64]));
const batch = (...list: Item[]): BatchSpec => ({ items: list, inbox: STATE });

test("a batch returns how many items returned; outcomes and state can be read", async () => {
  const list = [
    add(3),
    item(input([op.TRAP, 0])),
    add(4),
    item(input([op.ABORT, 7, 9])),
    item(input(), 2n ** 60n),
  ];
  const { results, handles } = await fresh((s) => {
    putBatch(s, 1, batch(...list), FRESH);
    return {
      status: s.get(1, { status: true, copy: [{ source: 64, length: 8 }] }),
      all: getOutcomes(s, 1, { count: 10 }),
      part: getOutcomes(s, 1, { first: 2, count: 1 }),
      none: getOutcomes(s, 1, { first: 9, count: 3 }),
    };
  });
  const status = results.status(handles.status);
  assert.equal(status.kind, abi.STATUS_RETURNED);
  assert.equal(status.code, 2n);
  assert.deepEqual([...results.bytes(handles.status)], [7, 0, 0, 0, 0, 0, 0, 0]);
  const all = readOutcomes(results, handles.all);
  const loop = new Loop(items);
  const meaning = loop.meaning(loop.fresh(), "run", list, 100_000_000);
  assert.deepEqual(all, { total: 5, outputBytes: 16, items: meaning.items });
  assert.equal(status.gasUsed, BigInt(meaning.gasUsed));
  assert.deepEqual(readOutcomes(results, handles.part), {
    total: 5,
    outputBytes: 8,
    items: meaning.items.slice(2, 3),
  });
  assert.deepEqual(readOutcomes(results, handles.none), { total: 5, outputBytes: 0, items: [] });
  assert.equal(meaning.items[3]?.code, (9n << 32n) | 7n);
  assert.deepEqual(
    meaning.items.map((one) => one.status),
    [abi.ITEM_RETURNED, abi.ITEM_FAULTED, abi.ITEM_RETURNED, abi.ITEM_FAULTED, abi.ITEM_REFUSED],
  );
});

test("a batch continues where the one before ended, and nothing is left of outcomes then", async () => {
  const { results, handles } = await fresh((s) => {
    putBatch(s, 1, batch(add(3)), FRESH);
    putBatch(s, 1, batch(add(4), add(5)));
    const second = getOutcomes(s, 1, { count: 4 });
    s.put(1, { start: { entry: "idle", gas: GAS } });
    return { second, gone: getOutcomes(s, 1, { count: 4 }).get };
  });
  assert.deepEqual(
    readOutcomes(results, handles.second).items.map(({ output }) => output.slice(0, 2)),
    ["07", "0c"],
  );
  assert.equal(results.value(handles.gone), BigInt(abi.E_STATE));
});

const REFUSED: [string, (s: Script) => unknown, number][] = [
  ["an entry that is not there", (s) => putBatch(s, 1, { ...batch(add(1)), entry: "walk" }), abi.E_NO_ENTRY],
  ["more gas than there is", (s) => putBatch(s, 1, { ...batch(add(1)), gas: 2 ** 52 }), abi.E_GAS],
  [
    "an inbox in the state",
    (s) => putBatch(s, 1, { ...batch(add(1)), inbox: STATE - 8, outbox: STATE + 65536 }),
    abi.E_RANGE,
  ],
  [
    "an outbox in the state",
    (s) => putBatch(s, 1, { ...batch(add(1)), outbox: 0, outboxCapacity: 64 }),
    abi.E_RANGE,
  ],
  [
    "an outbox beyond memory",
    (s) => putBatch(s, 1, { ...batch(add(1)), outbox: 20 * 65536 - 8, outboxCapacity: 16 }),
    abi.E_RANGE,
  ],
  ["an outbox in the inbox", (s) => putBatch(s, 1, { ...batch(add(1)), outbox: STATE + 64 }), abi.E_RANGE],
  [
    "an outbox without room for a length",
    (s) => putBatch(s, 1, { ...batch(add(1)), outboxCapacity: 3 }),
    abi.E_RANGE,
  ],
  [
    "an input longer than the inbox",
    (s) => putBatch(s, 1, { ...batch(add(1)), inboxCapacity: 31 }),
    abi.E_RANGE,
  ],
  ["BATCH and START", (s) => putBatch(s, 1, batch(add(1)), { start: { entry: "run" } }), abi.E_BAD_REQUEST],
  ["no child", (s) => putBatch(s, 9, batch(add(1))), abi.E_NO_CHILD],
  ["a faulted child", (s) => putBatch(s, 2, batch(add(1))), abi.E_STATE],
  ["a child in ret", (s) => putBatch(s, 3, { ...batch(add(1)), entry: "calls" }), abi.E_STATE],
  ["a started clone", (s) => putBatch(s, 5, batch(add(1)), { clone: 4 }), abi.E_STATE],
  ["outcomes of a child that had no batch", (s) => getOutcomes(s, 1, { count: 1 }).get, abi.E_STATE],
];

for (const [name, write, code] of REFUSED) {
  test(`refused, and nothing changes: ${name}`, async () => {
    const { results, handles } = await fresh((s) => {
      s.put(1, { program: ITEMS, start: { entry: "idle", gas: GAS } });
      s.put(2, { program: ITEMS, start: { entry: "idle", gas: 3 } });
      s.put(3, { program: NESTED, start: { entry: "calls", argument: 3n, gas: GAS } });
      s.put(4, { program: ITEMS, start: { entry: "idle", gas: GAS } });
      const hash = () => [1, 2, 3, 5].map((child) => s.get(child, { hash: true }));
      const first = hash();
      s.put(4, { start: { entry: "idle", gas: GAS } });
      const call = write(s) as number;
      return { first, call, last: hash() };
    });
    assert.equal(results.value(handles.call), BigInt(code));
    const hashes = (list: readonly number[]) =>
      list.map((at) => (results.value(at) < 0n ? "" : Buffer.from(results.hash(at)).toString("hex")));
    assert.deepEqual(hashes(handles.last), hashes(handles.first));
  });
}

test("descendants that were started and not joined stand in the way, with gas or without", async () => {
  const base = 0x180000;
  const inner = new Script({ base });
  inner.put(0, { program: ITEMS, start: { entry: "idle", gas: 1000 } });
  const joins = new Script({ base });
  joins.get(0, { status: true });
  const nothing: BatchSpec = { items: [], inbox: 0x200000 };
  const { results, handles } = await fresh((s) => {
    s.put(1, { program: DRIVER_HASH, memoryQuotaPages: quota(200), processQuota: 2, heldGas: 1000 });
    const run = (script: Script) => {
      s.put(1, { ranges: [{ source: script.metadata(), target: base }] });
      s.put(1, { start: { entry: "run", argument: BigInt(base), gas: GAS } });
    };
    run(inner);
    const refused = putBatch(s, 1, nothing);
    s.put(2, { clone: 1 });
    const clone = putBatch(s, 2, nothing);
    run(joins);
    return { refused, clone, taken: putBatch(s, 1, nothing), status: s.get(1, { status: true }) };
  });
  assert.equal(results.value(handles.refused), BigInt(abi.E_STATE));
  assert.equal(results.value(handles.clone), BigInt(abi.E_STATE));
  assert.equal(results.value(handles.taken), 0n);
  assert.equal(results.status(handles.status).children, 1);
});

test("the whole gas cuts the same prefix, however it is given", async () => {
  const list = Array.from({ length: 6 }, (_, i) =>
    item(input([op.ADD, 64 * i, 1], [op.SPIN, 0, 100 * i]), 60_000),
  );
  for (const gas of [0, 59_999, 60_000, 100_000, 200_000, 360_000, 1_000_000]) {
    const { results, handles } = await fresh((s) => {
      s.put(1, { program: ITEMS, start: { entry: "idle", gas: GAS } });
      putBatch(s, 1, { ...batch(...list), gas });
      return { status: s.get(1, { status: true }), all: getOutcomes(s, 1, { count: 6 }) };
    });
    const loop = new Loop(items);
    const started = loop.kernel.activate(loop.started(loop.fresh(), "run", [], 10_000_000), 1);
    const meaning = loop.meaning(started, "run", list, gas);
    assert.deepEqual(readOutcomes(results, handles.all).items, meaning.items, `${gas}`);
    assert.equal(results.status(handles.status).gasUsed, BigInt(meaning.gasUsed));
  }
});

test("in an item memory does not grow", async () => {
  const { results, handles } = await fresh((s) => {
    putBatch(s, 1, batch(item(input([op.GROW, 1], [op.GROW, 0]))), { ...FRESH, memoryQuotaPages: quota(30) });
    return { all: getOutcomes(s, 1, { count: 1 }), status: s.get(1, { status: true }) };
  });
  assert.equal(readOutcomes(results, handles.all).items[0]?.output, "ffffffff00000000".repeat(2));
  assert.equal(results.status(handles.status).memoryPages, 20);
});

test("a program without STATE_BYTES has private memory only", async () => {
  const { results, handles } = await fresh((s) => {
    s.put(1, { program: TRIVIAL });
    const spec = {
      items: [item(new Uint8Array(3)), item(new Uint8Array(9))],
      inbox: 0x8000,
      inboxCapacity: 64,
    };
    putBatch(s, 1, { ...spec, outbox: 0x9000, outboxCapacity: 64 });
    return { status: s.get(1, { status: true }), all: getOutcomes(s, 1, { count: 4 }) };
  });
  assert.equal(results.status(handles.status).code, 2n);
  const codes = readOutcomes(results, handles.all).items.map(({ code }) => code);
  // It returns its argument and what it has counted so far.
  assert.deepEqual(codes, [4n, 10n]);
});

test("a fault of the start function is the child's, and no item runs", async () => {
  const { results, handles } = await fresh((s) => {
    putBatch(s, 1, { ...batch(add(1)), gas: 100 }, FRESH);
    return { status: s.get(1, { status: true }), none: getOutcomes(s, 1, { count: 1 }).get };
  });
  const status = results.status(handles.status);
  assert.deepEqual([status.kind, status.fault], [abi.STATUS_FAULTED, abi.FAULT_OUT_OF_GAS]);
  assert.equal(status.gasUsed, 100n);
  assert.equal(results.value(handles.none), BigInt(abi.E_STATE));
});

test("what the start function does to memory and quota is there in every item and after it", async () => {
  const grower = await guest("grower");
  await withRuntime([grower], { gasLimit: 10_000_000_000 }, async (on) => {
    const { results, handles } = await play(on, (s) => {
      s.put(1, { program: programHash(grower), memoryQuotaPages: quota(30) });
      putBatch(s, 1, { ...batch(item(new Uint8Array()), item(new Uint8Array())), inbox: 65536 });
      return { all: getOutcomes(s, 1, { count: 2 }), status: s.get(1, { status: true }) };
    });
    const pages = results.status(handles.status).memoryPages;
    const codes = readOutcomes(results, handles.all).items.map(({ code }) => code);
    assert.deepEqual(codes, [BigInt(pages) * 1000n + 6n, BigInt(pages) * 1000n + 6n]);
    assert.equal(on.inspect([1])?.quota.memoryPages, quota(30) - pages * 16 - abi.PROCESS_PAGES);
    assert.equal(Buffer.from(on.read([1], (pages - 2) * 65536, 8)).readBigUInt64LE(0), 5n);
    checkTree(on);
  });
});

test("a batch that was not joined is its inputs, in every view", async () => {
  await runtime.revert(0);
  await play(runtime, (s) => putBatch(s, 1, batch(add(3)), FRESH));
  const { record } = recordOf([1]);
  assert.ok(record.inputs !== null && record.outcomes === null);
  assert.equal(runtime.inspect([1])?.status, "runnable");
  const { results, handles } = await play(runtime, (s) => {
    s.put(2, { clone: 1 });
    return {
      one: s.get(1, { status: true }),
      outcomes: getOutcomes(s, 1, { count: 1 }),
      // A copy has no gas: its start function runs out of it.
      two: s.get(2, { status: true }),
    };
  });
  assert.equal(results.status(handles.one).code, 1n);
  assert.equal(readOutcomes(results, handles.outcomes).items[0]?.output, "0300000000000000");
  assert.equal(results.status(handles.two).fault, abi.FAULT_OUT_OF_GAS);
  const after = recordOf([1]).record;
  assert.ok(after.inputs === null && after.outcomes !== null);
  checkTree(runtime);
});

/** What is hashed of a process of the head, by a proof. */
function recordOf(path: readonly number[]) {
  const statement = verify(Buffer.from(runtime.head.root, "hex"), runtime.prove(path, 0, 0));
  assert.equal(statement.absent, null);
  return { record: statement.absent === null ? statement.process : assert.fail() };
}

test("a diff names inputs and outcomes, a trace the items", async () => {
  await runtime.revert(0);
  const made = await play(runtime, (s) => putBatch(s, 1, batch(add(3), item(input([op.TRAP, 0]))), FRESH));
  const joined = await play(runtime, (s) => s.get(1, { status: true }));
  const { differences } = runtime.diff(made.block, joined.block);
  const child = differences.find((one) => one.kind === "changed" && one.path.join() === "1");
  const fields = child?.kind === "changed" ? child.fields.map(({ field }) => field) : [];
  assert.ok(fields.includes("inputs") && fields.includes("outcomes"), fields.join());
  const { events } = await runtime.trace(joined.block);
  const seen = events.flatMap((event) =>
    event.what === "item" ? [[event.item, event.fault, event.path]] : [],
  );
  assert.deepEqual(seen, [
    [0, "none", [1]],
    [1, "unreachable", [1]],
  ]);
});

test("a trace names what an item leaves in private memory and globals, where it is lost", async () => {
  await runtime.revert(0);
  const PRIVATE = STATE + 0x20000;
  const list = [
    item(input([op.ADD, 64, 1], [op.OUT, 64])),
    item(input([op.ADD, PRIVATE, 0x0100_0001n], [op.SET, PRIVATE + 5000, 7], [op.ADD, 64, 1])),
  ];
  const { block } = await play(runtime, (s) => {
    putBatch(s, 1, batch(...list), FRESH);
    s.get(1, { status: true });
  });
  const { events } = await runtime.trace(block);
  const lost = events.flatMap((event) => (event.what === "item" ? [event.lost] : []));
  assert.deepEqual(lost, [
    [{ global: "test/guests/items/outputLength" }],
    [
      { address: PRIVATE, length: 1 },
      { address: PRIVATE + 3, length: 1 },
      { address: PRIVATE + 5000, length: 1 },
    ],
  ]);
});

test("the same blocks with any number of workers, speculatively, after reverts and on forks", async () => {
  const list = Array.from({ length: 40 }, (_, i) =>
    item(input([op.ADD, 8 * (i % 5), i], [op.OUT, 8 * (i % 5)])),
  );
  const chain = [
    (s: Script) => {
      for (let child = 1; child < 5; child++) putBatch(s, child, batch(...list.slice(0, 10 * child)), FRESH);
    },
    (s: Script) => void s.spin(20_000),
    (s: Script) => {
      for (let child = 4; child > 0; child--) s.get(child, { status: true });
      putBatch(s, 2, batch(...list));
      getOutcomes(s, 3, { count: 40 });
    },
    (s: Script) => void getOutcomes(s, 2, { count: 40 }),
  ];
  const run = async (on: Runtime): Promise<string[]> => {
    const ids: string[] = [];
    for (const write of chain) ids.push((await play(on, write)).block.id);
    return ids;
  };
  let expected: string[] | null = null;
  for (const workers of [1, 2, 4]) {
    await withRuntime([items], { workers, gasLimit: 10_000_000_000 }, async (on) => {
      const ids = await run(on);
      expected ??= ids;
      assert.deepEqual(ids, expected, `${workers} workers`);
      await on.revert(1);
      const fork = await on.fork();
      const again = [ids[0] as string];
      for (const write of chain.slice(1)) again.push((await play(fork, write)).block.id);
      assert.deepEqual(again, expected);
      await fork.close();
    });
  }
});
