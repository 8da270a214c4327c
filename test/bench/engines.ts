/**
 * Other engines beside this Node: the same trees, generated programs, batches and transactions on two
 * workers, in processes of their own, interleaved. `npm run fuzz -- engines --fetch` gets the engines.
 */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { otherNodes, versionOf } from "../fuzz/engines.ts";
import { otherEngines } from "../fuzz/other-engines.ts";
import { quantile } from "./measure.ts";
import type { Report } from "./report.ts";

const RUN = fileURLToPath(new URL("engines-run.ts", import.meta.url));
const ROUNDS = 3;

type Times = Readonly<Record<string, number>>;

export async function run(report: Report): Promise<void> {
  const { nodes, engines, missing } = otherEngines(false);
  const own = { name: `Node ${process.version}`, command: [process.execPath] };
  const others = [...otherNodes(), ...nodes].map((node) => {
    return { name: `Node ${versionOf(node)}`, command: [node] };
  });
  const all = [own, ...others, ...engines];
  const times = all.map((): Times[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { command }] of all.entries()) times[i]?.push(timesOf(command));
  }
  for (const why of missing) report.note(`not run: ${why}`);
  for (const part of Object.keys(times[0]?.[0] ?? {})) {
    const ofPart = (i: number): number[] => (times[i] as Times[]).map((one) => one[part] as number);
    for (const [i, { name }] of all.entries()) {
      const ratios = ofPart(i).map((time, round) => time / (ofPart(0)[round] as number));
      report.row({
        ...{ name: `${part}, ${name}`, value: quantile(ofPart(i), 0.5), unit: "ms" },
        ...(i === 0 ? {} : { baseline: own.name, ratio: quantile(ratios, 0.5) }),
      });
    }
  }
}

function timesOf([program, ...args]: readonly string[]): Times {
  const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"];
  const output = execFileSync(program as string, [...args, RUN], { stdio, encoding: "utf8" });
  return JSON.parse(output) as Times;
}
