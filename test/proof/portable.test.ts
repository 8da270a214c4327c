/** The verifier runs anywhere: it imports @noble/hashes alone and needs nothing but the language. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { verify } from "../../runtime/index.ts";
import { open } from "../fixture.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ENTRY = join(ROOT, "runtime/proof/verify.ts");

/** All that a file imports, directly and through others. Imports of types are gone when it runs. */
function importsOf(file: string, seen = new Set<string>()): Set<string> {
  // Examples in comments import what they like.
  const code = readFileSync(file, "utf8").replace(/^ *\*.*$/gm, "");
  const specifiers = code.matchAll(
    /^(?:import|export|\})(?! type\b)[^"'`;]* from "([^"]+)"|^import "([^"]+)"|\bimport\(|\brequire\(/gm,
  );
  for (const [text, from, bare] of specifiers) {
    const specifier = from ?? bare;
    assert.ok(specifier !== undefined, `${file}: ${text}`);
    const name = specifier.startsWith(".") ? join(dirname(file), specifier) : specifier;
    if (seen.has(name)) continue;
    seen.add(name);
    if (specifier.startsWith(".")) importsOf(name, seen);
  }
  return seen;
}

test("the verifier's imports are its formats, the record, errors, checks, sizes and @noble/hashes", () => {
  const names = [...importsOf(ENTRY)].map((name) => (name.startsWith("/") ? relative(ROOT, name) : name));
  assert.deepEqual(names.sort(), [
    "@noble/hashes/sha2.js",
    "runtime/arguments.ts",
    "runtime/errors.ts",
    "runtime/image/record.ts",
    "runtime/proof/format.ts",
    "runtime/proof/header.ts",
    "runtime/u64.ts",
    "runtime/units.ts",
  ]);
  const native = [...importsOf(join(ROOT, "runtime/proof/native.ts"))];
  assert.ok(native.includes("node:crypto"), "a walk that finds nothing proves nothing");
});

/** Loads the verifier into a realm that has what the language has and nothing else, and runs it there. */
const SCRIPT = `
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
const [, , entry, root, proof] = process.argv;
const context = vm.createContext({});
const modules = new Map();
const load = (url) => {
  if (modules.has(url)) return modules.get(url);
  const text = readFileSync(fileURLToPath(url), "utf8");
  const code = url.endsWith(".ts") ? stripTypeScriptTypes(text) : text;
  const module = new vm.SourceTextModule(code, { context, identifier: url });
  modules.set(url, module);
  return module;
};
const resolve = (specifier, from) =>
  specifier.startsWith(".") ? new URL(specifier, from).href : import.meta.resolve(specifier, from);
const module = load(entry);
await module.link((specifier, from) => load(resolve(specifier, from.identifier)));
await module.evaluate();
context.verify = module.namespace.verify;
const run = (root, hex) =>
  vm.runInContext(
    \`(() => {
      const bytes = Uint8Array.from("\${hex}".match(/../g), (pair) => parseInt(pair, 16));
      try {
        const { absent, path, address, bytes: found } = verify("\${root}", bytes);
        return JSON.stringify({ absent, path, address, bytes: Array.from(found) });
      } catch (error) {
        return error.code + " " + error.reason;
      }
    })()\`,
    context,
  );
console.log(run(root, proof));
console.log(run(root.replace(/./g, "0"), proof));
console.log(vm.runInContext("typeof process + typeof Buffer + typeof TextEncoder + typeof crypto", context));
`;

test("the verifier runs in a realm without Node, browser or any other global", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-proof-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const script = join(directory, "run.mjs");
  writeFileSync(script, SCRIPT);
  const runtime = await open();
  const proof = runtime.prove([], 1024, 16);
  const { root } = runtime.head;
  await runtime.close();
  const options = ["--experimental-vm-modules", "--experimental-import-meta-resolve", "--no-warnings"];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...options, script, new URL("../../runtime/proof/verify.ts", import.meta.url).href, root, hexOf(proof)],
    { encoding: "utf8" },
  );
  assert.equal(status, 0, stderr);
  const statement = verify(root, proof);
  assert.ok(statement.absent === null);
  const { absent, path, address, bytes } = statement;
  assert.deepEqual(stdout.trim().split("\n"), [
    JSON.stringify({ absent, path, address, bytes: [...bytes] }),
    "BAD_PROOF wrong-root",
    "undefined".repeat(4),
  ]);
});

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
