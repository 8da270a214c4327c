/**
 * Durable blocks that change much: 10,000 random payments each over a million accounts of 64 bytes, which is
 * most pages of 64 MiB, in memory and in the modes of a store; and blocks of 16 scattered pages of the same
 * process.
 * The ways take turns in one process, and a turn ends when nothing is put off any more (a checkpoint): so a
 * checkpoint or two more than while blocks continue are counted, and turns are long enough for several;
 * "alone" is without what is waited for at a turn's end. A turn of the mode "block", which puts nothing off,
 * is shorter. STILLPOINT_BENCH_ROUNDS sets how many turns each has.
 *
 * Then restarts, each in a process of its own: after a clean close, and after a kill, with blocks that are in
 * the log alone and are run again.
 */

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Runtime } from "../../runtime/index.ts";
import { random } from "../kernel/trees.ts";
import { filled, payments, type Told } from "./durable-run.ts";
import { quantile, spreadOf, timesAsFast } from "./measure.ts";
import type { Report } from "./report.ts";

const PAYMENTS = 10_000;
const BLOCKS = 80;
/** And of the mode "block", which takes several times as long. */
const BLOCKS_STORED = 10;
/** Payments of a block that changes 16 pages, and how many such blocks make a turn. */
const FEW = 8;
const SMALL_BLOCKS = 12;
const ROUNDS = Number(process.env.STILLPOINT_BENCH_ROUNDS ?? 5);
const RESTARTS = 3;
/** A block is long that takes more than so many times the median. */
const LONG_TIMES = 3;
const CHILD = fileURLToPath(new URL("durable-run.ts", import.meta.url));

/** One of the ways in which blocks are kept, and what was measured of it. */
interface Way {
  readonly name: string;
  readonly runtime: Runtime;
  /** Of each turn: a block's share, in milliseconds. */
  readonly turns: number[];
  /** Each block, in milliseconds, and those among them that waited for a collection of the heap. */
  readonly blocks: number[];
  readonly collected: number[];
  readonly small: number[];
  /** Of each turn: minor page faults of the process, a block's share. */
  readonly faults: number[];
}

export async function run(report: Report): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-bench-"));
  const ways: Way[] = [];
  try {
    for (const name of ["in memory", "logged", "block"] as const) {
      const store = name === "in memory" ? {} : { store: { path: join(directory, name), durability: name } };
      ways.push({
        name,
        runtime: await filled(store),
        turns: [],
        blocks: [],
        collected: [],
        small: [],
        faults: [],
      });
    }
    const next = random(7);
    for (let round = -1; round < ROUNDS; round++) {
      const inputs = Array.from({ length: BLOCKS }, () => payments(PAYMENTS, next));
      const few = Array.from({ length: SMALL_BLOCKS }, () => payments(FEW, next));
      for (const way of ways) {
        const own = way.name === "block" ? inputs.slice(0, BLOCKS_STORED) : inputs;
        await turn(way, own, few, round >= 0);
      }
    }
    tell(report, ways);
  } finally {
    for (const { runtime } of ways) await runtime.close();
    await rm(directory, { recursive: true, force: true });
  }
  await restarts(report);
}

async function turn(
  { runtime, turns, blocks, collected, small, faults }: Way,
  inputs: readonly Uint8Array[],
  few: readonly Uint8Array[],
  counts: boolean,
): Promise<void> {
  const timed = async (all: readonly Uint8Array[], times: number[]): Promise<void> => {
    for (const metadata of all) {
      const began = performance.now();
      const { collections } = runtime.metrics();
      await runtime.produce(metadata);
      const ms = performance.now() - began;
      if (counts) times.push(ms);
      if (counts && times === blocks && runtime.metrics().collections > collections) collected.push(ms);
    }
  };
  const start = performance.now();
  const before = process.resourceUsage().minorPageFault;
  await timed(inputs, blocks);
  await runtime.checkpoint();
  if (counts) {
    turns.push((performance.now() - start) / inputs.length);
    faults.push((process.resourceUsage().minorPageFault - before) / inputs.length);
  }
  await timed(few, small);
  await runtime.checkpoint();
}

function tell(report: Report, ways: readonly Way[]): void {
  const [memory] = ways as [Way, Way, Way];
  const ms = (name: string, value: number): void => report.row({ name, value, unit: "ms" });
  const count = (name: string, value: number): void => report.row({ name, value, unit: "" });
  for (const way of ways) {
    const { name, turns, blocks, small, faults } = way;
    const [value, spread] = [PAYMENTS / (quantile(turns, 0.5) / 1e3), spreadOf(turns)];
    const row = { name: `${PAYMENTS} payments a block, ${name}`, value, unit: "payments/s", spread };
    const ratio = timesAsFast(turns, memory.turns);
    report.row(way === memory ? row : { ...row, baseline: "in memory", ratio });
    ms(`such a block, ${name}: median`, quantile(blocks, 0.5));
    ms(`such a block, ${name}: longest`, quantile(blocks, 1));
    const isLong = (one: number): boolean => one > LONG_TIMES * quantile(blocks, 0.5);
    count(`such blocks of more than ${LONG_TIMES} medians, ${name}`, blocks.filter(isLong).length);
    count(`of these with a collection, ${name}`, way.collected.filter(isLong).length);
    count(`such a block, ${name}: minor faults`, quantile(faults, 0.5));
    const alone = (of: Way): number => of.blocks.reduce((sum, one) => sum + one, 0) / of.blocks.length;
    const rate = {
      name: `such blocks alone, ${name}`,
      value: PAYMENTS / (alone(way) / 1e3),
      unit: "payments/s",
    };
    report.row(way === memory ? rate : { ...rate, baseline: "in memory", ratio: alone(memory) / alone(way) });
    const middle = quantile(small, 0.5);
    report.row({ name: `16 pages, ${name}`, value: middle, unit: "ms", spread: spreadOf(small) });
    if (way !== memory) ms(`16 pages, ${name}: above in memory`, middle - quantile(memory.small, 0.5));
  }
}

/** From the start of a process to its first block, after a clean close and after a kill, in turns. */
async function restarts(report: Report): Promise<void> {
  const closed: number[] = [];
  const killed: number[] = [];
  const again: number[] = [];
  let longest = 0;
  for (let i = 0; i < RESTARTS; i++) {
    const directory = await mkdtemp(join(tmpdir(), "stillpoint-bench-"));
    try {
      const store = join(directory, "store");
      const lines = await child(store, "fill", true);
      longest = Math.max(longest, ...lines.flatMap(({ ms }) => (ms === undefined ? [] : [ms])));
      const first = await restarted(store);
      killed.push(first.milliseconds);
      again.push(first.again);
      closed.push((await restarted(store)).milliseconds);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  const ms = (name: string, values: readonly number[]): void =>
    report.row({ name, value: quantile(values, 0.5), unit: "ms" });
  ms("from spawn to the first block, after a clean close", closed);
  ms("from spawn to the first block, after a kill", killed);
  report.row({ name: "blocks that were run again", value: quantile(again, 0.5), unit: "" });
  ms("longest block before the kill", [longest]);
}

async function restarted(store: string): Promise<{ milliseconds: number; again: number }> {
  const start = performance.now();
  const lines = await child(store, "restart", false, () => performance.now() - start);
  const { after = 0, again = 0 } = lines.find((line) => line.again !== undefined) ?? {};
  return { milliseconds: after, again };
}

/** What the child says, each line with what `clock` says then; it is killed when it asks for that. */
async function child(
  store: string,
  what: string,
  isKilled: boolean,
  clock = (): number => 0,
): Promise<(Told & { readonly after: number })[]> {
  const process_ = spawn(process.execPath, [CHILD, store, what], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => process_.on("close", resolve));
  const lines: (Told & { readonly after: number })[] = [];
  for await (const text of createInterface(process_.stdout)) {
    lines.push({ ...(JSON.parse(text) as Told), after: clock() });
    if (isKilled && lines.at(-1)?.kill) process_.kill("SIGKILL");
  }
  await ended;
  return lines;
}
