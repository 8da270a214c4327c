/** The glue that finds and puts back what an item changed: against memories compared byte by byte. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { programHash } from "../../runtime/index.ts";
import { markPages } from "../../runtime/kernel/slots/page-marks.ts";
import {
  FIRST_BYTES,
  type ShadowGlue,
  shadowModule,
  WRITTEN_FIRST,
} from "../../runtime/kernel/slots/shadow-glue.ts";
import * as layout from "../../runtime/program/layout.ts";
import * as abi from "../../syscalls/abi.ts";
import { quota } from "../driver.ts";
import { guest, play, withRuntime } from "../fixture.ts";
import { seeded } from "../seed.ts";
import { getOutcomes, putBatch, readOutcomes } from "./requests.ts";

/** Of the guest batch/deep. */
const PRIVATE_PAGES = 16;
const GAS = 10_000_000;
const PAGE = 4096;
/** Three groups, of which the state ends in the second. */
const PAGES = 144;
const SIZE = PAGES * PAGE;
const STATE = 80 * PAGE;

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
  readonly #auxBytes: Uint8Array;
  readonly #paid: number;
  readonly fetched: number[] = [];
  readonly #glue: ShadowGlue;

  constructor(bound: number, capacity: number, base: Uint8Array) {
    const pages = layout.batchAuxPages(bound);
    this.#aux = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.#kind = layout.marksOf(bound);
    this.#bound = bound;
    this.marks = new Uint8Array(this.#aux.buffer, this.#kind.at, this.#block(SIZE));
    this.#auxBytes = new Uint8Array(this.#aux.buffer);
    this.#paid = layout.paidOf(bound).at;
    this.touched = this.#auxBytes.subarray(this.#paid, this.#paid + PAGES);
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
    if (address >= this.#bound - 64) this.#touch(Math.max(address, this.#bound) >> 12);
  }

  /** Eight bytes, by the kernel, if they lie in the first chunk of a block. */
  write(address: number, value: bigint): boolean {
    const block = this.#block(address);
    const first = (address & ((1 << this.#kind.shift) - 1)) + 8 <= FIRST_BYTES;
    if (!first || address < this.#bound) return false;
    if (this.marks[block] === 0) this.marks[block] = WRITTEN_FIRST;
    this.#touch(address >> 12);
    new DataView(this.#guest.buffer).setBigUint64(address, value, true);
    return true;
  }

  #touch(page: number): void {
    markPages(this.#auxBytes, this.#paid, page, page);
  }

  /** Groups that still have a mark, but for that of the bound, whose other pages are the state's. */
  groups(): number[] {
    const groups = this.#auxBytes.subarray(layout.AUX_GROUPS, layout.AUX_GROUPS + 3);
    const first = Math.ceil(this.#bound / PAGE / layout.GROUP_PAGES);
    return [...groups.keys()].filter((group) => group >= first && groups[group] !== 0);
  }

  /** Pages that the shadow has and whose group does not say so. */
  ungrouped(): number[] {
    const at = (map: number, i: number): number => this.#auxBytes[map + i] as number;
    return Array.from({ length: PAGES }, (_, page) => page).filter((page) => {
      const group = at(layout.AUX_SHADOW_GROUPS, page >> layout.GROUP_SHIFT);
      return at(layout.AUX_SHADOW, page) !== 0 && group === 0;
    });
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
            assert.deepEqual([subject.groups(), subject.ungrouped()], [[], []]);
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

test("items are put back in an instance in which a stack lay before, too", async () => {
  const program = await guest("batch/deep");
  await withRuntime([program], { workers: 1, runner: "sequential" }, async (runtime) => {
    const { results, handles } = await play(runtime, (s) => {
      s.put(1, { program: programHash(program), memoryQuotaPages: quota(64) });
      return [300n, 20n, 1000n].map((argument) => {
        s.put(1, { start: { entry: "deep", argument, gas: GAS } });
        const suspended = s.get(1, { status: true });
        s.put(1, { start: { gas: GAS } });
        s.get(1, {});
        s.put(1, { start: { entry: "step", gas: GAS } });
        const once = s.get(1, { status: true });
        const items = Array.from({ length: 3 }, () => ({ input: new Uint8Array(8), gas: GAS }));
        putBatch(s, 1, { entry: "step", items, inbox: 65536 });
        return { suspended, once, batch: getOutcomes(s, 1, { count: 3 }) };
      });
    });
    for (const [i, { suspended, once, batch }] of handles.entries()) {
      assert.equal(results.status(suspended).kind, abi.STATUS_RET);
      const sum = BigInt(PRIVATE_PAGES * (i + 1));
      assert.equal(results.status(once).code, sum);
      const { items } = readOutcomes(results, batch);
      const next = sum + BigInt(PRIVATE_PAGES);
      assert.deepEqual(
        items.map(({ code }) => code),
        [next, next, next],
      );
    }
  });
});
