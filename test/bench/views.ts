/**
 * Views: what a trivial one takes while blocks run, and what blocks take while views of maximum gas run all
 * the time, beside blocks of a process that has one core less and no views.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { programHash } from "../../runtime/index.ts";
import { SCRATCH, Script } from "../driver.ts";
import { guest, open } from "../fixture.ts";
import { quantile } from "./measure.ts";
import type { Report } from "./report.ts";

const VIEWS = 4_000;
const WARMUP = 1_000;
const ROUNDS = 8;
const BLOCKS = 40;

export async function run(report: Report): Promise<void> {
  await latency(report);
  await beside(report);
}

/** Views of a small child, one after the other, while the root makes blocks of some milliseconds. */
async function latency(report: Report): Promise<void> {
  const trivial = await guest("trivial");
  const workers = Math.max(1, availableParallelism() - 1);
  const runtime = await open([trivial], { workers, retainBlocks: 4 });
  const first = new Script();
  first.put(1, { program: programHash(trivial) });
  await runtime.produce(first.metadata());
  const block = new Script();
  block.fill(SCRATCH, 8 * 4096, 1);
  block.spin(2_000_000);
  let done = false;
  let blocks = 0;
  const making = (async () => {
    for (; !done; blocks++) await runtime.produce(block.metadata());
  })();
  const times: number[] = [];
  for (let i = 0; i < WARMUP + VIEWS; i++) {
    const start = performance.now();
    await runtime.call([1], "idle");
    if (i >= WARMUP) times.push(performance.now() - start);
  }
  done = true;
  await making;
  await runtime.close();
  for (const [name, q] of [
    ["p50", 0.5],
    ["p99", 0.99],
  ] as const) {
    report.row({ name: `a trivial view while blocks run, ${name}`, value: quantile(times, q), unit: "ms" });
  }
  report.note(`${blocks} blocks were made meanwhile`);
}

interface Round {
  readonly times: readonly number[];
  readonly views: number;
}

/** Blocks in two processes, in turns. */
async function beside(report: Report): Promise<void> {
  const cores = availableParallelism();
  if (process.platform !== "linux" || cores < 2) {
    report.note("blocks beside views need two cores, and taskset to take one away");
    return;
  }
  const few = await start(["taskset", "-c", cores === 2 ? "0" : `0-${cores - 2}`, process.execPath], "none");
  const all = await start([process.execPath], "views");
  const rounds: [Round, Round][] = [];
  for (let round = -2; round < ROUNDS; round++) {
    const pair: [Round, Round] = [await ask(few), await ask(all)];
    if (round >= 0) rounds.push(pair);
  }
  const p50 = (side: 0 | 1): number[] => rounds.map((pair) => quantile(pair[side].times, 0.5));
  const [without, withViews] = [p50(0), p50(1)];
  const ratio = quantile(
    withViews.map((time, i) => time / (without[i] as number)),
    0.5,
  );
  const name = "block, one core less, no views, p50";
  report.row({ name, value: quantile(without, 0.5), unit: "ms" });
  report.row({
    name: "block beside views of 10^8 gas, p50",
    ...{ value: quantile(withViews, 0.5), unit: "ms", baseline: name, ratio },
  });
  report.note(`${rounds.at(-1)?.[1].views} views ended meanwhile`);
  for (const child of [few, all]) child.disconnect();
}

async function start([command, ...args]: readonly string[], mode: string): Promise<ChildProcess> {
  const file = fileURLToPath(new URL("./views-run.ts", import.meta.url));
  const child = spawn(command as string, [...args, file, mode], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await once(child, "message");
  return child;
}

async function ask(child: ChildProcess): Promise<Round> {
  child.send(BLOCKS);
  const [round] = (await once(child, "message")) as [Round];
  return round;
}
