/** stillpoint build APP.ts [--out DIR] [--check] */

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { buildGuest, lockPath } from "../compile.ts";
import { UsageError } from "../errors.ts";
import { programHash } from "../program/admit.ts";
import { clientSource } from "../typed/client-source.ts";
import {
  type Command,
  EXIT_FAILED,
  EXIT_OK,
  grouped,
  parseOptions,
  print,
  printError,
  writeOutput,
} from "./terminal.ts";

export const buildCommand: Command = {
  name: "stillpoint build",
  help: `Builds a program of contracts: the module, the layout of its state, and a client with types.

  stillpoint build APP.ts [--out DIR] [--check]

  APP.layout.json  beside the source: where each collection lies. Keep it with the source. What is in it never
                   moves; new collections are added to it
  APP.client.ts    beside the source: the type of the client, for App.open<Client>(…)
  APP.wasm         in DIR, default beside the source: what App.open takes as "program"

  --check          writes nothing; fails if the layout or the client would change
  --help           this text`,
  run: async (args) => {
    const { values, positionals } = parseOptions(
      args,
      { out: { type: "string" }, check: { type: "boolean", default: false } },
      1,
    );
    const entry = resolve(positionals[0] as string);
    const { program, typed } = await buildGuest(entry, { onWarning: printError });
    if (typed === null) {
      const text = `${basename(entry)} has no class marked @contract: use stillpoint compile`;
      throw new UsageError("NO_INTERFACE", text, { entry });
    }
    const { layout, description, docs } = typed;
    for (const name of layout.gone) {
      printError(`${basename(entry)}: state ${name} is gone; its place stays reserved in the layout`);
    }
    const stem = entry.replace(/\.ts$/, "");
    const texts: [file: string, text: string][] = [
      [lockPath(entry), `${JSON.stringify(layout.lock, null, 2)}\n`],
      [`${stem}.client.ts`, clientSource(description, docs)],
    ];
    const changed = texts.filter(([file, text]) => !existsSync(file) || readFileSync(file, "utf8") !== text);
    if (values.check) {
      for (const [file] of changed)
        printError(`${basename(file)} would change: run stillpoint build, and keep it`);
      return changed.length === 0 ? EXIT_OK : EXIT_FAILED;
    }
    for (const [file, text] of changed) writeOutput(file, text);
    const directory = values.out ?? dirname(entry);
    mkdirSync(directory, { recursive: true });
    const module = join(directory, `${basename(stem)}.wasm`);
    writeOutput(module, program);
    print(`${module}  ${grouped(program.length)} bytes`);
    print(`program  ${Buffer.from(programHash(program)).toString("hex")}`);
    print(`state    ${grouped(description.stateBytes)} bytes in ${layout.regions.length} collections`);
    return EXIT_OK;
  },
};
