/** The names that the SDK gives to codes, against their definitions. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestProcess } from "../../runtime/testing.ts";
import * as abi from "../../syscalls/abi.ts";
import { guest } from "../fixture.ts";

const process = await TestProcess.open(await guest("names"));
const text = Number(process.call("text"));

function nameOf(kind: "error" | "fault" | "reason", code: number): string {
  return Buffer.from(process.read(text, Number(process.call(kind, BigInt(code))))).toString();
}

/** Names and numbers of the constants that begin so. */
function constants(prefix: string): [name: string, code: number][] {
  return Object.entries(abi).filter(([name]) => name.startsWith(prefix)) as [string, number][];
}

test("every error code, fault and reason has its name, and others are told by their number", () => {
  for (const [name, code] of constants("E_")) assert.equal(nameOf("error", code), name);
  for (const [name, code] of constants("FAULT_")) {
    assert.equal(nameOf("fault", code), name.slice("FAULT_".length).toLowerCase().replaceAll("_", " "));
  }
  const reasons = constants("REASON_");
  assert.ok(reasons.length > 50);
  for (const [name, code] of reasons) {
    assert.equal(nameOf("reason", code), name.slice("REASON_".length).toLowerCase().replaceAll("_", "-"));
  }
  assert.equal(nameOf("reason", 0), "unknown-program");
  assert.equal(nameOf("reason", reasons.length + 1), `reason ${reasons.length + 1}`);
  assert.equal(nameOf("error", -999), "error -999");
});
