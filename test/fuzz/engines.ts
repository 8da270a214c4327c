/**
 * Fuzzer "engines": the same rounds (engines-run.ts) with several numbers of workers, in each tier of V8
 * alone, on other versions of Node, and on other JavaScript engines must print the same digests. So must
 * those that continue, one after the other, from a store that the one before wrote; and endless recursion in
 * any shape must end in the same fault where an engine has the stack for it.
 *
 * Its canaries are a program whose calls are not counted, so that its depth is the native stack's, in which
 * the tiers differ, and a state that knows how many threads took part, in which numbers of workers differ;
 * and, on every engine that is compared, a trap that is taken for another one, and NaNs as the engine makes
 * them.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { HOST_ERROR } from "./engines-parts.ts";
import type { OtherEngine } from "./other-engines.ts";

const RUN = fileURLToPath(new URL("engines-run.ts", import.meta.url));
const DEPTH = fileURLToPath(new URL("../program/depth-shapes.ts", import.meta.url));
const NODE_MAJOR = 24;
/** What engines-run.ts prints for a part of a round. */
const LINE = /^\d+ \w+ ([0-9a-f]{64}|an error of the host)$/;
/** Blocks that an engine adds to a store. */
const STORE_ROUNDS = 3;

/** Planted differences that a run has by itself. */
export const CANARIES = ["depth", "threads"] as const;
export type Canary = (typeof CANARIES)[number];
/** Planted differences between an engine and the first. */
export const PLANTED = ["trap", "nan"] as const;

interface Engine {
  readonly name: string;
  /** The command before the script's name. */
  readonly command: readonly string[];
  readonly workers: number;
  /** Its threads may have too small a stack for what is deep: then it fails, which is no difference. */
  readonly isShallow?: boolean;
}

/** What is compared with this Node. */
export interface Others {
  /** Each tier of V8 alone, and other numbers of workers than two. */
  readonly tiers?: boolean;
  /** Other binaries of Node. */
  readonly nodes?: readonly string[];
  /** Other engines; each runs with two workers. */
  readonly engines?: readonly OtherEngine[];
}

/** A difference, or what was compared. */
export interface Report {
  readonly rounds: number;
  readonly engines: readonly string[];
  readonly found: readonly string[];
  /** Lines in which an engine had too small a stack. */
  readonly shallow: number;
}

/** The version of a Node, null if it cannot run this. */
export function versionOf(node: string): string | null {
  const { status, stdout } = spawnSync(node, ["--version"], { encoding: "utf8" });
  const version = status === 0 ? stdout.trim() : "";
  return Number(/^v(\d+)\./.exec(version)?.[1] ?? 0) >= NODE_MAJOR ? version : null;
}

/** The Node that the system has beside this one, if it can run this and is another version. */
export function otherNodes(): string[] {
  const version = versionOf("node");
  return version === null || version === process.version ? [] : ["node"];
}

/** What is run. */
export interface Rounds {
  readonly seed: number;
  /** At least so many. Default 1. */
  readonly rounds?: number;
  /** As many as the first engine manages in its share of the time. */
  readonly seconds?: number;
  /** Parts of the rounds; all without. */
  readonly parts?: readonly string[];
  readonly canary?: Canary;
}

/** The first is what the others are compared with. */
function enginesOf({ tiers = false, nodes = [], engines = [] }: Others): [Engine, ...Engine[]] {
  const flags = tiers ? [[], ["--liftoff-only"], ["--no-liftoff"]] : [[]];
  const own = (workers: number, ...flags: string[]): Engine => {
    const name = [`Node ${process.version}`, workers === 1 ? "1 worker" : `${workers} workers`, ...flags];
    return { name: name.join(", "), command: [process.execPath, ...flags], workers };
  };
  return [
    own(1),
    own(2),
    ...(tiers ? [own(4), ...flags.slice(1).map((flag) => own(2, ...flag))] : []),
    ...nodes.flatMap((node) =>
      flags.map((flag) => {
        const name = [`Node ${versionOf(node)}`, "2 workers", ...flag].join(", ");
        return { name, command: [node, ...flag], workers: 2 };
      }),
    ),
    ...engines.map(({ name, command }) => {
      return { name: `${name}, 2 workers`, command, workers: 2, isShallow: true };
    }),
  ];
}

/** Runs the rounds on all. */
export async function compareEngines(
  { seed, rounds = 1, seconds = 0, parts = [], canary }: Rounds,
  compared: Others,
): Promise<Report> {
  const engines = enginesOf(compared);
  const [first, ...others] = engines;
  const options = [
    ...["--seed", `${seed}`, "--parts", parts.join()],
    ...(canary === undefined ? [] : ["--canary", canary]),
  ];
  const share = ["--seconds", `${seconds / engines.length}`];
  const expected = await run(first, [...options, "--rounds", `${rounds}`, ...share]);
  for (const line of expected) if (!LINE.test(line)) throw new Error(`${first.name}: ${line}`);
  const last = expected.at(-1)?.split(" ")[0];
  const made = Number(last) - seed + 1;
  const found: string[] = [];
  let shallow = 0;
  for (const engine of others) {
    const seen = await run(engine, [...options, "--rounds", `${made}`]);
    const fails = (line: string | undefined): boolean => engine.isShallow === true && isHostError(line);
    shallow += seen.filter(fails).length;
    const different = expected.findIndex((line, i) => line !== seen[i] && !fails(seen[i]));
    // How another engine ends its threads is its own affair.
    const isWhole = engine.isShallow === true || seen.length === expected.length;
    if (different < 0 && isWhole) continue;
    const at = different < 0 ? expected.length : different;
    const [where] = (expected[at] ?? `${seed}`).split(" ");
    found.push(
      `found with --seed ${where} --seconds 0\n` +
        `  ${first.name}: ${expected[at] ?? "ended"}\n  ${engine.name}: ${seen[at] ?? "nothing"}`,
    );
    if (canary !== undefined) break;
  }
  return { rounds: made, engines: engines.map(({ name }) => name), found, shallow };
}

const isHostError = (line = ""): boolean => line.endsWith(` ${HOST_ERROR}`);

/** Whether tiers and numbers of workers differ within some rounds with a planted difference. */
export async function findCanary(canary: Canary, seed: number, rounds: number): Promise<boolean> {
  return (await compareEngines({ seed, rounds, canary }, { tiers: true })).found.length > 0;
}

/** The engines on which a planted difference is not found; none, if all is well. */
export async function missPlanted(
  planted: (typeof PLANTED)[number],
  seed: number,
  compared: Others,
): Promise<{ readonly engines: readonly string[]; readonly missed: readonly string[] }> {
  const [first, ...others] = enginesOf(compared);
  const args = ["--seed", `${seed}`, "--parts", "operations"];
  const [expected] = await run(first, args);
  if (!LINE.test(expected ?? "")) throw new Error(`${first.name}: ${expected}`);
  const missed: string[] = [];
  for (const engine of others) {
    const [seen = ""] = await run(engine, [...args, "--canary", planted]);
    if (seen === expected || !LINE.test(seen)) missed.push(`${engine.name}: ${seen}`);
  }
  return { engines: others.map(({ name }) => name), missed };
}

/**
 * Engines continue one after the other from a store, so that each opens what every other one wrote; and so
 * does the first alone, with another store.
 */
export async function compareStores(
  seed: number,
  { nodes = [], engines = [] }: Others,
): Promise<Pick<Report, "engines" | "found">> {
  const own: Engine = { name: `Node ${process.version}`, command: [process.execPath], workers: 1 };
  const others = nodes.map((node) => ({ name: `Node ${versionOf(node)}`, command: [node], workers: 1 }));
  const more = engines.filter(({ hasStore }) => hasStore).map((engine) => ({ ...engine, workers: 1 }));
  const all = [own, ...others, ...more];
  const legs = allPairs(all);
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-"));
  const found: string[] = [];
  try {
    for (const [i, engine] of legs.entries()) {
      const args = ["--seed", `${seed + i * STORE_ROUNDS}`, "--rounds", `${STORE_ROUNDS}`];
      const expected = await run(own, [...args, "--store", join(directory, "own")]);
      if (!expected.at(-1)?.startsWith("left ")) throw new Error(`${own.name}: ${expected.at(-1)}`);
      const seen = await run(engine, [...args, "--store", join(directory, "shared")]);
      const at = expected.findIndex((line, i) => line !== seen[i]);
      if (at < 0) continue;
      const before = legs[i - 1]?.name ?? "nobody";
      found.push(
        `found with --seed ${seed} --seconds 0, in a store after ${before}\n` +
          `  ${own.name}: ${expected[at]}\n  ${engine.name}: ${seen[at] ?? "nothing"}`,
      );
      break;
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return { engines: all.map(({ name }) => name), found };
}

/** A walk in which each continues after every other one. */
function allPairs<T>(all: readonly T[]): T[] {
  const [first] = all as readonly [T, ...T[]];
  const walk: T[] = [];
  for (const [i, one] of all.entries()) {
    for (const other of all.slice(i + 1)) walk.push(one, other);
  }
  return [...walk, first];
}

/** The faults of endless recursion in every shape, where an engine can be given the stack. */
export async function compareDepth(
  engines: readonly OtherEngine[],
): Promise<Pick<Report, "engines" | "found">> {
  const deep = engines.filter(({ depth }) => depth !== undefined);
  const [expected] = await output(spawnRun([process.execPath, DEPTH]));
  const found: string[] = [];
  for (const { name, depth } of deep) {
    const { command, args, env } = depth as NonNullable<OtherEngine["depth"]>;
    const [seen] = await output(spawnRun([...command, DEPTH, ...args], env));
    if (seen !== expected) found.push(`depth of calls\n  ${name}: ${seen}\n  Node: ${expected}`);
  }
  return { engines: deep.map(({ name }) => name), found };
}

/** The lines that an engine prints; an engine that fails prints why. */
function run({ command, workers }: Engine, args: readonly string[]): Promise<string[]> {
  return output(spawnRun([...command, RUN, ...args, "--workers", `${workers}`]));
}

function spawnRun(command: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const [program, ...args] = command as [string, ...string[]];
  return spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
}

function output(child: ChildProcess): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => output.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      const lines = Buffer.concat(output).toString().trimEnd().split("\n");
      if (code !== 0) lines.push(`ended with ${code}: ${Buffer.concat(errors).toString().trim()}`);
      resolve(lines);
    });
  });
}
