/** The blocks of code of all pages are run: here, or by a test that the table below names. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { format } from "node:util";
import { findCommand, parseInput } from "../../runtime/cli/parse.ts";
import { TABLE } from "../../runtime/cli/table.ts";
import { ENV, ROOT } from "../cli/stillpoint.ts";
import { blocksOf, type CodeBlock, isLike, nameOf, PAGES, saidBy, writeBlock, writeText } from "./pages.ts";
import { PROGRAMS, type Program } from "./programs.ts";

const UPGRADING = "docs/upgrading.md";
// At a fixed place, so that the compiler's cache knows the guests again.
const DIRECTORY = join(ROOT, ".cache", "docs");
rmSync(DIRECTORY, { recursive: true, force: true });

const placeOf = ({ page, line }: CodeBlock): string => `${page}:${line}`;

/** Writes a program and its files; those with the same files share a directory, and so what is compiled. */
function written({ page, text, blocks, files }: Program, name: string): { directory: string; main: string } {
  const directory = join(DIRECTORY, [page, ...Object.keys(files)].join("-").replaceAll("/", "-"));
  writeText(directory, "package.json", '{ "type": "module" }');
  for (const block of blocksOf(page)) if (page === UPGRADING) writeBlock(directory, block);
  for (const [file, content] of Object.entries(files)) writeText(directory, file, content);
  const main = `${name}.${blocks[0]?.language === "ts" ? "ts" : "mjs"}`;
  writeText(directory, main, text);
  return { directory, main: join(directory, main) };
}

for (const [i, program] of PROGRAMS.entries()) {
  if (program.isTest) continue;
  test(`${placeOf(program.blocks[0] as CodeBlock)} prints what its comments say`, async (t) => {
    const { directory, main } = written(program, `main-${i}`);
    const printed: string[] = [];
    t.mock.method(console, "log", (...values: unknown[]) => void printed.push(format(...values)));
    const before = process.cwd();
    process.chdir(directory);
    try {
      await import(main);
    } finally {
      process.chdir(before);
    }
    const said = saidBy(program.text);
    assert.ok(
      said.length > 0 && isLike(printed.join("\n"), said),
      `${printed.join("\n")}\nis not\n${said.join("\n")}`,
    );
  });
}

test("the tests on pages pass", () => {
  const tests = PROGRAMS.filter(({ isTest }) => isTest);
  const files = tests.map((program, i) => written(program, `test-${i}`));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--test", "--test-isolation=none", ...files.map(({ main }) => main)],
    { cwd: files[0]?.directory, encoding: "utf8", env: { ...ENV, STILLPOINT_UPDATE_GAS: "1" } },
  );
  assert.equal(status, 0, `${stdout}${stderr}`);
  const count = tests.flatMap(({ text }) => [...text.matchAll(/^test\(/gm)]).length;
  assert.ok(count > 5 && stdout.includes(`ℹ pass ${count}\n`), stdout);
});

/** Pages that other tests run whole: blocks of these languages. */
const RUN_ELSEWHERE: readonly [page: string, languages: readonly string[], test: string][] = [
  ["docs/tutorial.md", ["sh", "ts", "js", "text"], "test/docs/tutorial.test.ts"],
  ["docs/recipes.md", ["ts", "js"], "test/docs/recipes.test.ts"],
  ["guest/README.md", ["ts"], "test/guest/readme.test.ts"],
  ["docs/inspector.md", ["ts"], "test/inspector/layout.test.ts"],
];

/** Blocks that nothing runs, and why. */
const NOT_RUN: readonly [page: string, words: string, why: string][] = [
  ["docs/cli.md", "~/.bashrc", "lines for files of shells; test/cli/commands.test.ts runs what they run"],
];

/** Those of the blocks that no test runs. */
function notRun(blocks: readonly CodeBlock[]): string[] {
  const run = new Set(PROGRAMS.flatMap((program) => program.blocks.map(placeOf)));
  const texts = PROGRAMS.flatMap(({ files }) => Object.values(files));
  const isRun = (block: CodeBlock): boolean =>
    run.has(placeOf(block)) ||
    texts.includes(block.text) ||
    (block.page === UPGRADING && nameOf(block) !== null) ||
    RUN_ELSEWHERE.some(([page, languages]) => page === block.page && languages.includes(block.language)) ||
    NOT_RUN.some(([page, words]) => page === block.page && block.text.includes(words));
  const isChecked = ({ language, text }: CodeBlock): boolean =>
    (language === "sh" && text.trim().split("\n").every(isCommand)) ||
    (language === "json" && isBlockFile(text));
  return blocks.filter((block) => !isRun(block) && !isChecked(block)).map(placeOf);
}

test("every block of code is run, and one that is not is found", () => {
  for (const [, , file] of RUN_ELSEWHERE) assert.ok(existsSync(join(ROOT, file)), file);
  const all = PAGES.flatMap((page) => blocksOf(page)).filter(({ language }) => language !== "");
  assert.ok(all.length > 100, String(all.length));
  assert.deepEqual(notRun(all), [], "add it to test/docs/programs.ts");
  const added = blocksOf("docs/log.md", "\n```js\nawait follower.sleep();\n```\n");
  assert.deepEqual(notRun(added), ["docs/log.md:2"]);
});

test("a line of a shell that calls nothing is found", () => {
  for (const line of [
    "npm run no-such-script",
    "npx stillpoint frobnicate",
    "npx stillpoint build a.ts --no",
  ])
    assert.ok(!isCommand(line), line);
});

/** Whether a line of a shell calls what there is. */
function isCommand(line: string): boolean {
  const commands = line.replace(/ +#.*/, "").split(" && ");
  return commands.every((command) => {
    const [first, second = "", ...rest] = command.split(" ");
    if (first === "node") return existsSync(join(ROOT, rest.at(-1) as string));
    if (first === "npx") return second === "stillpoint" && isParsed(rest);
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    return (
      first === "npm" && (second === "ci" || (second === "run" ? (rest[0] as string) : second) in scripts)
    );
  });
}

function isParsed(words: readonly string[]): boolean {
  const found = findCommand(TABLE, words);
  if (found === null) return false;
  try {
    parseInput(found.name, TABLE[found.name as keyof typeof TABLE], found.rest);
    return true;
  } catch {
    return false;
  }
}

/** Whether it has the fields of a block of the ledger. */
function isBlockFile(text: string): boolean {
  const file = JSON.parse(readFileSync(join(ROOT, "examples/ledger/blocks/46147.json"), "utf8"));
  const fields = (value: object): string[] => Object.keys(value).sort();
  const shown = JSON.parse(text);
  assert.deepEqual(fields(shown), fields(file));
  assert.deepEqual(fields(shown.transactions[0]), fields(file.transactions[0]));
  return true;
}
