/** The glue that finds and puts back what an item changed: against memories compared byte by byte. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ShadowGlue, shadowModule } from "../../runtime/kernel/shadow-glue.ts";
import * as layout from "../../runtime/program/layout.ts";
import { seeded } from "../seed.ts";

const PAGE = 4096;
const PAGES = 48;
const SIZE = PAGES * PAGE;
const STATE = 16;

/** The glue over memories of its own; pages are fetched from `base`. */
class Subject {
  readonly guest = new WebAssembly.Memory({ initial: SIZE / 65536, maximum: SIZE / 65536 });
  readonly #shadow = new WebAssembly.Memory({ initial: SIZE / 65536, maximum: SIZE / 65536 });
  readonly #aux = new WebAssembly.Memory({ initial: layout.AUX_PAGES, maximum: layout.AUX_PAGES });
  readonly bytes = new Uint8Array(this.guest.buffer);
  readonly marks = new Uint8Array(this.#aux.buffer, layout.AUX_MARKS, PAGES);
  readonly fetched: number[] = [];
  readonly glue: ShadowGlue;

  constructor(capacity: number, base: Uint8Array) {
    const fetch = (page: number): void => {
      this.fetched.push(page);
      new Uint8Array(this.#shadow.buffer).set(base.subarray(page * PAGE, (page + 1) * PAGE), page * PAGE);
    };
    const imports = { guest: this.guest, aux: this.#aux, shadow: this.#shadow, fetch };
    const instance = new WebAssembly.Instance(new WebAssembly.Module(shadowModule(capacity)), {
      glue: imports,
    });
    this.glue = instance.exports as unknown as ShadowGlue;
    this.bytes.set(base);
  }

  /** Eight bytes at the address; as instrumented code does, only the page of the first is marked. */
  store(address: number, value: bigint): void {
    new DataView(this.guest.buffer).setBigUint64(address, value, true);
    this.marks[Math.floor(address / PAGE)] = 1;
  }

  counts(): [state: number, rest: number] {
    const words = new Uint32Array(this.#aux.buffer);
    return [words[layout.AUX_STATE_PAGES / 4] as number, words[layout.AUX_PRIVATE_PAGES / 4] as number];
  }
}

function differing(a: Uint8Array, b: Uint8Array): number[] {
  const page = (bytes: Uint8Array, i: number) => Buffer.from(bytes.subarray(i * PAGE, (i + 1) * PAGE));
  return Array.from({ length: PAGES }, (_, i) => i).filter((i) => !page(a, i).equals(page(b, i)));
}

const address = fc.oneof(
  fc.integer({ min: 0, max: SIZE - 8 }),
  fc
    .tuple(fc.integer({ min: 1, max: PAGES - 1 }), fc.integer({ min: -8, max: 64 }))
    .map(([p, o]) => p * PAGE + o),
);
const item = fc.record({
  stores: fc.array(fc.tuple(address, fc.constantFrom(0n, 1n, 2n ** 64n - 1n)), { maxLength: 40 }),
  keep: fc.boolean(),
});

test("items are measured and put back, however short the list is", (t) => {
  const base = Uint8Array.from({ length: SIZE }, (_, i) => (i % 7 === 0 ? i >> 8 : 0));
  fc.assert(
    fc.property(
      fc.array(item, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(1, 2, 5, 1000),
      (run, capacity) => {
        const subject = new Subject(capacity, base);
        let before = base.slice();
        for (const { stores, keep } of run) {
          for (const [at, value] of stores) subject.store(at, value);
          const after = subject.bytes.slice();
          const changed = differing(before, after);
          subject.glue.measure(STATE, PAGES, 0);
          const state = changed.filter((page) => page < STATE).length;
          assert.deepEqual(subject.counts(), [state, changed.length - state]);
          subject.glue.settle(STATE, PAGES, keep ? 1 : 0);
          const expected = before.slice();
          if (keep) expected.set(after.subarray(0, STATE * PAGE));
          assert.deepEqual(differing(expected, subject.bytes), []);
          assert.ok(subject.marks.every((mark) => mark === 0));
          before = expected;
        }
        assert.equal(new Set(subject.fetched).size, subject.fetched.length, "every page is fetched once");
        const written = new Set(run.flatMap(({ stores }) => stores.map(([at]) => Math.floor(at / PAGE))));
        assert.ok(subject.fetched.every((page) => written.has(page) || written.has(page - 1)));
      },
    ),
    seeded(t, 200),
  );
});
