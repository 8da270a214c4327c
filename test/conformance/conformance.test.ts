/** Scripts of the official test suite, and that the runner sees what is wrong. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { runScript, type Totals } from "./run.ts";
import { bitsOf } from "./values.ts";

const EXPECTED: Totals = {
  passed: 368,
  failed: 0,
  skipped: 33,
  reasons: { "unknown-import": 26, "parser of the text format": 7 },
};

function command(directory: string): { status: number | null; totals: Totals; stdout: string } {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [main, directory, "--json"], { encoding: "utf8" });
  return { status, stdout, totals: JSON.parse(stdout.trimEnd().split("\n").at(-1) as string) };
}

async function inScript(source: string): Promise<Totals & { failures: string[] }> {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-conformance-"));
  try {
    const path = join(directory, "script.wast");
    writeFileSync(path, source);
    const failures: string[] = [];
    const totals = await runScript(path, (line, text) => failures.push(`${line}: ${text}`));
    return { ...totals, failures };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("the command runs scripts of the official suite, and none of their checks fails", () => {
  const { status, totals } = command(fileURLToPath(new URL("wast", import.meta.url)));
  assert.deepEqual(totals, EXPECTED);
  assert.equal(status, 0);
});

test("the command fails where a check does, or where there is no script", () => {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-conformance-"));
  try {
    const empty = command(directory);
    assert.deepEqual([empty.status, empty.totals.passed], [1, 0]);
    const source = '(module (func (export "f") (result i32) (i32.const 1)))';
    writeFileSync(join(directory, "wrong.wast"), `${source} (assert_return (invoke "f") (i32.const 2))`);
    const wrong = command(directory);
    assert.deepEqual([wrong.status, wrong.totals.passed, wrong.totals.failed], [1, 1, 1]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

const MODULE = `(module
  (memory 1)
  (table 2 funcref) (elem (i32.const 0) 0)
  (global (export "g") (mut f32) (f32.const nan:0x200000))
  (func (export "same") (param i32 f64 v128 externref) (result v128 externref f64 i32)
    (local.get 2) (local.get 3) (local.get 1) (local.get 0))
  (func (export "div") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func (export "get") (param i32) (drop (table.get (local.get 0))))
  (func (export "call") (param i32) (call_indirect (local.get 0)))
  (func (export "endless") (call 4)))`;

test("values of all types go in and out with all their bits", async () => {
  const { passed, failures } = await inScript(`${MODULE}
    (assert_return (invoke "same" (i32.const -1) (f64.const -nan:0x4000000000001)
      (v128.const f32x4 nan:0x200001 -0 1 inf) (ref.null extern))
      (v128.const f32x4 nan:0x200001 -0 1 inf) (ref.null extern) (f64.const -nan:0x4000000000001)
      (i32.const 0xffff_ffff))
    (assert_return (get "g") (f32.const nan:0x200000))
    (assert_trap (invoke "get" (i32.const 2)) "out of bounds table access")
    (assert_trap (invoke "call" (i32.const 2)) "undefined element")
    (assert_trap (invoke "div" (i32.const 0)) "integer divide by zero")`);
  assert.deepEqual(failures, []);
  assert.equal(passed, 6);
});

test("wrong results, wrong faults and missing ones are failures", async () => {
  const { failed, failures } = await inScript(`${MODULE}
    (assert_return (get "g") (f32.const nan:canonical))
    (assert_return (get "g") (f32.const nan:arithmetic))
    (assert_return (invoke "div" (i32.const 1)) (i32.const 2))
    (assert_return (invoke "div" (i32.const 1)) (i64.const 1))
    (assert_return (invoke "div" (i32.const 1)))
    (assert_return (invoke "div" (i32.const 0)) (i32.const 0))
    (assert_trap (invoke "div" (i32.const 1)) "integer divide by zero")
    (assert_trap (invoke "div" (i32.const 0)) "unreachable")
    (assert_trap (invoke "get" (i32.const 2)) "undefined element")
    (invoke "div" (i32.const 0))
    (invoke "nothing")`);
  assert.equal(failed, 11, failures.join("\n"));
});

test("what is skipped has its reason, and so has what depends on it", async () => {
  const { passed, reasons, failures } = await inScript(`
    (module $A (memory (export "m") 1) (func (export "f") (result i32) (i32.load (i32.const 0))))
    (assert_return (invoke "f") (i32.const 0))
    (register "A" $A)
    (module (import "A" "m" (memory 1)) (data (i32.const 0) "x") (func (export "f")))
    (invoke "f")
    (invoke $A "f")
    (module $B (table 1 funcref) (func (export "f") (table.set (i32.const 0) (ref.null func))))
    (invoke $B "f")
    (assert_malformed (module quote "(func") "unexpected end")`);
  assert.deepEqual(failures, []);
  assert.equal(passed, 2);
  assert.deepEqual(reasons, { "unknown-import": 3, "table-mutation": 2, "parser of the text format": 1 });
});

test("literals are rounded once", () => {
  const f64 = (text: string) => new Float64Array(BigUint64Array.of(bitsOf(text, 64, true)).buffer)[0];
  const f32 = (text: string) => new Float32Array(Uint32Array.of(Number(bitsOf(text, 32, true))).buffer)[0];
  for (const text of ["0", "1", "0.1", "-1e-320", "5e-324", "2e-324", "1.7976931348623159e308", "1e-400"]) {
    assert.equal(f64(text), Number(text), text);
    assert.equal(f32(text), Math.fround(Number(text)), text);
  }
  assert.equal(f64("0x1.8p-1074"), 2 ** -1073);
  assert.equal(f64("0x0.8p-1074"), 0);
  // Through a double it would be rounded twice.
  assert.equal(f32("+0x1.00000100000000001p-50"), 2 ** -50 * (1 + 2 ** -23));
  assert.equal(f32("0x1.00000100000000000p-50"), 2 ** -50);
  assert.equal(f32("340282356779733661637539395458142568447"), 2 ** 128 - 2 ** 104);
  assert.equal(f32("340282356779733661637539395458142568448"), Number.POSITIVE_INFINITY);
});
