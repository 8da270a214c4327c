/**
 * Scenarios of blocks, reverts and reorgs on every kind of runtime: one thread in a loop, threads in
 * parallel, threads that are killed, a store that is reopened before each step. Blocks and outcomes must be
 * the same; the first difference is explained.
 *
 * The first run, the oracle, is the simplest one: a reorg is a revert and then blocks. Steps are values, so
 * that a library for randomised tests can generate and shrink them.
 */

import { AssertionError } from "node:assert";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkNames } from "../arguments.ts";
import { diffBetween, formatDiff } from "../debug.ts";
import type { Block } from "../index.ts";
import type { AddressLike, Contracts, Outcome, Transaction } from "../typed/client.ts";
import { App } from "./app.ts";
import { blockMessage } from "./blocks.ts";
import { TRANSACTION_GAS } from "./limits.ts";
import { type AppOptions, BLOCK_MS } from "./options.ts";

/** A transaction of a scenario. */
export interface ScenarioCall {
  readonly call: Transaction;
  readonly from: AddressLike;
  /** Default 10,000,000. */
  readonly gas?: number;
}

/** A step of a scenario. Reverts stop at the block that made the app. */
export type ScenarioStep =
  | { readonly block: readonly ScenarioCall[] }
  | { readonly revert: number }
  | { readonly reorg: number; readonly blocks: readonly (readonly ScenarioCall[])[] };

/** The app, as for `App.open`, and a check that is called after every step. */
export interface ScenarioOptions extends Pick<AppOptions, "contract" | "program" | "setup" | "order"> {
  readonly invariant?: (app: App) => void | Promise<void>;
}

/** A way to run a scenario. */
interface Way {
  readonly name: string;
  readonly options: Pick<AppOptions, "workers" | "runner" | "debug">;
  readonly kills?: true;
  readonly reopens?: true;
}

const WAYS: readonly Way[] = [
  { name: "one thread, in a loop", options: { workers: 1, runner: "sequential" } },
  { name: "two threads, in parallel", options: { workers: 2, debug: { force: true } } },
  { name: "three threads that are killed", options: { workers: 3, debug: { force: true } }, kills: true },
  { name: "a store that is reopened before each step", options: { workers: 1 }, reopens: true },
];
/** The block that makes the app. */
const FIRST = 1;

/** The result of a step. */
interface Made {
  readonly head: Block;
  readonly outcomes: readonly Outcome[];
}

/**
 * Runs scenarios in all ways. Open it once for many scenarios.
 *
 * @example
 * ```ts
 * await using runner = await ScenarioRunner.open({ contract: "bank.ts" });
 * const { Bank } = runner.client;
 * await runner.check([
 *   { block: [{ call: Bank.mint({ to: alice, amount: 5n }), from: alice }] },
 *   { reorg: 1, blocks: [[], [{ call: Bank.pay({ to: bob, amount: 2n }), from: alice }]] },
 * ]);
 * ```
 */
export class ScenarioRunner<Typed extends object = Contracts> {
  /** The program's functions by contract. */
  readonly client: Typed;
  readonly #options: ScenarioOptions;
  readonly #apps: readonly App[];
  #number = 0;

  private constructor(options: ScenarioOptions, apps: readonly App[]) {
    this.#options = options;
    this.#apps = apps;
    this.client = (apps[0] as App).client as unknown as Typed;
  }

  /** Opens an app for each way. @throws as `App.open` */
  static async open<Typed extends object = Contracts>(
    options: ScenarioOptions,
  ): Promise<ScenarioRunner<Typed>> {
    checkNames(options, ["contract", "program", "setup", "order", "invariant"]);
    const { invariant: _, ...app } = options;
    const apps: App[] = [];
    for (const way of WAYS) apps.push(await App.open({ ...app, ...way.options, views: 1 }));
    return new ScenarioRunner<Typed>(options, apps);
  }

  /**
   * Runs the steps in all ways.
   *
   * @throws AssertionError if one comes out differently; and whatever the invariant throws
   */
  async check(steps: readonly ScenarioStep[]): Promise<void> {
    const oracle = await (this.#apps[0] as App).fork();
    const made: Made[] = [];
    try {
      for (const step of steps) {
        made.push(await plainly(oracle, step));
        await this.#options.invariant?.(oracle);
      }
      for (const [i, way] of WAYS.entries()) if (i > 0) await this.#run(i, way, steps, made, oracle);
    } finally {
      await oracle.close();
    }
  }

  async #run(i: number, way: Way, steps: readonly ScenarioStep[], made: Made[], oracle: App): Promise<void> {
    const parent = await mkdtemp(join(tmpdir(), "stillpoint-scenario-"));
    const store = join(parent, "store");
    const base = this.#apps[i] as App;
    let app = await base.fork(way.reopens ? { store } : {});
    try {
      for (const [at, step] of steps.entries()) {
        if (way.reopens) {
          await app.close();
          const { invariant: _, ...options } = this.#options;
          app = await App.open({ ...options, ...way.options, store });
        }
        const killed = way.kills ? this.#kill(base) : undefined;
        const found = await directly(app, step);
        await killed;
        compare(made[at] as Made, found, `step ${at + 1} of ${steps.length}, on ${way.name}`, oracle, app);
        await this.#options.invariant?.(app);
      }
    } finally {
      await app.close();
      await rm(parent, { recursive: true, force: true });
    }
  }

  /** Kills a thread of `base`, which its forks share. */
  async #kill({ runtime }: App): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.#number % 5));
    await runtime.engine.pool.kill(this.#number++);
  }

  async close(): Promise<void> {
    for (const app of this.#apps) await app.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Runs one scenario in all ways. For many scenarios `ScenarioRunner` is faster.
 *
 * @throws AssertionError if one comes out differently; and whatever the invariant throws
 * @example
 * ```ts
 * await expectDeterministic({ contract: "bank.ts" }, ({ Bank }) => [
 *   { block: [{ call: Bank.mint({ to: alice, amount: 5n }), from: alice }] },
 *   { revert: 1 },
 * ]);
 * ```
 */
export async function expectDeterministic<Typed extends object = Contracts>(
  options: ScenarioOptions,
  steps: (client: Typed) => readonly ScenarioStep[],
): Promise<void> {
  await using runner = await ScenarioRunner.open<Typed>(options);
  await runner.check(steps(runner.client));
}

/** Runs a step with reverts and blocks alone. */
async function plainly(app: App, step: ScenarioStep): Promise<Made> {
  if ("block" in step) return produced(app, [step.block]);
  await app.revert(target(app, "revert" in step ? step.revert : step.reorg));
  return produced(app, "revert" in step ? [] : step.blocks);
}

/** Runs a step with the operation that an app has for it. */
async function directly(app: App, step: ScenarioStep): Promise<Made> {
  if (!("reorg" in step)) return plainly(app, step);
  const to = target(app, step.reorg);
  const ordered = (calls: readonly ScenarioCall[], height: number) =>
    blockMessage(
      calls.map(({ call, from, gas = TRANSACTION_GAS }) => ({ bytes: app.encode(call, { from }), gas })),
      height * BLOCK_MS,
    );
  const blocks = step.blocks.map((calls, i) => ordered(calls, to + i + 1));
  const { added } = await app.reorg({ to, blocks });
  return { head: app.head, outcomes: added.flatMap(({ outcomes }) => outcomes) };
}

async function produced(app: App, blocks: readonly (readonly ScenarioCall[])[]): Promise<Made> {
  const outcomes: Outcome[] = [];
  for (const calls of blocks) {
    for (const { call, from, gas = TRANSACTION_GAS } of calls) void app.submit(call, { from, gas });
    const made = await app.produce({ time: (app.head.height + 1) * BLOCK_MS });
    outcomes.push(...made.outcomes);
  }
  return { head: app.head, outcomes };
}

function target({ head }: App, back: number): number {
  return Math.max(FIRST, head.height - back);
}

function compare(expected: Made, found: Made, where: string, oracle: App, app: App): void {
  if (expected.head.id === found.head.id) return;
  const lines = [`the scenario came out differently: ${where}`];
  const i = expected.outcomes.findIndex((each, at) => textOf(each) !== textOf(found.outcomes[at]));
  if (i >= 0) {
    lines.push(`transaction ${i + 1} ended with ${textOf(found.outcomes[i])}`);
    lines.push(`  and in a loop on one thread with ${textOf(expected.outcomes[i])}`);
  }
  try {
    lines.push(
      formatDiff(diffBetween(oracle.runtime, expected.head, app.runtime, found.head, { limit: 20 })),
    );
  } catch {
    lines.push("the blocks are not retained any more, so their states cannot be compared");
  }
  const [actual, wanted] = [found.head, expected.head].map(({ height, id }) => ({ height, id }));
  throw new AssertionError({ message: lines.join("\n"), actual, expected: wanted, operator: "same" });
}

function textOf(outcome: Outcome | undefined): string {
  if (outcome === undefined) return "nothing: it did not run";
  const { ok, gasUsed } = outcome;
  const how = ok ? `value ${String(outcome.value)}, ${outcome.events.length} events` : outcome.error;
  return `${how}, ${gasUsed} gas`;
}
