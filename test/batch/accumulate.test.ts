/** ACCUMULATE against integers of arbitrary size, by raw requests and by the SDK, in items and outside. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { COST_ACCUMULATE } from "../../runtime/kernel/gas.ts";
import * as abi from "../../syscalls/abi.ts";
import { guest } from "../fixture.ts";
import { seeded } from "../seed.ts";
import { Loop } from "./loop.ts";

const program = await guest("counter");
const loop = new Loop(program);
const byLines = await Loop.byLines(program);
const WIDTHS = [8, 16, 32] as const;

interface Case {
  readonly before: bigint;
  readonly address: number;
  readonly width: number;
  readonly subtract: boolean;
  readonly bounds: readonly [least: bigint, most: bigint] | null;
  readonly delta: bigint;
}

function put32(view: DataView, at: number, value: bigint): void {
  for (let i = 0; i < 4; i++)
    view.setBigUint64(at + 8 * i, (value >> BigInt(64 * i)) & (2n ** 64n - 1n), true);
}

function request({ address, width, subtract, bounds, delta }: Case): DataView {
  const view = new DataView(new ArrayBuffer(abi.ACCUMULATE_SIZE));
  view.setUint32(abi.ACCUMULATE_VERSION, abi.ABI_VERSION, true);
  const flags = (subtract ? abi.ACCUMULATE_SUBTRACT : 0) | (bounds === null ? 0 : abi.ACCUMULATE_BOUNDED);
  view.setUint32(abi.ACCUMULATE_FLAGS, flags, true);
  view.setUint32(abi.ACCUMULATE_ADDRESS, address, true);
  view.setUint32(abi.ACCUMULATE_WIDTH, width, true);
  put32(view, abi.ACCUMULATE_DELTA, delta);
  if (bounds !== null) {
    put32(view, abi.ACCUMULATE_MINIMUM, bounds[0]);
    put32(view, abi.ACCUMULATE_MAXIMUM, bounds[1]);
  }
  return view;
}

/** The input of the entry `sdk`. */
function sdkInput({ address, width, subtract, bounds, delta }: Case): DataView {
  const view = new DataView(new ArrayBuffer(112));
  view.setUint32(0, address, true);
  view.setUint32(4, width, true);
  view.setUint32(8, subtract ? 1 : 0, true);
  view.setUint32(12, bounds === null ? 0 : 1, true);
  put32(view, 16, delta);
  put32(view, 48, bounds?.[0] ?? 0n);
  put32(view, 80, bounds?.[1] ?? 0n);
  return view;
}

/** What comes out: the answer and the integer. */
function meaning({ before, width, subtract, bounds, delta }: Case): [bigint, bigint] {
  const result = subtract ? before - delta : before + delta;
  const [least, most] = bounds ?? [0n, 2n ** 256n];
  const fits = result >= 0n && result < 2n ** BigInt(8 * width) && result >= least && result <= most;
  return fits ? [1n, result] : [0n, before];
}

type Seen = readonly [answer: bigint, value: bigint, gasUsed: number];

/** What an item sees, alike in both variants of the program. */
function run(entry: string, one: Case, input: DataView): Seen {
  const seen = runIn(loop, entry, one, input);
  assert.deepEqual(runIn(byLines, entry, one, input), seen);
  return seen;
}

function runIn(inLoop: Loop, entry: string, one: Case, input: DataView): Seen {
  const process = inLoop.fresh();
  const bytes = Buffer.alloc(32);
  put32(new DataView(bytes.buffer, bytes.byteOffset), 0, one.before);
  process.memory = inLoop.write(process.memory, one.address, bytes.subarray(0, one.width));
  const item = { input: new Uint8Array(input.buffer), gas: 1_000_000 };
  const [seen] = inLoop.image(inLoop.run(process, entry, [item], 10_000_000)).items;
  assert.equal(seen?.status, abi.ITEM_RETURNED);
  const output = Buffer.from(seen.output, "hex");
  let value = 0n;
  for (let i = one.width - 1; i >= 0; i--) value = (value << 8n) | BigInt(output[i] as number);
  return [seen.code, value, seen.gasUsed];
}

const near = (limit: bigint) =>
  fc.oneof(
    fc.bigInt(0n, limit - 1n),
    fc.constantFrom(0n, 1n, limit - 1n, limit / 2n, 2n ** 32n % limit, (2n ** 64n - 1n) % limit),
  );
const anyCase = fc.constantFrom(...WIDTHS).chain((width) => {
  const limit = 2n ** BigInt(8 * width);
  return fc.record({
    width: fc.constant(width),
    address: fc.integer({ min: 0, max: 60 }).map((n) => n * 32 + (width < 32 ? width : 0)),
    before: near(limit),
    delta: near(limit),
    subtract: fc.boolean(),
    bounds: fc.option(fc.tuple(near(limit), near(limit)), { freq: 1 }),
  });
});

test("random integers, by a raw request and by the SDK", (t) => {
  let applied = 0;
  fc.assert(
    fc.property(anyCase, (one) => {
      const [answer, value] = meaning(one);
      if (answer === 1n) applied++;
      assert.deepEqual(run("run", one, request(one)).slice(0, 2), [answer, value]);
      assert.deepEqual(run("sdk", one, sdkInput(one)).slice(0, 2), [answer, value]);
    }),
    seeded(t, 600),
  );
  assert.ok(applied > 100 && applied < 500, `${applied}`);
});

test("operands of 32 bytes count whole, whatever the width", () => {
  const one: Case = { before: 5n, address: 64, width: 8, subtract: false, bounds: null, delta: 2n ** 64n };
  const wide: [string, Case, [bigint, bigint]][] = [
    ["a delta that no such integer has", one, [0n, 5n]],
    ["the same subtracted", { ...one, subtract: true }, [0n, 5n]],
    ["a least result that none has", { ...one, delta: 1n, bounds: [2n ** 64n, 2n ** 128n] }, [0n, 5n]],
    ["a greatest result beyond all", { ...one, delta: 1n, bounds: [0n, 2n ** 255n] }, [1n, 6n]],
    ["the greatest delta", { ...one, delta: 2n ** 256n - 1n }, [0n, 5n]],
    ["the greatest delta, all the way", { ...one, width: 32, delta: 2n ** 256n - 6n }, [1n, 2n ** 256n - 1n]],
    ["down to zero", { ...one, subtract: true, delta: 5n }, [1n, 0n]],
    ["below zero", { ...one, subtract: true, delta: 6n }, [0n, 5n]],
  ];
  for (const [name, what, expected] of wide)
    assert.deepEqual(run("run", what, request(what)).slice(0, 2), expected, name);
});

test("its cost is flat", () => {
  const one: Case = { before: 5n, address: 64, width: 8, subtract: false, bounds: null, delta: 0n };
  const big: Case = { ...one, width: 32, delta: 0n, bounds: [0n, 2n ** 255n] };
  const [, , gas] = run("run", one, request(one));
  assert.equal(run("run", big, request(big))[2], gas);
  assert.ok(gas > COST_ACCUMULATE);
});

test("a wrong request is refused, and changes nothing", () => {
  const good: Case = { before: 5n, address: 64, width: 16, subtract: false, bounds: null, delta: 1n };
  const wrong: [string, number, number, number][] = [
    ["version", abi.ACCUMULATE_VERSION, abi.ABI_VERSION + 1, abi.E_BAD_REQUEST],
    ["flags", abi.ACCUMULATE_FLAGS, 4, abi.E_BAD_REQUEST],
    ["width", abi.ACCUMULATE_WIDTH, 4, abi.E_BAD_REQUEST],
    ["alignment", abi.ACCUMULATE_ADDRESS, 72, abi.E_BAD_REQUEST],
    ["beyond memory", abi.ACCUMULATE_ADDRESS, 0xfffffff0, abi.E_RANGE],
  ];
  for (const [name, at, value, code] of wrong) {
    const view = request(good);
    view.setUint32(at, value, true);
    for (const one of [loop, byLines]) {
      const process = one.fresh();
      const before = one.image(process).memory;
      const after = one.run(process, "run", [{ input: new Uint8Array(view.buffer), gas: 1e6 }], 1e7);
      assert.equal(one.image(after).items[0]?.code, BigInt(code), name);
      assert.equal(one.image(after).memory, before, name);
    }
  }
});

test("gas may end before it, in it or behind it", () => {
  const one: Case = { before: 5n, address: 96, width: 32, subtract: false, bounds: null, delta: 1n };
  const input = new Uint8Array(request(one).buffer);
  const [, , enough] = run("run", one, request(one));
  for (let gas = 0; gas <= enough + 10; gas += gas < 3 * COST_ACCUMULATE ? 1 : 331) {
    const seen = (inLoop: Loop) => inLoop.image(inLoop.run(inLoop.fresh(), "run", [{ input, gas }], 1e7));
    assert.deepEqual(seen(byLines), seen(loop), `${gas}`);
  }
});

test("outside of items it is the same; in a start function it is not allowed", () => {
  const start = loop.runnable(loop.fresh(), "started", 0, 10_000_000);
  const after = loop.kernel.activate(start, 1);
  assert.equal(after.codeLow, abi.E_PERMISSION);
  const one: Case = { before: 0n, address: 64, width: 8, subtract: false, bounds: null, delta: 7n };
  const process = after.copy();
  process.memory = loop.write(process.memory, 0x10000, Buffer.from(request(one).buffer));
  const done = loop.kernel.activate(loop.runnable(process, "run", 0, 10_000_000), 1);
  assert.equal(done.codeLow, 1);
  assert.equal(Buffer.from(loop.read(done.memory, 64, 8)).readBigUInt64LE(0), 7n);
});
