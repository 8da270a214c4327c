/** Stacks of faults: functions and source lines, in programs that return and in those that suspend. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { compileGuest } from "../../runtime/compile.ts";
import { addSources, formatFaults, type TraceEvent } from "../../runtime/debug.ts";
import { programHash, Runtime } from "../../runtime/index.ts";

const FOLDER = "test/guests/stack";
const path = (file: string): string => fileURLToPath(new URL(`../guests/stack/${file}.ts`, import.meta.url));
const sources = new Map(
  ["root", "child"].map((file) => [file, readFileSync(path(file), "utf8").split("\n")]),
);

/** Where the comment `// text` stands. */
function line(file: string, text: string): string {
  const index = (sources.get(file) as string[]).findIndex((one) => one.endsWith(`// ${text}`));
  assert.ok(index >= 0, text);
  return `${FOLDER}/${file}.ts:${index + 1}`;
}

/** Functions and lines of the faults, without columns. */
function faults(events: readonly TraceEvent[]): string[][] {
  return events.flatMap((event) => {
    if (event.what !== "end" || event.fault === "none") return [];
    const places = event.stack.map(({ name, source }) => {
      assert.ok(source !== null && source.column > 0, name);
      return `${name.slice(name.lastIndexOf("/") + 1)} ${source.file}:${source.line}`;
    });
    return [[event.fault, ...places]];
  });
}

let root: Uint8Array;
let child: Uint8Array;

before(async () => {
  // The optimiser would put all functions of the child into one.
  root = await compileGuest(path("root"), { optimize: false });
  child = await compileGuest(path("child"), { optimize: false });
});

const open = async (): Promise<Runtime> => {
  const runtime = await Runtime.open({ root, programs: [child], workers: 1, gasLimit: 1e9 });
  await runtime.produce(programHash(child));
  return runtime;
};

test("every fault of a child has its stack, with source lines", async () => {
  await using runtime = await open();
  const block = await runtime.produce(Uint8Array.of(0, 1, 2, 3, 4, 5));
  const events = faults((await runtime.trace(block)).events);
  const [divide, reach, refuse, spin, descend, copy] = events as string[][];
  const at = (name: string): string => `${name} ${line("child", name)}`;
  const go = (name: string): string => `go ${line("child", `go ${name}`)}`;
  assert.deepEqual(divide, ["division-by-zero", at("divide"), go("divide")]);
  assert.deepEqual(reach, ["memory-bounds", at("reach"), go("reach")]);
  assert.deepEqual(refuse, ["abort", at("refuse"), go("refuse")]);
  assert.deepEqual(spin?.[0], "out-of-gas");
  assert.match(spin?.[1] ?? "", /^spin /);
  assert.equal(spin?.[2], go("spin"));
  assert.deepEqual(descend?.[0], "call-depth");
  assert.equal(descend?.length, 1 + 64);
  assert.equal(descend?.[2], at("descend"));
  const text = formatFaults(await runtime.trace(block));
  assert.match(text, /faulted: call-depth\n.*\n {4}at \S*descend \(.*\)\n {4}… and 62 times more\n/);
  assert.match(text, /faulted: memory-bounds: .* \d+ bytes\n {4}at \S*reach \(.*\)\n {4}at \S*go \(.*\)\n/);
  assert.deepEqual(copy, ["memory-bounds", at("copy"), go("copy")]);
});

test("a block that fails can be tried again for its stack, and is forgotten", async () => {
  await using runtime = await open();
  const { head } = runtime;
  const metadata = Uint8Array.of(2, 255);
  await assert.rejects(runtime.produce(metadata), { code: "BLOCK_FAULT" });
  const tried = await runtime.trace({ metadata });
  assert.deepEqual([tried.root, tried.data.length], [null, 0], "there is no block");
  assert.deepEqual(faults(tried.events).at(-1), [
    "memory-bounds",
    `look ${line("root", "look")}`,
    `serve ${line("root", "serve")}`,
    `main ${line("root", "main")}`,
  ]);
  assert.equal(runtime.head, head);
  const text = formatFaults(tried).split("\n");
  assert.equal(formatFaults(tried.events), formatFaults(tried));
  assert.match(text[0] ?? "", /^\/1 faulted: abort: too much in test\/guests\/stack\/child.ts$/);
  assert.match(text[1] ?? "", /^ {4}at \S*refuse \(test\/guests\/stack\/child\.ts:\d+:\d+\)$/);
  await assert.rejects(runtime.trace({ metadata: new Uint8Array(5000) }), { code: "METADATA_TOO_LONG" });
  await runtime.produce(Uint8Array.of(0));
});

test("without sources functions have numbers and offsets, with a map of one's own lines", async () => {
  // The same code, another name: this process does not know it.
  const own = Uint8Array.from([...child, 0, 2, 1, 0x78]);
  await using runtime = await Runtime.open({ root, programs: [own], workers: 1, gasLimit: 1e9 });
  await runtime.produce(programHash(own));
  const block = await runtime.produce(Uint8Array.of(0));
  const stackOf = async () =>
    (await runtime.trace(block)).events.flatMap((one) => ("stack" in one ? one.stack : []));
  const [divide, go] = await stackOf();
  assert.equal(divide?.name, `function ${divide?.functionIndex}`);
  assert.equal(divide?.source, null);
  assert.equal(own[divide?.offset ?? 0], 0x6d); // i32.div_s
  assert.equal(own[go?.offset ?? 0], 0x10); // call
  const mappings = `${vlq(divide?.offset as number)}AUG`; // source 0, line 11, column 4
  addSources(own, { map: JSON.stringify({ version: 3, names: [], sources: ["own.c"], mappings }) });
  assert.deepEqual((await stackOf())[0]?.source, { file: "own.c", line: 11, column: 4 });
  assert.throws(() => addSources(own, { map: "no map" }), { code: "BAD_ARGUMENT" });
});

/** A number of a source map. */
function vlq(value: number): string {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  let rest = value << 1;
  let text = "";
  do {
    text += digits[(rest & 31) | (rest > 31 ? 32 : 0)];
    rest >>>= 5;
  } while (rest > 0);
  return text;
}
