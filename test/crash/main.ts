/**
 * npm run crash -- [--kills N] [--seed S] [--json]
 *
 * Kills a process that writes blocks N times (300) and reports whether anything that was acknowledged is
 * lost, or anything corrupt; the exit code says it too.
 */

import { parseArgs } from "node:util";
import { crash } from "./run.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "300" },
    seed: { type: "string", default: "20150730" },
    json: { type: "boolean", default: false },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
if (!Number.isSafeInteger(kills) || !Number.isSafeInteger(seed) || kills < 1) {
  process.stderr.write("usage: npm run crash -- [--kills N] [--seed S] [--json]\n");
  process.exit(2);
}
const report = await crash(kills, seed, (text) => process.stderr.write(`crash: ${text}\n`));
const { blocksAcknowledged, lost, corrupt } = report;
process.stdout.write(
  values.json
    ? `${JSON.stringify({ kills: report.kills, blocksAcknowledged, lost, corrupt })}\n`
    : `${report.kills} kills, ${blocksAcknowledged} blocks acknowledged, ${lost} lost, ${corrupt} corrupt\n`,
);
process.exitCode = lost + corrupt === 0 ? 0 : 1;
