/**
 * npm run fuzz -- [NAME…] [--seed S] [--seconds T] [--node PATH]… [--fetch] [--canary]
 * npm run fuzz -- worst [--seed S] [--seconds T]
 * npm run fuzz -- host
 *
 * Fuzzers: trees, requests, program, batch, gas, space, engines; all of them without a name. The last
 * compares engines, among them every other Node that --node names, or else the system's if that is 24 or
 * newer, and Node 24, Deno and Bun if they are here; --fetch gets these from npm. Each runs for T seconds
 * (30) and prints its seed; what it finds is printed with the seed of the one round, which `--seed` repeats.
 * With --canary each planted defect must be found. "worst" times calls, and is run by its name only: it
 * searches for the block that takes longest for its gas. So is "host", which fills 3 GiB of memory. Exit code
 * 1 if something was found, or a canary was not; 2 for bad usage.
 */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { OtherEngines } from "./other-engines.ts";

const CANARY_ROUNDS = 40;
const CANARY_SCRIPTS = 400;
const CANARY_ENGINE_ROUNDS = 5;
const CANARY_BATCH_ROUNDS = 20;
const CANARY_GAS_ROUNDS = 10;
const CANARY_SPACE_ROUNDS = 4;
const PROGRAM = fileURLToPath(new URL("../program/fuzz.ts", import.meta.url));

// Loaded when asked for: each compiles guests.
const trees = () => import("./trees.ts");
const requests = () => import("./requests.ts");
const engines = () => import("./engines.ts");
const batch = () => import("./batch.ts");
const gas = () => import("./gas.ts");
const space = () => import("./space.ts");
const worst = () => import("./worst.ts");
const host = () => import("./host.ts");
/** Fuzzers that are run by their name only. */
const BY_NAME = ["worst", "host"];
const HOST_MIB = 3_072;

interface Fuzzer {
  /** Whether all went well. */
  fuzz(seed: number, seconds: number): Promise<boolean>;
  canary(seed: number): Promise<boolean>;
}

const FUZZERS: Record<string, Fuzzer> = {
  trees: {
    fuzz: (seed, seconds) => repeat("trees", seed, seconds, async (at) => (await trees()).round(at)),
    canary: async (seed) =>
      report("trees: a disturbed record", await (await trees()).canary(seed, CANARY_ROUNDS)),
  },
  requests: {
    fuzz: (seed, seconds) => repeat("requests", seed, seconds, async (at) => (await requests()).round(at)),
    canary: async (seed) => {
      const { RULES, canary } = await requests();
      let all = true;
      for (const rule of RULES) {
        all = report(`requests: without ${rule}`, await canary(rule, seed, CANARY_SCRIPTS)) && all;
      }
      return all;
    },
  },
  program: {
    fuzz: (seed, seconds) => program(["--seed", `${seed}`, "--seconds", `${seconds}`]),
    canary: (seed) => program(["--seed", `${seed}`, "--canary"]),
  },
  batch: {
    fuzz: async (seed, seconds) => {
      const { tally, found } = await (await batch()).fuzz(seed, seconds, (line) =>
        console.log(`batch: ${line}`),
      );
      console.log(`batch: ${tally.batches} batches from seed ${seed}, ${found} found`);
      console.log(`  ${JSON.stringify(tally)}`);
      return found === 0;
    },
    canary: async (seed) => {
      const { CANARIES, canary } = await batch();
      let all = true;
      for (const name of Object.keys(CANARIES) as (keyof typeof CANARIES)[]) {
        all = report(`batch: ${name}`, await canary(name, seed, CANARY_BATCH_ROUNDS)) && all;
      }
      return all;
    },
  },
  gas: {
    fuzz: async (seed, seconds) => {
      const { describeRound, roundsOfGas } = await gas();
      const rounds = await roundsOfGas(seed, { seconds });
      const found = rounds.map(describeRound).filter((line) => line !== null);
      for (const line of found) console.log(`gas: ${line}`);
      const calls = rounds.reduce((sum, round) => sum + round.calls, 0);
      console.log(`gas: ${rounds.length} rounds from seed ${seed}, ${calls} calls, ${found.length} found`);
      return found.length === 0;
    },
    canary: async (seed) => {
      const { CANARIES, findCanary } = await gas();
      let all = true;
      for (const name of Object.keys(CANARIES)) {
        all = report(`gas: ${name}`, await findCanary(name, seed, CANARY_GAS_ROUNDS)) && all;
      }
      return all;
    },
  },
  space: {
    fuzz: async (seed, seconds) => {
      const rounds = await (await space()).roundsOfSpace(seed, { seconds });
      const found = rounds.filter((round) => round.found !== null);
      for (const round of found) console.log(`space: seed ${round.seed}: ${round.found}`);
      const sum = (of: "blocks" | "forgotten") => rounds.reduce((total, round) => total + round[of], 0);
      const text = `${sum("blocks")} blocks, ${sum("forgotten")} forgotten, ${found.length} found`;
      console.log(`space: ${rounds.length} rounds from seed ${seed}, ${text}`);
      return found.length === 0;
    },
    canary: async (seed) => {
      const { CANARIES, findCanary } = await space();
      let all = true;
      for (const name of Object.keys(CANARIES)) {
        all = report(`space: ${name}`, await findCanary(name, seed, CANARY_SPACE_ROUNDS)) && all;
      }
      return all;
    },
  },
  worst: {
    fuzz: async (seed, seconds) => {
      const { describeWorst, SECONDS_MOST, searchWorst } = await worst();
      const found = await searchWorst(seed, seconds);
      for (const line of describeWorst(found)) console.log(`worst: ${line}`);
      return found.blockSeconds <= SECONDS_MOST;
    },
    canary: async () => true,
  },
  host: {
    fuzz: async () => {
      const { describeHost, fillHost, wrongWith } = await host();
      const run = await fillHost(HOST_MIB);
      const wrong = wrongWith(run);
      console.log(`host: ${describeHost(run)}${wrong === null ? "" : `: ${wrong}`}`);
      return wrong === null;
    },
    canary: async () => {
      const { CANARIES, describeHost, fillHost } = await host();
      let all = true;
      for (const name of Object.keys(CANARIES)) {
        const run = await fillHost(HOST_MIB, name);
        const found = run.residentBytes > run.hostBytes;
        console.log(`host: ${name}: ${describeHost(run)}${found ? "" : ", NOT FOUND"}`);
        all &&= found;
      }
      return all;
    },
  },
  engines: {
    fuzz: async (seed, seconds) => {
      const { compareDepth, compareEngines, compareStores } = await engines();
      const others = await enginesHere();
      const compared = await compareEngines({ seed, seconds }, { ...others, tiers: true });
      const stores = await compareStores(seed, others);
      const depth = await compareDepth(others.engines);
      const found = [...compared.found, ...stores.found, ...depth.found];
      for (const difference of found) console.log(`engines: ${difference}`);
      console.log(`engines: ${compared.rounds} rounds from seed ${seed}, ${found.length} found, on`);
      for (const name of compared.engines) console.log(`  ${name}`);
      console.log(`  stores, each after every other: ${stores.engines.join(", ")}`);
      console.log(`  depth of calls in every shape: Node, ${depth.engines.join(", ")}`);
      if (compared.shallow > 0) console.log(`  ${compared.shallow} runs were too deep for a thread's stack`);
      for (const why of others.missing) console.log(`  not run: ${why}`);
      return found.length === 0;
    },
    canary: async (seed) => {
      const { CANARIES, findCanary, missPlanted, PLANTED } = await engines();
      let all = true;
      for (const canary of CANARIES) {
        const found = await findCanary(canary, seed, CANARY_ENGINE_ROUNDS);
        console.log(`engines: ${canary}: ${found ? `found` : "NOT FOUND"}`);
        all &&= found;
      }
      const others = await enginesHere();
      for (const planted of PLANTED) {
        const { engines: names, missed } = await missPlanted(planted, seed, { ...others, tiers: true });
        for (const name of missed) console.log(`engines: ${planted}: NOT FOUND on ${name}`);
        if (missed.length === 0) console.log(`engines: ${planted}: found on ${names.join("; ")}`);
        all &&= missed.length === 0;
      }
      for (const why of others.missing) console.log(`  not run: ${why}`);
      return all;
    },
  },
};

/** The engines that are compared: other versions of Node that are named or found, Deno, Bun. */
async function enginesHere(): Promise<OtherEngines> {
  const { otherNodes } = await engines();
  const others = (await import("./other-engines.ts")).otherEngines(values.fetch);
  const named = values.node.length > 0 ? values.node : [...otherNodes(), ...others.nodes];
  return { ...others, nodes: named };
}

async function repeat(
  name: string,
  first: number,
  seconds: number,
  round: (seed: number) => Promise<string | null>,
): Promise<boolean> {
  const end = performance.now() + seconds * 1000;
  let seed = first;
  let found = 0;
  do {
    const difference = await round(seed).catch((error: Error) => error.stack ?? error.message);
    if (difference !== null) {
      found++;
      console.log(`${name}: found with --seed ${seed} --seconds 0\n${difference}`);
    }
    seed++;
  } while (performance.now() < end && found < 10);
  console.log(`${name}: ${seed - first} rounds from seed ${first}, ${found} found`);
  return found === 0;
}

function report(what: string, rounds: number | null): boolean {
  console.log(`${what}: ${rounds === null ? "NOT FOUND" : `found after ${rounds}`}`);
  return rounds !== null;
}

/** The fuzzer of instrumented code is a program of its own: it runs under flags of V8. */
function program(args: readonly string[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: "inherit" });
    child.on("error", reject);
    child.on("close", (code) => resolve(code === 0));
  });
}

function usage(message: string): never {
  console.error(
    `${message}\nusage: npm run fuzz -- [${Object.keys(FUZZERS).join("|")} …] ` +
      "[--seed S] [--seconds T] [--node PATH]… [--fetch] [--canary]",
  );
  process.exit(2);
}

function natural(text: string, name: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < 0)
    usage(`--${name} takes a whole number, got "${text}"`);
  return value;
}

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        seed: { type: "string" },
        seconds: { type: "string", default: "30" },
        node: { type: "string", multiple: true, default: [] },
        fetch: { type: "boolean", default: false },
        canary: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    return usage((error as Error).message);
  }
}

const { values, positionals } = options();
for (const name of positionals) if (!Object.hasOwn(FUZZERS, name)) usage(`there is no fuzzer "${name}"`);
const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : natural(values.seed, "seed");
const seconds = natural(values.seconds, "seconds");
for (const node of values.node) {
  if ((await engines()).versionOf(node) === null) usage(`--node takes a Node 24 or newer, got "${node}"`);
}
for (const name of positionals.length > 0
  ? positionals
  : Object.keys(FUZZERS).filter((one) => !BY_NAME.includes(one))) {
  const fuzzer = FUZZERS[name] as Fuzzer;
  const good = values.canary ? await fuzzer.canary(seed) : await fuzzer.fuzz(seed, seconds);
  if (!good) process.exitCode = 1;
}
