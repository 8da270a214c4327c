/** stillpoint test: starts Node's own test runner, in the same version of Node. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { UPDATE_GAS } from "../../app/gas-snapshot.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_FAILED, EXIT_OK } from "../terminal.ts";

const ENDING = import.meta.url.endsWith(".ts") ? "ts" : "js";
const reporter = (name: string): string => new URL(`../${name}.${ENDING}`, import.meta.url).href;

/** A reporter, and where it writes to. */
const reporting = (name: string, to: "stdout" | "stderr"): string[] => [
  `--test-reporter=${name}`,
  `--test-reporter-destination=${to}`,
];

export const test: Handler<Spec<"test">> = async ({ args, options, json }) => {
  const { watch, name, "update-gas": updatesGas } = options;
  const words = [
    "--test",
    ...(watch ? ["--watch"] : []),
    ...reporting(json ? reporter("reporter") : "spec", "stdout"),
    ...(name === undefined
      ? []
      : [`--test-name-pattern=${name}`, ...reporting(reporter("matching"), "stderr")]),
    ...args.FILE,
  ];
  const env = updatesGas ? { ...process.env, [UPDATE_GAS]: "1" } : process.env;
  const child = spawn(process.execPath, words, { stdio: "inherit", env });
  const ignore = (): void => {}; // the child has the signal as well, and says how it ended
  process.on("SIGINT", ignore);
  const [code] = (await once(child, "exit")) as [number | null];
  process.off("SIGINT", ignore);
  return code === 0 ? EXIT_OK : EXIT_FAILED;
};
