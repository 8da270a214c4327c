/**
 * What every command shares: exit codes, how errors reach a person, tables, progress.
 *
 * Standard output carries results and nothing else. Everything said beside them goes to standard error.
 */

import { writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { inspect, type ParseArgsOptionsConfig, parseArgs, stripVTControlCharacters } from "node:util";
import { badWord } from "../arguments.ts";
import { makeDirectories } from "../directories.ts";
import { StillpointError, UsageError } from "../errors.ts";
import { grouped } from "../text.ts";

export { grouped };

export const EXIT_OK = 0;
/** What was asked for ran, and the answer is no: a difference, a fault, a rejection. */
export const EXIT_FAILED = 1;
/** What was asked for cannot be done as it was asked. */
export const EXIT_USAGE = 2;
/** Something that should not be possible: EX_SOFTWARE of sysexits.h. */
export const EXIT_DEFECT = 70;

/** Codes of other errors that are: what is named does not exist. */
const MISTAKES: ReadonlySet<string> = new Set(["STORE_MISSING"]);
/** Codes of usage errors that are not a mistake on the command line. */
const ANSWERS: ReadonlySet<string> = new Set(["E_GUEST_COMPILE", "NO_INTERFACE", "SETUP_FAILED"]);

export interface Command {
  /** How the command is called, for messages. */
  readonly name: string;
  /** Printed by --help; ends without a newline. */
  readonly help: string;
  /** Resolves to the exit code. */
  readonly run: (args: string[]) => Promise<number>;
}

/** Runs `command` and sets the process's exit code. */
export async function runCommand(command: Command, args: string[]): Promise<void> {
  if (args.includes("--help") || args.includes("-h")) return print(command.help);
  await runToExit(command.name, () => command.run(args));
}

/**
 * Runs something and sets the process's exit code. Errors the runtime knows become one line, or with `json`
 * one JSON value on standard error; others are defects, and show their stack.
 */
export async function runToExit(name: string, run: () => Promise<number>, json = false): Promise<void> {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT_OK); // whoever read our output has seen enough
    throw error;
  });
  try {
    process.exitCode = await run();
  } catch (error) {
    if (!(error instanceof StillpointError) || error.code === "KERNEL_PANIC") {
      printError(`${name}: a defect of stillpoint; please report it:\n${inspect(error)}`);
      process.exitCode = EXIT_DEFECT;
      return;
    }
    const { code, message, facts } = error;
    if (json) printError(toJson({ error: { code, message, facts } }));
    else printError(`${name}: ${message}`);
    if (!json && code === "BAD_OPTION") printError(`${name}: --help lists what there is`);
    const isMistake = error instanceof UsageError ? !ANSWERS.has(code) : MISTAKES.has(code);
    process.exitCode = isMistake ? EXIT_USAGE : EXIT_FAILED;
  }
}

/** A value as one line of JSON: bytes in hex, integers beyond 2^53, which JSON's readers round, as text. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === "bigint") return String(each);
    return each instanceof Uint8Array ? Buffer.from(each).toString("hex") : each;
  });
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
      throw badWord("the number of file names", found, String(positionals));
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
  throw badWord(`--${name}`, text, `a whole number from ${minimum} to ${maximum}`);
}

/**
 * The value of an option that takes one of a few words.
 *
 * @throws {UsageError} BAD_OPTION
 */
export function choiceOption<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const value = choices.find((choice) => choice === text);
  if (value !== undefined) return value;
  throw badWord(`--${name}`, text, choices.join(" or "));
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
 * Writes what a command was asked to put into a file, whose directory is made if there is none.
 *
 * @throws {UsageError} BAD_OPTION
 */
export function writeOutput(file: string, data: string | Uint8Array): void {
  try {
    makeDirectories(dirname(file));
    writeFileSync(file, data);
  } catch (cause) {
    const message = `${file}: cannot be written: ${(cause as Error).message}`;
    throw new UsageError("BAD_OPTION", message, { file }, { cause });
  }
}

/** Whether standard output shows colours: on a terminal, unless NO_COLOR is set or FORCE_COLOR is 0. */
export function hasColors(): boolean {
  return process.stdout.isTTY === true && process.stdout.hasColors();
}

/** A line on a terminal that is written over; nothing where standard error is not a terminal. */
export class Progress {
  readonly #enabled = process.stderr.isTTY === true;
  readonly #start = performance.now();

  show(text: string): void {
    if (this.#enabled) process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
  }

  clear(): void {
    if (this.#enabled) process.stderr.write("\r\x1b[K");
  }

  /** So many of `total` parts are done, and `what` is next; how long the rest may take, if that is known. */
  part(what: string, done: number, total: number): void {
    const ms = performance.now() - this.#start;
    this.show(`${what}, ${grouped(done + 1)} of ${grouped(total)}${estimate(done, total, ms)}`);
  }
}

/** ", about 12 s left": if what is done is a measure of the rest, and has taken a second. */
export function estimate(done: number, total: number, ms: number): string {
  if (done === 0 || ms < PROGRESS_AFTER_MS) return "";
  const seconds = Math.ceil((ms / done) * (total - done)) / 1000;
  if (seconds < 1) return "";
  return seconds < 90
    ? `, about ${Math.ceil(seconds)} s left`
    : `, about ${Math.round(seconds / 60)} min left`;
}

/** Tests look at what is shown at once. */
const PROGRESS_AFTER_MS = process.env.STILLPOINT_PROGRESS === "at once" ? 0 : 1000;
const PROGRESS_EVERY_MS = PROGRESS_AFTER_MS / 4;

/**
 * Says on a terminal how long something has been going on, once that is more than a second; of work that
 * tells how much of it is done, that, with an estimate of the rest: "verifying, 40 %, about 12 s left". When
 * the total changes, the estimate starts again.
 */
export async function withProgress<T>(
  what: string,
  work: (tell: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  const progress = new Progress();
  const begun = performance.now();
  let [start, shown, whole] = [begun, begun, 0];
  const tell = (done: number, total: number): void => {
    const now = performance.now();
    if (total !== whole) [start, whole] = [now, total];
    if (now - begun < PROGRESS_AFTER_MS || now - shown < PROGRESS_EVERY_MS) return;
    shown = now;
    progress.show(`${what}, ${share(done, total)}${estimate(done, total, now - start)}`);
  };
  const timer = setInterval(() => {
    const now = performance.now();
    // Nothing was told for a while.
    if (now - begun < PROGRESS_AFTER_MS || now - shown < 4 * PROGRESS_EVERY_MS) return;
    progress.show(`${what}: ${((now - begun) / 1000).toFixed(1)} s`);
  }, PROGRESS_EVERY_MS);
  try {
    return await work(tell);
  } finally {
    clearInterval(timer);
    progress.clear();
  }
}

function share(done: number, total: number): string {
  return `${total === 0 ? 100 : Math.min(100, Math.floor((100 * done) / total))} %`;
}

/** "1 block", "2,000 blocks". */
export function counted(count: number, what: string): string {
  return `${grouped(count)} ${what}${count === 1 ? "" : "s"}`;
}

function visibleLength(cell: string): number {
  return stripVTControlCharacters(cell).length;
}
