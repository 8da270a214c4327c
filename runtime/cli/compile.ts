/** stillpoint compile GUEST.ts -o OUT.wasm */

import { compileGuest } from "../compile.ts";
import { UsageError } from "../errors.ts";
import { type Command, EXIT_OK, grouped, parseOptions, print, writeOutput } from "./terminal.ts";

export const compileCommand: Command = {
  name: "stillpoint compile",
  help: `Compiles an AssemblyScript guest to a WebAssembly module.

  stillpoint compile GUEST.ts -o OUT.wasm [--debug]

  -o, --out FILE   where to write the module
  --debug          keep function names; changes the program's hash
  --help           this text`,
  run: async (args) => {
    const { values, positionals } = parseOptions(
      args,
      { out: { type: "string", short: "o" }, debug: { type: "boolean", default: false } },
      1,
    );
    const { out } = values;
    if (out === undefined)
      throw new UsageError("BAD_OPTION", "-o OUT.wasm is missing: where shall the module go?");
    const bytes = await compileGuest(positionals[0]!, { debug: values.debug });
    writeOutput(out, bytes);
    print(`${out}  ${grouped(bytes.length)} bytes`);
    return EXIT_OK;
  },
};
