/** The glue that finds and puts back what an item changed: against memories compared byte by byte. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  FIRST_BYTES,
  type ShadowGlue,
  shadowModule,
  WRITTEN_FIRST,
} from "../../runtime/kernel/slots/shadow-glue.ts";
import * as layout from "../../runtime/program/layout.ts";
import { seeded } from "../seed.ts";

const PAGE = 4096;
const PAGES = 48;
const SIZE = PAGES * PAGE;
const STATE = 16 * PAGE;

/** The glue over memories of its own; pages are fetched from `base`. */
class Subject {
  readonly #guest = new WebAssembly.Memory({ initial: SIZE / 65536, maximum: SIZE / 65536 });
  readonly #shadow = new WebAssembly.Memory({ initial: SIZE / 65536, maximum: SIZE / 65536 });
  readonly #aux: WebAssembly.Memory;
  readonly #kind: layout.Marks;
  /** Below it nothing is marked. */
  readonly #bound: number;
  readonly bytes = new Uint8Array(this.#guest.buffer);
  readonly marks: Uint8Array;
  readonly touched: Uint8Array;
  readonly fetched: number[] = [];
  readonly #glue: ShadowGlue;

  constructor(bound: number, capacity: number, base: Uint8Array) {
    const pages = layout.batchAuxPages(bound);
    this.#aux = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.#kind = layout.marksOf(bound);
    this.#bound = bound;
    this.marks = new Uint8Array(this.#aux.buffer, this.#kind.at, this.#block(SIZE));
    this.touched = new Uint8Array(this.#aux.buffer, layout.paidOf(bound).at, PAGES);
    const fetch = (page: number): void => {
      this.fetched.push(page);
      new Uint8Array(this.#shadow.buffer).set(base.subarray(page * PAGE, (page + 1) * PAGE), page * PAGE);
    };
    const glue = { guest: this.#guest, aux: this.#aux, shadow: this.#shadow, fetch };
    const module = new WebAssembly.Module(shadowModule(this.#kind, capacity));
    this.#glue = new WebAssembly.Instance(module, { glue }).exports as unknown as ShadowGlue;
    this.bytes.set(base);
  }

  #block(address: number): number {
    return address >> this.#kind.shift;
  }

  /** Eight bytes at the address; as instrumented code does, only the place of the first is marked. */
  store(address: number, value: bigint): void {
    new DataView(this.#guest.buffer).setBigUint64(address, value, true);
    if (address >= this.#bound) this.marks[this.#block(address)] = 1;
    // What begins below the bound touches a page of state, but one check may cover stores on both sides.
    if (address >= this.#bound - 64) this.touched[Math.max(address, this.#bound) >> 12] = 1;
  }

  /** Eight bytes, by the kernel, if they lie in the first chunk of a block. */
  write(address: number, value: bigint): boolean {
    const block = this.#block(address);
    const first = (address & ((1 << this.#kind.shift) - 1)) + 8 <= FIRST_BYTES;
    if (!first || address < this.#bound) return false;
    if (this.marks[block] === 0) this.marks[block] = WRITTEN_FIRST;
    this.touched[address >> 12] = 1;
    new DataView(this.#guest.buffer).setBigUint64(address, value, true);
    return true;
  }

  /** Lets an item end: pages of state that it changed. */
  end(keep: boolean): number {
    this.#glue.measure(this.#block(STATE), this.#block(SIZE), this.#block(this.#bound));
    const words = new Uint32Array(this.#aux.buffer);
    const count = words[layout.AUX_STATE_PAGES / 4] as number;
    this.#glue.settle(this.#block(STATE), this.#block(SIZE), keep ? 1 : 0);
    return count;
  }
}

function differing(a: Uint8Array, b: Uint8Array): number[] {
  const page = (bytes: Uint8Array, i: number) => Buffer.from(bytes.subarray(i * PAGE, (i + 1) * PAGE));
  return Array.from({ length: PAGES }, (_, i) => i).filter((i) => !page(a, i).equals(page(b, i)));
}

const address = fc.oneof(
  fc.integer({ min: 0, max: SIZE - 8 }),
  fc
    .tuple(fc.integer({ min: 1, max: 4 * PAGES - 1 }), fc.integer({ min: -8, max: 64 }))
    .map(([p, o]) => p * 1024 + o),
  fc.integer({ min: STATE - 8, max: STATE + 2048 }),
);
const item = fc.record({
  stores: fc.array(fc.tuple(address, fc.constantFrom(0n, 1n, 2n ** 64n - 1n), fc.boolean()), {
    maxLength: 40,
  }),
  keep: fc.boolean(),
});

for (const [name, bound] of [
  ["by pages, state as well", 0],
  ["by quarters of pages, above the state", STATE],
] as const) {
  test(`items are measured and put back, however short the list is: ${name}`, (t) => {
    const base = Uint8Array.from({ length: SIZE }, (_, i) => (i % 7 === 0 ? i >> 8 : 0));
    fc.assert(
      fc.property(
        fc.array(item, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(1, 2, 5, 1000),
        (run, capacity) => {
          const subject = new Subject(bound, capacity, base);
          const seen: number[] = [];
          let before = base.slice();
          for (const { stores, keep } of run) {
            // Of what lies below the bound only what reaches beyond it.
            const own = stores.filter(([at]) => at > bound - 8);
            for (const [at, value, byKernel] of own)
              if (!(byKernel && subject.write(at, value))) subject.store(at, value);
            seen.push(...own.map(([at]) => Math.floor(Math.max(at, bound) / PAGE)));
            const after = subject.bytes.slice();
            const changed = differing(before, after).filter((page) => page * PAGE >= bound);
            assert.equal(subject.end(keep), changed.filter((page) => page * PAGE < STATE).length);
            const expected = before.slice();
            if (keep || bound > 0) expected.set(after.subarray(0, STATE));
            assert.deepEqual(differing(expected, subject.bytes), []);
            assert.ok(subject.marks.every((mark) => mark === 0));
            assert.ok(subject.touched.every((mark) => mark === 0));
            before = expected;
          }
          assert.equal(new Set(subject.fetched).size, subject.fetched.length, "every page is fetched once");
          const near = new Set([...seen, bound / PAGE]);
          assert.ok(subject.fetched.every((page) => near.has(page) || near.has(page - 1)));
        },
      ),
      seeded(t, 200),
    );
  });
}
