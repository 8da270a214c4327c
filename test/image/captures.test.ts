/** Pages that another thread hashes while they are captured. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createHeap, HEADER_HASHED, Heap, UNIT_WORDS } from "../../runtime/heap/heap.ts";
import { type Help, hashCaptured, SharedCaptures } from "../../runtime/image/captures.ts";
import { hashOf } from "../../runtime/image/hash.ts";
import { capturePage, capturing } from "../../runtime/image/memory.ts";
import { programHash } from "../../runtime/index.ts";
import { quota, Script } from "../driver.ts";
import { guest, withRuntime } from "../fixture.ts";

const PAGES = 300;
const bytes = new Uint8Array(4096);

/** A heap as two threads see it, of which the first captures and asks for help by `help`. */
function twoThreads(help: Partial<Help> = {}): { heap: Heap; other: Heap } {
  const handle = createHeap(16 << 20);
  const [heap, other] = [new Heap(handle, 1), new Heap(handle, 2)];
  heap.captures = new SharedCaptures(heap, 1, { ask: () => {}, end: () => {}, ...help });
  return { heap, other };
}

function capture(heap: Heap, number: number): number {
  new Uint32Array(bytes.buffer).fill(number + 1);
  return capturePage(heap, bytes, 0);
}

const isHashed = ({ words }: Heap, page: number): boolean => words[page * UNIT_WORDS + HEADER_HASHED] === 1;

test("a helping thread hashes pages captured before and after it was asked, with their bytes", () => {
  const { heap, other } = twoThreads({ ask: () => hashCaptured(other) });
  const pages: number[] = [];
  capturing(heap, () => {
    for (let i = 0; i < PAGES; i++) pages.push(capture(heap, i));
    hashCaptured(other);
  });
  assert.ok(pages.every((page) => isHashed(heap, page)));
  const plain = new Heap(createHeap(16 << 20), 1);
  assert.deepEqual(
    pages.map((page) => hashOf(heap, page)),
    pages.map((_, i) => hashOf(plain, capture(plain, i))),
  );
});

test("few pages, and those that are captured apart, are left to the hash of the block", () => {
  let asked = 0;
  const { heap, other } = twoThreads({ ask: () => asked++ });
  const page = capture(heap, 1);
  capturing(heap, () => capture(heap, 2));
  hashCaptured(other);
  assert.deepEqual([asked, isHashed(heap, page)], [0, false]);
});

test("the ring is one thread's at a time, and that of one that died is free again", () => {
  const { heap, other } = twoThreads();
  other.captures = new SharedCaptures(other, 2, { ask: () => {}, end: () => {} });
  assert.ok(heap.captures?.begin());
  assert.ok(!other.captures.begin());
  const left = capture(heap, 1);
  heap.releaseLockOf(2);
  assert.ok(!other.captures.begin(), "another thread has died");
  heap.releaseLockOf(1);
  assert.ok(other.captures.begin());
  const page = capture(other, 2);
  hashCaptured(heap);
  assert.deepEqual([isHashed(heap, left), isHashed(heap, page)], [false, true]);
});

test("a ring that is full takes no more", () => {
  const { heap, other } = twoThreads();
  const many = 20_000;
  const page = capture(heap, 1);
  capturing(heap, () => {
    for (let i = 0; i < many; i++) heap.captures?.add(page);
    const last = capture(heap, 2);
    hashCaptured(other);
    assert.deepEqual([isHashed(heap, page), isHashed(heap, last)], [true, false]);
  });
});

test("a block of thousands of pages has the same root with help as without", async () => {
  const dirty = await guest("dirty");
  const blockOf = (workers: number): Promise<string> =>
    withRuntime([dirty], { workers, memoryQuotaPages: 100_000 }, async (runtime) => {
      const script = new Script();
      const start = { entry: "fill", argument: 4n, gas: 4_000_000_000 };
      script.put(1, { program: programHash(dirty), memoryQuotaPages: quota(100), start });
      script.get(1, { status: true });
      return (await runtime.produce(script.metadata())).root;
    });
  assert.equal(await blockOf(2), await blockOf(1));
});
