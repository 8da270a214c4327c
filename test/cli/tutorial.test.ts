/** docs/tutorial.md: its files are written and its lines run, in order, as a reader would. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { directoryWithPackage, ENV, type Ended, MAIN, ROOT } from "./stillpoint.ts";

const page = readFileSync(join(ROOT, "docs/tutorial.md"), "utf8");
const steps = page.split(/^## /m).slice(1);

/** The package by its sources: names in imports are paths. */
function here(text: string): string {
  const app = new URL("../../runtime/app/index.ts", import.meta.url).href;
  return text.replaceAll('"stillpoint/app"', JSON.stringify(app));
}

test("the tutorial does what it says", (t) => {
  const directory = directoryWithPackage("tutorial");
  t.after(() => rmSync(directory, { recursive: true }));
  let cwd = directory;
  assert.equal(steps.length, 6);
  for (const step of steps) {
    let said = "";
    for (const [, language, text = ""] of step.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
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
        const [, name] = /^\/\/ (\S+)\n/.exec(text) ?? [];
        assert.ok(name, `a block of ${language} names its file`);
        writeFileSync(
          join(cwd, name),
          language === "ts" && name.startsWith("contracts/") ? text : here(text),
        );
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
