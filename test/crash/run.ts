/**
 * The crash harness: kills a process that produces blocks, again and again, and looks each time whether
 * what it acknowledged is there. Kills come at random moments, or between two steps of a transaction of the
 * store.
 */

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Runtime } from "../../runtime/index.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { metadata } from "./metadata.ts";

/** What came out; `lost` and `corrupt` must be 0. */
export interface CrashReport {
  kills: number;
  blocksAcknowledged: number;
  /** Acknowledged blocks that were not there after a kill, or with another root. */
  lost: number;
  /** Objects, or roots, that are not what they must be. */
  corrupt: number;
}

interface Found {
  readonly id: string;
  readonly root: string;
  readonly height: number;
}

interface OpenLine {
  readonly what: "open";
  readonly head: string;
  readonly height: number;
  readonly retained: Found[];
  readonly damages: number;
}

/** What the child says. */
export type Line =
  | OpenLine
  | ({ readonly what: "block"; readonly step: number } & Found)
  | { readonly what: "leave"; readonly step: number; readonly height: number };

export const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));
export const RETAIN = 24;
/** Blocks that were left count as well: so many fewer of the chain may be retained. */
const SLACK = 12;
/** A store is used for so many kills, then a new one. */
const KILLS_EACH = 25;

/** How the process writes; "early" acknowledges blocks that are not on the disk, which must be found. */
export type Durability = "block" | "logged" | "early";

/**
 * Kills `kills` times; `tell` hears of what went wrong, and now and then of progress. Each store is written
 * in one of the ways that `durabilities` lists.
 */
export async function crash(
  kills: number,
  seed: number,
  tell: (text: string) => void,
  durabilities: readonly Durability[] = ["block", "logged"],
): Promise<CrashReport> {
  return storeByStore(kills, async (path, report, oracle) => {
    const rounds = Math.min(KILLS_EACH, kills - report.kills);
    const durability = durabilities[
      Math.floor(report.kills / KILLS_EACH) % durabilities.length
    ] as Durability;
    await oneStore(path, rounds, seed + report.kills, report, oracle, tell, durability);
    tell(`${report.kills} kills, ${report.blocksAcknowledged} blocks acknowledged`);
  });
}

/** Kills in one store after another, each in a directory of its own, until there were so many. */
export async function storeByStore(
  kills: number,
  each: (path: string, report: CrashReport, oracle: Oracle) => Promise<void>,
): Promise<CrashReport> {
  const report: CrashReport = { kills: 0, blocksAcknowledged: 0, lost: 0, corrupt: 0 };
  const oracle = new Oracle();
  try {
    while (report.kills < kills) {
      const directory = await mkdtemp(join(tmpdir(), "stillpoint-crash-"));
      try {
        await each(join(directory, "store"), report, oracle);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    }
  } finally {
    await oracle.close();
  }
  return report;
}

async function oneStore(
  path: string,
  rounds: number,
  seed: number,
  report: CrashReport,
  oracle: Oracle,
  tell: (text: string) => void,
  durability: Durability,
): Promise<void> {
  const next = random(seed);
  const judge = new Judge(oracle, report, (text) =>
    tell(`seed ${seed}, ${durability}, after ${report.kills} kills: ${text}`),
  );
  for (let round = 0; round < rounds; round++) {
    const lines = await killed(path, seed * 1000 + round, durability, next);
    report.kills++;
    for (const line of lines) await judge.take(line);
  }
}

/** Compares what a store holds when it is opened with what was acknowledged before. */
export class Judge {
  readonly #oracle: Oracle;
  readonly #report: CrashReport;
  readonly #tell: (text: string) => void;
  /**
   * What was acknowledged since the last start, and where blocks were left on purpose: those may be pruned.
   */
  #acknowledged: (Found & { readonly step: number })[] = [];
  #left: { readonly step: number; readonly height: number }[] = [];

  constructor(oracle: Oracle, report: CrashReport, tell: (text: string) => void) {
    this.#oracle = oracle;
    this.#report = report;
    this.#tell = tell;
  }

  async take(line: Line): Promise<void> {
    if (line.what === "open") {
      await this.#opened(line);
      this.#left = [];
      this.#acknowledged = [];
    } else if (line.what === "block") {
      this.#report.blocksAcknowledged++;
      const expected = await this.#oracle.block(line.height);
      if (line.id !== expected.id || line.root !== expected.root)
        this.#wrong("corrupt", `block ${line.height} differs`);
      this.#acknowledged.push(line);
    } else {
      // Whether it has happened when the kill comes is not known.
      this.#left.push(line);
    }
  }

  async #opened(line: OpenLine): Promise<void> {
    if (line.damages > 0) this.#wrong("corrupt", `${line.damages} damages`);
    const last = this.#acknowledged.at(-1);
    for (const { id, root, height, step } of this.#acknowledged) {
      if (height > this.#lowestSince(step) || height <= line.height - RETAIN + SLACK) continue;
      const same = line.retained.find((found) => found.id === id);
      if (same === undefined) this.#wrong("lost", `block ${height} is not there`);
      else if (same.root !== root) this.#wrong("corrupt", `block ${height} has another root`);
    }
    if (last !== undefined) {
      const lowest = Math.min(last.height, this.#lowestSince(last.step));
      if (line.height < lowest) this.#wrong("lost", `stands at ${line.height}, not at ${lowest}`);
    }
    for (const { id, root, height } of line.retained) {
      const expected = await this.#oracle.block(height);
      const other = await this.#oracle.other(height, id);
      if ((id !== expected.id || root !== expected.root) && !other)
        this.#wrong("corrupt", `block ${height} is another`);
    }
  }

  /** The lowest height to which blocks were left since a step. */
  #lowestSince(step: number): number {
    return Math.min(...this.#left.filter((leaving) => leaving.step >= step).map(({ height }) => height));
  }

  #wrong(kind: "lost" | "corrupt", text: string): void {
    this.#report[kind]++;
    this.#tell(text);
  }
}

/** Runs the child until it is killed; what it said. */
async function killed(
  path: string,
  seed: number,
  durability: string,
  next: (limit: number) => number,
): Promise<Line[]> {
  // A transaction has about four steps; opening one has none.
  const atStep = next(2) === 0 ? 1 + next(150) : 0;
  const child = spawn(process.execPath, [CHILD, path, String(seed), durability, String(RETAIN)], {
    env: { ...process.env, STILLPOINT_KILL_STEP: String(atStep) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: Line[] = [];
  const delayMs = next(700);
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  for await (const text of createInterface(child.stdout)) {
    // The last line may be cut off.
    try {
      lines.push(JSON.parse(text));
    } catch {
      break;
    }
    if (lines.length === 1 && atStep === 0) setTimeout(() => child.kill("SIGKILL"), delayMs);
  }
  await ended;
  if (child.signalCode !== "SIGKILL") throw new Error(`the child ended by itself: ${child.exitCode}`);
  return lines;
}

/** The same blocks without crashes, in memory. */
export class Oracle {
  readonly #blocks: Found[] = [];
  readonly #others = new Set<string>();
  #runtime: Runtime | null = null;

  async block(height: number): Promise<Found> {
    this.#runtime ??= await open([], { workers: 1, retainBlocks: 100_000, runner: "sequential" });
    const runtime = this.#runtime;
    if (this.#blocks.length === 0) this.#blocks.push(runtime.head);
    while (this.#blocks.length <= height) {
      this.#blocks.push(await runtime.produce(metadata(this.#blocks.length, 0)));
      await this.#branch(runtime);
    }
    return this.#blocks[height] as Found;
  }

  /** Whether the block is one of those that a reorg makes for a moment. */
  async other(height: number, id: string): Promise<boolean> {
    await this.block(height + 3);
    return this.#others.has(id);
  }

  /** What a reorg from two below the head would make. */
  async #branch(runtime: Runtime): Promise<void> {
    const { head } = runtime;
    if (head.height < 4) return;
    const to = head.height - 2;
    const blocks = [1, 2, 3].map((up) => ({ metadata: metadata(to + up, 1) }));
    for (const { id } of (await runtime.reorg({ to, blocks })).added) this.#others.add(id);
    await runtime.revert(head);
  }

  async close(): Promise<void> {
    await this.#runtime?.close();
  }
}
