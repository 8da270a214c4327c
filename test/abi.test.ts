/**
 * The reference page of the calls says what abi.ts says: every constant once, with its value, and layouts
 * without gaps.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as gas from "../runtime/kernel/gas.ts";
import * as abi from "../syscalls/abi.ts";

const page = readFileSync(new URL("../syscalls/README.md", import.meta.url), "utf8");
const source = readFileSync(new URL("../syscalls/abi.ts", import.meta.url), "utf8");

/** Rows of all tables that begin with a constant's name and a number. */
const rows = [...page.matchAll(/^\| ([A-Z][A-Z0-9_]+) \| (-?\d+) \|(?: (u32|u64|i64|u256)? ?\|)?/gm)].map(
  ([, name, value, type]) => ({ name: name!, value: Number(value), type }),
);

const BYTES: Record<string, number> = { u32: 4, u64: 8, i64: 8, u256: 32 };

const numbers = Object.entries<number | string>(abi).flatMap(([name, value]) =>
  typeof value === "number" ? [[name, value] as const] : [],
);
const texts = Object.values(abi).filter((value) => typeof value === "string");

test("the page lists every number of abi.ts exactly once, and no other", () => {
  assert.deepEqual(rows.map((row) => row.name).sort(), numbers.map(([name]) => name).sort());
});

test("the page lists what a guest may import, with its types", () => {
  const listed = [...page.matchAll(/^\| `((?:stillpoint|env)\.\w+)` \| (\([^)]*\))(?: → (\w+))? \|/gm)].map(
    ([, name, parameters, result]) => name + parameters! + (result === undefined ? "" : `: ${result}`),
  );
  assert.deepEqual(listed.sort(), texts.sort());
});

test("the page gives every constant its value", () => {
  for (const { name, value } of rows) assert.equal(value, abi[name as keyof typeof abi], name);
});

test("the page gives every field the type that abi.ts states", () => {
  const typed = rows.filter((row) => row.type !== undefined);
  const stated = [...source.matchAll(/^export const (\w+) = \d+; \/\/ +(u32|u64|i64|u256)\b/gm)];
  assert.deepEqual(
    typed.map(({ name, type }) => `${name} ${type}`),
    stated.map(([, name, type]) => `${name} ${type}`),
  );
});

test("the page lists every price of the calls exactly once, with its value", () => {
  const listed = [...page.matchAll(/^\|.+\| ([\d,]+) \| (COST_\w+) \|$/gm)].map(([, value, name]) => [
    name as string,
    Number(value?.replaceAll(",", "")),
  ]);
  const prices = Object.entries(gas).filter(([name]) => name.startsWith("COST_"));
  assert.deepEqual(listed.toSorted(), prices.toSorted());
});

const STRUCTS = [
  ...[
    "PUT",
    "RANGE",
    "BATCH",
    "INPUT",
    "GET",
    "MERGE",
    "STATUS",
    "OUTCOMES",
    "OUTCOME",
    "SNAPSHOT",
    "ACCUMULATE",
  ],
];
for (const prefix of STRUCTS) {
  test(`the fields of ${prefix} fill the struct, aligned and without gaps`, () => {
    const fields = rows.filter((row) => row.type !== undefined && row.name.startsWith(`${prefix}_`));
    let offset = 0;
    for (const { name, value, type } of fields) {
      assert.equal(value, offset, name);
      assert.equal(value % Math.min(8, BYTES[type!]!), 0, `${name} is aligned`);
      offset += BYTES[type!]!;
    }
    assert.equal(abi[`${prefix}_SIZE` as keyof typeof abi], offset);
  });
}

test("abi.ts holds literals that both compilers read alike", () => {
  for (const [name, value] of numbers) {
    assert.ok(Number.isInteger(value) && value >= -1024 && value < 2 ** 31, name);
  }
  const constants = source.match(/^export const \w+ = -?\d+;/gm) ?? [];
  assert.equal(constants.length, numbers.length, "each constant is a plain literal without a type");
});
