/** Every error that the runtime throws is documented, with whether all replicas see it. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { StillpointError } from "../runtime/errors.ts";

const RUNTIME = fileURLToPath(new URL("../runtime/", import.meta.url));
const read = (name: string): string => readFileSync(`${RUNTIME}${name}`, "utf8");

/** Codes in the first arguments of constructors of errors. */
function thrown(): Set<string> {
  const names = readdirSync(RUNTIME, { recursive: true, encoding: "utf8" });
  const codes = names
    .filter((name) => name.endsWith(".ts"))
    .flatMap((name) => [...read(name).matchAll(/\b(?:\w+Error|super)\(\s*"([A-Z][A-Z_]+)"/g)])
    .map(([, code]) => code as string);
  return new Set(codes);
}

/** Codes by the tables of the documentation, and whether they say that all replicas see the error. */
function documented(): Map<string, boolean> {
  const codes = new Map<string, boolean>();
  const add = (cell: string, deterministic: boolean): void => {
    for (const [, code] of cell.matchAll(/`([A-Z_]+)`/g)) codes.set(code as string, deterministic);
  };
  for (const line of read("README.md").split("\n")) {
    const [, cell, , deterministic] = line.split("|").map((text) => text.trim());
    if (deterministic === "yes" || deterministic === "no") add(cell as string, deterministic === "yes");
  }
  const [, store] = read("store/README.md").split("## Errors");
  for (const line of (store as string).split("\n")) add(line.split("|")[1] ?? "", false);
  return codes;
}

test("each code is in one of the tables, which say of each whether all replicas see it", () => {
  const known = documented();
  assert.ok(known.size > 35);
  for (const code of thrown()) assert.ok(known.has(code), `${code} is not documented`);
  for (const [code, deterministic] of known) {
    assert.equal(new StillpointError(code, "").deterministic, deterministic, code);
  }
});
