/** Every example of guest/README.md compiles as it stands, and the first one does what it says. */

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compileGuest } from "../../runtime/compile.ts";
import { ROOT } from "./harness.ts";
import { Toy } from "./toy.ts";

// In the package, at a fixed place: so the compiler's cache knows the examples again, and the package is its
// own SDK.
const DIRECTORY = join(ROOT, ".cache", "readme");

const text = readFileSync(join(ROOT, "guest/README.md"), "utf8");
const examples = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1]!);

async function compileExample(i: number): Promise<Uint8Array> {
  mkdirSync(DIRECTORY, { recursive: true });
  const file = join(DIRECTORY, `example-${i}.ts`);
  writeFileSync(file, examples[i]!);
  return compileGuest(file, { optimize: false, baseDirectory: DIRECTORY });
}

for (const [i, example] of examples.entries()) {
  const exported = [...example.matchAll(/export function (\w+)/g)].map((match) => match[1]!);
  if (example.includes("export { forked }")) exported.push("forked");
  for (const match of example.matchAll(/export const (STATE_\w+)/g)) exported.push(match[1]!);
  const isTyped = example.includes("@contract");
  if (isTyped) exported.push("__transaction", "__view");
  if (example.includes("@setup")) exported.push("__setup");
  test(`the example ${exported.join(", ")} compiles to a program`, async () => {
    const module = new WebAssembly.Module((await compileExample(i)) as Uint8Array<ArrayBuffer>);
    assert.deepEqual(
      WebAssembly.Module.exports(module)
        .map(({ name }) => name)
        .filter((name) => !isTyped || !name.startsWith("STATE_"))
        .sort(),
      [...exported, "memory"].sort(),
    );
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      assert.match(`${from}.${name}`, /^(stillpoint\.(put|get|ret|snapshot|accumulate)|env\.abort)$/);
    }
  });
}

test("the first guest adds its blocks", async () => {
  const blocks = [5n, 7n].map((number) => new Uint8Array(new BigUint64Array([number]).buffer));
  const data = new Toy([]).run(await compileExample(0), blocks);
  assert.deepEqual(
    data.map((bytes) => new DataView(bytes.buffer).getBigUint64(0, true)),
    [0n, 5n, 12n],
  );
});

test("every name that the SDK exports is explained", () => {
  const index = readFileSync(join(ROOT, "guest/index.ts"), "utf8");
  for (const [, list] of index.matchAll(/export \{ (.*?) \} from/gs)) {
    for (const name of list!.split(",").map((each) => each.trim())) {
      if (name === "PAGE_BYTES" || name === "RECORD_BYTES" || name === "multiplyHigh") continue;
      assert.ok(text.includes(name), `guest/README.md does not mention ${name}`);
    }
  }
});
