/**
 * The app that a command works on: named by --app, or by the nearest package.json, whose field "stillpoint"
 * may have "app", the file with the contracts, and "setup", a JSON file with the arguments of its setups.
 */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { badWord } from "../arguments.ts";
import { compileGuest } from "../compile.ts";
import { UsageError } from "../errors.ts";
import { withAccounts } from "../node/accounts.ts";
import { setupsOf } from "../node/values.ts";
import { type Interface, readInterface } from "../typed/interface.ts";
import { readInput } from "./commands/files.ts";
import { printError, withProgress } from "./terminal.ts";

/** A program, and what its first block takes. */
export interface AppFile {
  readonly file: string;
  readonly program: Uint8Array;
  readonly description: Interface;
  readonly setup: Readonly<Record<string, object>>;
}

/** @throws UsageError BAD_OPTION, BAD_FILE; and as `compileGuest` */
export async function loadApp(app: string | undefined, setup: string | undefined): Promise<AppFile> {
  const file = appNamed(app);
  const compile = (): Promise<Uint8Array> => compileGuest(file, { onWarning: printError });
  const program = file.endsWith(".ts") ? await withProgress(`compiling ${file}`, compile) : readInput(file);
  const description = readInterface(program);
  return { file, program, description, setup: setupsOf(description, readSetup(setup, file)) };
}

/** The file that the command names, or the app of the project. */
export function appNamed(given: string | undefined): string {
  if (given !== undefined) return resolve(given);
  const { directory, settings } = projectOf(resolve("."));
  if (typeof settings.app === "string") {
    const file = join(directory, settings.app);
    if (existsSync(file)) return file;
    const named = `"stillpoint": { "app": ${JSON.stringify(settings.app)} }`;
    const text = `no file ${file}: it is the app that ${join(directory, "package.json")} names, ${named}`;
    throw new UsageError("BAD_OPTION", text, { file });
  }
  const field = '"stillpoint": { "app": "contracts/bank.ts" }';
  throw new UsageError(
    "BAD_OPTION",
    `which app? Name its file on the command line, or in package.json: ${field}`,
  );
}

/** The file with the arguments of setups that the project names; undefined if it names none. */
export function projectSetup(): string | undefined {
  const { directory, settings } = projectOf(resolve("."));
  return typeof settings.setup === "string" ? join(directory, settings.setup) : undefined;
}

/** JSON or a JSON file, by default that of the project; "$0" to "$9" stand for test accounts. */
function readSetup(given: string | undefined, file: string): unknown {
  const { directory, settings } = projectOf(resolve("."));
  const isOfProject = typeof settings.app === "string" && join(directory, settings.app) === file;
  const from = given ?? (isOfProject ? projectSetup() : undefined);
  if (from === undefined) return {};
  const isText = from.trimStart().startsWith("{");
  const text = isText ? from : Buffer.from(readInput(from)).toString("utf8");
  return withAccounts(parseJson(isText ? "--setup" : from, text));
}

/** @throws UsageError BAD_FILE */
export function parseJson(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError("BAD_FILE", `${what}: is not JSON: ${(cause as Error).message}`, {}, { cause });
  }
}

function projectOf(start: string): { directory: string; settings: Record<string, unknown> } {
  for (let directory = start; ; directory = dirname(directory)) {
    const file = join(directory, "package.json");
    if (existsSync(file)) {
      const { stillpoint = {} } = parseJson(file, readFileSync(file, "utf8")) as Record<string, object>;
      return { directory, settings: stillpoint as Record<string, unknown> };
    }
    if (directory === dirname(directory)) return { directory: start, settings: {} };
  }
}

/**
 * Arguments of a call: one JSON object, or a NAME=VALUE for each. A value that starts like JSON is parsed;
 * digits stay text, from which integers of any size are read.
 */
export function argumentsOf(words: readonly string[]): unknown {
  const [first, ...rest] = words;
  if (first?.startsWith("{") && rest.length === 0) return withAccounts(parseJson("the arguments", first));
  const pairs = words.map((word) => {
    const [, name, text] = /^(\w+)=(.*)$/s.exec(word) ?? [];
    if (name === undefined || text === undefined) {
      throw badWord("an argument", word, "NAME=VALUE, as amount=5, or one JSON object");
    }
    const isJson = /^(["[{]|true$|false$|null$)/.test(text);
    return [name, isJson ? parseJson(name, text) : text];
  });
  return withAccounts(Object.fromEntries(pairs));
}
