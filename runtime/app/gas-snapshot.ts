/**
 * Gas snapshots: a file of what calls cost, which a test compares. Gas is a function of the program and its
 * inputs, so any difference is one of the program: it fails the test, until the file is written again and the
 * difference is a line of a review.
 *
 *   { "pay": 61042, "pay, to a new account": 64210 }   by name
 */

import { AssertionError } from "node:assert";
import { readFileSync, writeFileSync } from "node:fs";
import { badArgument } from "../arguments.ts";

/** The environment variable that `stillpoint test --update-gas` sets; any other test runner can as well. */
export const UPDATE_GAS = "STILLPOINT_UPDATE_GAS";

type Snapshot = Readonly<Record<string, number>>;

/**
 * Compares the gas of calls with that in a file of JSON, all of it: a call that the file does not have is a
 * difference, and so is a name in the file that is not called any more. Where the environment variable
 * STILLPOINT_UPDATE_GAS is 1, as `stillpoint test --update-gas` makes it, the file is written instead.
 *
 * @param calls outcomes of calls by name, of a `TestContract` or an `App`, or amounts of gas
 * @throws AssertionError with each difference; UsageError BAD_ARGUMENT
 * @example
 * ```ts
 * test("gas", () => {
 *   expectGas("test/bank.gas.json", {
 *     "pay, to a new account": bank.call(Bank.pay({ to: bob, amount: 5n }), { from: alice }),
 *     pay: bank.call(Bank.pay({ to: bob, amount: 5n }), { from: alice }),
 *   });
 * });
 * ```
 */
export function expectGas(
  file: string,
  calls: Readonly<Record<string, { readonly gasUsed: number } | number>>,
): void {
  const entries = Object.entries(calls).map(([name, call]): [string, number] => {
    const gas = typeof call === "number" ? call : call?.gasUsed;
    if (Number.isSafeInteger(gas) && gas >= 0) return [name, gas];
    throw badArgument(`calls["${name}"]`, call, "the outcome of a call, or an amount of gas");
  });
  const found = sorted(entries);
  if (process.env[UPDATE_GAS] === "1") return writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
  const known = readSnapshot(file);
  const lines = known === null ? [] : differences(known, found);
  if (known !== null && lines.length === 0) return;
  const cure = "stillpoint test --update-gas, and keep the file with the sources";
  const message =
    known === null
      ? `there is no gas snapshot ${file} yet: write it with ${cure}`
      : `gas differs from ${file}:\n  ${lines.join("\n  ")}\nIf that is meant to be: ${cure}`;
  throw new AssertionError({ message, actual: found, expected: known ?? {}, operator: "expectGas" });
}

function differences(known: Snapshot, found: Snapshot): string[] {
  const names = Object.keys(sorted([...Object.entries(known), ...Object.entries(found)]));
  return names.flatMap((name) => {
    const [before, now] = [known[name], found[name]];
    if (before === now) return [];
    if (before === undefined) return [`${name}: ${now}, not in the file`];
    if (now === undefined) return [`${name}: ${before} in the file, not called`];
    return [`${name}: ${now}, ${before} in the file (${changeOf(before, now)})`];
  });
}

/** A change as "+2.5 %". */
export function changeOf(before: number, now: number): string {
  const part = before === 0 ? 0 : (100 * (now - before)) / before;
  return `${now < before ? "-" : "+"}${Math.abs(part).toFixed(1)} %`;
}

/** Null if there is none. */
function readSnapshot(file: string): Snapshot | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  const wanted = badArgument("file", file, "the JSON of a gas snapshot, or no file: delete it");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wanted;
  }
  const isSnapshot =
    typeof value === "object" && value !== null && Object.values(value).every(Number.isSafeInteger);
  if (!isSnapshot) throw wanted;
  return value as Snapshot;
}

/** By name, in the order of code units, so that the file does not depend on the order of calls. */
function sorted(entries: readonly (readonly [string, number])[]): Snapshot {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
