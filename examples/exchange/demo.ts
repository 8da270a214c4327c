/**
 * The exchange as a command: signed swaps and payments over a router, two tokens and a pool, a block at a
 * time, each of which is two batches. Results and balances are compared with a plain model.
 */

import { performance } from "node:perf_hooks";
import {
  type Command,
  EXIT_FAILED,
  EXIT_OK,
  formatTable,
  grouped,
  integerOption,
  Progress,
  parseOptions,
  print,
  printError,
} from "../../runtime/cli/terminal.ts";
import { type BatchReport, programHash, Runtime, type RuntimeOptions } from "../../runtime/index.ts";
import { formatBatches } from "../batches.ts";
import { loadGuest } from "../guests.ts";
import { RUNNING_HELP, RUNNING_OPTIONS, runningOptions, writeTimeline } from "../running.ts";
import { decodeResults, encodeSetup, encodeTransactions, type Result, STATUSES } from "./encode.ts";
import { POOL_ADDRESS, ReferenceExchange } from "./reference.ts";
import { makeScenario, type Scenario } from "./scenario.ts";
import { type ExchangeState, readExchange } from "./state.ts";

const WALLETS_MAX = 200;
const BLOCKS_MAX = 100;
/** As many fit into the root's region, and into the gas of a block. */
const BLOCK_MAX = 1500;
const SEED = 1;

/** A block as it came out. */
interface Line {
  readonly results: readonly Result[];
  readonly reserves: readonly [bigint, bigint];
  readonly root: string;
  readonly ms: number;
}

export const exchangeCommand: Command = {
  name: "exchange",
  help: `Runs signed swaps and payments through a router, two tokens and a pool, all of them processes.

  --wallets N    holders, who send 32 transactions each, 1 to ${WALLETS_MAX}; default 12
  --blocks N     blocks to spread them over, 1 to ${BLOCKS_MAX}; default 4;
                 more if one would get over ${grouped(BLOCK_MAX)} transactions
${RUNNING_HELP}
  --help         this text`,
  run: runExchange,
};

async function runExchange(args: string[]): Promise<number> {
  const { values } = parseOptions(args, {
    wallets: { type: "string", default: "12" },
    blocks: { type: "string", default: "4" },
    ...RUNNING_OPTIONS,
  });
  const wallets = integerOption("wallets", values.wallets, 1, WALLETS_MAX);
  const blocks = integerOption("blocks", values.blocks, 1, BLOCKS_MAX);
  const running = runningOptions(values);

  const progress = new Progress();
  progress.show(`${wallets} wallets make their keys and sign`);
  const scenario = makeScenario(SEED, wallets);
  const reports: BatchReport[] = [];
  const runtime = await openExchange(scenario, {
    onBatch: (report) => reports.push(report),
    ...running,
  });
  const reference = new ReferenceExchange(scenario);
  const lines: Line[] = [];
  const wrong: string[] = [];
  try {
    const parts = split(scenario.transactions, blocks);
    for (const part of parts) {
      progress.part("blocks", lines.length, parts.length);
      const metadata = encodeTransactions(part.map(({ bytes }) => bytes));
      const start = performance.now();
      const { data, root } = await runtime.produce(metadata);
      const ms = performance.now() - start;
      const results = decodeResults(data);
      const state = readExchange(runtime);
      const expected = part.map(({ order }) => reference.apply(order));
      wrong.push(...compare(lines.length + 1, results, expected, state, reference));
      lines.push({ results, reserves: state.reserves, root, ms });
    }
  } finally {
    progress.clear();
    await runtime.close();
  }

  writeTimeline(runtime, values.timeline);
  print(formatLines(lines));
  const batchesOf = (name: string) => reports.filter(({ entry }) => entry === name);
  print(`Signatures: ${formatBatches(batchesOf("verify"))}`);
  print(`Transactions: ${formatBatches(batchesOf("run"))}`);
  for (const text of wrong) printError(text);
  if (wrong.length > 0) return EXIT_FAILED;
  print("All results and balances are those of the model.");
  return EXIT_OK;
}

/** Blocks end with all work done. */
const RULES = { gasLimit: 10_000_000_000, heldGasQuota: 0 } as const;

/** A runtime in which the exchange is set up. */
export async function openExchange(
  { reserves, holders }: Pick<Scenario, "reserves" | "holders">,
  options: Partial<RuntimeOptions>,
): Promise<Runtime> {
  const load = (name: "root" | "verifier" | "router" | "token" | "pool") => loadGuest(`exchange/${name}`);
  const root = await load("root");
  const programs = await Promise.all([load("verifier"), load("router"), load("token"), load("pool")]);
  const runtime = await Runtime.open({ root, programs, ...RULES, ...options });
  try {
    await runtime.produce(encodeSetup({ programs: programs.map(programHash), reserves, holders }));
    return runtime;
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

function split<T>(list: readonly T[], parts: number): T[][] {
  const size = Math.min(BLOCK_MAX, Math.max(1, Math.ceil(list.length / parts)));
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) =>
    list.slice(i * size, (i + 1) * size),
  );
}

/** What differs from the model; the pool's tokens must be its reserves besides. */
function compare(
  block: number,
  results: readonly Result[],
  expected: readonly Result[],
  state: ExchangeState,
  reference: ReferenceExchange,
): string[] {
  const wrong: string[] = [];
  expected.forEach(({ status, received }, i) => {
    const result = results[i];
    if (result?.status !== status || result.received !== received) {
      const found = result === undefined ? "nothing" : `${result.status}, ${result.received}`;
      wrong.push(`block ${block}: transaction ${i} is ${found}; the model says ${status}, ${received}`);
    }
  });
  for (const token of [0, 1] as const) {
    for (const [holder, balance] of reference.balances[token]) {
      const found = state.balances[token].get(holder) ?? 0n;
      const who = holder === Buffer.from(POOL_ADDRESS).toString("hex") ? "the pool" : holder;
      if (found !== balance)
        wrong.push(`block ${block}: ${who} has ${found} of token ${token}; the model says ${balance}`);
    }
  }
  return wrong;
}

function formatLines(lines: readonly Line[]): string {
  const header = ["block", "transactions", ...STATUSES.slice(0, 5), "reserves", "root", "ms"];
  const rows = lines.map(({ results, reserves, root, ms }, i) => [
    String(i + 1),
    grouped(results.length),
    ...STATUSES.slice(0, 5).map((status) => grouped(results.filter((each) => each.status === status).length)),
    reserves.map((each) => grouped(Number(each))).join(" : "),
    root.slice(0, 16),
    ms.toFixed(1),
  ]);
  return formatTable(header, rows, ["root"]);
}
