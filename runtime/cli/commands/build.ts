/** stillpoint build: module, layout and client of a program of contracts; once, or at every change. */

import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { buildGuest, lockPath, lockText } from "../../compile.ts";
import { StillpointError, UsageError } from "../../errors.ts";
import { programHash } from "../../program/admit.ts";
import { clientSource } from "../../typed/client-source.ts";
import { appNamed } from "../app-file.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import {
  counted,
  EXIT_FAILED,
  EXIT_OK,
  grouped,
  print,
  printError,
  toJson,
  withProgress,
  writeOutput,
} from "../terminal.ts";
import { readSources, untilInterrupted, watchSources } from "../watch.ts";

interface Wanted {
  readonly entry: string;
  readonly out: string | undefined;
  readonly check: boolean;
  readonly json: boolean;
}

export const build: Handler<Spec<"build">> = async ({ args, options, json }) => {
  const { out, check, watch } = options;
  if (check && watch) throw new UsageError("BAD_OPTION", "--check and --watch exclude each other");
  const wanted = { entry: appNamed(args["APP.ts"]), out, check, json };
  if (!watch) return buildOnce(wanted);
  const read = readSources(wanted.entry);
  await buildAgain(wanted);
  const watcher = watchSources(wanted.entry, read, () => buildAgain(wanted));
  await untilInterrupted();
  watcher.close();
  return EXIT_OK;
};

/** Prints the errors of a source and continues: the next change may correct it. */
async function buildAgain(wanted: Wanted): Promise<void> {
  try {
    await buildOnce(wanted);
  } catch (error) {
    if (!(error instanceof StillpointError)) throw error;
    printError(`stillpoint build: ${error.message}`);
  }
}

async function buildOnce({ entry, out, check, json }: Wanted): Promise<number> {
  const { program, layout, files, description } = await builtFiles(entry);
  for (const name of layout.gone) {
    printError(`${basename(entry)}: state ${name} is gone; its place stays reserved in the layout`);
  }
  const changed = files.filter(([file, text]) => !existsSync(file) || readFileSync(file, "utf8") !== text);
  if (check) {
    for (const [file] of changed)
      printError(`${basename(file)} would change: run stillpoint build, and keep it`);
    if (json) print(toJson({ changed: changed.map(([file]) => file) }));
    return changed.length === 0 ? EXIT_OK : EXIT_FAILED;
  }
  const lock = lockPath(entry);
  const isFirst = !existsSync(lock);
  for (const [file, text] of changed) writeOutput(file, text);
  const directory = out ?? dirname(entry);
  const module = join(directory, `${basename(entry, ".ts")}.wasm`);
  writeOutput(module, program);
  const hash = Buffer.from(programHash(program)).toString("hex");
  const { stateBytes } = description;
  if (json) {
    print(toJson({ file: module, bytes: program.length, program: hash, stateBytes }));
    return EXIT_OK;
  }
  print(`${module}  ${grouped(program.length)} bytes`);
  print(`program  ${hash}`);
  print(`state    ${grouped(stateBytes)} bytes in ${counted(layout.regions.length, "collection")}`);
  if (isFirst) print(`layout   ${basename(lock)} is new: keep it, for later versions find the state by it`);
  return EXIT_OK;
}

/**
 * The program of a file with contracts, and the layout and client that are written beside it.
 *
 * @throws UsageError (E_GUEST_COMPILE, E_GUEST_MISSING, NO_INTERFACE…)
 */
export async function builtFiles(entry: string) {
  const { program, typed } = await withProgress(`compiling ${basename(entry)}`, () =>
    buildGuest(entry, { onWarning: printError }),
  );
  if (typed === null) {
    const text = `${basename(entry)} has no class marked @contract: use stillpoint compile`;
    throw new UsageError("NO_INTERFACE", text, { entry });
  }
  const { layout, description, docs } = typed;
  const files: readonly (readonly [file: string, text: string])[] = [
    [lockPath(entry), lockText(layout.lock)],
    [entry.replace(/\.ts$/, ".client.ts"), clientSource(description, docs)],
  ];
  return { program, layout, description, files };
}
