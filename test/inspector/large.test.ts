/** 10,000 blocks and 100,000 processes: every answer is bounded, and finds what is there. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Runtime } from "../../runtime/index.ts";
import { Query } from "../../runtime/inspector/query.ts";
import { ANSWER_BYTES } from "../../runtime/inspector/routes.ts";
import type { Source } from "../../runtime/inspector/source.ts";
import { chainView } from "../../runtime/inspector/views/chain.ts";
import { diffView } from "../../runtime/inspector/views/compare.ts";
import { pagesView, processesView } from "../../runtime/inspector/views/processes.ts";
import { BLOCKS, COMMANDS, openLarge, PROCESSES } from "./large-chain.ts";

let runtime: Runtime;
let source: Source;

before(async () => {
  ({ runtime, source } = await openLarge());
});
after(() => runtime.close());

const asked = (parameters: Record<string, string | number> = {}): Query => {
  const entries = Object.entries(parameters).map(([name, value]) => [name, String(value)]);
  return new Query(new URLSearchParams(entries), Object.keys(parameters));
};
const bytesOf = (view: object): number =>
  Buffer.byteLength(JSON.stringify(view, (_, each) => (typeof each === "bigint" ? String(each) : each)));

test("10,000 blocks: a picture in cells, and a part of the list from any height", () => {
  const view = chainView(source, asked());
  assert.deepEqual([view.count, view.top], [BLOCKS + 1, BLOCKS]);
  assert.ok(view.cells.length <= 200 && view.rows.length <= 40);
  assert.equal(
    view.cells.reduce((sum, { blocks }) => sum + blocks, 0),
    BLOCKS + 1,
  );
  const heights = [view.rows[0]?.height];
  let parts = 1;
  for (let at = view.older; at !== null; parts++) {
    const part = chainView(source, asked({ at }));
    heights.push(part.rows[0]?.height);
    assert.ok(bytesOf(part) < ANSWER_BYTES / 4, `${bytesOf(part)} bytes`);
    at = part.older;
  }
  assert.equal(parts, Math.ceil((BLOCKS + 1) / 40));
  assert.equal(new Set(heights).size, parts);
});

test("100,000 processes: children in parts, and all of them in cells", () => {
  const root = processesView(source, asked());
  assert.ok(bytesOf(root) < ANSWER_BYTES / 4, `${bytesOf(root)} bytes`);
  const { rows, cells, next } = root.children;
  assert.deepEqual([cells.present, cells.changed, next], [PROCESSES, COMMANDS, rows.length]);
  assert.ok(cells.cells.length <= 128);
  const changed = processesView(source, asked({ changed: 1 })).children;
  assert.equal(changed.rows[0]?.number, PROCESSES - COMMANDS);
  assert.ok(changed.rows.every(({ change }) => change === "added"));
  const last = processesView(source, asked({ from: PROCESSES - 3 })).children;
  assert.deepEqual(
    last.rows.map(({ number }) => number),
    [PROCESSES - 3, PROCESSES - 2, PROCESSES - 1],
  );
  const pages = pagesView(source, asked());
  assert.ok(pages.cells.cells.length <= 512 && bytesOf(pages) < ANSWER_BYTES / 4);
});

test("a difference of 100,000 processes is cut", () => {
  const [first, last] = [runtime.blocks()[0]?.id ?? "", runtime.head.id];
  const view = diffView(source, asked({ a: first, b: last }));
  assert.equal(view.truncated, true);
  assert.ok(bytesOf(view) < ANSWER_BYTES / 2, `${bytesOf(view)} bytes`);
});
