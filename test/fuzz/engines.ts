/**
 * Fuzzer "engines": the same rounds (engines-run.ts) with several numbers of workers, in each tier of V8
 * alone, on other versions of Node, and on other JavaScript engines must print the same digests.
 *
 * Its canaries are a program whose calls are not counted, so that its depth is the native stack's, in which
 * the tiers differ, and a state that knows how many threads took part, in which numbers of workers differ.
 */

import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { OtherEngine } from "./other-engines.ts";

const RUN = fileURLToPath(new URL("engines-run.ts", import.meta.url));
const NODE_MAJOR = 24;
/** What engines-run.ts prints for a round. */
const LINE = /^\d+ [0-9a-f]{64}$/;

/** Planted differences. */
export const CANARIES = ["depth", "threads"] as const;
export type Canary = (typeof CANARIES)[number];

interface Engine {
  readonly name: string;
  /** The command before the script's name. */
  readonly command: readonly string[];
  readonly workers: number;
}

/** What is compared with this Node. */
export interface Others {
  /** Other binaries of Node, tried in both tiers too. */
  readonly nodes?: readonly string[];
  /** Other engines; each runs with two workers. */
  readonly engines?: readonly OtherEngine[];
}

/** A difference, or what was compared. */
export interface Report {
  readonly rounds: number;
  readonly engines: readonly string[];
  readonly found: readonly string[];
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

/** The first is what the others are compared with. */
function enginesOf({ nodes = [], engines = [] }: Others): Engine[] {
  const node = process.execPath;
  const own = `Node ${process.version}`;
  return [
    { name: `${own}, 1 worker`, command: [node], workers: 1 },
    { name: `${own}, 2 workers`, command: [node], workers: 2 },
    { name: `${own}, 4 workers`, command: [node], workers: 4 },
    { name: `${own}, 2 workers, --liftoff-only`, command: [node, "--liftoff-only"], workers: 2 },
    { name: `${own}, 2 workers, --no-liftoff`, command: [node, "--no-liftoff"], workers: 2 },
    ...nodes.flatMap((node) =>
      [[], ["--liftoff-only"], ["--no-liftoff"]].map((flags) => {
        const name = [`Node ${versionOf(node)}`, "2 workers", ...flags].join(", ");
        return { name, command: [node, ...flags], workers: 2 };
      }),
    ),
    ...engines.map(({ name, command }) => ({ name: `${name}, 2 workers`, command, workers: 2 })),
  ];
}

/** Runs the rounds that the first engine manages in its share of `seconds`, `rounds` at least, on all. */
export async function compareEngines(
  seed: number,
  seconds: number,
  compared: Others,
  rounds = 1,
  canary?: Canary,
): Promise<Report> {
  const engines = enginesOf(compared);
  const [first, ...others] = engines as [Engine, ...Engine[]];
  const share = ["--seconds", `${seconds / engines.length}`];
  const expected = await run(first, ["--seed", `${seed}`, "--rounds", `${rounds}`, ...share], canary);
  const last = expected.at(-1) as string;
  if (!LINE.test(last)) throw new Error(`${first.name}: ${last}`);
  const found: string[] = [];
  for (const engine of others) {
    const seen = await run(engine, ["--seed", `${seed}`, "--rounds", `${expected.length}`], canary);
    const at = expected.findIndex((line, i) => line !== seen[i]);
    if (at < 0) continue;
    found.push(
      `found with --seed ${seed + at} --seconds 0\n` +
        `  ${first.name}: ${expected[at]}\n  ${engine.name}: ${seen[at] ?? "nothing"}`,
    );
    if (canary !== undefined) break;
  }
  return { rounds: expected.length, engines: engines.map(({ name }) => name), found };
}

/** Whether the engines differ within some rounds with a planted difference. */
export async function findCanary(canary: Canary, seed: number, rounds: number): Promise<boolean> {
  return (await compareEngines(seed, 0, {}, rounds, canary)).found.length > 0;
}

/** The lines that an engine prints; an engine that fails prints why. */
function run(engine: Engine, args: readonly string[], canary: Canary | undefined): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const planted = canary === undefined ? [] : ["--canary", canary];
    const [program, ...flags] = engine.command as [string, ...string[]];
    const all = [...flags, RUN, ...args, "--workers", `${engine.workers}`, ...planted];
    const child = spawn(program, all, { stdio: ["ignore", "pipe", "pipe"] });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      const lines = Buffer.concat(output).toString().trimEnd().split("\n");
      if (code !== 0) lines.push(`ended with ${code}: ${Buffer.concat(errors).toString().trim()}`);
      resolve(lines);
    });
  });
}
