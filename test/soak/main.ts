/**
 * npm run soak -- [--blocks N] [--children N] [--seed S] [--json]
 *
 * A long run (soak.ts): 10,000 blocks over 100,000 children without more. Exit code 1 if the heap grew after
 * the warm-up; 2 for bad usage.
 */

import { parseArgs } from "node:util";
import { grouped } from "../../runtime/cli/terminal.ts";
import { type SoakResult, soak } from "./soak.ts";

const USAGE = "usage: npm run soak -- [--blocks N] [--children N] [--seed S] [--json]";
const CHILDREN_MAX = 120_000;

function usage(message: string): never {
  console.error(`soak: ${message}\n${USAGE}`);
  process.exit(2);
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        blocks: { type: "string", default: "10000" },
        children: { type: "string", default: "100000" },
        seed: { type: "string" },
        json: { type: "boolean", default: false },
      },
    });
    const number = (name: "blocks" | "children", minimum: number, maximum: number): number => {
      const value = /^\d{1,9}$/.test(values[name]) ? Number(values[name]) : -1;
      if (value >= minimum && value <= maximum) return value;
      return usage(`--${name} takes a whole number from ${minimum} to ${maximum}, got "${values[name]}"`);
    };
    const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
    if (!Number.isSafeInteger(seed) || seed < 0) usage(`--seed takes a whole number, got "${values.seed}"`);
    return {
      blocks: number("blocks", 10, 100_000_000),
      children: number("children", 10, CHILDREN_MAX),
      seed,
      json: values.json,
    };
  } catch (error) {
    return usage((error as Error).message);
  }
}

function print(result: SoakResult): void {
  const { blocks, children, seed, seconds, bytesPerChild, liveBytes, takenBytes, candidates } = result;
  const mebibytes = (bytes: readonly number[]) => bytes.map((value) => value >>> 20).join(" ");
  console.log(`${grouped(blocks)} blocks over ${grouped(children)} children in ${Math.round(seconds)} s`);
  console.log(`seed ${seed}, last block ${result.id}`);
  console.log(
    `bytes a child  ${bytesPerChild.fresh} made only, ${bytesPerChild.worked} with a page of its own`,
  );
  console.log(`heap, MiB      ${mebibytes(liveBytes)} live, at each tenth of the run`);
  console.log(`               ${mebibytes(takenBytes)} taken from the system`);
  console.log(`process, MiB   ${result.residentBytes >>> 20} resident`);
  console.log(
    `               ${result.collections} collections, ${result.reverts} reverts, ` +
      `${result.speculativeUsed} results of speculative work used`,
  );
  console.log(
    `               ${result.reorgs} reorgs, ${result.forks} forks, ${result.prunes} prunes, ` +
      `${result.views} views`,
  );
  console.log(
    `candidates     ${candidates.committed} committed, ${candidates.released} released, ` +
      `${candidates.dropped} dropped, ${candidates.noticed} of these noticed`,
  );
}

const { json, ...rest } = options();
const progress = process.stderr.isTTY ? (text: string) => process.stderr.write(`\r\x1b[K${text}`) : () => {};
const result = await soak({ ...rest, progress });
progress("");
if (json) console.log(JSON.stringify(result));
else print(result);
if (result.grew !== null) {
  console.error(`soak: ${result.grew}; --seed ${rest.seed} repeats the run`);
  process.exitCode = 1;
}
