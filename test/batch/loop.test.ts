/** Items run one after the other, in both variants of a program: against what they mean, item by item. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { COST_PAGE_TOUCH } from "../../runtime/kernel/gas.ts";
import * as abi from "../../syscalls/abi.ts";
import { guest } from "../fixture.ts";
import { seeded } from "../seed.ts";
import { sized } from "../sizes.ts";
import * as items from "./loop.ts";
import { type BatchImage, type Item, input, Loop } from "./loop.ts";

const program = await guest("items");
const STATE = 0x20000;
const INBOX = STATE;
const OUTBOX = STATE + 0x8000;
const PRIVATE = STATE + 0x10000;
const MEMORY = 20 * 65536;
const GAS = 1_000_000;
const TOTAL = 1_000_000_000;

const loop = new Loop(program);
const byLines = await Loop.byLines(program);

/** Runs a batch in both variants of the program, and compares with what it means. */
function both(batch: readonly Item[], total = TOTAL): BatchImage {
  const fresh = loop.fresh();
  const found = loop.image(loop.run(fresh, "run", batch, total));
  assert.deepEqual(found, loop.meaning(fresh, "run", batch, total));
  assert.deepEqual(byLines.image(byLines.run(byLines.fresh(), "run", batch, total)), found);
  return found;
}

const item = (bytes: Uint8Array, gas = GAS): Item => ({ input: bytes, gas });

test("state carries on from item to item, private memory and globals do not", () => {
  const { code, items: seen } = both([
    item(input([items.ADD, 64, 5], [items.ADD, PRIVATE + 4096, 9], [items.COUNT, 0, 3])),
    item(input([items.OUT, 64], [items.OUT, PRIVATE + 4096], [items.COUNT, 0, 3])),
    item(input([items.ADD, 64, 1], [items.OUT, 64])),
  ]);
  assert.equal(code, 3);
  assert.equal(seen[1]?.output, "0500000000000000" + "0000000000000000" + "0800000000000000");
  assert.equal(seen[2]?.output, "0600000000000000");
});

test("each item pays for the pages that it touches itself, its inbox among them", () => {
  const one = (...pages: number[]) => input(...pages.map((page) => [items.ADD, page * 4096 + 8, 0] as const));
  const outside = PRIVATE / 4096;
  const padded = (bytes: number) => Buffer.concat([one(1), input([items.STOP, 0]), Buffer.alloc(bytes)]);
  const { items: seen } = both([
    item(one(1)),
    item(one(1)),
    item(one(1, 1)),
    item(one(1, 2)),
    item(one(1, outside)),
    item(one(1, outside)),
    item(padded(16)),
    item(padded(4096)),
  ]);
  const [first, again, twice, two, mixed, mixedAgain, short, long] = seen.map(({ gasUsed }) => gasUsed);
  assert.equal(again, first);
  assert.equal(mixedAgain, mixed);
  const operation = (twice as number) - (first as number);
  assert.equal((two as number) - (first as number), operation + COST_PAGE_TOUCH);
  assert.equal((mixed as number) - (first as number), operation + COST_PAGE_TOUCH);
  assert.equal((long as number) - (short as number), COST_PAGE_TOUCH);
});

const address = fc.oneof(
  fc.integer({ min: 0, max: STATE - 8 }),
  fc.constantFrom(0, 64, 4092, 4093, 8188, STATE - 9, STATE - 8, STATE - 4, STATE - 1, STATE, 3 * 4096),
  fc.constantFrom(INBOX + 8, INBOX + 0x4000, OUTBOX, OUTBOX + 4, OUTBOX + 4090, PRIVATE, PRIVATE + 5000),
  fc.integer({ min: PRIVATE + 0x1000, max: MEMORY - 8 }),
  fc.constantFrom(MEMORY - 8, MEMORY - 4, MEMORY, 0xfffffff8),
);
const value = fc.oneof(fc.constantFrom(0n, 1n), fc.bigInt(0n, 2n ** 64n - 1n));
const length = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.constantFrom(4096, 5000, 12_288));
const operation = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant(items.ADD), address, value) },
  { weight: 3, arbitrary: fc.tuple(fc.constant(items.SET), address, value) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(items.FILL), address, length, fc.integer({ min: 0, max: 255 }))
      .map(([what, at, size, byte]) => [what, at, BigInt(size) | (BigInt(byte) << 32n)] as const),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constant(items.COPY), address, address, length)
      .map(([what, to, from, size]) => [what, to, BigInt(from) | (BigInt(size) << 32n)] as const),
  },
  { weight: 5, arbitrary: fc.tuple(fc.constant(items.OUT), address, fc.constant(0n)) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant(items.LENGTH),
      fc.constantFrom(0, 3, 0x7ffc, 0x7ffd, 0xffffffff),
      fc.constant(0n),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant(items.ABORT), fc.nat(99), fc.bigInt(0n, 99n)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant(items.TRAP), fc.constant(0), fc.constant(0n)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant(items.SPIN), fc.constant(0), fc.bigInt(0n, 100_000n)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant(items.COUNT), fc.constant(0), value) },
  { weight: 1, arbitrary: fc.tuple(fc.constant(items.ALLOCATE), fc.constantFrom(1, 100, 70_000), value) },
  { weight: 2, arbitrary: fc.tuple(fc.constant(items.SKIP), address, value) },
  { weight: 1, arbitrary: fc.tuple(fc.constant(items.DIVIDE), address, value) },
  { weight: 1, arbitrary: fc.tuple(fc.constant(items.STOP), fc.constant(0), value) },
);
const anyItem = fc.record({
  input: fc.array(operation, { maxLength: 8 }).map((list) => input(...list)),
  gas: fc.oneof(
    { weight: 8, arbitrary: fc.constant(GAS) },
    fc.integer({ min: 0, max: 60_000 }),
    fc.constantFrom(0, TOTAL, TOTAL + 1, 2 ** 53, 2n ** 64n - 1n),
  ),
});

test("random items leave the results of their definition", (t) => {
  let faulted = 0;
  let returned = 0;
  fc.assert(
    fc.property(
      fc.array(anyItem, { maxLength: 12 }),
      fc.oneof(fc.constant(TOTAL), fc.integer({ min: 0, max: 3_000_000 })),
      (batch, total) => {
        const { items: seen } = both(batch, total);
        for (const { status } of seen) {
          if (status === abi.ITEM_FAULTED) faulted++;
          if (status === abi.ITEM_RETURNED) returned++;
        }
      },
    ),
    seeded(t, 400),
  );
  t.diagnostic(`${returned} items returned, ${faulted} faulted`);
  assert.ok(returned > sized(120, 400) && faulted > sized(120, 400));
});
