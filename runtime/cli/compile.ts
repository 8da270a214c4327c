/** stillpoint compile GUEST.ts -o OUT.wasm */

import { compileGuest } from "../compile.ts";
import { UsageError } from "../errors.ts";
import { sourcesOf } from "../program/source-map/sources.ts";
import { type Command, EXIT_OK, grouped, parseOptions, print, printError, writeOutput } from "./terminal.ts";

export const compileCommand: Command = {
  name: "stillpoint compile",
  help: `Compiles an AssemblyScript guest to a WebAssembly module.

  stillpoint compile GUEST.ts -o OUT.wasm [--sources] [--debug]

  -o, --out FILE   where to write the module
  --sources        beside it, OUT.wasm.map and OUT.wasm.named: what addSources takes, for stacks with names
                   and lines; the module is the same
  --debug          keep function names in the module; changes the program's hash
  --help           this text`,
  run: async (args) => {
    const { values, positionals } = parseOptions(
      args,
      {
        out: { type: "string", short: "o" },
        sources: { type: "boolean", default: false },
        debug: { type: "boolean", default: false },
      },
      1,
    );
    const { out, sources } = values;
    if (out === undefined)
      throw new UsageError("BAD_OPTION", "-o OUT.wasm is missing: where shall the module go?");
    const bytes = await compileGuest(positionals[0]!, { debug: values.debug, onWarning: printError });
    writeOutput(out, bytes);
    print(`${out}  ${grouped(bytes.length)} bytes`);
    if (sources) {
      const { map = "", named = bytes } = sourcesOf(bytes);
      writeOutput(`${out}.map`, Buffer.from(map));
      writeOutput(`${out}.named`, named);
    }
    return EXIT_OK;
  },
};
