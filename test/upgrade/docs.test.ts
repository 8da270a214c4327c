/** The examples of docs/upgrading.md do what the page says. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const page = readFileSync(new URL("../../docs/upgrading.md", import.meta.url), "utf8");
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map(
    ([, code]) => code as string,
  );

test("the upgrades of docs/upgrading.md print what their comments say", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-upgrading-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const source = (path: string): string =>
    JSON.stringify(new URL(`../../runtime/${path}`, import.meta.url).href);
  const script = blocks("js")
    .join("")
    .replace('"stillpoint/compile"', source("compile.ts"))
    .replace('"stillpoint/app"', source("app/index.ts"))
    .replace('"stillpoint"', source("index.ts"));
  mkdirSync(join(directory, "node_modules"));
  writeFileSync(join(directory, "package.json"), '{ "type": "commonjs" }');
  const guests = blocks("ts").flatMap((code) => {
    const name = /^\/\/ (\w+\.ts)\n/.exec(code)?.[1];
    return name === undefined ? [] : [[name, code] as const];
  });
  assert.equal(guests.length, 5);
  for (const [name, code] of guests) writeFileSync(join(directory, name), code);
  writeFileSync(join(directory, "use.mjs"), script);
  const { status, stdout, stderr } = spawnSync(process.execPath, ["use.mjs"], {
    cwd: directory,
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  const said = [...script.matchAll(/console\.log\(.*\); \/\/ (.*)/g)].map(([, text]) => text);
  assert.deepEqual(stdout.trim().split("\n"), said);
  assert.ok(said.length > 5);
});
