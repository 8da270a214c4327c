/**
 * Fuzzer "batch": random batches in parallel against the loop, block for block: of scripts, of items with
 * children, of several children at once, of processes that are created again and again, below children
 * too. Limits of gas are now and then exactly what is needed, or one less; blocks are reverted, and run again
 * with hints right and wrong. The threads are held up at random, take turns with the loop, and now and then
 * one is killed; leases of gas are random or nothing. Some items never end on what no order of the items
 * gives.
 *
 * Its canaries are planted defects: every validation is believed, so that updates are lost; and what leases
 * ask for is left out.
 */

import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { BatchReport, Block, Hints, Runtime, RuntimeOptions } from "../../runtime/index.ts";
import {
  type BatchInput,
  type BatchOutcome,
  batchMetadata,
  type ItemOutcome,
  openBatches,
  readBatch,
  runBatch,
} from "../batch/batches.ts";
import { FAMILY_PAGES, family, familyBatch, scripts, wholeFamily } from "../batch/families.ts";
import * as lives from "../batch/lives.ts";
import { PAIR, PAIR_PAGES, pairs } from "../batch/pairs.ts";
import { randomBatch, SCRIPT, WARM } from "../batch/scripts.ts";
import { giveSeveral, makeSeveral, SEVERAL } from "../batch/several.ts";
import type { Script } from "../driver.ts";
import { quota } from "../driver.ts";
import { open } from "../fixture.ts";
import { random } from "../kernel/trees.ts";

/** Batches of a round; each begins with the state that the one before left. */
export const BATCHES = 20;
/** Rounds with killed threads: one in so many. */
const KILLED = 25;
/** In these, batches during which one dies: one in so many. */
const DEATHS = 5;
/** Batches before which blocks are reverted, that run with exact limits, that run again with hints. */
const REVERTS = 6;
const EXACT = 4;
const HINTED = 4;
/** Batches before which the heap is collected; by force, what runs speculatively starts again. */
const COLLECTIONS = 20;
/** Leases renewed beside those that ended on wrong reads, in a round of items that need none. */
const RENEWED = 5;
const OPTIONS = { memoryQuotaPages: quota(4096), retainBlocks: 64 };

/** Gas of a batch that it does not use up. */
const PLENTY = 50_000_000_000;

const steps = (name: string): string => new URL(`../batch/steps/${name}.ts`, import.meta.url).href;
/** Who runs a round: one of these. */
const ENGINES: readonly Partial<RuntimeOptions>[] = [
  { workers: 2, debug: { steps: steps("stall") } },
  { workers: 3 },
  { workers: 4, debug: { steps: steps("stall"), paranoid: true } },
  { workers: 8, debug: { steps: steps("stall") } },
  { workers: 4, debug: { steps: steps("incarnations") } },
  { workers: 2, debug: { steps: steps("mix"), paranoid: true } },
  { workers: 4, debug: { steps: steps("mix") }, dependencies: true },
  { workers: 3, debug: { steps: steps("stall") }, dependencies: true },
  { workers: 3, debug: { steps: steps("moments") } },
  { workers: 2, debug: { steps: steps("lease-one") } },
  { workers: 4, debug: { steps: steps("leases"), paranoid: true } },
  { workers: 3, debug: { steps: steps("leases") }, dependencies: true },
];

/** A block, and what is to be read from it. */
interface Made {
  readonly metadata: Uint8Array;
  read(block: Block): BatchOutcome;
  /** The same batch with other limits, now that it is known what its items use. */
  exactly?(outcomes: readonly ItemOutcome[], next: (limit: number) => number): Made;
}

/** What is compared, block by block. */
interface Kind {
  /** A runtime with its first two blocks. */
  open(options: Partial<RuntimeOptions>): Promise<Runtime>;
  make(seed: number): Made;
}

/** One child, which has one batch in each block. */
function single(
  program: Uint8Array,
  memoryPages: number,
  first: BatchInput,
  random: (seed: number) => BatchInput,
): Kind {
  const made = (batch: BatchInput): Made => ({
    metadata: batchMetadata(batch),
    read: (block) => readBatch(block, batch.items.length),
    exactly: (outcomes, next) => made(exact(batch, outcomes, next)),
  });
  return {
    async open(options) {
      const runtime = await openBatches(program, { ...OPTIONS, ...options }, memoryPages);
      await runBatch(runtime, first);
      return runtime;
    },
    make: (seed) => made(random(seed)),
  };
}

/** Limits that are what the items use, or one off; and for all together what some item just needs. */
function exact(
  batch: BatchInput,
  outcomes: readonly ItemOutcome[],
  next: (limit: number) => number,
): BatchInput {
  const items = batch.items.map(({ input, gas }, i) => {
    const { gasUsed } = outcomes[i] as ItemOutcome;
    return { input, gas: next(3) > 0 ? gas : Math.max(0, gasUsed + next(3) - 1) };
  });
  const cut = next(items.length + 1);
  const used = outcomes.slice(0, cut).reduce((sum, { gasUsed }) => sum + gasUsed, 0);
  const total = used + Number(items[cut]?.gas ?? 0) + next(3) - 1;
  const fits = total >= 0 && total < PLENTY && next(3) > 0;
  return { ...batch, items, gas: fits ? total : PLENTY };
}

/** Scripts of the driver, the first two with the seeds 0 and 1. */
function driven(
  programs: readonly Uint8Array[],
  settings: Partial<RuntimeOptions>,
  script: (seed: number) => Script,
): Kind {
  return {
    async open(options) {
      const runtime = await open(programs, { ...settings, ...options });
      for (const seed of [0, 1]) await runtime.produce(script(seed).metadata());
      return runtime;
    },
    make: (seed) => ({
      metadata: script(seed + 2).metadata(),
      read: (block) => ({ put: 0, get: 0, block, outcomes: [] }),
    }),
  };
}

const families = (seed: number): BatchInput => familyBatch(fc.sample(scripts, { seed, numRuns: 1 })[0] ?? []);
const randomPairs = (seed: number): BatchInput => {
  const next = random(seed);
  return pairs(1 + next(120), [10, 300, 2000][next(3)] as number, next(3) === 0);
};
const several = (seed: number): Script => (seed === 0 ? makeSeveral() : giveSeveral(seed));

const KINDS = {
  scripts: single(SCRIPT, 1024, WARM, randomBatch),
  families: single(family, FAMILY_PAGES, wholeFamily, families),
  pairs: single(PAIR, PAIR_PAGES, pairs(0, 0), randomPairs),
  several: driven([SCRIPT], SEVERAL, several),
  lives: driven(lives.GENESIS, lives.OPTIONS, lives.live),
} as const satisfies Record<string, Kind>;
type KindName = keyof typeof KINDS;
const CHOICE: readonly KindName[] = [
  ...Array<KindName>(6).fill("scripts"),
  ...Array<KindName>(3).fill("lives"),
  "pairs",
  "families",
  "several",
];

/** What has been tried so far. */
export interface Tally {
  batches: number;
  items: number;
  /** Items whose outcome came from a run in parallel, and what they took. */
  parallel: number;
  executions: number;
  aborts: number;
  expired: number;
  renewed: number;
  kills: number;
  died: number;
}

export class BatchFuzzer {
  readonly tally: Tally = {
    ...{ batches: 0, items: 0, parallel: 0, executions: 0, aborts: 0, expired: 0, renewed: 0 },
    ...{ kills: 0, died: 0 },
  };
  readonly #runtimes = new Map<string, Promise<Runtime>>();
  readonly #engines: readonly Partial<RuntimeOptions>[];
  /** Of the last block that ran in parallel. */
  #reports: BatchReport[] = [];

  readonly #choice: readonly KindName[];

  constructor(engines: readonly Partial<RuntimeOptions>[] = ENGINES, choice: readonly KindName[] = CHOICE) {
    this.#engines = engines;
    this.#choice = choice;
  }

  /** A chain of random batches; what differs, or null. */
  async round(seed: number): Promise<string | null> {
    const next = random(seed);
    const engine = this.#engines[next(this.#engines.length)] as Partial<RuntimeOptions>;
    const chosen = this.#choice[next(this.#choice.length)] as KindName;
    const before = { ...this.tally };
    // Inputs that are changed on the way are those of scripts.
    const kind = engine.debug?.steps === steps("incarnations") && chosen !== "several" ? "scripts" : chosen;
    const loop = await this.#open(kind, { runner: "sequential", workers: 1 });
    const parallel = await this.#open(kind, { ...engine, debug: { ...engine.debug, force: true } });
    const killing = this.#engines === ENGINES && next(KILLED) === 0;
    for (const runtime of [loop, parallel]) await runtime.revert(2);
    for (let at = 0; at < BATCHES; at++) {
      if (next(REVERTS) === 0) {
        const height = 2 + next(loop.head.height - 1);
        for (const runtime of [loop, parallel]) await runtime.revert(height);
      }
      const { height } = loop.head;
      let made: Made = KINDS[kind].make(seed * BATCHES + at);
      let expected = made.read(await loop.produce(made.metadata));
      if (made.exactly !== undefined && expected.outcomes.length > 0 && next(EXACT) === 0) {
        made = made.exactly(expected.outcomes, next);
        await loop.revert(height);
        expected = made.read(await loop.produce(made.metadata));
      }
      if (next(COLLECTIONS) === 0) await parallel.engine.collect({ force: next(2) === 0 });
      this.#reports = [];
      const running = parallel.produce(made.metadata);
      if (killing && next(DEATHS) === 0) await this.#kill(parallel, next);
      let found = made.read(await running);
      if (engine.dependencies === true && next(HINTED) === 0) {
        await parallel.revert(height);
        found = made.read(await parallel.produce(made.metadata, { hints: this.#hints(next) }));
      }
      this.tally.batches++;
      if (expected.put !== 0 || expected.get !== 0) return `batch ${at}: refused`;
      const difference = compare(expected, found);
      if (difference !== null) return `batch ${at} of ${kind}, ${JSON.stringify(engine)}: ${difference}`;
    }
    // Items of pairs are short: what expires has seen two moments at once, but for a rare coincidence.
    const renewed = this.tally.renewed - before.renewed;
    const ended = this.tally.expired - before.expired - renewed;
    const tiny = [steps("lease-one"), steps("leases")].includes(engine.debug?.steps ?? "");
    if (kind === "pairs" && !tiny && renewed > RENEWED + ended) {
      return `${renewed} leases were renewed, ${ended} ended`;
    }
    // A trace runs the block once more, and compares the root.
    if (next(4) === 0) await parallel.trace(parallel.head);
    return null;
  }

  /** What the reports say, some of it left out, and some made up. */
  #hints(next: (limit: number) => number): Hints[] {
    return this.#reports.map(({ inputs, items, dependencies }) => {
      const known = (dependencies ?? []).filter(() => next(4) > 0);
      const wrong = Array.from({ length: next(20) }, () => [next(items + 2), next(items + 2)] as const);
      return { inputs, dependencies: [...known, ...wrong] };
    });
  }

  async close(): Promise<void> {
    for (const runtime of this.#runtimes.values()) await (await runtime).close();
  }

  #open(kind: KindName, options: Partial<RuntimeOptions>): Promise<Runtime> {
    const name = kind + JSON.stringify(options);
    let runtime = this.#runtimes.get(name);
    if (runtime === undefined) {
      const onBatch = (report: BatchReport): void => this.#count(report);
      const reports = options.debug?.force === true ? { onBatch } : {};
      runtime = KINDS[kind].open({ ...options, ...reports });
      this.#runtimes.set(name, runtime);
    }
    return runtime;
  }

  #count(report: BatchReport): void {
    this.#reports.push(report);
    const { tally } = this;
    const { items, parallel, executions, aborts, expired, renewed, endings } = report;
    tally.items += items;
    tally.parallel += parallel;
    tally.executions += executions;
    tally.aborts += aborts;
    tally.expired += expired;
    tally.renewed += renewed;
    tally.died += endings.filter((ending) => ending === "died").length;
  }

  async #kill(runtime: Runtime, next: (limit: number) => number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, next(4)));
    this.tally.kills++;
    await runtime.engine.pool.kill(next(8));
  }
}

/** What differs, or null. */
export function compare(expected: BatchOutcome, found: BatchOutcome): string | null {
  if (isDeepStrictEqual(expected, found)) return null;
  const item = expected.outcomes.findIndex((outcome, i) => !isDeepStrictEqual(outcome, found.outcomes[i]));
  const show = ({ put, get, outcomes, block }: BatchOutcome): string => {
    const outcome = outcomes[item];
    const { id, gasUsed } = block;
    const output = Buffer.from(outcome?.output ?? []).toString("hex");
    const shown = { put, get, id, gasUsed, items: outcomes.length, ...outcome, output };
    return JSON.stringify(shown, (_, value) => (typeof value === "bigint" ? `${value}` : value));
  };
  return `item ${item} first\n  loop     ${show(expected)}\n  parallel ${show(found)}`;
}

/** Rounds from the seed for so long, and what was found. */
export async function fuzz(
  seed: number,
  seconds: number,
  say: (line: string) => void,
): Promise<{ readonly tally: Tally; readonly found: number }> {
  const fuzzer = new BatchFuzzer();
  const end = performance.now() + seconds * 1000;
  let found = 0;
  let at = seed;
  do {
    const difference = await fuzzer.round(at).catch((error: Error) => error.stack ?? error.message);
    if (difference !== null) {
      found++;
      say(`found with --seed ${at} --seconds 0\n${difference}`);
    }
    at++;
  } while (performance.now() < end && found < 10);
  await fuzzer.close();
  return { tally: fuzzer.tally, found };
}

/** Planted defects: the steps that plant them, and whose batches are to show them. */
export const CANARIES = {
  "every validation says yes": ["believe", CHOICE],
  "gas beyond a lease is forgotten": ["forgetful", CHOICE],
  "an expired lease is an outcome": ["hasty", CHOICE],
  "an expired incarnation is not validated": ["trusting", ["pairs"]],
} as const satisfies Record<string, readonly [steps: string, choice: readonly KindName[]]>;
export type Canary = keyof typeof CANARIES;

/** Rounds until the planted defect is found, or null. */
export async function canary(name: Canary, seed: number, rounds: number): Promise<number | null> {
  const [planted, choice] = CANARIES[name];
  const fuzzer = new BatchFuzzer([{ workers: 4, debug: { steps: steps(planted) } }], choice);
  try {
    for (let i = 0; i < rounds; i++) if ((await fuzzer.round(seed + i)) !== null) return i + 1;
    return null;
  } finally {
    await fuzzer.close();
  }
}
