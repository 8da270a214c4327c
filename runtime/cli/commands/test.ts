/** stillpoint test: starts Node's own test runner, in the same version of Node. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { UsageError } from "../../errors.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_FAILED, EXIT_OK } from "../terminal.ts";

export const test: Handler<Spec<"test">> = async ({ args, options, json }) => {
  const { watch, name } = options;
  if (json) throw new UsageError("BAD_OPTION", "test has no --json: use the reporters of node --test");
  const words = [
    "--test",
    ...(watch ? ["--watch"] : []),
    ...(name === undefined ? [] : [`--test-name-pattern=${name}`]),
    ...args.FILE,
  ];
  const child = spawn(process.execPath, words, { stdio: "inherit" });
  const ignore = (): void => {}; // the child has the signal as well, and says how it ended
  process.on("SIGINT", ignore);
  const [code] = (await once(child, "exit")) as [number | null];
  process.off("SIGINT", ignore);
  return code === 0 ? EXIT_OK : EXIT_FAILED;
};
