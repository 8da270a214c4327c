/** What COPY and ZERO make in the heap, and that gas pays for it: by counts of work, never by time. */

import "../counting.ts";
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { compileGuest } from "../../runtime/compile.ts";
import { UNIT_BYTES } from "../../runtime/heap/heap.ts";
import { programHash } from "../../runtime/index.ts";
import { COST_HEAP_OBJECT, COST_HEAP_UNIT } from "../../runtime/kernel/gas.ts";
import { PAGE_BYTES, WASM_PAGE_BYTES } from "../../runtime/limits.ts";
import * as abi from "../../syscalls/abi.ts";
import type { RangeSpec, Script } from "../driver.ts";
import { DRIVER_HASH, driver } from "../fixture.ts";
import { Scripted } from "./scripted.ts";

/** The most that a gas may take of the heap. */
const BYTES_PER_GAS = 0.5;
const PAGE_OBJECT = PAGE_BYTES + UNIT_BYTES;
/** A node of 32 children. */
const FULL_NODE = 19 * UNIT_BYTES;
/** A memory of 4 GiB, which no instance ever holds. */
const HUGE_PAGES = 65_535;
const huge = await compileGuest(new URL("../guests/driver.ts", import.meta.url).pathname, {
  initialMemory: HUGE_PAGES,
});
const HUGE = programHash(huge);

/** In the caller: eight pages that differ, and a page where the words of a LOOP command count its passes. */
const AREA = 0x280000;
const AREA_PAGES = 8;
/** Children: HUGED has pages so that the nodes on the way to page 0 are full, SMALL a few. */
const [HUGED, SMALL, OTHER] = [1, 2, 3];
/** Beyond everything that the driver uses in the small child. */
const TARGET = 0x290000;

let scripted: Scripted;
before(async () => {
  scripted = await Scripted.open([driver, huge]);
  scripted.play((s) => {
    for (let page = 0; page < AREA_PAGES; page++) s.fill(AREA + page * PAGE_BYTES, PAGE_BYTES, page + 1);
    s.put(HUGED, { program: HUGE, memoryQuotaPages: HUGE_PAGES * 16 + abi.PROCESS_PAGES });
    s.put(SMALL, { program: DRIVER_HASH });
    s.put(OTHER, { program: DRIVER_HASH });
  });
  const full: number[] = [];
  for (let shift = 0; shift <= 15; shift += 5) for (let i = 0; i < 32; i++) full.push(i << shift);
  scripted.play((s) =>
    s.put(HUGED, { ranges: full.filter(inside).map((page) => byteAt(page * PAGE_BYTES)) }),
  );
});

function inside(page: number): boolean {
  return page < (HUGE_PAGES * WASM_PAGE_BYTES) / PAGE_BYTES;
}

function byteAt(target: number): RangeSpec {
  return { source: AREA, target, length: 1 };
}

/** Gas and heap bytes of one pass of `body`, without what the activation takes once. */
function pass(body: (s: Script) => void, first: (s: Script) => void = () => {}, passes = 20) {
  const measure = (count: number) => {
    const process = scripted.process;
    const played = scripted.play((s) => {
      first(s);
      const begin = s.length;
      body(s);
      s.loop(begin, count);
    });
    scripted.process = process;
    assert.equal(played.fault, abi.FAULT_NONE);
    return played;
  };
  const few = measure(3);
  const many = measure(3 + passes);
  return {
    gas: (many.gasUsed - few.gasUsed) / passes,
    bytes: (many.work.heapBytes - few.work.heapBytes) / passes,
    nodesMade: (many.work.nodesMade - few.work.nodesMade) / passes,
  };
}

const IN_PLACE: readonly [what: string, body: (s: Script) => void][] = [
  ["a byte", (s) => s.put(HUGED, { ranges: [byteAt(5)] })],
  ["a byte in each of 100 pages", (s) => s.put(HUGED, { ranges: pagesFrom(0, 100).map(byteAt) })],
  [
    "bytes that lie otherwise",
    (s) => s.put(HUGED, { ranges: [{ source: AREA + 3, target: 0, length: 5 * PAGE_BYTES }] }),
  ],
  [
    "whole pages of the caller that it does not write to",
    (s) => s.put(HUGED, { ranges: [{ source: AREA, target: 0, length: AREA_PAGES * PAGE_BYTES }] }),
  ],
  ["zeros in a part of a page", (s) => s.put(HUGED, { ranges: [{ zero: true, target: 1, length: 7 }] })],
  ["pages to the caller", (s) => s.get(SMALL, { copy: [{ source: 0, length: 65_536, target: AREA }] })],
];

function pagesFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => (first + i) * PAGE_BYTES);
}

for (const [what, body] of IN_PLACE) {
  test(`again and again nothing is made again: ${what}`, () => {
    const { bytes, nodesMade } = pass(body);
    assert.deepEqual({ bytes, nodesMade }, { bytes: 0, nodesMade: 0 });
  });
}

/** Ends writing in place: others see the memory of the child. */
const SEEN: readonly [what: string, seen: (s: Script, child: number) => void][] = [
  ["HASH", (s, child) => s.get(child, { hash: true })],
  ["CLONE", (s, child) => s.put(OTHER, { clone: child })],
];

const COPIED: readonly [what: string, ranges: readonly RangeSpec[]][] = [
  ["a byte below full nodes", [byteAt(0)]],
  ["a byte in each page of a full node", pagesFrom(0, 32).map(byteAt)],
  [
    "a byte in one page of each of 32 nodes",
    Array.from({ length: 32 }, (_, i) => byteAt((i * PAGE_BYTES) << 5)),
  ],
  ["a page", [{ source: AREA, target: 0, length: PAGE_BYTES }]],
  ["zeros", [{ zero: true, target: 0, length: PAGE_BYTES }]],
];

for (const [event, seen] of SEEN) {
  for (const [what, ranges] of COPIED) {
    test(`gas bounds the heap: ${what}, after each ${event}`, () => {
      const { gas, bytes } = pass((s) => {
        s.put(HUGED, { ranges });
        seen(s, HUGED);
      });
      assert.ok(bytes > 0, "something is made each time");
      assert.ok(bytes <= BYTES_PER_GAS * gas, `${bytes} bytes for ${gas} gas`);
    });
  }
}

const MADE: readonly [what: string, least: number, body: (s: Script) => void, first?: (s: Script) => void][] =
  [
    [
      "PUT of a page that the caller has changed, again and again",
      PAGE_OBJECT,
      // The page where this loop counts its passes.
      (s) => s.put(SMALL, { ranges: [{ source: s.base, target: TARGET, length: PAGE_BYTES }] }),
    ],
    [
      "START after each byte",
      PAGE_OBJECT,
      (s) => {
        s.put(SMALL, { ranges: [byteAt(TARGET)], start: { entry: "run", argument: 0n, gas: 1_000_000 } });
        s.get(SMALL, { status: true });
      },
    ],
    [
      "a page that comes and goes",
      FULL_NODE,
      (s) => {
        s.put(HUGED, { ranges: [{ zero: true, target: 0, length: PAGE_BYTES }] });
        s.put(HUGED, { ranges: [byteAt(0)] });
      },
    ],
    [
      "many pages that come and go",
      FULL_NODE,
      (s) => {
        s.put(HUGED, { ranges: [{ zero: true, target: 0, length: 32 * PAGE_BYTES }] });
        s.put(HUGED, { ranges: pagesFrom(0, 32).map(byteAt) });
      },
    ],
    [
      "MERGE of whole pages over what the caller puts back",
      0,
      (s) => {
        s.fill(TARGET, PAGE_BYTES, 0);
        s.get(SMALL, { merge: { address: TARGET, length: PAGE_BYTES } });
      },
      (s) => {
        s.put(SMALL, { start: { entry: "run", argument: 0n, gas: 1_000_000 } });
        s.put(SMALL, { ranges: [{ source: AREA, target: TARGET, length: PAGE_BYTES }] });
      },
    ],
  ];

for (const [what, least, body, first] of MADE) {
  test(`gas bounds the heap: ${what}`, () => {
    const { gas, bytes } = pass(body, first);
    assert.ok(bytes >= least, `${bytes} bytes`);
    assert.ok(bytes <= BYTES_PER_GAS * gas, `${bytes} bytes for ${gas} gas`);
  });
}

test("the first write to a page pays for the page and the nodes on its way, by their size", () => {
  const put = (s: Script): void => void s.put(HUGED, { ranges: [byteAt(0)] });
  const seen = (s: Script): void => void s.get(HUGED, { hash: true });
  const first = pass((s) => {
    put(s);
    seen(s);
  });
  // The same without what is made: in place, and of the loop's own command, which is in both.
  const others = pass(put).gas + pass(seen).gas - pass(() => {}).gas;
  const units = (PAGE_OBJECT + 4 * FULL_NODE) / UNIT_BYTES;
  assert.equal(first.gas - others, 5 * COST_HEAP_OBJECT + units * COST_HEAP_UNIT);
  assert.ok(first.bytes >= units * UNIT_BYTES, "and the record that HASH needs");
});

test("a page of the caller that goes to ten children is made once, for them and for the caller's end", () => {
  const spread = (lengths: readonly number[]): number => {
    const process = scripted.process;
    const { work } = scripted.play((s) => {
      s.fill(AREA, PAGE_BYTES, 77);
      for (let child = 10; child < 20; child++) {
        const ranges = lengths.map((length, i) => {
          const at = i * (PAGE_BYTES - length);
          return { source: AREA + at, target: TARGET + at, length };
        });
        s.put(child, { program: DRIVER_HASH, ranges });
      }
    });
    scripted.process = process;
    return work.heapBytes;
  };
  // In two halves it cannot be shared.
  assert.equal(spread([PAGE_BYTES / 2, PAGE_BYTES / 2]) - spread([PAGE_BYTES]), 10 * PAGE_OBJECT);
});

test("a page is paid before it is made", () => {
  const ranges = pagesFrom(100, 400).map(byteAt);
  const whole = scripted.play((s) => s.put(HUGED, { ranges }));
  assert.ok(whole.work.heapBytes > 400 * PAGE_BYTES);
  const short = scripted.play((s) => {
    s.get(HUGED, { hash: true });
    s.put(HUGED, { ranges });
  }, whole.gasUsed / 2);
  assert.equal(short.fault, abi.FAULT_OUT_OF_GAS);
  assert.ok(short.work.heapBytes > 50 * PAGE_BYTES, "it has begun");
  assert.ok(short.work.heapBytes <= BYTES_PER_GAS * short.gasUsed, `${short.work.heapBytes} bytes`);
});
