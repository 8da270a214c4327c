/**
 * npm run crash -- [--kills N] [--seed S] [--durability block|logged|pipelined] [--json]
 *
 * Kills a process that writes blocks N times (300) and reports whether anything that was acknowledged is
 * lost, or anything corrupt; the exit code says it too.
 */

import { parseArgs } from "node:util";
import { crash, type Durability } from "./run.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "300" },
    seed: { type: "string", default: "20150730" },
    durability: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
const KNOWN = ["block", "logged", "pipelined"];
const { durability } = values;
const isKnown = durability === undefined || KNOWN.includes(durability);
if (!Number.isSafeInteger(kills) || !Number.isSafeInteger(seed) || kills < 1 || !isKnown) {
  const text = `usage: npm run crash -- [--kills N] [--seed S] [--durability ${KNOWN.join("|")}] [--json]\n`;
  process.stderr.write(text);
  process.exit(2);
}
const tell = (text: string): void => void process.stderr.write(`crash: ${text}\n`);
const report = await crash(
  kills,
  seed,
  tell,
  durability === undefined ? undefined : [durability as Durability],
);
const { blocksAcknowledged, lost, corrupt } = report;
process.stdout.write(
  values.json
    ? `${JSON.stringify({ kills: report.kills, blocksAcknowledged, lost, corrupt })}\n`
    : `${report.kills} kills, ${blocksAcknowledged} blocks acknowledged, ${lost} lost, ${corrupt} corrupt\n`,
);
process.exitCode = lost + corrupt === 0 ? 0 : 1;
