/**
 * Power cuts: records what a process that produces blocks writes to its store, cuts that off at some moments,
 * in all the ways that recorded.ts allows, and opens what is left. What was acknowledged before must be
 * there.
 */

import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { StillpointError } from "../../runtime/index.ts";
import { verifyStore } from "../../runtime/store.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import type { Fault } from "../planted.ts";
import { cutAt, type Keep, type Recording, record } from "./recorded.ts";
import {
  CHILD,
  type CrashReport,
  type Durability,
  Judge,
  type Line,
  type Oracle,
  RETAIN,
  storeByStore,
} from "./run.ts";

const HOOK = fileURLToPath(new URL("../plant-hook.ts", import.meta.url));
/** The process kills itself at this step of its store, or of its log. */
const STEPS = 100;
/** Cuts of one recording. */
const CUTS_EACH = 250;

/** Cuts so often; `faults` are put into the sources of the process. */
export async function cuts(
  count: number,
  seed: number,
  tell: (text: string) => void,
  durability: Durability,
  faults: readonly Fault[] = [],
): Promise<CrashReport> {
  return storeByStore(count, async (store, report, oracle) => {
    const args = ["--import", HOOK, CHILD, store, String(seed + report.kills), durability, String(RETAIN)];
    const env = { STILLPOINT_KILL_STEP: String(STEPS), STILLPOINT_FAULTS: JSON.stringify(faults) };
    const recording = await record(store, args, env);
    const several = Math.min(CUTS_EACH, count - report.kills);
    await cutOften(recording, several, seed + report.kills, report, oracle, tell, durability);
    tell(`${report.kills} cuts`);
  });
}

async function cutOften(
  recording: Recording,
  count: number,
  seed: number,
  report: CrashReport,
  oracle: Oracle,
  tell: (text: string) => void,
  durability: Durability,
): Promise<void> {
  const next = random(seed);
  // Behind each sync, before it, and anywhere.
  const moments = recording.syncs.flatMap(({ began, ended }) => [began, ended]);
  for (let i = 0; i < count; i++) {
    const anywhere = next(4) === 0 || moments.length === 0;
    const cut = anywhere ? next(recording.end) : (moments[next(moments.length)] as number);
    const keep = (["none", "all", "some", "some"] as const)[next(4)] as Keep;
    const path = `${recording.store}-${i}`;
    cutAt(recording, cut, keep, seed + i, path);
    const judge = new Judge(oracle, report, (text) =>
      tell(`seed ${seed}, ${durability}, cut ${i} at ${cut} of ${recording.end}, ${keep}: ${text}`),
    );
    const said = recording.lines.filter(({ ended }) => ended <= cut);
    for (const { text } of said) await judge.take(JSON.parse(text) as Line);
    report.kills++;
    try {
      await judge.take(await opened(path));
    } catch (error) {
      if (!(error instanceof StillpointError)) throw error;
      report.corrupt++;
      tell(`seed ${seed}, ${durability}, cut ${i} at ${cut} of ${recording.end}, ${keep}: ${error.message}`);
    }
    await rm(path, { recursive: true, force: true });
  }
}

/** What is in a store that is opened now. */
async function opened(path: string): Promise<Line> {
  const options = { retainBlocks: RETAIN, workers: 1, runner: "sequential" } as const;
  const runtime = await open([], { ...options, store: { path, durability: "logged", logBytes: 1 << 16 } });
  try {
    const { damages } = await verifyStore(path);
    const { id, height } = runtime.head;
    const retained = runtime.retained();
    return { what: "open", head: id, height, retained: [...retained], damages: damages.length };
  } finally {
    await runtime.close();
  }
}
