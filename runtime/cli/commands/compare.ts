/** stillpoint compare: two versions of a program on the same transactions. */

import { compareVersions, formatComparison, type Version } from "../../app/index.ts";
import { jsonOf } from "../../node/values.ts";
import { type AppFile, loadApp, projectSetup } from "../app-file.ts";
import { readBlockFile } from "../block-file.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_FAILED, EXIT_OK, print, toJson } from "../terminal.ts";

export const compare: Handler<Spec<"compare">> = async ({ args, options, json }) => {
  const blocksOf = readBlockFile(args.BLOCKS);
  const setup = options.setup ?? projectSetup();
  const [old, now] = [await loadApp(args.OLD, setup), await loadApp(args.NEW, setup)];
  const blocks = blocksOf(old.description).map(({ calls }) =>
    calls.map(({ call, from, gas }) => ({ call, from, ...(gas !== undefined && { gas }) })),
  );
  const compared = await compareVersions(versionOf(old), versionOf(now), () => blocks);
  print(json ? toJson(jsonOf(compared)) : formatComparison(compared));
  const isSame = compared.state.length === 0 && !compared.calls.some(({ differs }) => differs);
  return isSame ? EXIT_OK : EXIT_FAILED;
};

function versionOf({ program, setup }: AppFile): Version {
  return { program, setup };
}
