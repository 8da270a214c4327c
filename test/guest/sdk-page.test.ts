/** docs/sdk.md says what the sources of the SDK say, and what its operations cost. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { sdkPage } from "../../scripts/sdk-page.ts";
import { ROOT } from "./harness.ts";

/** A cell of gas, "430; 3,100, a new key", and its numbers. */
const GAS = /\| [\d,]+(; [^|]*)? \|$/gm;
const numbersOf = (page: string): number[] =>
  [...page.matchAll(GAS)].flatMap(([cell]) =>
    [...cell.matchAll(/\d[\d,]*/g)].map(([text]) => Number(text.replaceAll(",", ""))),
  );

test("docs/sdk.md is that of the sources and their gas: node scripts/sdk-page.ts writes it", async () => {
  const page = readFileSync(join(ROOT, "docs/sdk.md"), "utf8");
  const made = await sdkPage(page);
  const withoutGas = (text: string): string => text.replace(GAS, "| gas |");
  assert.equal(withoutGas(page), withoutGas(made));
  // Figures are rounded, so a change of a few gas may move a digit.
  const [said, measured] = [numbersOf(page), numbersOf(made)];
  assert.ok(said.length > 50);
  for (const [i, gas] of measured.entries()) {
    assert.ok(Math.abs((said[i] as number) - gas) <= Math.max(2, gas / 10), `${said[i]} is ${gas} now`);
  }
});
