/** Examples in the doc comments of the embedding API run, with a runtime over a root that adds bytes up. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as debug from "../../runtime/debug.ts";
import * as main from "../../runtime/index.ts";
import { verify as verifyAnywhere, verifyBy } from "../../runtime/proof/verify.ts";
import * as store from "../../runtime/store.ts";
import { guest } from "../fixture.ts";
import { EMBEDDING } from "./example-files.ts";

const api = { ...main, ...store, ...debug };
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const directory = mkdtempSync(join(tmpdir(), "stillpoint-examples-"));
after(() => rmSync(directory, { recursive: true }));
const root = await guest("sum");

type Body = (...values: unknown[]) => Promise<void>;
const AsyncFunction = (async () => {}).constructor as new (...parameters: string[]) => Body;

function examplesOf(file: string): string[] {
  const blocks = readFileSync(join(ROOT, file), "utf8").matchAll(
    / \* @example\n \* ```ts\n([\s\S]*?) \* ```/g,
  );
  const inner = readFileSync(join(ROOT, file), "utf8").matchAll(
    / {3}\* @example\n {3}\* ```ts\n([\s\S]*?) {3}\* ```/g,
  );
  return [...blocks, ...inner].map(([, text]) => (text as string).replace(/^ {1,3}\* ?/gm, ""));
}

for (const file of EMBEDDING) {
  test(`the examples in ${file} run and print what their comments say (…: anything)`, async () => {
    const examples = examplesOf(file);
    assert.ok(examples.length > 0);
    for (const written of examples) {
      const place = mkdtempSync(join(directory, "store-"));
      const store = /"state"/.test(written) ? { store: join(place, "state") } : {};
      const example = written.replace(/"(state|copy)"/g, (_, name) => JSON.stringify(join(place, name)));
      const runtime = await api.Runtime.open({ root, workers: 1, ...store });
      const printed: string[] = [];
      const scope: Record<string, unknown> = {
        ...api,
        ...(file.endsWith("verify.ts") ? { verify: verifyAnywhere, verifyBy } : {}),
        assert,
        runtime,
        compileGuest: async () => root,
        console: { log: (...values: unknown[]) => printed.push(values.map(String).join(" ")) },
      };
      const names = Object.keys(scope).filter((name) => !new RegExp(`const ${name}\\b`).test(example));
      await new AsyncFunction(...names, example)(...names.map((name) => scope[name]));
      await runtime.close();
      assert.ok(printed.length > 0 || example.includes("assert"), example);
      const said = [...example.matchAll(/^(?:console\.log\(.*\); )?\/\/ (.*)$/gm)].map(([, text]) => text);
      const text = printed.join("\n");
      for (const line of said as string[]) {
        const pattern = line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("…", ".*");
        assert.match(text, new RegExp(`^${pattern}$`, "m"), example);
      }
    }
  });
}
