#!/usr/bin/env node
/**
 * The command `stillpoint`. Commands are loaded when they are called, so that --version costs nothing, and so
 * that a Node too old to parse the rest still gets to the check below.
 */

import { readFileSync } from "node:fs";

const WANTED_MAJOR = 24;

const HELP = `stillpoint: WebAssembly processes in a tree, whose memory is the state

  stillpoint compile GUEST.ts -o OUT.wasm   compiles an AssemblyScript guest
  stillpoint build APP.ts                   builds a program of contracts, with its layout and client
  stillpoint admit PROGRAM.wasm             checks a program and prints its hash, or why it is rejected
  stillpoint store COMMAND DIRECTORY        looks at and cares for a directory of blocks
  stillpoint evm [OPTION…]                  the EVM example: Ethereum blocks with their contracts
  stillpoint ledger [OPTION…]               the ledger example: value transfers of real blocks
  stillpoint parallel [OPTION…]             the parallel example: one root, many children
  stillpoint exchange [OPTION…]             the exchange example: transactions over several processes
  stillpoint COMMAND --help                 options of a command
  stillpoint --version`;

if (Number(process.versions.node.split(".")[0]) < WANTED_MAJOR) {
  process.stderr.write(
    `stillpoint: needs Node ${WANTED_MAJOR} or later, this is ${process.versions.node}: update it\n`,
  );
  process.exitCode = 2;
} else {
  await main(process.argv.slice(2));
}

async function main([name, ...args]: string[]): Promise<void> {
  const { runCommand, print, printError, EXIT_USAGE } = await import("./terminal.ts");
  const command = await findCommand(name);
  if (command !== undefined) return runCommand(command, args);
  if (name === "--version") return print(version());
  if (name === "--help" || name === "-h") return print(HELP);
  printError(
    name === undefined ? HELP : `stillpoint: no command ${JSON.stringify(name)}; --help lists what there is`,
  );
  process.exitCode = EXIT_USAGE;
}

async function findCommand(name: string | undefined): Promise<import("./terminal.ts").Command | undefined> {
  switch (name) {
    case "compile":
      return (await import("./compile.ts")).compileCommand;
    case "build":
      return (await import("./build.ts")).buildCommand;
    case "admit":
      return (await import("./admit.ts")).admitCommand;
    case "store":
      return (await import("./store.ts")).storeCommand;
    case "evm":
      return (await example("evm")).evmCommand;
    case "ledger":
      return (await example("ledger")).ledgerCommand;
    case "parallel":
      return (await example("parallel")).parallelCommand;
    case "exchange":
      return (await example("exchange")).exchangeCommand;
    default:
      return undefined;
  }
}

/** The examples are built on the runtime, so nothing here imports them by name: they are found beside it. */
async function example(name: string): Promise<Record<string, import("./terminal.ts").Command>> {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."));
  return import(new URL(`../../examples/${name}/demo${extension}`, import.meta.url).href);
}

function version(): string {
  // Sources and built files lie at different depths below the manifest.
  for (const up of ["../../", "../../../"]) {
    try {
      return JSON.parse(readFileSync(new URL(`${up}package.json`, import.meta.url), "utf8")).version;
    } catch {}
  }
  return "unknown";
}
