#!/usr/bin/env node
/**
 * The command `stillpoint`. What it knows is in table.ts; the code of a command is loaded when it is called,
 * so that --help and --version cost nothing, and so that a Node too old to parse the rest still gets to the
 * check below.
 */

import { readFileSync } from "node:fs";
import { oldNodeText } from "../node-version.ts";
import type { Handler } from "./command.ts";
import type { CommandName, Spec } from "./table.ts";

const HANDLERS: { readonly [Name in CommandName]: () => Promise<Handler<Spec<Name>>> } = {
  new: async () => (await import("./commands/new.ts")).make,
  build: async () => (await import("./commands/build.ts")).build,
  test: async () => (await import("./commands/test.ts")).test,
  dev: async () => (await import("./commands/dev.ts")).dev,
  submit: async () => (await import("./commands/calls.ts")).submit,
  query: async () => (await import("./commands/calls.ts")).query,
  run: async () => (await import("./commands/run.ts")).run,
  replay: async () => (await import("./commands/replay.ts")).replay,
  compare: async () => (await import("./commands/compare.ts")).compare,
  "upgrade-check": async () => (await import("./commands/upgrade-check.ts")).check,
  interface: async () => (await import("./commands/interface.ts")).show,
  "inspect web": async () => (await import("./commands/web.ts")).web,
  "inspect blocks": async () => (await import("./commands/inspect.ts")).blocks,
  "inspect process": async () => (await import("./commands/inspect.ts")).process,
  "inspect memory": async () => (await import("./commands/inspect.ts")).memory,
  "inspect diff": async () => (await import("./commands/inspect.ts")).diff,
  "inspect diverge": async () => (await import("./commands/inspect.ts")).diverge,
  "inspect trace": async () => (await import("./commands/trace.ts")).trace,
  "inspect recording": async () => (await import("./commands/recording.ts")).recording,
  "inspect profile": async () => (await import("./commands/profile.ts")).profile,
  "inspect proof": async () => (await import("./commands/proof.ts")).make,
  "inspect pins": async () => (await import("./commands/inspect.ts")).pins,
  "inspect verify": async () => (await import("./commands/inspect.ts")).verify,
  "inspect export": async () => (await import("./commands/inspect.ts")).write,
  "proof check": async () => (await import("./commands/proof.ts")).check,
  "store prune": async () => (await import("./commands/store.ts")).prune,
  "store pin": async () => (await import("./commands/store.ts")).pin,
  "store unpin": async () => (await import("./commands/store.ts")).unpin,
  "store repair": async () => (await import("./commands/store.ts")).repair,
  "store recover": async () => (await import("./commands/store.ts")).recover,
  "store salvage": async () => (await import("./commands/store.ts")).salvage,
  "store import": async () => (await import("./commands/store.ts")).read,
  "store backup": async () => (await import("./commands/store.ts")).backup,
  compile: async () => (await import("./commands/modules.ts")).compile,
  admit: async () => (await import("./commands/modules.ts")).check,
  completion: async () => (await import("./completion.ts")).completion,
};

const oldNode = oldNodeText(process.versions.node);
if (oldNode !== null) {
  process.stderr.write(`stillpoint: ${oldNode}\n`);
  process.exitCode = 2;
} else {
  await main(process.argv.slice(2));
}

async function main(words: string[]): Promise<void> {
  const { EXIT_USAGE, print, printError, runToExit } = await import("./terminal.ts");
  const [first, ...rest] = words;
  if (first === "--version" || first === "-v") return print(version());
  if (first === "--complete") return print((await import("./completion.ts")).complete(rest));
  const table = await import("./table.ts");
  const help = await import("./help.ts");
  const { findCommand, parseInput } = await import("./parse.ts");
  if (first === "help" && rest.length > 0) return main([...rest, "--help"]);
  if (first !== undefined && first in table.EXAMPLES) return example(first, rest);
  const isHelp = words.includes("--help") || words.includes("-h");
  const found = findCommand(table.TABLE, words);
  if (found !== null) {
    const name = found.name as CommandName;
    if (isHelp) return print(help.commandHelp(name, table.TABLE[name]));
    const run = async (): Promise<number> => {
      const input = parseInput(name, table.TABLE[name], found.rest);
      return ((await HANDLERS[name]()) as Handler<unknown>)(input);
    };
    return runToExit(`stillpoint ${name}`, run, words.includes("--json"));
  }
  const summary = table.GROUPS[first ?? ""];
  if (isHelp && first !== undefined && summary !== undefined)
    return print(help.groupHelp(table.TABLE, first, summary));
  if (isHelp || first === "help") return print(help.overview(table.SECTIONS));
  process.exitCode = EXIT_USAGE;
  printError((await import("./unknown.ts")).unknownText(words));
}

/** The examples are built on the runtime, so nothing here imports them by name: they are found beside it. */
async function example(name: string, words: string[]): Promise<void> {
  const { runCommand } = await import("./terminal.ts");
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."));
  const found = await import(new URL(`../../examples/${name}/demo${extension}`, import.meta.url).href);
  return runCommand(found[`${name}Command`], words);
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
