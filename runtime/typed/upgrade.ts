/**
 * What it means to put one typed program in place of another: whether the new one finds the state where the
 * old one left it, and which migrations are to run. Says nothing of what the programs do.
 */

import type { Interface } from "./interface.ts";
import { lockOf, wordsOf } from "./layout.ts";

/** What changes from one program to another. */
export interface UpgradeCheck {
  /** Why the new program would read the state wrongly, in words; none: it can stand in for the old one. */
  readonly problems: readonly string[];
  /** Collections that only the new program has, and those that only the old one has, whose place stays. */
  readonly added: readonly string[];
  readonly gone: readonly string[];
  /** Functions, as "Bank.pay", that clients of the old program call and that the new one has not. */
  readonly lost: readonly string[];
  /** Migrations, as "Bank.count", that the old program has not, in the order in which they run. */
  readonly migrations: readonly string[];
  /** The same, as the argument of the entry that runs them. */
  readonly which: bigint;
}

/** Compares two programs. */
export function checkUpgrade(before: Interface, after: Interface): UpgradeCheck {
  const [old, now] = [lockOf(before).state, lockOf(after).state];
  const known = new Set(migrationsOf(before));
  const migrations = migrationsOf(after);
  const selectors = new Set(after.functions.map(({ selector }) => selector));
  return {
    problems: problemsOf(before, after),
    added: Object.keys(now).filter((name) => old[name] === undefined),
    gone: Object.keys(old).filter((name) => now[name] === undefined),
    lost: before.functions
      .filter(({ kind, selector }) => (kind === "transaction" || kind === "view") && !selectors.has(selector))
      .map(nameOf),
    migrations: migrations.filter((name) => !known.has(name)),
    which: migrations.reduce((bits, name, i) => bits | (known.has(name) ? 0n : 1n << BigInt(i)), 0n),
  };
}

function problemsOf(before: Interface, after: Interface): string[] {
  const [old, now] = [lockOf(before).state, lockOf(after).state];
  const problems: string[] = [];
  for (const [name, was] of Object.entries(old)) {
    const is = now[name];
    if (is !== undefined && (wordsOf(is) !== wordsOf(was) || is.bytes !== was.bytes)) {
      problems.push(`state ${name} is ${wordsOf(was)} and would be ${wordsOf(is)}`);
    } else if (is !== undefined && is.at !== was.at) {
      problems.push(`state ${name} lies at ${was.at} and would move to ${is.at}`);
    }
    for (const [other, { at, bytes }] of Object.entries(now)) {
      if (other === name || at >= was.at + was.bytes || was.at >= at + bytes) continue;
      problems.push(`state ${other} would lie at ${at}, where state ${name} is`);
    }
  }
  if (after.stateBytes < before.stateBytes)
    problems.push(`the state has ${before.stateBytes} bytes and would have ${after.stateBytes}`);
  return problems;
}

function migrationsOf({ functions }: Interface): string[] {
  return functions.filter(({ kind }) => kind === "migrate").map(nameOf);
}

function nameOf({ contract, name }: { readonly contract: string; readonly name: string }): string {
  return `${contract}.${name}`;
}
