/**
 * npm run crash -- [--kills N | --cuts N] [--seed S] [--durability block|logged] [--json]
 *
 * Kills a process that writes blocks N times (300), or cuts the power under what it has written, and reports
 * whether anything that was acknowledged is lost, or anything corrupt; the exit code says it too. Without
 * --durability the modes take turns in being killed, and "logged" is cut.
 */

import { parseArgs } from "node:util";
import { cuts } from "./cuts.ts";
import { cannotRecord } from "./recorded.ts";
import { crash, type Durability } from "./run.ts";

const KNOWN = ["block", "logged"];
const OPTIONS = `[--kills N | --cuts N] [--seed S] [--durability ${KNOWN.join("|")}] [--json]`;
const HELP = `usage: npm run crash -- ${OPTIONS}

Kills a process that writes blocks N times (300), or cuts the power under what it has written, and reports
whether anything that was acknowledged is lost, or anything corrupt.
`;

/** Prints how to call this, and ends. */
function usage(text: string): never {
  process.stderr.write(`${text}usage: npm run crash -- ${OPTIONS}\n`);
  process.exit(2);
}

function parsed(): ReturnType<typeof parse> {
  try {
    return parse();
  } catch (error) {
    return usage(`crash: ${(error as Error).message}\n`);
  }
}

const parse = () =>
  parseArgs({
    options: {
      help: { type: "boolean", short: "h", default: false },
      kills: { type: "string", default: "300" },
      cuts: { type: "string" },
      seed: { type: "string", default: "20150730" },
      durability: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
const { values } = parsed();
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const what = values.cuts === undefined ? "kills" : "cuts";
const count = Number(values[what]);
const seed = Number(values.seed);
const durability = values.durability as Durability | undefined;
const isKnown = durability === undefined || KNOWN.includes(durability);
if (!Number.isSafeInteger(count) || !Number.isSafeInteger(seed) || count < 1 || !isKnown) usage("");
const reason = what === "cuts" ? cannotRecord() : null;
if (reason !== null) {
  process.stderr.write(`crash: nothing can be cut, for ${reason}\n`);
  process.exit(2);
}
const tell = (text: string): void => void process.stderr.write(`crash: ${text}\n`);
const report =
  what === "cuts"
    ? await cuts(count, seed, tell, durability ?? "logged")
    : await crash(count, seed, tell, durability === undefined ? undefined : [durability]);
const { kills, blocksAcknowledged, lost, corrupt } = report;
process.stdout.write(
  values.json
    ? `${JSON.stringify({ [what]: kills, blocksAcknowledged, lost, corrupt })}\n`
    : `${kills} ${what}, ${blocksAcknowledged} blocks acknowledged, ${lost} lost, ${corrupt} corrupt\n`,
);
process.exitCode = lost + corrupt === 0 ? 0 : 1;
