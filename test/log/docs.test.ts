/** The program of docs/log.md prints what its comments say; its root is the first of guest/README.md. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { directoryWithPackage, ENV, ROOT } from "../cli/stillpoint.ts";

/** The first block of code of a page in TypeScript. */
function codeOf(page: string): string {
  return /^```ts\n([\s\S]*?)^```/m.exec(readFileSync(join(ROOT, page), "utf8"))?.[1] ?? "";
}

test("the program of docs/log.md prints what its comments say", () => {
  const program = codeOf("docs/log.md");
  const expected = [...program.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, text]) => text);
  assert.equal(expected.length, 3);
  const directory = directoryWithPackage("log");
  const source = (path: string): string => JSON.stringify(join(ROOT, "runtime", path));
  const script = program
    .replace('"stillpoint/compile"', source("compile.ts"))
    .replace('"stillpoint/log"', source("log/index.ts"))
    .replace('"stillpoint"', source("index.ts"));
  try {
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
    writeFileSync(join(directory, "counter.ts"), codeOf("guest/README.md"));
    writeFileSync(join(directory, "main.ts"), script);
    const options = { cwd: directory, encoding: "utf8", env: ENV } as const;
    const { stdout, stderr } = spawnSync(process.execPath, ["main.ts"], options);
    assert.deepEqual([stdout.trimEnd().split("\n"), stderr], [expected, ""]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
