/** A short run of chaos in memory: exit code 1 where something is wrong. */

import { sized } from "../sizes.ts";
import { withDirectory } from "../store/directory.ts";
import { chaos } from "./chaos.ts";
import { memoryPlace } from "./places.ts";

/** A planted fault may also make all of them wait for ever. */
setTimeout(() => fail(new Error("it takes too long")), 60_000);

function fail(error: unknown): never {
  process.stdout.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
}

await withDirectory(async (directory) => {
  await chaos(memoryPlace(), { seed: 1, blocks: sized(8, 25), directory });
}).catch(fail);
process.stdout.write("all agree\n");
process.exit();
