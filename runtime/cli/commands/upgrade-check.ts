/** stillpoint upgrade-check: whether a program can take over the state of another, and what changes. */

import { statSync } from "node:fs";
import { buildGuest } from "../../compile.ts";
import { UsageError } from "../../errors.ts";
import { openReader } from "../../store.ts";
import type { Lock } from "../../typed/guest.ts";
import { type Interface, readInterface } from "../../typed/interface.ts";
import { lockOf } from "../../typed/layout.ts";
import { checkUpgrade } from "../../typed/upgrade.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_FAILED, EXIT_OK, print, printError, toJson, withProgress } from "../terminal.ts";
import { readInput } from "./files.ts";

/** Where an App has its program. */
const APP: readonly number[] = [1];

export const check: Handler<Spec<"upgrade-check">> = async ({ args, json }) => {
  const before = await interfaceOf(args.OLD, null);
  const after = await interfaceOf(args.NEW, lockOf(before)).catch((error) => {
    if (error.code !== "E_GUEST_COMPILE") throw error;
    return interfaceOf(args.NEW, null); // its state does not fit there: the problems say where
  });
  const { problems, added, gone, lost, migrations } = checkUpgrade(before, after);
  if (json) {
    print(toJson({ problems, added, gone, lost, migrations }));
  } else {
    for (const problem of problems) printError(`stillpoint upgrade-check: ${problem}`);
    for (const [what, names] of [
      ["state added", added],
      ["state gone, whose place stays reserved", gone],
      ['functions gone or changed: clients of the old program get "no such function"', lost],
      ["migrations to run", migrations],
    ] as const) {
      if (names.length > 0) print(`${what}: ${names.join(", ")}`);
    }
    if (problems.length === 0) print("the new program finds the state where the old one left it");
  }
  return problems.length === 0 ? EXIT_OK : EXIT_FAILED;
};

/**
 * The interface of a source file, of a module, or of the app of a store as it is now. A source without a lock
 * file has its state where `lock` says, as in `app.upgrade`.
 */
async function interfaceOf(name: string, lock: Lock | null): Promise<Interface> {
  if (name.endsWith(".ts")) {
    const compile = () => buildGuest(name, { onWarning: printError }, lock);
    return readInterface((await withProgress(`compiling ${name}`, compile)).program);
  }
  if (statSync(name, { throwIfNoEntry: false })?.isDirectory() !== true)
    return readInterface(readInput(name));
  await using reader = await openReader(name);
  const program = reader.inspect(APP)?.program;
  if (program === undefined)
    throw new UsageError("NO_INTERFACE", `the store ${name} has no app`, { store: name });
  return readInterface(reader.programBytes(program));
}
