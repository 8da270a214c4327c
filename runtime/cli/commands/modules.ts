/** stillpoint compile and admit: single modules. */

import { badWord } from "../../arguments.ts";
import { type CompileOptions, compileGuest } from "../../compile.ts";
import { UsageError } from "../../errors.ts";
import { AdmissionError, admit, dataBelowBase, type Program } from "../../program/admit.ts";
import { sourcesOf } from "../../program/source-map/sources.ts";
import type { Handler, Input } from "../command.ts";
import type { Spec } from "../table.ts";
import {
  EXIT_FAILED,
  EXIT_OK,
  grouped,
  print,
  printError,
  toJson,
  withProgress,
  writeOutput,
} from "../terminal.ts";
import { readInput } from "./files.ts";

export const compile: Handler<Spec<"compile">> = async ({ args, options, json }) => {
  const source = args["FILE.ts"];
  const { out = `${source.replace(/\.ts$/, "")}.wasm`, sources } = options;
  if (out === source) throw new UsageError("BAD_OPTION", `${source} would be written over: give -o OUT.wasm`);
  const bytes = await compiled(source, options);
  writeOutput(out, bytes);
  if (sources) {
    const { map = "", named = bytes } = sourcesOf(bytes);
    writeOutput(`${out}.map`, map);
    writeOutput(`${out}.named`, named);
  }
  print(json ? toJson({ file: out, bytes: bytes.length }) : `${out}  ${grouped(bytes.length)} bytes`);
  return EXIT_OK;
};

export const check: Handler<Spec<"admit">> = async ({ args, options, json }) => {
  const bytes = args.FILE.endsWith(".ts") ? await compiled(args.FILE, options) : readInput(args.FILE);
  try {
    const program = admit(bytes);
    const { hash, entries, memory, suspends, code } = program;
    const warning = warningOf(program);
    if (warning !== null) printError(`${args.FILE}: warning: ${warning}`);
    if (json) {
      const sizes = { bytes: bytes.length, instrumented: code.length };
      print(toJson({ program: hash, entries, memory, suspends, ...sizes, warning }));
      return EXIT_OK;
    }
    print(`program  ${Buffer.from(hash).toString("hex")}`);
    print(`entries  ${entries.join(", ") || "none: no exported function of type (i64) -> i64"}`);
    print(`memory   ${memory.initialPages} to ${memory.maximumPages} pages of 64 KiB`);
    print(`suspends ${suspends ? "in calls (RET or SNAPSHOT)" : "never: its entries run to their ends"}`);
    print(`bytes    ${grouped(bytes.length)}, instrumented ${grouped(code.length)}`);
    return EXIT_OK;
  } catch (error) {
    if (!(error instanceof AdmissionError)) throw error;
    const { reason, functionIndex, offset, message } = error;
    printError(`${args.FILE}: rejected: ${message}`);
    if (json) print(toJson({ rejected: reason, function: functionIndex, offset }));
    else print(`rejected  ${reason}\nfunction  ${functionIndex ?? "none"}\noffset    ${offset}`);
    return EXIT_FAILED;
  }
};

function warningOf(program: Program): string | null {
  const lowest = dataBelowBase(program);
  if (lowest === null) return null;
  return (
    `static data begins at ${lowest}, in the state of ${program.stateBytes} bytes or the inbox and outbox ` +
    "behind it, where an item's input is written over it: compile it without memoryBase, or with a higher one"
  );
}

type CompilerInput = Input<Spec<"admit">>["options"];

function compiled(source: string, options: CompilerInput): Promise<Uint8Array> {
  const given = {
    memoryBase: options["memory-base"],
    stackSize: options["stack-size"],
    initialMemory: options["initial-memory"],
    maximumMemory: options["maximum-memory"],
    runtime: options.runtime,
    baseDirectory: options.base,
    timeoutMs: options.timeout,
    cache: options["no-cache"] ? false : options.cache,
  };
  const all: CompileOptions = {
    ...(Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    ) as CompileOptions),
    optimize: !options["no-optimize"],
    debug: options.debug,
    constants: Object.fromEntries(options.define.map(constant)),
    enable: options.enable as readonly "simd"[],
    disable: options.disable,
    onWarning: printError,
  };
  return withProgress(`compiling ${source}`, () => compileGuest(source, all));
}

function constant(text: string): [name: string, value: number] {
  const [, name, digits] = /^([A-Za-z_]\w*)=(\d{1,10})$/.exec(text) ?? [];
  if (name !== undefined) return [name, Number(digits)];
  throw badWord("--define", text, "NAME=N, as LIMIT=100");
}
