/** stillpoint admit PROGRAM.wasm */

import { readFileSync } from "node:fs";
import { UsageError } from "../errors.ts";
import { AdmissionError, admit } from "../program/admit.ts";
import { type Command, EXIT_FAILED, EXIT_OK, grouped, parseOptions, print, printError } from "./terminal.ts";

export const admitCommand: Command = {
  name: "stillpoint admit",
  help: `Checks whether a WebAssembly module may run as a program.

  stillpoint admit PROGRAM.wasm

Prints the program's hash, entries and memory, or the reason, function and byte offset of
the rejection (exit code 1).`,
  run: async (args) => {
    const file = parseOptions(args, {}, 1).positionals[0]!;
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(file);
    } catch (cause) {
      throw new UsageError(
        "BAD_OPTION",
        `${file}: cannot be read: ${(cause as Error).message}`,
        { file },
        { cause },
      );
    }
    try {
      const { hash, entries, memory, suspends, code } = admit(bytes);
      print(`program  ${Buffer.from(hash).toString("hex")}`);
      print(`entries  ${entries.join(", ") || "none: no exported function of type (i64) -> i64"}`);
      print(`memory   ${memory.initialPages} to ${memory.maximumPages} pages of 64 KiB`);
      print(`stands   ${suspends ? "still in calls (RET or SNAPSHOT)" : "still between entries only"}`);
      print(`bytes    ${grouped(bytes.length)}, instrumented ${grouped(code.length)}`);
      return EXIT_OK;
    } catch (error) {
      if (!(error instanceof AdmissionError)) throw error;
      const { reason, functionIndex, offset } = error;
      printError(`${file}: rejected: ${error.message}`);
      print(`rejected  ${reason}`);
      print(`function  ${functionIndex ?? "none"}`);
      print(`offset    ${offset}`);
      return EXIT_FAILED;
    }
  },
};
