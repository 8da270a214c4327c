/** What a view gives: what a child would that is started now, and nothing stays of it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatFaults } from "../../runtime/debug.ts";
import { type Block, type CallOptions, programHash, Runtime, type View } from "../../runtime/index.ts";
import * as abi from "../../syscalls/abi.ts";
import { openBatches, runBatch } from "../batch/batches.ts";
import { quota, REGION, RESULTS, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH, ENDLESS_GAS, guest, play, withRuntime } from "../fixture.ts";

const GAS = 20_000_000;
const OPTIONS = { memoryQuotaPages: quota(4096), heldGasQuota: ENDLESS_GAS };

/** Where a script leaves the length of its results, in front of them. */
const LENGTH = RESULTS - 8;

/** The script's bytes; behind its own commands it says how long its results are. */
function bytesOf(write: (script: Script) => unknown, length = 0x100): Uint8Array {
  const script = new Script({ commands: 32 });
  write(script);
  script.store(LENGTH, BigInt(length) << 32n);
  return script.metadata();
}

const asView = (script: Uint8Array, more: CallOptions = {}): CallOptions => ({
  input: script,
  inbox: REGION,
  outbox: LENGTH + 4,
  argument: REGION,
  gas: GAS,
  ...more,
});

/** Makes child 1, which has a child 5 and a page of bytes. */
async function makeChild(runtime: Runtime): Promise<void> {
  const first = bytesOf((script) => {
    script.put(5, { program: DRIVER_HASH });
    script.fill(SCRATCH, 4096, 7);
  });
  await play(runtime, (script) => {
    const ranges = [{ source: first, target: REGION }];
    const quotas = { memoryQuotaPages: quota(1024), processQuota: 8, heldGas: 1e9 };
    const start = { entry: "run", argument: BigInt(REGION), gas: GAS };
    script.put(1, { program: DRIVER_HASH, ...quotas, ranges, start });
    script.get(1, { status: true });
  });
}

/**
 * What comes of child 1 if the root copies the script in, empties the outbox and starts it.
 */
async function asChild(runtime: Runtime, script: Uint8Array, gas: number) {
  const { head } = runtime;
  const { results, handles } = await play(runtime, (root) => {
    const emptied = { zero: true, target: LENGTH + 4, length: 4 };
    root.put(1, { ranges: [{ source: script, target: REGION }, emptied] });
    root.put(1, { start: { entry: "run", argument: BigInt(REGION), gas } });
    return root.get(1, { status: true, detail: 100 });
  });
  const output = runtime.read([1], RESULTS, 0x100);
  await runtime.revert(head);
  return { ...results.status(handles), text: results.detail(handles), output };
}

const SCRIPTS: readonly [what: string, script: Uint8Array, gas?: number][] = [
  ["nothing", bytesOf(() => {})],
  [
    "memory",
    bytesOf((s) => {
      s.fill(SCRATCH + 100, 9000, 3);
      s.out(SCRATCH, 64);
    }),
  ],
  [
    "growth",
    bytesOf((s) => {
      s.grow(3);
      s.store(0x520000, 5n);
      s.size();
    }),
  ],
  ["a call too expensive for it", bytesOf((s) => s.fill(SCRATCH, 400_000, 1)), 60_000],
  ["pages too expensive for it", bytesOf((s) => s.fill(SCRATCH, 40_000, 1)), 60_000],
  ["an endless loop", bytesOf((s) => s.spin(0)), 500_000],
  ["an abort", bytesOf((s) => s.abort())],
  ["a trap", bytesOf((s) => s.trap())],
  [
    "children",
    bytesOf((s) => {
      const inner = bytesOf((t) => t.fill(SCRATCH, 5000, 9));
      const ranges = [{ source: inner, target: REGION }];
      for (const number of [5, 6]) {
        s.put(number, { program: DRIVER_HASH, ranges });
        s.put(number, { start: { entry: "run", argument: BigInt(REGION), gas: 1e6 } });
        s.get(number, { status: true, hash: true, copy: [{ source: SCRATCH, length: 8, target: SCRATCH }] });
      }
      s.put(5, { clone: abi.CLONE_SELF });
    }),
  ],
  [
    "a child that stays started",
    bytesOf((s) => s.put(5, { start: { entry: "run", argument: BigInt(REGION), gas: 1e6 } })),
  ],
  [
    "a child that stays started with more gas than it may hold",
    bytesOf((s) => s.put(5, { start: { entry: "run", argument: BigInt(REGION), gas: 1e9 + 1 } })),
    3e9,
  ],
  [
    "a child that is suspended",
    bytesOf((s) => {
      const inner = new Script({ commands: 4 });
      inner.ret(3n);
      const ranges = [{ source: inner.metadata(), target: REGION }];
      s.put(5, { ranges, start: { entry: "run", argument: BigInt(REGION), gas: 1e6 } });
      s.get(5, { status: true });
      s.put(5, { start: { argument: 4n, gas: 1e6 } });
      s.get(5, { status: true });
    }),
  ],
];

test("gas, fault, code and output are those of a child that is started now", async () => {
  await withRuntime([], OPTIONS, async (runtime) => {
    await makeChild(runtime);
    const { head } = runtime;
    for (const [what, script, gas = GAS] of SCRIPTS) {
      const expected = await asChild(runtime, script, gas);
      const view = await runtime.call([1], "run", asView(script, { gas }));
      assert.equal(BigInt(view.gasUsed), expected.gasUsed, what);
      if (expected.fault === abi.FAULT_NONE) {
        assert.deepEqual([view.status, view.fault, view.code], ["returned", "none", expected.code], what);
        assert.deepEqual(view.output, expected.output, what);
      } else {
        assert.equal(view.status, "faulted", what);
        // The place of an abort: a line, and a column.
        const [line, column] = [view.code & 0xffff_ffffn, view.code >> 32n];
        assert.deepEqual([line > 0n, column > 0n], Array(2).fill(view.fault === "abort"), what);
        // A child's status has the text of an abort, not which limit it met.
        if (view.fault === "abort") assert.equal(view.text, expected.text, what);
        if (view.fault === "out-of-gas") assert.match(view.text, /gas/, what);
        assert.equal(view.output.length, 0, what);
      }
      assert.deepEqual(runtime.head, head, what);
    }
    const faulted = SCRIPTS.map(
      async ([, script, gas = GAS]) => (await runtime.call([1], "run", asView(script, { gas }))).fault,
    );
    const faults = new Set(await Promise.all(faulted));
    assert.ok(["none", "out-of-gas", "abort", "unreachable", "quota"].every((fault) => faults.has(fault)));
  });
});

test("nothing of a view stays: neither in the chain nor in the heap", async () => {
  await withRuntime([], { ...OPTIONS, retainBlocks: 2 }, async (runtime) => {
    await makeChild(runtime);
    const { engine } = runtime;
    const seen = () => ({ head: runtime.head, all: runtime.retained(), hash: runtime.inspect([1])?.hash });
    const before = seen();
    await engine.collect({ force: true });
    const used = engine.heap.usedBytes;
    for (const [, script, gas = GAS] of SCRIPTS) await runtime.call([1], "run", asView(script, { gas }));
    assert.ok(engine.heap.usedBytes > used, "they have used the heap");
    await engine.collect({ force: true });
    // A thread may hold a region that it has begun.
    assert.ok(engine.heap.usedBytes <= used + (4 << 20), `${engine.heap.usedBytes} of ${used}`);
    assert.deepEqual(seen(), before);
    assert.equal(runtime.metrics().views, SCRIPTS.length);
  });
});

test("RET and SNAPSHOT are refused in a view, a suspended process is not resumed", async () => {
  const nested = await guest("nested");
  await withRuntime([nested], OPTIONS, async (runtime) => {
    const script = new Script();
    const snapshot = script.place(new Uint8Array(abi.SNAPSHOT_SIZE));
    const refused = [script.ret(8n), script.command(4, 0, snapshot)];
    script.store(LENGTH, 0x100n << 32n);
    // The root stands in SNAPSHOT: its region for metadata is its inbox.
    const view = await runtime.call([], "run", {
      input: script.metadata(),
      outbox: LENGTH + 4,
      argument: REGION,
    });
    const values = new BigInt64Array(view.output.slice(8).buffer);
    for (const at of refused) assert.equal(values[at], BigInt(abi.E_PERMISSION));
    assert.equal(view.status, "returned");

    // One that stands in RET can be looked at by another entry.
    const { results, handles } = await play(runtime, (s) => {
      s.put(2, { program: programHash(nested), start: { entry: "immediate", gas: GAS } });
      return s.get(2, { status: true });
    });
    assert.equal(results.status(handles).kind, abi.STATUS_RET);
    const before = runtime.inspect([2]);
    const other = await runtime.call([2], "immediate");
    assert.equal(other.status, "returned");
    assert.deepEqual(runtime.inspect([2]), before);
  });
});

test("a runnable process is its START image, and a child that the view joins is run", async () => {
  await withRuntime([], OPTIONS, async (runtime) => {
    const inner = new Script({ commands: 4 });
    inner.store(SCRATCH, 99n);
    await play(runtime, (s) => {
      const ranges = [{ source: inner.metadata(), target: REGION }];
      const start = { entry: "run", argument: BigInt(REGION), gas: GAS };
      s.put(1, { program: DRIVER_HASH, ranges, start });
    });
    assert.equal(runtime.inspect([1])?.status, "runnable");
    const look = bytesOf((s) => s.load(SCRATCH));
    const first = async (path: readonly number[], script: Uint8Array): Promise<bigint[]> => {
      const { output } = await runtime.call(path, "run", asView(script));
      return [...new BigInt64Array(output.slice(8).buffer)];
    };
    assert.equal((await first([1], look))[0], 0n);
    const join = bytesOf((s) => {
      const copy = [{ source: SCRATCH, length: 8, target: SCRATCH }];
      s.get(1, { copy });
      s.load(SCRATCH);
    });
    assert.equal((await first([], join))[1], 99n);
    assert.equal(runtime.inspect([1])?.status, "runnable");
  });
});

test("in a program with state input and output are where those of items are", async (t) => {
  const bank = await guest("bank");
  const runtime = await openBatches(bank, { workers: 1 });
  t.after(() => runtime.close());
  const input = new Uint8Array(new Uint32Array([1, 2, 30, 0, 3]).buffer);
  const mail = { inbox: 1 << 20, outbox: (1 << 20) + 0x8000 };
  const item = { input, gas: 1e6 };
  await runBatch(runtime, { entry: "found", items: [{ input: new Uint8Array(100), gas: 1e9 }], ...mail });
  const before = await runtime.call([1], "pay", { input });
  const { outcomes } = await runBatch(runtime, { entry: "pay", items: [item], ...mail });
  assert.deepEqual([before.code, before.output.length], [outcomes[0]?.code, 24]);
  assert.deepEqual(before.output, outcomes[0]?.output);
  // The state that items left; private memory as it is between batches, so the output starts again.
  const after = await runtime.call([1], "pay", { input });
  assert.deepEqual([after.code, after.output.length], [2n, 24]);
  const much = new Uint8Array(new Uint32Array([1, 2, 71, 0, 0]).buffer);
  assert.equal(
    (await runtime.call([1], "pay", { input: much })).text,
    "pay: too poor in test/guests/bank.ts",
  );
  await assert.rejects(runtime.call([1], "pay", { input: new Uint8Array(0x8001) }), {
    code: "RANGE",
    message: /32769 bytes: the inbox has 32768/,
  });
});

test("an entry of any program can return where its output is", async (t) => {
  const sdk = await guest("view");
  const runtime = await Runtime.open({ root: sdk, workers: 1 });
  t.after(() => runtime.close());
  const call = (options: CallOptions): Promise<View> => runtime.call([], "reverse", options);
  const input = Uint8Array.of(1, 2, 3);
  const { output, gasUsed } = await call({ input, outbox: "returned" });
  assert.deepEqual([...output], [3, 2, 1]);
  assert.ok(gasUsed > 0);
  assert.equal((await call({ input })).output.length, 0, "nobody asked for it");
  await assert.rejects(runtime.call([], "lie", { outbox: "returned" }), { code: "RANGE", message: /beyond/ });
  await assert.rejects(runtime.call([], "reverse", { outbox: 2 ** 31 }), { code: "RANGE" });
});

test("a fault has the stack of the view's own functions, with source lines", async () => {
  const child = await guest("stack/child");
  await withRuntime([child], OPTIONS, async (runtime) => {
    await play(runtime, (s) => s.put(1, { program: programHash(child) }));
    const view = await runtime.call([1], "go", { argument: 1 });
    assert.deepEqual([view.status, view.fault], ["faulted", "memory-bounds"]);
    assert.match(view.text, /^an access beyond its memory of \d+ bytes$/);
    assert.match(view.stack[0]?.source?.file ?? "", /stack\/child\.ts$/);
    assert.match(formatFaults(view), /^\/1 faulted: memory-bounds: .*\n {4}at .*child\.ts:\d+:\d+/);
    const abort = await runtime.call([1], "go", { argument: 2n });
    assert.match(formatFaults(abort), /^\/1 faulted: abort: too much in .*\n {4}at .*child\.ts:\d+:\d+/);
    // Out of gas behind its return: there is no function to name, and none of an earlier fault.
    const poor = await runtime.call([1], "go", { argument: 0, gas: 3 });
    assert.equal(poor.fault, "out-of-gas");
    assert.ok(poor.stack.length <= 1);
    assert.deepEqual((await runtime.call([1], "go", { argument: 2n })).stack, abort.stack);
  });
});

test("what cannot be called is named, and any block or candidate can be", async () => {
  await withRuntime([], { views: 0 }, async (runtime) => {
    await assert.rejects(runtime.call([], "run"), { code: "NO_VIEWS", message: /"views"/ });
  });
  await withRuntime([], {}, async (runtime) => {
    const cases: readonly [code: string, path: unknown, entry: unknown, options: object][] = [
      ["NO_PROCESS", [3], "run", {}],
      ["NO_PROCESS", [-1], "run", {}],
      ["BAD_ARGUMENT", 3, "run", {}],
      ["NO_ENTRY", [], "walk", {}],
      ["BAD_ARGUMENT", [], 5, {}],
      ["BAD_OPTION", [], "run", { gas: -1 }],
      ["BAD_OPTION", [], "run", { gas: 2 ** 53 }],
      ["BAD_OPTION", [], "run", { input: "text" }],
      ["BAD_OPTION", [], "run", { inbox: -4 }],
      ["BAD_OPTION", [], "run", { outbox: "somewhere" }],
      ["BAD_OPTION", [], "run", { argument: 0.5 }],
      ["BAD_OPTION", [], "run", { signal: 5 }],
      ["BAD_OPTION", [], "run", { on: 0 }],
      ["NOT_RETAINED", [], "run", { block: 7 }],
      ["BAD_ARGUMENT", [], "run", { block: "7" }],
      ["RANGE", [], "run", { input: new Uint8Array(0x100001) }],
      ["RANGE", [], "run", { input: new Uint8Array(8), inbox: 0x4ffffc }],
    ];
    for (const [code, path, entry, options] of cases) {
      const told = JSON.stringify([code, path, entry, Object.keys(options)]);
      await assert.rejects(runtime.call(path as never, entry as never, options), { code }, told);
    }
    const nothing = bytesOf(() => {});
    assert.equal((await runtime.call([], "run", asView(nothing))).status, "returned");
    await play(runtime, (s) => s.store(SCRATCH, 5n));
    const look = bytesOf((s) => s.load(SCRATCH));
    const at = async (block: number | Block): Promise<bigint | undefined> =>
      new BigInt64Array((await runtime.call([], "run", asView(look, { block }))).output.slice(8).buffer)[0];
    const proposal = new Script();
    proposal.store(SCRATCH, 6n);
    const candidate = await runtime.execute(proposal.metadata());
    assert.deepEqual([await at(1), await at(0), await at(candidate)], [5n, 0n, 6n]);
  });
});
