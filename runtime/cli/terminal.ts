/**
 * What every command shares: exit codes, how errors reach a person, tables, progress.
 *
 * Standard output carries results and nothing else. Everything said beside them goes to standard error.
 */

import { writeFileSync } from "node:fs";
import { type ParseArgsOptionsConfig, parseArgs, stripVTControlCharacters } from "node:util";
import { StillpointError, UsageError } from "../errors.ts";

export const EXIT_OK = 0;
/** What was asked for ran, and the answer is no: a difference, a fault, a rejection. */
export const EXIT_FAILED = 1;
/** What was asked for cannot be done as it was asked. */
export const EXIT_USAGE = 2;

export interface Command {
  /** How the command is called, for messages. */
  readonly name: string;
  /** Printed by --help; ends without a newline. */
  readonly help: string;
  /** Resolves to the exit code. */
  readonly run: (args: string[]) => Promise<number>;
}

/**
 * Runs `command` and sets the process's exit code. Errors the runtime knows become one line; others are
 * defects and crash.
 */
export async function runCommand(command: Command, args: string[]): Promise<void> {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT_OK); // whoever read our output has seen enough
    throw error;
  });
  if (args.includes("--help") || args.includes("-h")) return print(command.help);
  try {
    process.exitCode = await command.run(args);
  } catch (error) {
    if (!(error instanceof StillpointError)) throw error;
    printError(`${command.name}: ${error.message}`);
    if (error.code === "BAD_OPTION") printError(`${command.name}: --help lists what there is`);
    process.exitCode = error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
  }
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function printError(line: string): void {
  process.stderr.write(`${line}\n`);
}

/**
 * node:util's parseArgs with its errors as UsageError.
 *
 * @throws {UsageError} BAD_OPTION
 */
export function parseOptions<const T extends ParseArgsOptionsConfig>(
  args: string[],
  options: T,
  positionals = 0,
) {
  try {
    const parsed = parseArgs({ args, options, allowPositionals: positionals > 0, strict: true });
    if (parsed.positionals.length !== positionals) {
      const found = parsed.positionals.length;
      const wanted = `${positionals} file name${positionals === 1 ? "" : "s"}`;
      throw new UsageError("BAD_OPTION", `expected ${wanted}, found ${found}`, { found });
    }
    return parsed;
  } catch (cause) {
    if (cause instanceof StillpointError) throw cause;
    const reason = (cause as Error).message.split(/\. |\n/)[0]!; // the rest explains quoting
    throw new UsageError("BAD_OPTION", reason, { arguments: args.join(" ") }, { cause });
  }
}

/**
 * The value of a numeric option.
 *
 * @throws {UsageError} BAD_OPTION
 */
export function integerOption(name: string, text: string, minimum: number, maximum: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= minimum && value <= maximum) return value;
  const range = `from ${minimum} to ${maximum}`;
  const message = `--${name} takes a whole number ${range}, found ${JSON.stringify(text)}`;
  throw new UsageError("BAD_OPTION", message, { option: name, value: text });
}

/**
 * The value of an option that takes one of a few words.
 *
 * @throws {UsageError} BAD_OPTION
 */
export function choiceOption<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const value = choices.find((choice) => choice === text);
  if (value !== undefined) return value;
  const message = `--${name} takes ${choices.join(" or ")}, found ${JSON.stringify(text)}`;
  throw new UsageError("BAD_OPTION", message, { option: name, value: text });
}

/**
 * Lays out rows under a header in aligned columns; those named in `left` to the left, the others to the
 * right.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  left: readonly string[],
): string {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => visibleLength(line[column]!))));
  const isLeft = header.map((name) => left.includes(name));
  return lines.map((line) => formatRow(line, widths, isLeft)).join("\n");
}

/** One row of a table whose widths are known; a cell that is wider moves those behind it. */
export function formatRow(
  cells: readonly string[],
  widths: readonly number[],
  isLeft: readonly boolean[],
): string {
  return cells
    .map((cell, column) => {
      const padding = " ".repeat(Math.max(0, widths[column]! - visibleLength(cell)));
      return isLeft[column] ? cell + padding : padding + cell;
    })
    .join("  ")
    .trimEnd();
}

/**
 * Writes what a command was asked to put into a file.
 *
 * @throws {UsageError} BAD_OPTION
 */
export function writeOutput(file: string, data: string | Uint8Array): void {
  try {
    writeFileSync(file, data);
  } catch (cause) {
    const message = `${file}: cannot be written: ${(cause as Error).message}`;
    throw new UsageError("BAD_OPTION", message, { file }, { cause });
  }
}

/** A line on a terminal that is written over; nothing where standard error is not a terminal. */
export class Progress {
  readonly #enabled = process.stderr.isTTY === true;

  show(text: string): void {
    if (this.#enabled) process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  clear(): void {
    if (this.#enabled) process.stderr.write("\r\x1b[K");
  }
}

/** 1234567 as 1,234,567, whatever the machine's locale. */
export function grouped(value: number | bigint): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

function visibleLength(cell: string): number {
  return stripVTControlCharacters(cell).length;
}
