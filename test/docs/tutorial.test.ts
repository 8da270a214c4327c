/** docs/tutorial.md: its files are written and its lines run, in order, as a reader would. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { directoryWithPackage, ENV, type Ended, MAIN } from "../cli/stillpoint.ts";
import { blocksOf, pageOf, writeBlock } from "./pages.ts";

const steps = pageOf("docs/tutorial.md").split(/^## /m).slice(1);

test("the tutorial prints what it says", (t) => {
  const directory = directoryWithPackage("tutorial");
  t.after(() => rmSync(directory, { recursive: true }));
  let cwd = directory;
  assert.equal(steps.length, 6);
  for (const step of steps) {
    let said = "";
    for (const block of blocksOf("docs/tutorial.md", step)) {
      const { language, text } = block;
      if (language === "text") {
        for (const line of text.trim().split("\n")) assert.ok(said.includes(line), `${line} in\n${said}`);
      } else if (language === "sh") {
        for (const line of text.trim().split("\n")) {
          if (line.startsWith("cd ")) {
            cwd = join(cwd, line.slice(3));
            continue;
          }
          const { status, stdout, stderr } = run(line, cwd);
          assert.equal(status, 0, `${line}\n${stdout}${stderr}`);
          said += stdout;
        }
      } else {
        assert.ok(writeBlock(cwd, block), `a block of ${language} names its file`);
      }
    }
  }
});

function run(line: string, cwd: string): Ended {
  const command = line
    .replace(/^npx stillpoint/, `"${process.execPath}" "${MAIN}"`)
    .replace(/^node /, `"${process.execPath}" `);
  return spawnSync("bash", ["-c", command], { cwd, env: ENV, encoding: "utf8" });
}
