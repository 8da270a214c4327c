/** What programs say of their tables and their blocks' data, which nobody believes without a check. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { compileGuest } from "../../runtime/compile.ts";
import {
  BlockData,
  type DataLayout,
  dataLayout,
  type ElementLayout,
  elementLayout,
  TableReader,
} from "../../runtime/inspector/layout.ts";
import { readState } from "../../runtime/program/decode/state.ts";
import { blockWith } from "../docs/pages.ts";
import { project } from "../typed/project.ts";

const LAYOUT = {
  used: { at: 0, equals: "round" },
  kinds: [
    {
      name: "player",
      when: { at: 4, mask: 1, is: 1 },
      key: [{ name: "id", at: 8, type: "bytes4", reversed: true }],
      fields: [
        { name: "score", at: 12, type: "i32" },
        { name: "flags", at: 4, type: "u32", shift: 1, hex: true },
      ],
    },
    { name: "move", key: [{ name: "player", at: 8, type: "element", shift: 2 }], fields: [] },
  ],
};
const STRIDE = 32;

/** A table of elements at 64, behind the round, which is 7. */
function table(layout: object, elements: readonly (readonly number[])[]): TableReader {
  const memory = Buffer.alloc(64 + STRIDE * 8);
  memory.writeUInt32LE(7, 16);
  for (const [i, words] of elements.entries())
    for (const [j, word] of words.entries()) memory.writeUInt32LE(word >>> 0, 64 + i * STRIDE + 4 * j);
  const found = elementLayout(JSON.stringify(layout)) as ElementLayout;
  const shape = { name: "table", address: 64, stride: STRIDE, end: memory.length, layout: found };
  return new TableReader(
    shape,
    (address, length) => memory.subarray(address, address + length),
    (name) => (name === "round" ? 16 : undefined),
  );
}

test("elements in use by kind, with keys and fields; one that names another has that one's key", () => {
  const reader = table(LAYOUT, [
    [7, 0b101, 0x01020304, -5],
    [7, 0, 0 << 2],
    [6, 1, 9],
    [7, 0, 3 << 2],
    [7, 0, 1 << 2],
  ]);
  const of = (index: number) => reader.at(index) ?? assert.fail();
  assert.equal(reader.nameOf(of(0)), "player[0x01020304]");
  assert.equal(reader.valueOf(of(0)), "{ score: -5, flags: 0x2 }");
  assert.equal(reader.placeIn(of(0), 12, 4), "player[0x01020304].score");
  assert.equal(reader.placeIn(of(0), 8, 4), "player[0x01020304]");
  assert.equal(reader.nameOf(of(1)), "move[0x01020304]");
  assert.equal(reader.at(2), null, "another round left it");
  // An element of an element is a number, so that they cannot lead in a circle.
  assert.equal(reader.nameOf(of(3)), "move[3]");
  assert.equal(reader.nameOf(of(4)), "move[0]");
  assert.deepEqual(
    reader.part(0, 3).elements.map(({ index }) => index),
    [0, 1, 3],
  );
  assert.deepEqual([reader.part(0, 3).next, reader.part(4, 3).next, reader.at(99)], [4, null, null]);
});

test("rows of a block's data, as many as there is room for", () => {
  const field = { name: "sum", at: 0, type: "u64" };
  const rows = { name: "order", at: 8, stride: 4, fields: [{ name: "price", at: 0, type: "u16" }] };
  const layout = dataLayout(JSON.stringify({ fields: [field], rows })) as DataLayout;
  const data = new BlockData(layout, Buffer.from("05000000000000000a0000000b000000ff", "hex"));
  assert.deepEqual(data.fields, [["sum", "5"]]);
  assert.deepEqual([data.rowName, data.rowCount, data.columns], ["order", 2, ["price"]]);
  assert.deepEqual([data.row(0), data.row(1)], [["10"], ["11"]]);
  assert.equal(new BlockData(layout, new Uint8Array(3)).rowCount, 0);
});

test("a layout that is not one counts as none", () => {
  const kind = LAYOUT.kinds[0] as (typeof LAYOUT.kinds)[number];
  const field = { name: "a", at: 0, type: "u32" };
  const wrong: unknown[] = [
    ...["{", null, [], 7, {}],
    { kinds: Array.from({ length: 17 }, () => kind) },
    { kinds: [{ ...kind, name: "<b>" }] },
    { kinds: [{ ...kind, when: { at: -1, mask: 0, is: 0 } }] },
    { kinds: [{ ...kind, when: { at: 2 ** 30, mask: 0, is: 0 } }] },
    { kinds: [{ ...kind, fields: Array.from({ length: 65 }, () => field) }] },
    ...["u7", "bytes0", "bytes1000", "constructor", 4].map((type) => ({
      kinds: [{ ...kind, fields: [{ ...field, type }] }],
    })),
    { used: { at: 0, equals: 5 }, kinds: [] },
  ];
  for (const each of wrong) {
    const text = typeof each === "string" ? each : JSON.stringify(each);
    assert.equal(elementLayout(text), null, text);
  }
  assert.equal(dataLayout(JSON.stringify({ rows: { name: "a", at: 0, stride: 0, fields: [] } })), null);
  assert.notEqual(elementLayout(JSON.stringify(LAYOUT)), null);
});

test("the page's program is read from its module, optimised or not", async () => {
  const { text } = blockWith("docs/inspector.md", "STATE_PLAYERS_LAYOUT");
  const file = join(project({ "game.ts": text }), "game.ts");
  for (const optimize of [true, false]) {
    const { variables, layouts, dataLayout: data } = readState(await compileGuest(file, { optimize }));
    assert.deepEqual(
      variables.map(({ name, address, stride }) => [name, address, stride]),
      [
        ["round", 0, 0],
        ["players", 4096, 64],
      ],
    );
    const layout = elementLayout(layouts.get("players") ?? "");
    assert.deepEqual(
      [layouts.size, layout?.kinds.map(({ name }) => name), data],
      [1, ["player", "move"], null],
    );
  }
});
