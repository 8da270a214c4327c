/** Commands for single modules: compile and admit. */

import type { CommandSpec, OptionSpec } from "../command.ts";

/** The options of `compileGuest`. */
export const COMPILER = {
  "no-optimize": { about: "compiles faster, to slower code (asc -O0)" },
  debug: { about: "keeps the names of functions in the module, which changes its hash" },
  runtime: {
    about: "AssemblyScript's memory manager; default stub, which never frees memory",
    value: "NAME",
    choices: ["stub", "minimal", "incremental"],
  },
  define: { about: "a global constant for the sources", value: "NAME=N", repeated: true },
  "memory-base": { about: "first address of static data", value: "BYTES", range: [0, 2 ** 31] },
  "stack-size": { about: "size of the shadow stack", value: "BYTES", range: [0, 2 ** 30] },
  "initial-memory": { about: "memory at the start, in pages of 64 KiB", value: "PAGES", range: [0, 65536] },
  "maximum-memory": { about: "maximum memory, in pages of 64 KiB", value: "PAGES", range: [0, 65536] },
  enable: { about: "a WebAssembly feature to use", value: "FEATURE", choices: ["simd"], repeated: true },
  disable: {
    about: "a WebAssembly feature not to use",
    value: "FEATURE",
    choices: ["mutable-globals", "sign-extension", "nontrapping-f2i", "bulk-memory"],
    repeated: true,
  },
  base: {
    about: "the directory to which paths in the module are relative; default: that of package.json",
    value: "DIR",
    completes: "directory",
  },
  timeout: { about: "gives up after this time; default 60000", value: "MS", range: [1, 2 ** 31 - 1] },
  cache: { about: "where compiled modules are kept", value: "DIR", completes: "directory" },
  "no-cache": { about: "compiles even what has not changed" },
} as const satisfies Readonly<Record<string, OptionSpec>>;

export const MODULES = {
  compile: {
    summary: "compiles one AssemblyScript file to a WebAssembly module",
    arguments: { "FILE.ts": { about: "the file that exports the entries", completes: "file" } },
    options: {
      out: {
        about: "where the module goes; default FILE.wasm",
        value: "FILE",
        short: "o",
        completes: "file",
      },
      sources: {
        about: "writes OUT.map and OUT.named beside it: addSources takes them, for stacks with lines",
      },
      ...COMPILER,
    },
    about: 'For programs with a root of their own. A program of contracts is made by "stillpoint build".',
    example: "compile root.ts -o root.wasm",
  },
  admit: {
    summary: "says whether a module is admitted, and describes it",
    arguments: { FILE: { about: "a module, or an AssemblyScript file to compile first", completes: "file" } },
    options: COMPILER,
    about: "Prints its hash, entries and memory; or why it is rejected, with function and byte.",
    no: "if it is rejected",
    example: "admit root.wasm",
  },
} as const satisfies Readonly<Record<string, CommandSpec>>;
