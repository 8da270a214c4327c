/** The log of lines of a slot in which items run one after the other: against memories compared by byte. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type LineLog, lineLogModule, tagLines } from "../../runtime/kernel/slots/line-log.ts";
import * as layout from "../../runtime/program/layout.ts";
import { seeded } from "../seed.ts";

const PAGE = 4096;
const LINE = 64;
const BOUND = 0x10000;
const SIZE = 2 * BOUND;
const ENTRY = 80;

/** The log over memories of its own. */
class Subject {
  readonly #guest = new WebAssembly.Memory({ initial: SIZE / 65536, maximum: SIZE / 65536 });
  readonly #aux: WebAssembly.Memory;
  readonly bytes = new Uint8Array(this.#guest.buffer);
  readonly log: LineLog;

  constructor(capacity: number) {
    const pages = layout.batchAuxPages(BOUND);
    this.#aux = new WebAssembly.Memory({ initial: pages, maximum: pages });
    tagLines(this.#aux, BOUND);
    const module = new WebAssembly.Module(lineLogModule(BOUND, capacity));
    const accumulate = (): number => assert.fail("nothing is accumulated");
    const glue = { guest: this.#guest, aux: this.#aux, accumulate };
    this.log = new WebAssembly.Instance(module, { glue }).exports as unknown as LineLog;
  }

  /** As instrumented code does it; false: the log was full. */
  fill(address: number, length: number, value: number): boolean {
    try {
      if (address < BOUND) this.log.touch(address, length, 1);
    } catch (error) {
      assert.ok(error instanceof WebAssembly.RuntimeError);
      assert.equal(this.#words[layout.AUX_FAULT / 4], layout.FAULT_INTERNAL_SEQUENTIAL);
      return false;
    }
    this.bytes.fill(value, address, address + length);
    return true;
  }

  /** Lets an item end: pages of state that it changed. */
  end(keep: boolean): number {
    const words = this.#words;
    words[layout.AUX_STATE_PAGES / 4] = 0;
    this.log.measure();
    const pages = words[layout.AUX_STATE_PAGES / 4] as number;
    this.log.settle(keep ? 1 : 0);
    return pages;
  }

  get #words(): Int32Array {
    return new Int32Array(this.#aux.buffer);
  }

  /** Pages of state that are marked, and whether nothing else of an item is left. */
  marked(): number[] {
    const bytes = new Uint8Array(this.#aux.buffer);
    const tags = bytes.subarray(layout.AUX_TAGS, layout.AUX_TAGS + BOUND / LINE + 1);
    assert.ok(tags.every((tag, line) => tag === (line < BOUND / LINE ? layout.TAG_PRESENT : 0)));
    assert.ok(bytes.subarray(layout.AUX_SHADOW, layout.AUX_SHADOW + SIZE / PAGE).every((byte) => byte === 0));
    const marks = bytes.subarray(layout.AUX_MARKS, layout.AUX_MARKS + BOUND / PAGE);
    const marked = [...marks.keys()].filter((page) => marks[page] !== 0);
    for (const page of marked) assert.equal(bytes[layout.AUX_GROUPS + (page >>> layout.GROUP_SHIFT)], 1);
    return marked;
  }
}

function changedPages(a: Uint8Array, b: Uint8Array): number[] {
  const page = (bytes: Uint8Array, i: number) => Buffer.from(bytes.subarray(i * PAGE, (i + 1) * PAGE));
  return Array.from({ length: BOUND / PAGE }, (_, i) => i).filter((i) => !page(a, i).equals(page(b, i)));
}

const address = fc.oneof(
  fc.integer({ min: 0, max: BOUND + LINE }),
  fc.integer({ min: 0, max: BOUND / LINE }).map((line) => line * LINE),
  fc.integer({ min: BOUND - LINE, max: BOUND - 1 }),
);
const length = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constantFrom(1, 8, 64, 4096, BOUND));
const write = fc.tuple(address, length, fc.integer({ min: 0, max: 2 }));
const item = fc.record({ writes: fc.array(write, { maxLength: 12 }), keep: fc.boolean() });

test("items leave the state as told, and their changed pages are counted", (t) => {
  let full = 0;
  fc.assert(
    fc.property(
      fc.array(item, { minLength: 1, maxLength: 5 }),
      fc.constantFrom(ENTRY, 7 * ENTRY, 1 << 20),
      (items, capacity) => {
        const subject = new Subject(capacity);
        const dirty = new Set<number>();
        let before = subject.bytes.slice(0, BOUND);
        for (const { writes, keep } of items) {
          // An item that finds the log full is given up.
          const fits = writes.every(([at, size, value]) =>
            subject.fill(at, Math.min(size, SIZE - at), value),
          );
          if (!fits) full++;
          const after = subject.bytes.slice(0, BOUND);
          const changed = changedPages(before, after);
          assert.equal(subject.end(fits && keep), changed.length);
          if (fits && keep) {
            for (const page of changed) dirty.add(page);
            before = after;
          }
          assert.deepEqual(changedPages(before, subject.bytes.slice(0, BOUND)), []);
          assert.deepEqual(
            subject.marked(),
            [...dirty].sort((a, b) => a - b),
          );
        }
      },
    ),
    seeded(t, 300),
  );
  assert.ok(full > 20, `${full}`);
});

test("lines that are only read are not logged", () => {
  const subject = new Subject(0);
  subject.log.touch(0, BOUND, 0);
  assert.equal(subject.end(true), 0);
});
