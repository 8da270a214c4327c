/**
 * Ethereum blocks with their contracts, those of the repository with 50 calls and more, in millions of their
 * gas a second: the guests as plain modules in Node, in a loop of their own, which recovers senders and
 * executes but makes no receipts, and once more with the senders given; and through `produce`, by the
 * sequential runner, by the loop of the batch variant (one worker), and by two workers, which may decide or
 * run every batch in parallel, also with the dependencies of an earlier run as hints. Besides
 * @ethereumjs/evm, what a JavaScript user has today: one run of each block; those of which it says other gas
 * than the header are named and left out of its sum.
 *
 * A row a block and contender, and the sum over all; ratios are to the plain modules, round by round. With
 * --rows 12459406,london only the blocks whose number or fork has one of these texts. Of each block also its
 * critical path, the gas of the longest chain of transactions that read from each other within a window, and
 * how a forced run went: executions, aborts, and where the threads' time went.
 */

import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { type EvmBlock, listBlocks, readBlock, readCodes } from "../../examples/evm/block.ts";
import { decodeResult } from "../../examples/evm/decode.ts";
import { evmRuntime } from "../../examples/evm/demo.ts";
import { encodeBlock } from "../../examples/evm/encode.ts";
import { PlainEvm, PlainSenders } from "../../examples/evm/plain.ts";
import { callsOf } from "../../examples/evm/table.ts";
import { loadGuest } from "../../examples/guests.ts";
import { UsageError } from "../../runtime/errors.ts";
import type { BatchReport, RuntimeOptions } from "../../runtime/index.ts";
import { timeReference } from "../evm/ethereumjs.ts";
import { quantile, spreadOf, timesAsFast } from "./measure.ts";
import type { BenchmarkOptions, Report } from "./report.ts";

const ROUNDS = 5;
const WARMUP_ROUNDS = 2;
const CALLS_LEAST = 50;
const BLOCKS = fileURLToPath(new URL("../../examples/evm/blocks", import.meta.url));

const WAYS: readonly (readonly [name: string, options: Partial<RuntimeOptions>])[] = [
  ["sequential runner", { workers: 1, runner: "sequential" }],
  ["loop of the batch variant", { workers: 1 }],
  ["2 workers, deciding", { workers: 2 }],
  ["2 workers, forced", { workers: 2, debug: { force: true } }],
];
const OBSERVED: Partial<RuntimeOptions> = {
  workers: 2,
  debug: { force: true, timing: true },
  dependencies: true,
};
const HINTED = "2 workers, forced, with hints";
const JAVASCRIPT = "@ethereumjs/evm";

interface Contender {
  readonly name: string;
  readonly run: (block: number) => unknown;
}

export async function run(report: Report, { rows = "" }: BenchmarkOptions): Promise<void> {
  const wanted = rows.split(",");
  const codes = readCodes(BLOCKS);
  const rich = listBlocks(BLOCKS)
    .map(readBlock)
    .filter((block) => callsOf(block) >= CALLS_LEAST);
  const blocks = rich.filter((block) => wanted.some((text) => nameOf(block).includes(text)));
  if (blocks.length === 0) {
    const names = rich.map(nameOf).join(", ");
    const message = `--rows: no block has "${rows}" in its number or fork; there are ${names}`;
    throw new UsageError("BAD_OPTION", message, { option: "rows", value: rows });
  }
  const runtimes = await Promise.all(WAYS.map(([, options]) => evmRuntime(options)));
  const { runtime: hinted } = await evmRuntime({ workers: 2, debug: { force: true } });
  const { programs } = runtimes[0] as (typeof runtimes)[0];
  const metadata = blocks.map((block) => encodeBlock(block, codes, programs));
  const observed = await observe(blocks, metadata);
  const states = blocks.map((block) => encodeBlock({ ...block, transactions: [] }, codes, programs));
  const plain = await plainRuns(blocks, states);
  const contenders: Contender[] = [
    { name: "plain", run: plain.all },
    { name: "plain, senders given", run: plain.execution },
    ...runtimes.map(({ runtime }, i) => ({
      name: (WAYS[i] as (typeof WAYS)[0])[0],
      run: (block: number) => runtime.produce(metadata[block] as Uint8Array),
    })),
    {
      name: HINTED,
      run: (block) =>
        hinted.produce(metadata[block] as Uint8Array, { hints: (observed[block] as Observed).reports }),
    },
  ];
  const others = { gas: 0, plain: 0, javascript: 0 };
  try {
    const sums = contenders.map(() => new Array<number>(ROUNDS).fill(0));
    for (const [block, evmBlock] of blocks.entries()) {
      const { expected } = evmBlock;
      const times = await measureBlock(contenders, block);
      for (const [i, list] of times.entries()) {
        for (const [round, ms] of list.entries()) {
          (sums[i] as number[])[round] = ((sums[i] as number[])[round] as number) + ms;
        }
      }
      const what = nameOf(evmBlock);
      const gas = Number(expected.gasUsed);
      reportRows(report, what, contenders, times, gas);
      reportObserved(report, what, observed[block] as Observed);
      const { ms, gasUsed } = await timeReference(evmBlock, codes);
      if (gasUsed !== expected.gasUsed) {
        report.note(`${what}: ${JAVASCRIPT} uses ${gasUsed} gas, the header says ${expected.gasUsed}`);
        continue;
      }
      const plainMs = quantile(times[0] as number[], 0.5);
      reportJavaScript(report, what, gas, ms, plainMs);
      others.gas += gas;
      others.plain += plainMs;
      others.javascript += ms;
    }
    const gas = blocks.reduce((sum, { expected }) => sum + Number(expected.gasUsed), 0);
    reportRows(report, "all", contenders, sums, gas);
    reportJavaScript(report, "all", others.gas, others.javascript, others.plain);
  } finally {
    await hinted.close();
    for (const { runtime } of runtimes) await runtime.close();
  }
}

/** What its rows begin with. */
function nameOf({ number, fork }: EvmBlock): string {
  return `${number} (${fork})`;
}

interface Observed {
  /** Of the two batches: senders, and transactions. */
  readonly reports: readonly BatchReport[];
  /** As a share of the block's gas. */
  readonly criticalPath: number;
}

/** How blocks run when they are forced to run in parallel, each once. */
async function observe(blocks: readonly EvmBlock[], metadata: readonly Uint8Array[]): Promise<Observed[]> {
  let reports: BatchReport[] = [];
  const { runtime } = await evmRuntime({ ...OBSERVED, onBatch: (report) => reports.push(report) });
  const all: Observed[] = [];
  for (const i of blocks.keys()) {
    reports = [];
    const { data } = await runtime.produce(metadata[i] as Uint8Array);
    const gas = decodeResult(data).transactions.map(({ gasUsed }) => Number(gasUsed));
    all.push({ reports, criticalPath: criticalPath(gas, reports.at(-1)?.dependencies ?? []) });
  }
  await runtime.close();
  return all;
}

/** The longest chain of items that read from each other, by gas, as a share of all gas. */
function criticalPath(gas: readonly number[], dependencies: readonly (readonly [number, number])[]): number {
  const before = gas.map((): number[] => []);
  for (const [item, lower] of dependencies) before[item]?.push(lower);
  const ends: number[] = [];
  for (const [item, own] of gas.entries()) {
    ends.push(own + Math.max(0, ...(before[item] as number[]).map((lower) => ends[lower] as number)));
  }
  return Math.max(...ends) / gas.reduce((sum, one) => sum + one, 0);
}

function reportObserved(report: Report, what: string, { reports, criticalPath }: Observed): void {
  const batch = reports.at(-1) as BatchReport;
  report.row({ name: `${what}: critical path`, value: 100 * criticalPath, unit: "% of gas" });
  report.row({ name: `${what}: executions, forced`, value: batch.executions, unit: "items" });
  report.row({ name: `${what}: aborts, forced`, value: batch.aborts, unit: "items" });
  const phases = Object.entries(batch.nanoseconds ?? {});
  const total = phases.reduce((sum, [, part]) => sum + part, 0);
  for (const [phase, part] of phases) {
    report.row({ name: `${what}: time, ${phase}`, value: (100 * part) / total, unit: "%" });
  }
}

function reportJavaScript(report: Report, what: string, gas: number, ms: number, plain: number): void {
  const ratio = { baseline: `${what}: plain`, ratio: plain / ms };
  report.row({ name: `${what}: ${JAVASCRIPT}`, value: gas / 1000 / ms, unit: "Mgas/s", ...ratio });
}

/** Milliseconds by contender and round, interleaved. */
async function measureBlock(contenders: readonly Contender[], block: number): Promise<number[][]> {
  const times = contenders.map((): number[] => []);
  for (let round = -WARMUP_ROUNDS; round < ROUNDS; round++) {
    for (const [i, { run }] of contenders.entries()) {
      const start = performance.now();
      await run(block);
      if (round >= 0) (times[i] as number[]).push(performance.now() - start);
    }
  }
  return times;
}

function reportRows(
  report: Report,
  what: string,
  contenders: readonly Contender[],
  times: readonly (readonly number[])[],
  gas: number,
): void {
  for (const [i, { name }] of contenders.entries()) {
    const rates = (times[i] as readonly number[]).map((ms) => gas / 1000 / ms);
    const value = quantile(rates, 0.5);
    const spread = spreadOf(rates);
    const row = { name: `${what}: ${name}`, value, unit: "Mgas/s", spread };
    const ratio = timesAsFast(times[i] as number[], times[0] as number[]);
    report.row(i === 0 ? row : { ...row, baseline: `${what}: plain`, ratio });
  }
}

interface PlainRuns {
  /** Recovers the senders and executes. */
  readonly all: (block: number) => void;
  /** Executes. */
  readonly execution: (block: number) => void;
}

/** Blocks on plain modules; `states` are their messages without transactions. */
async function plainRuns(blocks: readonly EvmBlock[], states: readonly Uint8Array[]): Promise<PlainRuns> {
  const [evmBytes, senderBytes] = await Promise.all([loadGuest("evm/evm"), loadGuest("evm/senders")]);
  const evm = new PlainEvm(new WebAssembly.Module(evmBytes as BufferSource));
  const senders = new PlainSenders(new WebAssembly.Module(senderBytes as BufferSource));
  const recover = (block: number): Uint8Array[] =>
    (blocks[block] as EvmBlock).transactions.map(({ bytes }) => {
      const sender = senders.recover(bytes);
      if (typeof sender === "bigint") throw new Error(`a sender is not recovered: ${sender}`);
      return sender;
    });
  const execute = (block: number, from: readonly Uint8Array[]): void => {
    const { transactions, expected } = blocks[block] as EvmBlock;
    evm.begin(states[block] as Uint8Array);
    let used = 0n;
    for (const [i, { bytes }] of transactions.entries()) {
      const receipt = evm.transact(from[i] as Uint8Array, bytes);
      if (typeof receipt === "bigint") throw new Error(`a transaction is not valid: ${receipt}`);
      used += receipt.gasUsed;
    }
    evm.finish();
    if (used !== expected.gasUsed) throw new Error("the plain modules use other gas");
  };
  const known = blocks.map((_block, i) => recover(i));
  return {
    all: (block) => execute(block, recover(block)),
    execution: (block) => execute(block, known[block] as Uint8Array[]),
  };
}
