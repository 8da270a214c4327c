/** What types cost: a program of contracts against the same by hand, in gas and in bytes of the module. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { buildGuest, compileGuest } from "../../runtime/compile.ts";
import { withoutSections } from "../../runtime/program/source-map/names.ts";
import { TestProcess } from "../../runtime/testing.ts";
import { ROOT } from "../guest/harness.ts";

const GAS_RATIO = 1.02;
const BYTES_RATIO = 1.15;

test("typed calls take at most 1.02 times the gas of calls by hand, and 1.15 times the bytes", async () => {
  const guest = (name: string): string => join(ROOT, "test/guests", name);
  const { program: typed, typed: known } = await buildGuest(guest("bank_typed.ts"));
  const hand = await compileGuest(guest("bank_hand.ts"));
  assert.ok(known !== null);
  const { stateBytes, state, functions } = known.description;
  assert.deepEqual([stateBytes, ...state.map(({ at }) => at)], [131072, 64, 96256], "one layout");
  const selector = (name: string): number => functions.find((each) => each.name === name)?.selector ?? 0;
  const [a, b] = await Promise.all([TestProcess.open(typed), TestProcess.open(hand)]);
  const address = (byte: number): Buffer => Buffer.alloc(20, byte);
  const input = (first: number, ...parts: Uint8Array[]): Uint8Array => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(first);
    return new Uint8Array(Buffer.concat([head, address(1), ...parts]));
  };
  const amount = (value: bigint): Uint8Array => new Uint8Array(new BigUint64Array([value]).buffer);
  const calls: [name: string, number: number, entry: "transaction" | "view", args: Uint8Array[]][] = [
    ["mint", 1, "transaction", [address(1), amount(1000n)]],
    ["mint", 1, "transaction", [address(2), amount(1n)]],
    ["pay", 2, "transaction", [address(1), address(2), amount(7n)]],
    ["pay", 2, "transaction", [address(1), address(3), amount(7n)]],
    ["balanceOf", 3, "view", [address(2)]],
  ];
  for (const [name, number, entry, args] of calls) {
    const [one] = a.batch(`__${entry}`, [input(selector(name), ...args)]);
    const [other] = b.batch(entry, [input(number, ...args)]);
    assert.deepEqual([one?.status, one?.output], ["returned", other?.output], name);
    const ratio = (one?.gasUsed as number) / (other?.gasUsed as number);
    assert.ok(ratio <= GAS_RATIO, `${name}: ${one?.gasUsed} gas against ${other?.gasUsed}: ${ratio}`);
  }
  const code = withoutSections(typed, ["stillpoint.interface"]).length;
  assert.ok(code <= hand.length * BYTES_RATIO, `${code} bytes against ${hand.length}`);
});
