/** The first program in the README does what the README says. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

/** The first code block of that language. */
function codeBlock(language: string): string {
  const found = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(readme);
  assert.ok(found, `README.md has a code block of ${language}`);
  return found[1]!;
}

test("the README's first program prints what its comments say", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-readme-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const source = (path: string): string => new URL(`../runtime/${path}`, import.meta.url).href;
  const script = codeBlock("js").replace('"stillpoint/app"', JSON.stringify(source("app/index.ts")));
  mkdirSync(join(directory, "node_modules"));
  // What "npm init" makes.
  writeFileSync(join(directory, "package.json"), '{ "type": "commonjs" }');
  writeFileSync(join(directory, "bank.ts"), codeBlock("ts"));
  writeFileSync(join(directory, "use.mjs"), script);
  const { status, stdout, stderr } = spawnSync(process.execPath, ["use.mjs"], {
    cwd: directory,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  const comments = [...codeBlock("js").matchAll(/console\.log\(.*\); \/\/ (.*)/g)].map(([, text]) => text);
  assert.deepEqual(stdout.trim().split("\n"), comments);
});
