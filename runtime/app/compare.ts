/**
 * Two versions of a program on the same transactions: what each costs, how each ends, and what the state is
 * in the end, collection by collection. The transactions are the same bytes, those that a client of the first
 * version makes: so a function whose parameters have changed ends with "no such function", as it would for
 * clients that were not updated.
 */

import { grouped, prefixedHex } from "../text.ts";
import type { Contracts, Outcome } from "../typed/client.ts";
import { App } from "./app.ts";
import { changeOf } from "./gas-snapshot.ts";
import { TRANSACTION_GAS } from "./limits.ts";
import { type AppOptions, BLOCK_MS } from "./options.ts";
import type { ScenarioCall } from "./scenario.ts";
import type { StateView } from "./state.ts";

/** A version of a program: where it comes from, and what its setups are given. */
export type Version = Pick<AppOptions, "contract" | "program" | "setup">;

/** A transaction as the two versions ran it. */
export interface ComparedCall {
  /** "Bank.pay". */
  readonly call: string;
  /** Its block, from 1 on, and its place there, from 0 on. */
  readonly block: number;
  readonly index: number;
  readonly before: Outcome;
  readonly after: Outcome;
  /** Whether it ended otherwise, gas apart: in value, events or failure. */
  readonly differs: boolean;
}

/** What differs in the state: an entry of a map or set, an element of a vector, or a cell. */
export interface ComparedState {
  readonly collection: string;
  /** The key or index; undefined for a cell. */
  readonly key: unknown;
  /** Undefined where there is none. */
  readonly before: unknown;
  readonly after: unknown;
}

/** What comes of `compareVersions`. */
export interface Comparison {
  readonly calls: readonly ComparedCall[];
  readonly state: readonly ComparedState[];
}

/**
 * Runs blocks of transactions on two versions of a program, each on a chain of its own that starts with its
 * setups.
 *
 * @throws as `App.open` and `App.produce`
 * @example
 * ```ts
 * const compared = await compareVersions<Client>(
 *   { program: readFileSync("bank-1.wasm") },
 *   { contract: "contracts/bank.ts" },
 *   ({ Bank }) => [[{ call: Bank.pay({ to: bob, amount: 5n }), from: alice }]],
 * );
 * assert.deepEqual(compared.state, []);
 * console.log(formatComparison(compared));
 * ```
 */
export async function compareVersions<Typed extends object = Contracts>(
  before: Version,
  after: Version,
  blocks: (client: Typed) => readonly (readonly ScenarioCall[])[],
): Promise<Comparison> {
  const options = { workers: 1, runner: "sequential" } as const;
  await using old = await App.open<Typed>({ ...before, ...options });
  await using now = await App.open({ ...after, ...options });
  const given = blocks(old.client);
  const [first, second] = [await run(old, given), await run(now, given)];
  const calls = given.flatMap((each, i) =>
    each.map(({ call: { contract, name } }, index): ComparedCall => {
      const [a, b] = [first[i]?.[index] as Outcome, second[i]?.[index] as Outcome];
      const differs = meaning(a) !== meaning(b);
      return { call: `${contract}.${name}`, block: i + 1, index, before: a, after: b, differs };
    }),
  );
  return { calls, state: differences(old.state, now.state) };
}

/** Outcomes by block. What a block has no gas for goes into one more, as on any chain. */
async function run(app: App<object>, blocks: readonly (readonly ScenarioCall[])[]): Promise<Outcome[][]> {
  const outcomes: Outcome[][] = [];
  for (const [i, calls] of blocks.entries()) {
    const waiting = calls.map(({ call, from, gas = TRANSACTION_GAS }) => app.submit(call, { from, gas }));
    do await app.produce({ time: (i + 1) * BLOCK_MS });
    while (app.waiting.length > 0);
    outcomes.push(await Promise.all(waiting));
  }
  return outcomes;
}

/** What became of a call, but for its gas. */
function meaning(outcome: Outcome): string {
  return textOf(outcome.ok ? [outcome.value, outcome.events] : outcome.error);
}

/** A value as text, the same for equal values. */
function textOf(value: unknown): string {
  const text = JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === "bigint") return String(each);
    return each instanceof Uint8Array ? prefixedHex(each) : each;
  });
  return text ?? "none";
}

type State = Readonly<Record<string, StateView>>;

function differences(before: State, after: State): ComparedState[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((collection) => {
    const [old, now] = [before, after].map((state) =>
      collection in state ? contents(state[collection] as StateView) : new Map<string, [unknown, unknown]>(),
    ) as [Contents, Contents];
    return [...new Set([...old.keys(), ...now.keys()])].flatMap((at) => {
      const [key] = (old.get(at) ?? now.get(at)) as [unknown, unknown];
      const [was, is] = [old.get(at)?.[1], now.get(at)?.[1]];
      return textOf(was) === textOf(is) ? [] : [{ collection, key, before: was, after: is }];
    });
  });
}

/** Keys and values by the text of the key. */
type Contents = ReadonlyMap<string, readonly [key: unknown, value: unknown]>;

function contents(view: StateView): Contents {
  if ("entries" in view) return new Map(view.entries().map((entry) => [textOf(entry[0]), entry]));
  if ("length" in view) {
    const { length } = view as StateView;
    return new Map(Array.from({ length }, (_, i) => [String(i), [i, (view as StateView).get(i)]]));
  }
  return new Map([["", [undefined, (view as StateView).value]]]);
}

/**
 * A comparison as text: a line for each function with its gas, then what ended otherwise, then the state. Of
 * the last two `limit` lines each.
 */
export function formatComparison({ calls, state }: Comparison, limit = 20): string {
  const functions = [...new Set(calls.map(({ call }) => call))].sort();
  const rows = functions.map((name) => {
    const of = calls.filter(({ call }) => call === name);
    const [before, after] = [sum(of.map((each) => each.before)), sum(of.map((each) => each.after))];
    const change = changeOf(before, after);
    return `${name}: ${of.length} ×, ${grouped(before)} gas before, ${grouped(after)} after (${change})`;
  });
  const ended = calls
    .filter(({ differs }) => differs)
    .map((each) => {
      const place = `block ${each.block}, transaction ${each.index + 1}, ${each.call}`;
      return `${place}: ${meaning(each.before)} before, ${meaning(each.after)} after`;
    });
  const changed = state.map(({ collection, key, before, after }) => {
    const name = key === undefined ? collection : `${collection}[${textOf(key)}]`;
    return `${name}: ${textOf(before)} before, ${textOf(after)} after`;
  });
  return [
    ...rows,
    ...cut(ended, limit, "outcomes"),
    ...cut(changed, limit, "differences of state"),
    ...(ended.length + changed.length === 0 ? ["the same outcomes and the same state"] : []),
  ].join("\n");
}

function cut(lines: readonly string[], limit: number, what: string): string[] {
  const more = lines.length - limit;
  return more > 0 ? [...lines.slice(0, limit), `and ${more} more ${what}`] : [...lines];
}

function sum(outcomes: readonly Outcome[]): number {
  return outcomes.reduce((total, { gasUsed }) => total + gasUsed, 0);
}
