/**
 * The search for the worst block: random calls of the fuzzer "gas" (test/gas/generate.ts), timed instead of
 * counted, with programs of random shape: globals, tables, entries and their names, functions, segments,
 * sizes. It looks for the steps that take most CPU time of their thread for their gas, plays their rounds
 * again to sort out chance, and says how long a block of the default limits would take that did nothing else.
 */

import { DEFAULT_GAS_LIMIT } from "../../runtime/limits.ts";
import { quantile } from "../bench/measure.ts";
import { type Call, Caller, PLENTY, type Request } from "../gas/caller.ts";
import { playSteps, STEPS } from "../gas/generate.ts";
import { growerModule, shapedModule, tinyModule } from "../gas/modules.ts";
import { LARGE_PAGES, type Next, SMALL_PAGES } from "../gas/play.ts";
import { activation, gasGuest, make } from "../gas/rows.ts";
import { memoryFor } from "../gas/steps.ts";
import { World } from "../gas/world.ts";
import { random } from "../kernel/trees.ts";

/** Gas of a block of the default limits, with all that may be held. */
const BLOCK_GAS = 2 * DEFAULT_GAS_LIMIT;
/** What such a block may take at most, by docs/untrusted.md. */
export const SECONDS_MOST = 30;
const STEPS_OF_ROUND = 60;
/** Of less gas chance decides. */
const GAS_LEAST = 300_000;
/** The worst of so many kinds of steps are played again, so often. */
const CHECKED = 6;
const REPEATS = 2;
const LOOP_TURNS = 10_000_000n;
const HEAP_BYTES = 2 ** 32;
/** Beyond what the large guest touches, in pages of 64 KiB: up to 1 GiB of memory without pages. */
const EMPTY_PAGES = [0, 1_000, 16_000];

export interface WorstStep {
  readonly kind: string;
  readonly seed: number;
  /** Of the round: its number. */
  readonly step: number;
  readonly nanosecondsPerGas: number;
}

export interface Worst {
  readonly rounds: number;
  /** Of each kind of step the worst, the worst kind first. */
  readonly steps: readonly WorstStep[];
  /** The plain loop, in the same process. */
  readonly loopNanosecondsPerGas: number;
  /** A block of nothing but the worst. */
  readonly blockSeconds: number;
}

/** Adds up time and gas of each step. */
class Clock extends World {
  readonly spent = new Map<string, { milliseconds: number; gas: number }>();

  override call(request: Request, gas = PLENTY, child = request.child): Call {
    const before = cpuMilliseconds();
    const done = this.caller.call(request, gas, child);
    const milliseconds = cpuMilliseconds() - before;
    const sum = this.spent.get(this.step) ?? { milliseconds: 0, gas: 0 };
    this.spent.set(this.step, { milliseconds: sum.milliseconds + milliseconds, gas: sum.gas + done.gas });
    return done;
  }
}

function cpuMilliseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e3;
}

/** Searches for so many seconds from a seed on. */
export async function searchWorst(seed: number, seconds: number): Promise<Worst> {
  const end = performance.now() + seconds * 1e3;
  const worst = new Map<string, WorstStep>();
  let rounds = 0;
  do {
    for (const step of await timedRound(seed + rounds++)) {
      if (step.nanosecondsPerGas > (worst.get(step.kind)?.nanosecondsPerGas ?? 0)) worst.set(step.kind, step);
    }
  } while (performance.now() < end);
  const steps = sorted(worst.values()).slice(0, CHECKED);
  const checked: WorstStep[] = [];
  for (const found of steps) {
    const times = [found.nanosecondsPerGas];
    for (let i = 0; i < REPEATS; i++) {
      const again = (await timedRound(found.seed)).find(({ step }) => step === found.step);
      if (again !== undefined) times.push(again.nanosecondsPerGas);
    }
    checked.push({ ...found, nanosecondsPerGas: quantile(times, 0.5) });
  }
  const loopNanosecondsPerGas = await timeLoop();
  const all = sorted(checked);
  const blockSeconds = ((all[0]?.nanosecondsPerGas ?? 0) * BLOCK_GAS) / 1e9;
  return { rounds, steps: all, loopNanosecondsPerGas, blockSeconds };
}

const sorted = (steps: Iterable<WorstStep>): WorstStep[] =>
  [...steps].sort((a, b) => b.nanosecondsPerGas - a.nanosecondsPerGas);

/** Plays a round; what each of its steps took. */
async function timedRound(seed: number): Promise<WorstStep[]> {
  const next = random(seed);
  const empty = EMPTY_PAGES[next(EMPTY_PAGES.length)] as number;
  const sizes = [memoryFor(SMALL_PAGES), memoryFor(LARGE_PAGES) + empty];
  const guests = await Promise.all(sizes.map((pages) => gasGuest(pages)));
  const modules = [anyModule(next), anyModule(next), growerModule(16_384), tinyModule(next(1_000))];
  const clock = new Clock(await Caller.open([...guests, ...modules], { heapBytes: HEAP_BYTES }));
  playSteps(clock, next, STEPS_OF_ROUND, Object.keys(STEPS));
  return [...clock.spent]
    .filter(([, { gas }]) => gas >= GAS_LEAST)
    .map(([name, { milliseconds, gas }]) => {
      const [step = "", kind = ""] = name.split(" ");
      return { kind, seed, step: Number(step), nanosecondsPerGas: (milliseconds * 1e6) / gas };
    });
}

/** Of each of what a module has nothing, a little, or up to as much as admission allows. */
function anyModule(next: Next): Uint8Array {
  const some = (most: number): number => [0, 1 + next(10), 1 + next(most)][next(3)] as number;
  const globals = 1 + some(1_900);
  return shapedModule({
    globals,
    constants: some(1_950 - globals),
    tables: 1 + some(99),
    elements: some(10_000),
    entries: some(9_000),
    functions: some(40_000),
    segments: some(5_000),
    passive: some(4_900),
    memoryPages: 1 + some(200),
  });
}

async function timeLoop(): Promise<number> {
  const caller = await Caller.open([await gasGuest()], { heapBytes: 2 ** 28 });
  make(caller, 1, caller.hashes[0] as Uint8Array);
  const loop = activation(caller, 1, { entry: "spin", argument: LOOP_TURNS });
  for (let i = 0; i < 3; i++) caller.repeat(loop);
  const before = cpuMilliseconds();
  const gas = caller.repeat(loop);
  return ((cpuMilliseconds() - before) * 1e6) / gas;
}

/** What was found, a line for each kind of step. */
export function describeWorst({ steps, loopNanosecondsPerGas, blockSeconds, rounds }: Worst): string[] {
  const lines = steps.map(({ kind, seed, step, nanosecondsPerGas: time }) => {
    const factor = (time / loopNanosecondsPerGas).toFixed(1);
    return `${kind}: ${time.toFixed(2)} ns/gas, ${factor} times a plain loop (seed ${seed}, step ${step})`;
  });
  const text = `a block of ${BLOCK_GAS} gas of the worst takes ${blockSeconds.toFixed(1)} s`;
  return [...lines, `${rounds} rounds; ${text}`];
}
