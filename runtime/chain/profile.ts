/**
 * Profiles: where a call spends its gas, by function and by line of its sources.
 *
 * A profile is made of runs of the call that end early: one that has so much gas faults at the instruction
 * that the next unit would have paid, and its stack says where that is. Such runs with gas from nothing to
 * what the call uses, in even steps, divide its gas among the places where they ended. So nothing of a
 * program is changed for it, all gas is accounted for, and the same call gives the same profile.
 */

import { badOption, checkNames, integer } from "../arguments.ts";
import type { Frame } from "../kernel/trace.ts";
import { grouped } from "../text.ts";

/** A function in a stack of a profile. */
export interface ProfileFrame {
  readonly name: string;
  /** The author's file and line, 0 if it is not known; of library code in an author's function that of it. */
  readonly file: string;
  readonly line: number;
}

/** Gas that was spent in one stack. */
export interface ProfileSample {
  /** The outermost function first. */
  readonly stack: readonly ProfileFrame[];
  readonly gas: number;
}

/** Where a call has spent its gas. */
export interface Profile {
  /** What the call used: the sum of all samples. */
  readonly gasUsed: number;
  /** Of equal stacks one. */
  readonly samples: readonly ProfileSample[];
}

/** A row of a table: gas of a function or a line itself, and with all that it calls. */
export interface ProfileRow {
  readonly name: string;
  readonly self: number;
  readonly total: number;
}

/** Options of profiles. */
export interface ProfileOptions {
  /** How many runs it is made of at most: each stands for as much gas. Default 1000. */
  readonly samples?: number;
  /** Called after each run. Default: nothing is called. */
  readonly onSample?: () => void;
}

/** How a profile is made, checked. */
export type Sampling = Required<ProfileOptions>;

/**
 * Options of a profile, checked, with their defaults.
 *
 * @throws UsageError BAD_OPTION
 */
export function samplingOf(options: ProfileOptions): Sampling {
  checkNames(options, ["samples", "onSample"]);
  const { onSample = () => {} } = options;
  if (typeof onSample !== "function") throw badOption("onSample", onSample, "a function");
  return { samples: integer(options, "samples", 1000, 1, 1_000_000), onSample };
}

/** What is spent before the program runs, or behind it: on its input, changed pages, and the like. */
const OUTSIDE: ProfileFrame = { name: "(outside of the program)", file: "", line: 0 };

/** Where a run with this much gas ended; `stack` has the innermost function first. */
export type EndsAt = (gas: number) => readonly Frame[];

/** The profile of what uses `gasUsed`. */
export function sampleProfile(gasUsed: number, { samples, onSample }: Sampling, endsAt: EndsAt): Profile {
  const count = Math.min(samples, gasUsed);
  const found: ProfileSample[] = [];
  for (let i = 0; i < count; i++) {
    const [from, to] = [Math.floor((i * gasUsed) / count), Math.floor(((i + 1) * gasUsed) / count)];
    const stack = endsAt(Math.floor((from + to - 1) / 2))
      .map(frameOf)
      .reverse();
    found.push({ stack: stack.length === 0 ? [OUTSIDE] : stack, gas: to - from });
    onSample();
  }
  return { gasUsed, samples: merged(found) };
}

/**
 * One profile of several, each below a frame of its name.
 *
 * @example
 * ```ts
 * const pay = bank.profile(Bank.pay({ to: bob, amount: 9n }), { from: alice });
 * const mint = bank.profile(Bank.mint({ to: bob, amount: 9n }));
 * const both = joinProfiles([["pay", pay], ["mint", mint]]);
 * console.log(both.gasUsed === pay.gasUsed + mint.gasUsed); // true
 * ```
 */
export function joinProfiles(parts: readonly (readonly [name: string, profile: Profile])[]): Profile {
  const samples = parts.flatMap(([name, { samples }]) =>
    samples.map(({ stack, gas }) => ({ stack: [{ name, file: "", line: 0 }, ...stack], gas })),
  );
  return { gasUsed: parts.reduce((sum, [, { gasUsed }]) => sum + gasUsed, 0), samples: merged(samples) };
}

function frameOf({ name, source, callSite }: Frame): ProfileFrame {
  const place = callSite ?? source;
  return { name, file: place?.file ?? "", line: place?.line ?? 0 };
}

function merged(samples: readonly ProfileSample[]): ProfileSample[] {
  const byStack = new Map<string, { readonly stack: readonly ProfileFrame[]; gas: number }>();
  for (const { stack, gas } of samples) {
    const key = JSON.stringify(stack);
    const known = byStack.get(key);
    if (known === undefined) byStack.set(key, { stack, gas });
    else known.gas += gas;
  }
  return [...byStack.values()];
}

/**
 * Gas by function, the most expensive first. The gas of all functions themselves is that of the call.
 *
 * @example
 * ```ts
 * const rows = profileFunctions(bank.profile(Bank.pay({ to: bob, amount: 9n }), { from: alice }));
 * console.log(rows.some(({ name }) => name.endsWith("bank.entry/__transaction"))); // true
 * ```
 */
export function profileFunctions(profile: Profile): ProfileRow[] {
  return rowsOf(profile, ({ name }) => name);
}

/**
 * Gas by line of the sources, "bank.ts:12", the most expensive first.
 *
 * @example
 * ```ts
 * const rows = profileLines(bank.profile(Bank.pay({ to: bob, amount: 9n }), { from: alice }));
 * console.log(rows.some(({ name }) => /bank\.ts:\d+$/.test(name))); // true
 * ```
 */
export function profileLines(profile: Profile): ProfileRow[] {
  return rowsOf(profile, ({ name, file, line }) => (line === 0 ? name : `${file}:${line}`));
}

function rowsOf({ samples }: Profile, nameOf: (frame: ProfileFrame) => string): ProfileRow[] {
  const rows = new Map<string, { name: string; self: number; total: number }>();
  const row = (name: string) => {
    const known = rows.get(name) ?? { name, self: 0, total: 0 };
    rows.set(name, known);
    return known;
  };
  for (const { stack, gas } of samples) {
    const names = stack.map(nameOf);
    row(names.at(-1) as string).self += gas;
    for (const name of new Set(names)) row(name).total += gas;
  }
  return [...rows.values()].sort(
    (a, b) => b.self - a.self || b.total - a.total || (a.name < b.name ? -1 : 1),
  );
}

/** Options of `formatProfile`. */
export interface FormatProfileOptions {
  /** Rows of each table. Default 20. */
  readonly rows?: number;
}

/**
 * Two tables: gas by function, and by line.
 *
 * @example
 * ```ts
 * console.log(formatProfile(bank.profile(Bank.pay({ to: bob, amount: 9n }), { from: alice }), { rows: 1 }));
 * // …self…total  function
 * // …%…
 * // …self…total  line
 * // …%…
 * ```
 */
export function formatProfile(profile: Profile, { rows = 20 }: FormatProfileOptions = {}): string {
  const { gasUsed } = profile;
  const table = (title: string, all: readonly ProfileRow[]): string[] => [
    `${"self".padStart(12)}${"".padStart(6)}${"total".padStart(14)}  ${title}`,
    ...all.slice(0, rows).map(({ name, self, total }) => {
      const share = gasUsed === 0 ? 0 : Math.round((100 * self) / gasUsed);
      return `${grouped(self).padStart(12)}${`${share}%`.padStart(6)}${grouped(total).padStart(14)}  ${name}`;
    }),
    ...(all.length > rows ? [`${"".padStart(34)}… and ${all.length - rows} more`] : []),
  ];
  return [
    `${grouped(gasUsed)} gas`,
    "",
    ...table("function", profileFunctions(profile)),
    "",
    ...table("line", profileLines(profile)),
  ].join("\n");
}

/**
 * A profile as what https://www.speedscope.app opens: JSON of this object, by the schema that it names.
 *
 * @example
 * ```ts
 * const file = speedscope(bank.profile(Bank.pay({ to: bob, amount: 9n }), { from: alice }));
 * await writeFile("pay.speedscope.json", JSON.stringify(file));
 * ```
 */
export function speedscope({ samples, gasUsed }: Profile, name = "gas"): object {
  const frames: { name: string; file?: string; line?: number }[] = [];
  const known = new Map<string, number>();
  const indexOf = (frame: ProfileFrame): number => {
    const key = JSON.stringify(frame);
    const index = known.get(key) ?? frames.length;
    if (index === frames.length) {
      known.set(key, index);
      const place = frame.line === 0 ? {} : { file: frame.file, line: frame.line };
      frames.push({ name: frame.name, ...place });
    }
    return index;
  };
  const stacks = samples.map(({ stack }) => stack.map(indexOf));
  const weights = samples.map(({ gas }) => gas);
  const profile = { type: "sampled", name, unit: "none", startValue: 0, endValue: gasUsed };
  return {
    $schema: "https://www.speedscope.app/file-format-schema.json",
    exporter: "stillpoint",
    name,
    shared: { frames },
    profiles: [{ ...profile, samples: stacks, weights }],
  };
}
