/**
 * npm run network -- [--seed S] [--comet V] [--short] [--only ROW]: what must hold of a network on a real
 * CometBFT, row by row. Without the binary in the cache folder nothing is run, and the reason is printed;
 * with --build one is built, if Go can do that here.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMET_VERSIONS, type CometVersion, comet, findComet } from "../../examples/validator/comet.ts";
import { killAll } from "../../examples/validator/pair.ts";
import {
  type Command,
  choiceOption,
  EXIT_FAILED,
  EXIT_OK,
  integerOption,
  parseOptions,
  print,
  printError,
  runCommand,
} from "../../runtime/cli/terminal.ts";
import type { UsageError } from "../../runtime/index.ts";
import { ROWS, type Setting } from "./rows.ts";

const HELP = `What must hold of a network on CometBFT.

  network [--seed S]         where processes are killed; default 1
          [--comet VERSION]  ${COMET_VERSIONS.join(" or ")}; default: all that are in the cache folder
          [--short]          one version, one seed for each point, 20 blocks
          [--build]          builds one if none is there, if Go can
          [--only TEXT]      rows whose name has this text`;

const TEXT = { type: "string" } as const;

const command: Command = {
  name: "network",
  help: HELP,
  run: async (args) => {
    const { values } = parseOptions(args, {
      seed: { ...TEXT, default: "1" },
      comet: TEXT,
      short: { type: "boolean", default: false },
      build: { type: "boolean", default: false },
      only: { ...TEXT, default: "" },
    });
    const seed = integerOption("seed", values.seed, 0, 2 ** 31);
    const asked = values.comet === undefined ? null : choiceOption("comet", values.comet, COMET_VERSIONS);
    const binaries = binariesOf(asked, values);
    if (typeof binaries === "string") {
      print(`network: skipped: ${binaries}`);
      return EXIT_OK;
    }
    const end = (): void => {
      killAll();
      process.exit(130);
    };
    process.once("SIGINT", end).once("SIGTERM", end);
    let failures = 0;
    for (const [version, binary] of binaries)
      for (const [name, row] of Object.entries(ROWS))
        if (name.includes(values.only))
          failures += await attempt(`${version}: ${name}`, row, { binary, seed, isShort: values.short });
    return failures === 0 ? EXIT_OK : EXIT_FAILED;
  },
};

/** Those to run the rows on, or why there are none. */
function binariesOf(
  asked: CometVersion | null,
  { short: isShort, build }: { readonly short: boolean; readonly build: boolean },
): [CometVersion, string][] | string {
  if (asked !== null && !isShort) return [[asked, comet(asked, printError)]];
  const wanted = asked === null ? COMET_VERSIONS : [asked];
  const found = wanted.flatMap((version): [CometVersion, string][] => {
    const binary = findComet(version);
    return binary === null ? [] : [[version, binary]];
  });
  if (found.length > 0) return isShort ? found.slice(0, 1) : found;
  if (!build) return "there is no CometBFT in the cache folder; --build builds one, with Go";
  try {
    const [version] = wanted as [CometVersion];
    return [[version, comet(version, printError)]];
  } catch (error) {
    return (error as UsageError).message;
  }
}

/** Runs a row in a directory of its own; 1 if it fails. */
async function attempt(
  name: string,
  row: (setting: Setting) => Promise<string>,
  rest: Omit<Setting, "directory">,
): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-network-"));
  const start = performance.now();
  const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  try {
    const said = await row({ ...rest, directory });
    print(`ok      ${name} (${seconds()})${said && `: ${said}`}`);
    return 0;
  } catch (error) {
    print(
      `FAILED  ${name} (${seconds()}), seed ${rest.seed}: ${error instanceof Error ? error.stack : error}`,
    );
    return 1;
  } finally {
    killAll();
    rmSync(directory, { recursive: true, force: true });
  }
}

await runCommand(command, process.argv.slice(2));
