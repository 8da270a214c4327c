/**
 * Changes of rules: what a block's input may ask for before it runs, the check of that, and how it is
 * written.
 *
 *   change        u8 HASH_CHANGE · u8 CHANGE_VERSION · programs · numbers · texts · replacements
 *   programs      u32 count · bytes each
 *   texts         cost table, rewriter: u8 0, or 1 · text
 *   numbers       gas limit, memory quota, held-gas quota, process quota: u8 0, or 1 · u64
 *   replacements  u32 count · each: u32 depth · u32 child number each · program (32 bytes) ·
 *                 u8 0, or 1 · text entry · u64 argument · u8 0, or 1 · u64 gas
 *
 * Written as image/bytes.ts says. A change is kept beside its block as a BLOB of these bytes, whose hash is
 * in the header; a log of inputs keeps the same (logged.ts).
 */

import { CHILD_LIMIT } from "../../syscalls/abi.ts";
import { badArgument, badOption, checkNames, integer } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { BadBytes, ByteReader, ByteWriter } from "../image/bytes.ts";
import { HASH_BYTES, HASH_CHANGE } from "../image/record.ts";
import type { Rules } from "../image/rules.ts";
import { GAS_LIMIT, TREE_DEPTH_LIMIT } from "../limits.ts";
import { programHash } from "../program/admit.ts";
import { bytesOf, hexOf } from "../text.ts";

const CHANGE_VERSION = 1;
/** Bytes of a change, with its programs. */
const CHANGE_BYTES_LIMIT = 1 << 26;

/** A process that continues with another program. */
export interface Replacement {
  /** Child numbers from the root; empty: the root. */
  readonly path: readonly number[];
  /** Wasm bytes, or the name of one of the rules: the SHA-256 of its bytes, in hex. */
  readonly program: Uint8Array | string;
  /**
   * An entry of the new program that puts the old state right. It runs before the block, as if it were
   * started; for the root, where it is the chain's entry unless another is named, instead of what it stood
   * in.
   */
  readonly migrate?: string;
  /** Of that entry. Default 0. */
  readonly argument?: bigint | number;
  /** Gas for that entry, of the block's. Default: all that is left. */
  readonly gas?: number;
}

/** A change of the rules, with a block: what is not named stays as it is. */
export interface RulesChange {
  /** Wasm bytes of programs of which processes may be made from now on. */
  readonly programs?: readonly Uint8Array[];
  readonly gasLimit?: number;
  /** In pages of 4 KiB. */
  readonly memoryQuotaPages?: number;
  readonly heldGasQuota?: number;
  readonly processQuota?: number;
  /** A version of the cost table; `CARRIED` lists those that this build has. */
  readonly costs?: string;
  /** A version of what instruments programs; likewise. */
  readonly rewriter?: string;
  /** Processes that continue with another program, in this order. */
  readonly replace?: readonly Replacement[];
}

const NUMBERS = {
  gasLimit: [0, GAS_LIMIT],
  memoryQuotaPages: [1, 1 << 28],
  heldGasQuota: [0, GAS_LIMIT],
  processQuota: [0, 1 << 30],
} as const;
const NUMBER_NAMES = Object.keys(NUMBERS) as (keyof typeof NUMBERS)[];
const TEXT_NAMES = ["costs", "rewriter"] as const;
const KNOWN = ["programs", ...NUMBER_NAMES, ...TEXT_NAMES, "replace"];

/** The same as RulesChange, checked. */
export interface Change {
  /** Each once. */
  readonly programs: readonly Uint8Array[];
  readonly numbers: Readonly<Partial<Record<keyof typeof NUMBERS, number>>>;
  readonly texts: Readonly<Partial<Record<(typeof TEXT_NAMES)[number], string>>>;
  readonly replace: readonly CheckedReplacement[];
}

export interface CheckedReplacement {
  readonly path: readonly number[];
  /** In hex. */
  readonly program: string;
  readonly migrate: string | null;
  readonly argument: bigint;
  readonly gas: number | null;
}

/**
 * Checks and copies a change; null if it changes nothing.
 *
 * @throws UsageError (BAD_OPTION)
 */
export function checkChange(value: RulesChange | undefined): Change | null {
  if (value === undefined) return null;
  checkNames(value, KNOWN, "rules");
  const { programs = [], replace = [] } = value;
  if (!Array.isArray(programs) || !programs.every((bytes) => bytes instanceof Uint8Array)) {
    throw badOption("rules.programs", programs, "an array of Uint8Arrays with Wasm bytes");
  }
  if (!Array.isArray(replace)) throw badOption("rules.replace", replace, "an array");
  const added = new Map<string, Uint8Array>();
  const add = (bytes: Uint8Array): string => {
    const name = hexOf(programHash(bytes));
    if (!added.has(name)) added.set(name, new Uint8Array(bytes));
    return name;
  };
  for (const bytes of programs) add(bytes);
  const replacements = replace.map((one: Replacement, i) =>
    checkReplacement(one, `rules.replace[${i}]`, add),
  );
  const numbers: Record<string, number> = {};
  for (const name of NUMBER_NAMES) {
    if (value[name] !== undefined)
      numbers[name] = integer(value, name, 0, NUMBERS[name][0], NUMBERS[name][1]);
  }
  const texts: Record<string, string> = {};
  for (const name of TEXT_NAMES) {
    const text: unknown = value[name];
    if (text === undefined) continue;
    if (typeof text !== "string" || text === "" || text.length > 64)
      throw badOption(`rules.${name}`, text, "a version");
    texts[name] = text;
  }
  const change = { programs: [...added.values()], numbers, texts, replace: replacements };
  const bytes = change.programs.reduce((sum, { length }) => sum + length, 0);
  if (bytes > CHANGE_BYTES_LIMIT) {
    const most = CHANGE_BYTES_LIMIT;
    const text = `the programs of a change have ${bytes} bytes, more than ${most}. Make several blocks`;
    throw new UsageError("BAD_OPTION", text, { bytes, limit: CHANGE_BYTES_LIMIT });
  }
  return isEmpty(change) ? null : change;
}

function isEmpty({ programs, numbers, texts, replace }: Change): boolean {
  const named = Object.keys(numbers).length + Object.keys(texts).length;
  return programs.length + replace.length + named === 0;
}

const REPLACEMENT = ["path", "program", "migrate", "argument", "gas"];

function checkReplacement(
  value: Replacement,
  name: string,
  add: (bytes: Uint8Array) => string,
): CheckedReplacement {
  checkNames(value, REPLACEMENT, name);
  const { path, program, migrate, argument = 0n, gas } = value;
  const isChild = (number: unknown): boolean =>
    Number.isInteger(number) && (number as number) >= 0 && (number as number) < CHILD_LIMIT;
  if (!Array.isArray(path) || path.length > TREE_DEPTH_LIMIT || !path.every(isChild)) {
    throw badOption(`${name}.path`, path, "an array of child numbers");
  }
  const isName = typeof program === "string" && /^[0-9a-f]{64}$/.test(program);
  if (!isName && !(program instanceof Uint8Array)) {
    throw badOption(
      `${name}.program`,
      program,
      "a Uint8Array with Wasm bytes, or the hash of a program in hex",
    );
  }
  if (migrate !== undefined && (typeof migrate !== "string" || migrate === "")) {
    throw badOption(`${name}.migrate`, migrate, "the name of an exported function");
  }
  if (typeof argument !== "bigint" && !Number.isSafeInteger(argument)) {
    throw badOption(`${name}.argument`, argument, "a bigint or an integer");
  }
  return {
    path: [...path],
    program: typeof program === "string" ? program : add(program as Uint8Array),
    migrate: migrate ?? null,
    argument: BigInt.asUintN(64, BigInt(argument)),
    gas: gas === undefined ? null : integer({ [`${name}.gas`]: gas }, `${name}.gas`, 0, 0, GAS_LIMIT),
  };
}

/**
 * A change as it was given, but for programs that were given as bytes in `replace`: they are in `programs`.
 */
export function changeOf({ programs, numbers, texts, replace }: Change): RulesChange {
  return {
    ...(programs.length === 0 ? {} : { programs }),
    ...numbers,
    ...texts,
    ...(replace.length === 0 ? {} : { replace: replace.map(replacementOf) }),
  };
}

function replacementOf({ path, program, migrate, argument, gas }: CheckedReplacement): Replacement {
  return {
    path,
    program,
    ...(migrate === null ? {} : { migrate }),
    ...(argument === 0n ? {} : { argument }),
    ...(gas === null ? {} : { gas }),
  };
}

/** The rules after a change, whose versions stand for `constants`. */
export function changedRules(rules: Rules, change: Change, constants: (costs: string) => string): Rules {
  const names = change.programs.map((bytes) => hexOf(programHash(bytes)));
  const added = names.filter((name) => !rules.programs.includes(name));
  const costs = change.texts.costs ?? rules.costs;
  return {
    ...rules,
    ...change.numbers,
    ...change.texts,
    constants: costs === rules.costs ? rules.constants : constants(costs),
    programs: [...rules.programs, ...added],
  };
}

// ---- bytes ------------------------------------------------------------------------------------------------

export function encodeChange({ programs, numbers, texts, replace }: Change): Uint8Array {
  const writer = new ByteWriter().u8(HASH_CHANGE).u8(CHANGE_VERSION).u32(programs.length);
  for (const bytes of programs) writer.bytes(bytes);
  for (const name of NUMBER_NAMES) optional(writer, numbers[name], (value) => writer.u64(value));
  for (const name of TEXT_NAMES) optional(writer, texts[name], (text) => writer.text(text));
  writer.u32(replace.length);
  for (const { path, program, migrate, argument, gas } of replace) {
    writer.u32(path.length);
    for (const number of path) writer.u32(number);
    writer.raw(bytesOf(program));
    optional(writer, migrate, (entry) => writer.text(entry));
    writer.u64(argument);
    optional(writer, gas, (value) => writer.u64(value));
  }
  return writer.done();
}

/** @throws BadBytes */
export function decodeChange(bytes: Uint8Array): Change {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== HASH_CHANGE || reader.u8() !== CHANGE_VERSION) {
    throw new BadBytes("other than a change of rules of this version", 0);
  }
  const programs = Array.from({ length: reader.u32() }, () => reader.bytes());
  const numbers: Record<string, number> = {};
  for (const name of NUMBER_NAMES) if (reader.u8() === 1) numbers[name] = reader.u64();
  const texts: Record<string, string> = {};
  for (const name of TEXT_NAMES) if (reader.u8() === 1) texts[name] = reader.text();
  const replace = Array.from({ length: reader.u32() }, () => ({
    path: Array.from({ length: reader.u32() }, () => reader.u32()),
    program: hexOf(reader.raw(HASH_BYTES)),
    migrate: reader.u8() === 1 ? reader.text() : null,
    argument: BigInt.asUintN(64, reader.i64()),
    gas: reader.u8() === 1 ? reader.u64() : null,
  }));
  reader.end();
  return { programs, numbers, texts, replace };
}

function optional<T>(writer: ByteWriter, value: T | null | undefined, put: (value: T) => void): void {
  writer.u8(value === null || value === undefined ? 0 : 1);
  if (value !== null && value !== undefined) put(value);
}

/**
 * A change of rules as bytes, as a block's input keeps it: what other nodes need to make the same block.
 *
 * @throws UsageError (BAD_OPTION)
 */
export function encodeRulesChange(rules: RulesChange): Uint8Array {
  return encodeChange(checkChange(rules) ?? { programs: [], numbers: {}, texts: {}, replace: [] });
}

/**
 * The change of rules that these bytes are.
 *
 * @throws UsageError (BAD_ARGUMENT)
 * @example
 * ```ts
 * const bytes = encodeRulesChange({ gasLimit: 500_000_000 });
 * console.log(decodeRulesChange(bytes).gasLimit); // 500000000
 * ```
 */
export function decodeRulesChange(bytes: Uint8Array): RulesChange {
  try {
    return changeOf(decodeChange(bytes));
  } catch (cause) {
    if (!(cause instanceof BadBytes)) throw cause;
    throw badArgument("bytes", bytes, "a change of rules, as encodeRulesChange gives it");
  }
}

/** What a block was made from. */
export interface RetainedInput {
  readonly metadata: Uint8Array;
  readonly gasLimit: number;
  /** What it changed of the rules, before it ran. */
  readonly rules?: RulesChange;
}
