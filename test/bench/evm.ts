/**
 * Ethereum blocks with their contracts, those of the repository with 50 calls and more, in millions of their
 * gas a second: the guests as plain modules in Node, in a loop of their own, which recovers senders and
 * executes but makes no receipts; and through `produce`, by the sequential runner, by the loop of the batch
 * variant (one worker), and by two workers, which may decide or run every batch in parallel.
 *
 * A row a block and contender, and the sum over all; ratios are to the plain modules, round by round.
 */

import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { type EvmBlock, listBlocks, readBlock, readCodes } from "../../examples/evm/block.ts";
import { evmRuntime } from "../../examples/evm/demo.ts";
import { encodeBlock } from "../../examples/evm/encode.ts";
import { PlainEvm, PlainSenders } from "../../examples/evm/plain.ts";
import { callsOf } from "../../examples/evm/table.ts";
import { loadGuest } from "../../examples/guests.ts";
import type { RuntimeOptions } from "../../runtime/index.ts";
import { quantile, timesAsFast } from "./measure.ts";
import type { Report } from "./report.ts";

const ROUNDS = 7;
const WARMUP_ROUNDS = 3;
const CALLS_LEAST = 50;
const BLOCKS = fileURLToPath(new URL("../../examples/evm/blocks", import.meta.url));

const WAYS: readonly (readonly [name: string, options: Partial<RuntimeOptions>])[] = [
  ["sequential runner", { workers: 1, runner: "sequential" }],
  ["loop of the batch variant", { workers: 1 }],
  ["2 workers, deciding", { workers: 2 }],
  ["2 workers, forced", { workers: 2, force: true }],
];

interface Contender {
  readonly name: string;
  readonly run: (block: number) => unknown;
}

export async function run(report: Report): Promise<void> {
  const codes = readCodes(BLOCKS);
  const blocks = listBlocks(BLOCKS)
    .map(readBlock)
    .filter((block) => callsOf(block) >= CALLS_LEAST);
  const runtimes = await Promise.all(WAYS.map(([, options]) => evmRuntime(options)));
  const { programs } = runtimes[0] as (typeof runtimes)[0];
  const metadata = blocks.map((block) => encodeBlock(block, codes, programs));
  const contenders: Contender[] = [
    { name: "plain", run: await plainRun(blocks, metadata) },
    ...runtimes.map(({ runtime }, i) => ({
      name: (WAYS[i] as (typeof WAYS)[0])[0],
      run: (block: number) => runtime.produce(metadata[block] as Uint8Array),
    })),
  ];
  try {
    const sums = contenders.map(() => new Array<number>(ROUNDS).fill(0));
    for (const [block, { number, fork, expected }] of blocks.entries()) {
      const times = await measureBlock(contenders, block);
      for (const [i, list] of times.entries()) {
        for (const [round, ms] of list.entries()) {
          (sums[i] as number[])[round] = ((sums[i] as number[])[round] as number) + ms;
        }
      }
      reportRows(report, `${number} (${fork})`, contenders, times, Number(expected.gasUsed));
    }
    const gas = blocks.reduce((sum, { expected }) => sum + Number(expected.gasUsed), 0);
    reportRows(report, "all", contenders, sums, gas);
  } finally {
    for (const { runtime } of runtimes) await runtime.close();
  }
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
    const spread = (quantile(rates, 0.75) - quantile(rates, 0.25)) / 2 / value;
    const row = { name: `${what}: ${name}`, value, unit: "Mgas/s", spread };
    const ratio = timesAsFast(times[i] as number[], times[0] as number[]);
    report.row(i === 0 ? row : { ...row, baseline: `${what}: plain`, ratio });
  }
}

/** Recovers the senders and executes, on plain modules. */
async function plainRun(
  blocks: readonly EvmBlock[],
  metadata: readonly Uint8Array[],
): Promise<(block: number) => void> {
  const [evmBytes, senderBytes] = await Promise.all([loadGuest("evm/evm"), loadGuest("evm/senders")]);
  const evm = new PlainEvm(new WebAssembly.Module(evmBytes as BufferSource));
  const senders = new PlainSenders(new WebAssembly.Module(senderBytes as BufferSource));
  const states = blocks.map(({ transactions }, i) => {
    const bytes = transactions.reduce((sum, one) => sum + 8 + 8 * Math.ceil(one.bytes.length / 8), 0);
    return (metadata[i] as Uint8Array).subarray(0, (metadata[i] as Uint8Array).length - bytes);
  });
  return (block) => {
    const { transactions, expected } = blocks[block] as EvmBlock;
    evm.begin(states[block] as Uint8Array);
    let used = 0n;
    for (const { bytes } of transactions) {
      const sender = senders.recover(bytes);
      const receipt = typeof sender === "bigint" ? sender : evm.transact(sender, bytes);
      if (typeof receipt === "bigint") throw new Error(`a transaction is not valid: ${receipt}`);
      used += receipt.gasUsed;
    }
    evm.finish();
    if (used !== expected.gasUsed) throw new Error("the plain modules use other gas");
  };
}
