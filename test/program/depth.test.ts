/** Endless recursion of every shape ends with a fault, in every tier. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { FAULT_CALL_DEPTH } from "../../syscalls/abi.ts";
import { sized } from "../sizes.ts";

const shapes = new URL("./depth-shapes.ts", import.meta.url).pathname;

const TIERS = [[], ["--liftoff-only"], ["--no-liftoff"], ["--no-liftoff", "--no-wasm-inlining"]];

for (const flags of TIERS.slice(0, sized(2, 4))) {
  test(`endless recursion is a fault, within a stack of the limit [${flags.join(" ")}]`, () => {
    const { stdout, stderr } = spawnSync(process.execPath, [...flags, shapes], { encoding: "utf8" });
    const faults: unknown[] = JSON.parse(stdout === "" ? "[]" : stdout);
    assert.ok(faults.length > 50, stderr);
    assert.deepEqual([...new Set(faults)], [FAULT_CALL_DEPTH]);
  });
}
