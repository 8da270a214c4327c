/** What START, growth and the end of an activation cost: what is there, not what was declared. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { tableDiffCount } from "../../runtime/heap/table.ts";
import { programHash } from "../../runtime/index.ts";
import * as gas from "../../runtime/kernel/gas.ts";
import { PAGE_BYTES, WASM_PAGE_BYTES } from "../../runtime/limits.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import { DRIVER_INITIAL_MEMORY, type Script } from "../driver.ts";
import { build } from "../program/build.ts";
import { Bench } from "./counted.ts";

const idle = {
  parameters: [op.I64],
  results: [op.I64],
  export: "idle",
  code: (c: { get(i: number): void }) => c.get(0),
};

/** A program that does nothing, of so many pages, table elements and mutable globals. */
function program(spec: { memory?: number; data?: number; elements?: number; globals?: number }): Uint8Array {
  const { memory = 1, data = 0, elements = 0, globals = 0 } = spec;
  return build({
    memory: [memory, 200],
    functions: [idle],
    ...(elements === 0
      ? {}
      : {
          tables: [{ minimum: elements }],
          elements: [{ offset: 0, functions: Array.from({ length: elements }, () => 0) }],
        }),
    globals: Array.from({ length: globals }, () => ({
      type: op.I64,
      mutable: true,
      initial: (c: { i64(value: bigint): void }) => c.i64(7n),
    })),
    data: Array.from({ length: data }, (_, i) => ({ offset: i * PAGE_BYTES, bytes: Uint8Array.of(1) })),
  });
}

/** What the driver uses to start a child of this program and join it. */
async function startOf(bytes: Uint8Array): Promise<number> {
  const bench = await Bench.open([bytes]);
  bench.run((s) =>
    s.put(1, { program: programHash(bytes), memoryQuotaPages: 300 * (WASM_PAGE_BYTES / PAGE_BYTES) }),
  );
  return bench.run((s) => {
    s.put(1, { start: { entry: "idle", gas: 1_000_000 } });
    s.get(1, { status: true });
  }).result.gasUsed;
}

test("START pays for pages that are present, table elements, globals; not for declared memory", async () => {
  const plain = await startOf(program({}));
  assert.equal(await startOf(program({ memory: 150 })), plain);
  assert.equal(await startOf(program({ memory: 2, data: 20 })), plain + 20 * gas.COST_START_PAGE);
  assert.equal(await startOf(program({ elements: 100 })), plain + 200 * gas.COST_START_ELEMENT);
  // Loaded at START, saved at the end.
  assert.equal(await startOf(program({ globals: 50 })), plain + 2 * 50 * 8 * gas.COST_GLOBAL_BYTE);
});

/** What a script uses beyond the one that only reads where the other one writes. */
function differenceOf(bench: Bench, write: (s: Script) => void, read: (s: Script) => void): number {
  const { process } = bench;
  const used = [write, read].map((run) => {
    bench.process = process;
    return bench.run(run).result.gasUsed;
  });
  return (used[0] as number) - (used[1] as number);
}

test("the end of an activation pays for the nodes above its pages", async () => {
  const bench = await Bench.open();
  const base = DRIVER_INITIAL_MEMORY * WASM_PAGE_BYTES;
  bench.run((s) => s.grow(64 * 16));
  const stores = (step: number, value: bigint) => (s: Script) => {
    for (let i = 0; i < 20; i++) s.store(base + i * step * PAGE_BYTES, value);
  };
  const pages = 20 * gas.COST_PAGE_CHANGED;
  const apart = differenceOf(bench, stores(32, 1n), stores(32, 0n));
  // Below the first 1024 pages others change as well, and pay for the nodes above those.
  const numbers = Array.from({ length: 20 }, (_, i) => base / PAGE_BYTES + i * 32);
  const nodes = new Set(numbers.map((page) => page >>> 5)).size + new Set(numbers.map((n) => n >>> 10)).size;
  assert.equal(apart, pages + nodes * gas.COST_NODE);
  const first = Math.ceil(base / PAGE_BYTES / 32) * 32 * PAGE_BYTES;
  const together = (value: bigint) => (s: Script) => {
    for (let i = 0; i < 20; i++) s.store(first + i * PAGE_BYTES, value);
  };
  const beside = await Bench.open();
  beside.run((s) => s.grow(64 * 16));
  assert.equal(differenceOf(beside, together(1n), together(0n)), pages + 2 * gas.COST_NODE);
});

test("the end of an activation pays for the children that it changed", async () => {
  const bytes = program({});
  const bench = await Bench.open([bytes]);
  const numbers = [0, 1, 40, 2000];
  bench.run((s) => {
    for (const child of numbers) s.put(child, { program: programHash(bytes) });
  });
  // A PUT without any part that changes something is refused: so compare with one child less.
  const zero = (s: Script, child: number): void => {
    s.put(child, { ranges: [{ zero: true, target: 0, length: 1 }] });
  };
  const costs = numbers.map((_, count) =>
    differenceOf(
      bench,
      (s) => {
        for (const child of numbers.slice(0, count + 1)) zero(s, child);
      },
      (s) => {
        for (const child of numbers.slice(0, count)) zero(s, child);
        for (let i = count; i < count + 1; i++) s.get(9, { status: true });
      },
    ),
  );
  const [one, two, third, fourth] = costs as [number, number, number, number];
  const { COST_CHILD_CHANGED, COST_NODE } = gas;
  assert.equal(one - two, 3 * COST_NODE, "the first child has three nodes above it to itself");
  assert.equal(third - two, COST_NODE, "one of another 32 has a node of its own");
  assert.equal(fourth - two, 2 * COST_NODE, "one of another 1024 has two");
  assert.ok(two > COST_CHILD_CHANGED);
});

test("growth pays once in an activation for the instance that a fault would spoil", async () => {
  const bench = await Bench.open();
  const twice = differenceOf(
    bench,
    (s) => {
      s.grow(1);
      s.grow(1);
    },
    (s) => {
      s.grow(0);
      s.grow(1);
    },
  );
  assert.equal(twice, gas.COST_GROW);
  const { memoryPages } = bench.process;
  const once = differenceOf(
    bench,
    (s) => s.grow(1),
    (s) => s.grow(0),
  );
  assert.equal(once, gas.COST_GROW + gas.COST_GROW_FIRST + memoryPages * gas.COST_GROW_FIRST_PAGE);
});

test("the count of present pages follows every way in which pages come and go", async () => {
  const bench = await Bench.open();
  const check = (): void => {
    const { heap } = bench.solo;
    assert.equal(bench.process.presentPages, tableDiffCount(heap, 0, bench.process.memory));
  };
  const base = DRIVER_INITIAL_MEMORY * WASM_PAGE_BYTES;
  bench.run((s) => {
    s.grow(10);
    s.fill(base, 100 * PAGE_BYTES, 1);
  });
  check();
  bench.run((s) => s.fill(base + PAGE_BYTES, 50 * PAGE_BYTES, 0));
  check();
  bench.run((s) => s.trap());
  check();
});
