/** Contracts as an author has them: with the configurations of the package, and no comment to ignore. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../guest/harness.ts";
import { BANK, project } from "./project.ts";

const CONTRACTS = join(ROOT, "examples/contracts/guest");

test("contracts and standard modules pass tsc and Biome with the shipped configurations", () => {
  const files: Record<string, string> = {
    "bank.ts": BANK,
    "tsconfig.json": '{ "extends": "stillpoint/guest/tsconfig.json", "include": ["*.ts"] }',
    "biome.json":
      '{ "root": true, "extends": ["stillpoint/guest/biome.json"], "formatter": { "enabled": false } }',
  };
  for (const name of readdirSync(CONTRACTS)) files[name] = readFileSync(join(CONTRACTS, name), "utf8");
  const directory = project(files);
  mkdirSync(join(directory, "node_modules"));
  symlinkSync(ROOT, join(directory, "node_modules/stillpoint"));
  const sources = Object.entries(files).filter(([name]) => name.endsWith(".ts"));
  for (const name of readdirSync(join(ROOT, "guest/modules")))
    sources.push([name, readFileSync(join(ROOT, "guest/modules", name), "utf8")]);
  for (const [name, text] of sources) assert.doesNotMatch(text, /ts-ignore|biome-ignore/, name);
  const run = (command: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, command), ...args], {
      cwd: directory,
      encoding: "utf8",
    });
    assert.equal(status, 0, stdout + stderr);
  };
  run("node_modules/typescript/bin/tsc", "-p", ".");
  run("node_modules/@biomejs/biome/bin/biome", "lint", "--error-on-warnings", ".");
});
