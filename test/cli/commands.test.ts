/** The command line itself: help, what is said of wrong words, other names, completions. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { CommandSpec, OptionSpec } from "../../runtime/cli/command.ts";
import { secondWord, usage } from "../../runtime/cli/command.ts";
import { offer } from "../../runtime/cli/completion.ts";
import { parseInput } from "../../runtime/cli/parse.ts";
import { type CommandName, EXAMPLES, GROUPS, OTHER_NAMES, TABLE } from "../../runtime/cli/table.ts";
import { closest } from "../../runtime/suggest.ts";
import { cliPage } from "../../scripts/cli-page.ts";
import { MAIN, stillpoint } from "./stillpoint.ts";

const commands = Object.entries(TABLE) as [CommandName, CommandSpec][];

test("every command has a page, and its example is one of its own lines", () => {
  for (const [name, spec] of commands) {
    const words = spec.example.split(" ");
    assert.equal(words[0], name.split(" ")[0], `the example of ${name}`);
    const rest = words.slice(1).filter((word, i) => !(i < 2 && word === secondWord(name, spec)));
    assert.doesNotThrow(() => parseInput(name, spec, rest), `the example of ${name}`);
  }
  const { status, stdout, stderr } = stillpoint("inspect", "state", "diff", "--help");
  assert.deepEqual([status, stderr], [0, ""]);
  assert.ok(stdout.includes(usage("inspect diff", TABLE["inspect diff"])));
  for (const option of ["limit", "json", "help"]) assert.ok(stdout.includes(`--${option}`));
});

test("options of one name take the same kind of value throughout a group", () => {
  for (const group of Object.keys(GROUPS)) {
    const kinds = new Map<string, boolean>();
    for (const [name, { options = {} }] of commands) {
      if (!name.startsWith(`${group} `)) continue;
      for (const [option, { value }] of Object.entries<OptionSpec>(options)) {
        const takes = value !== undefined;
        assert.equal(kinds.get(option) ?? takes, takes, `--${option} of ${name}`);
        kinds.set(option, takes);
      }
    }
  }
});

test("the overview names every command and group", () => {
  const { status, stdout, stderr } = stillpoint("--help");
  assert.deepEqual([status, stderr], [0, ""]);
  for (const [name] of commands) {
    const [first, second] = name.split(" ") as [string, string?];
    assert.match(stdout, new RegExp(`\\b${second ?? first}\\b`), name);
  }
  for (const name of [...Object.keys(GROUPS), ...Object.keys(EXAMPLES)])
    assert.ok(stdout.includes(name), name);
  assert.match(stdout, /^Exit codes:$/m);
  assert.equal(stillpoint("help", "build").stdout, stillpoint("build", "--help").stdout);
  const bare = stillpoint();
  assert.deepEqual([bare.status, bare.stdout, bare.stderr], [2, "", stdout]);
});

test("docs/cli.md says what the table says", () => {
  const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");
  assert.equal(page, cliPage(page), "run: node scripts/cli-page.ts");
});

const wrong: readonly [args: string[], text: RegExp][] = [
  [
    ["biuld", "app.ts"],
    /^stillpoint: no command "biuld"; did you mean "build"\? --help lists what there is\n$/,
  ],
  [["frobnicate"], /^stillpoint: no command "frobnicate"; --help lists what there is\n$/],
  [["interface"], /missing argument: FILE; usage: stillpoint interface FILE/],
  [["build"], /which app\? Name its file on the command line, or in package\.json/],
  [["build", "a.ts", "b.ts"], /unexpected argument "b\.ts"; usage: stillpoint build \[APP\.ts\]/],
  [["build", "a.ts", "--chekc"], /there is no option --chekc; did you mean "--check"\?/],
  [["build", "a.ts", "--check=yes"], /--check takes no value, got "yes"/],
  [["build", "a.ts", "--check", "--watch"], /exclude each other/],
  [["build", "a.ts", "--out"], /--out needs a value: --out DIR/],
  [["build", "a.ts", "--out", "--check"], /--out needs a value: --out DIR/],
  [["build", "/nowhere/a.ts"], /no guest source \/nowhere\/a\.ts/],
  [["compile", "a.ts", "-o"], /-o needs a value: -o FILE/],
  [
    ["compile", "a.ts", "--runtime", "stubb"],
    /must be stub, minimal or incremental, got "stubb"; did you mean "stub"\?/,
  ],
  [["compile", "a.ts", "--stack-size", "1e3"], /must be a whole number from 0 to 1073741824, got "1e3"/],
  [["compile", "a.ts", "--define", "X"], /--define must be NAME=N, as LIMIT=100, got "X"/],
  [["compile", "a.ts", "-x"], /there is no option -x/],
  [["admit", "/nowhere.wasm"], /\/nowhere\.wasm: cannot be read: no such file or directory\n$/],
  [["admit", ""], /the argument FILE is empty/],
  [["completion", "tcsh"], /SHELL must be bash, zsh, fish, got "tcsh"; did you mean "bash"\?/],
  [
    ["store", "blocks", "state", "--json"],
    /"store blocks" is called: stillpoint inspect state blocks --json\n/,
  ],
  [["inspect", "."], /^stillpoint inspect: which of blocks, process/],
  [["proof", "chekc", "a.proof"], /no command "chekc"; did you mean "check"\? there is check\n$/],
  [["inspect", "blocks", "/nowhere"], /^stillpoint inspect blocks: there is no store in \/nowhere\n$/],
  [["query", "A.b", "--url", "here"], /--url must be a URL, as http:\/\/127\.0\.0\.1:8545, got "here"/],
  [["new", "package.json/hello"], /package\.json: cannot be written: ENOTDIR/],
  [["init", "hello"], /"init" is called: stillpoint new hello\n/],
];

test("a wrong line is answered with exit code 2, one sentence and no stack", () => {
  for (const [args, text] of wrong) {
    const { status, stdout, stderr } = stillpoint(...args);
    assert.deepEqual([status, stdout], [2, ""], `${args.join(" ")}: ${stderr}`);
    assert.match(stderr, text);
    assert.ok(stderr.trim().split("\n").length <= 2, stderr);
  }
  const { error } = JSON.parse(stillpoint("build", "/nowhere/a.ts", "--json").stderr);
  assert.equal(error.code, "E_GUEST_MISSING");
});

test("other names lead to commands that there are", () => {
  for (const [other, line] of Object.entries(OTHER_NAMES)) {
    assert.ok(!(other in TABLE), `${other} is a command`);
    const words = line.split(" ");
    assert.ok(
      [words[0], `${words[0]} ${words[2]?.replace(/^--/, "")}`].some((name) => (name as string) in TABLE),
      line,
    );
  }
});

test("the closest word is found, and none where none is close", () => {
  const known = ["build", "inspect", "store", "new"];
  for (const [word, found] of [
    ["bulid", "build"],
    ["isnpect", "inspect"],
    ["STORE", "store"],
    ["nwe", "new"],
    ["dev", "new"],
    ["x", null],
    ["export", null],
  ] as const) {
    assert.equal(closest(word, known), word === "dev" ? null : found, word);
  }
});

test("completions offer words, options, choices and files", () => {
  assert.deepEqual(offer([], "comp").words, ["compare", "compile", "completion"]);
  assert.deepEqual(offer(["inspect"], "").files, "directory");
  assert.deepEqual(offer(["inspect", "state"], "pro").words, ["process", "profile", "proof"]);
  assert.deepEqual(offer(["inspect", "state"], "--w").words, ["--web"]);
  assert.deepEqual(offer(["inspect", "state", "diverge", "--by"], "").words, ["id", "data"]);
  assert.deepEqual(offer(["inspect", "state", "diverge"], "").files, "directory");
  assert.deepEqual(offer(["inspect", "state", "diverge", "--by", "id"], "").files, "directory");
  assert.deepEqual(offer(["compile", "a.ts", "-o"], ""), { words: [], files: "file" });
  assert.deepEqual(offer(["build", "a.ts"], "--c").words, ["--check"]);
  assert.deepEqual(offer(["nonsense"], ""), { words: [], files: "none" });
});

test("bash completes by the script", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-completion-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const script = stillpoint("completion", "bash").stdout;
  const completed = (...words: string[]): string[] => {
    const file = join(directory, "complete.sh");
    const quoted = ["stillpoint", ...words].map((word) => `'${word}'`).join(" ");
    writeFileSync(
      file,
      `stillpoint() { "${process.execPath}" "${MAIN}" "$@"; }
compopt() { :; }
${script}
COMP_WORDS=(${quoted})
COMP_CWORD=${words.length}
_stillpoint
printf '%s\\n' "\${COMPREPLY[@]}"`,
    );
    return spawnSync("bash", [file], { encoding: "utf8", cwd: directory }).stdout.trim().split("\n");
  };
  assert.deepEqual(completed("st"), ["store"]);
  assert.deepEqual(completed("inspect", "state", "ve"), ["verify"]);
  assert.deepEqual(completed("compile", "complete.sh", "-o", "com"), ["complete.sh"]);
  assert.deepEqual(completed("build", "x.ts", "--w"), ["--watch"]);
  assert.deepEqual(completed("build", ""), ["complete.sh"], "files, and not the word for them");
  assert.deepEqual(completed("dev", "--port", ""), [""]);
  for (const shell of ["zsh", "fish"])
    assert.match(stillpoint("completion", shell).stdout, /stillpoint --complete/);
});

test("a pipe that closes early, and output that is not read", () => {
  const line = `"${process.execPath}" "${MAIN}" --help | head -1`;
  const { stdout, stderr } = spawnSync("bash", ["-o", "pipefail", "-c", line], { encoding: "utf8" });
  assert.deepEqual([stdout.split("\n").length, stderr], [2, ""]);
});

test("the messages of the runtime name commands that there are", () => {
  const texts = [
    "chain/open.ts",
    "chain/stored.ts",
    "store/structure.ts",
    "store/record.ts",
    "store/failures.ts",
  ];
  const files = [...texts, "chain/recompute.ts", "store/writer.ts", "store/state.ts", "heap/stub.ts"];
  for (const name of files) {
    const text = readFileSync(new URL(`../../runtime/${name}`, import.meta.url), "utf8");
    for (const [, group, word] of text.matchAll(/"stillpoint (\w+) DIR (\w+)"/g))
      assert.ok(`${group} ${word}` in TABLE, `${name}: ${group} ${word}`);
    assert.doesNotMatch(text, /"stillpoint store (verify|blocks|diverge|export|repair|salvage)"/);
  }
});
