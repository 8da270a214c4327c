/**
 * From the words of a command line to a command and its checked input. What only words of a command line can
 * get wrong has its messages here, wrong values have that of `arguments.ts`.
 *
 * node:util splits words into options and arguments. A parser with commands (commander, yargs, oclif) would
 * bring a second table beside ours, which has ranges, choices and files for the completions of three shells.
 */

import { type ParseArgsOptionDescriptor, parseArgs } from "node:util";
import { badWord } from "../arguments.ts";
import { described, UsageError } from "../errors.ts";
import { didYouMean } from "../suggest.ts";
import { type CommandSpec, type Input, type OptionSpec, secondWord, usage } from "./command.ts";

type Table = Readonly<Record<string, CommandSpec>>;

/** Options of every command. */
export const COMMON: Readonly<Record<string, OptionSpec>> = {
  json: { about: "prints JSON: one value, or one a line where there are several" },
  help: { about: "says what the command takes", short: "h" },
};

interface Words {
  readonly options: readonly Word[];
  readonly positionals: readonly string[];
}

interface Word {
  readonly name: string;
  /** As it was typed: "--out", "-o". */
  readonly raw: string;
  readonly value: string | undefined;
  readonly isInline: boolean;
}

/**
 * The command of the table that the words name, and the other words; null: none. In a group the directory
 * may come before the second word or after it: "inspect DIR blocks", "inspect blocks DIR".
 */
export function findCommand(table: Table, words: readonly string[]): { name: string; rest: string[] } | null {
  const [first = "", ...rest] = words;
  if (first in table) return { name: first, rest };
  const members = membersOf(table, first);
  if (members.length === 0) return null;
  const flag = members.find((name) => table[name]?.isFlag && rest.includes(secondWord(name, table[name])));
  if (flag !== undefined) {
    const word = secondWord(flag, table[flag] as CommandSpec);
    return { name: flag, rest: rest.toSpliced(rest.indexOf(word), 1) };
  }
  const shared = Object.assign({}, ...members.map((name) => table[name]?.options ?? {}));
  const { positionals } = split(rest, shared);
  const second = [positionals[1], positionals[0]].find((word) => members.includes(`${first} ${word}`));
  if (second === undefined) return null;
  const index = rest.indexOf(
    second,
    positionals[1] === second ? rest.indexOf(positionals[0] as string) + 1 : 0,
  );
  return { name: `${first} ${second}`, rest: rest.toSpliced(index, 1) };
}

/** The full names of the commands of a group. */
export function membersOf(table: Table, group: string): string[] {
  return Object.keys(table).filter((name) => name.startsWith(`${group} `));
}

/**
 * The input of a command.
 *
 * @throws {UsageError} BAD_OPTION
 */
export function parseInput(name: string, spec: CommandSpec, words: readonly string[]): Input<unknown> {
  const known = { ...spec.options, ...COMMON };
  const found = split(words, known);
  const options: Record<string, unknown> = Object.fromEntries(
    Object.entries(known).map(([option, { repeated, value }]) => [
      option,
      repeated ? [] : value === undefined ? false : undefined,
    ]),
  );
  for (const word of found.options) {
    const option = known[word.name];
    if (option === undefined) {
      const names = Object.keys(known).map((each) => `--${each}`);
      throw wrong(`there is no option ${word.raw}${didYouMean(word.raw, names)}`);
    }
    const value = checkedValue(word, option);
    options[word.name] = option.repeated ? [...(options[word.name] as string[]), value] : value;
  }
  const { json, help: _, ...rest } = options;
  const input = { args: argumentsOf(name, spec, found.positionals), options: rest, json: json === true };
  return input as unknown as Input<unknown>;
}

function checkedValue(
  { raw, value, isInline }: Word,
  { value: wanted, choices, range }: OptionSpec,
): unknown {
  if (wanted === undefined) {
    if (value !== undefined) throw wrong(`${raw} takes no value, got ${described(value)}`);
    return true;
  }
  const isNext = value !== undefined && !isInline && value.startsWith("-") && value !== "-";
  if (value === undefined || value === "" || isNext) throw wrong(`${raw} needs a value: ${raw} ${wanted}`);
  if (choices !== undefined && !choices.includes(value)) {
    const one =
      choices.length < 2 ? choices.join() : `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
    throw badWord(raw, value, one, didYouMean(value, choices));
  }
  if (range === undefined) return value;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= range[0] && number <= range[1]) return number;
  throw badWord(raw, value, `a whole number from ${range[0]} to ${range[1]}`);
}

function argumentsOf(name: string, spec: CommandSpec, given: readonly string[]): Record<string, unknown> {
  const args: Record<string, unknown> = {};
  let next = 0;
  for (const [word, { optional, repeated }] of Object.entries(spec.arguments ?? {})) {
    if (!optional && given[next] === undefined)
      throw wrong(`missing argument: ${word}; usage: ${usage(name, spec)}`);
    if (given[next] === "") throw wrong(`the argument ${word} is empty`);
    args[word] = repeated ? given.slice(next) : given[next];
    next = repeated ? given.length : next + 1;
  }
  if (given[next] === undefined) return args;
  throw wrong(`unexpected argument ${JSON.stringify(given[next])}; usage: ${usage(name, spec)}`);
}

/** Options and arguments; nothing is checked. */
function split(words: readonly string[], options: Readonly<Record<string, OptionSpec>>): Words {
  const known = Object.entries(options).map(
    ([name, { value, short }]): [string, ParseArgsOptionDescriptor] => [
      name,
      { type: value === undefined ? "boolean" : "string", ...(short === undefined ? {} : { short }) },
    ],
  );
  const { tokens } = parseArgs({
    args: [...words],
    options: Object.fromEntries(known),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  return {
    options: tokens
      .filter((token) => token.kind === "option")
      .map(({ name, rawName, value, inlineValue }) => ({
        name,
        raw: rawName,
        value,
        isInline: inlineValue === true,
      })),
    positionals: tokens.filter((token) => token.kind === "positional").map(({ value }) => value),
  };
}

function wrong(text: string): UsageError {
  return new UsageError("BAD_OPTION", text);
}
