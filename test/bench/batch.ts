/**
 * Batches: items in parallel against the loop on one thread, and against the same guest without any
 * instrumentation in a plain loop. Payments of two shapes over few and many accounts, with work of two kinds;
 * then real blocks whose contracts are simulated by hashing, and batches that are made to conflict.
 *
 * Ratios are speeds: how many times as fast as the loop ("sequential"). Times are those of the batch itself,
 * as its report tells them, without the block around it.
 */

import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { listBlocks, readBlock } from "../../examples/ledger/block.ts";
import { type BatchReport, PHASES, type Runtime, type RuntimeOptions } from "../../runtime/index.ts";
import { admit, instrumentForBatch } from "../../runtime/program/admit.ts";
import { AUX_TAGS, LINE_BYTES } from "../../runtime/program/layout.ts";
import { batchMetadata, type Item, openBatches } from "../batch/batches.ts";
import { ENDLESS_GAS, guest } from "../fixture.ts";
import { Machine } from "../program/harness.ts";
import { OWN_BLOCKS } from "../shared-data.ts";
import { geometricMean, quantile, spreadOf, timesAsFast } from "./measure.ts";
import type { Report } from "./report.ts";

const BOUND = 16 << 20;
const ITEMS = 10_000;
/**
 * Rounds: so many, or more until the loop has run for so long, and before them some that do not count, for
 * every thread compiles for itself.
 */
const ROUNDS = 3;
const ROUNDS_MS = 100;
const ROUNDS_LIMIT = 50;
const ACCOUNTS = [2, 10, 100, 1_000, 10_000, 100_000];
const WORK_US = [0, 5, 20, 100];
/** Gas of a simulated contract that one compression of SHA-256 stands for. */
const GAS_PER_COMPRESSION = 2_000;

type Kernel = "mix" | "sha";

/** What one batch is: an entry, and for each item turns of work and accounts. */
interface Case {
  readonly name: string;
  readonly entry: string;
  readonly items: readonly { readonly turns: number; readonly accounts: readonly number[] }[];
}

const payments = await guest("batch/payments");

/** The ways to run a batch: one that is plain, and runtimes. */
class Bench {
  readonly #report: Report;
  readonly #runtimes: { readonly name: string; readonly runtime: Runtime }[] = [];
  #last: BatchReport | null = null;

  constructor(report: Report) {
    this.#report = report;
  }

  async open(name: string, options: Partial<RuntimeOptions>): Promise<void> {
    const onBatch = (report: BatchReport): void => {
      this.#last = report;
    };
    this.#runtimes.push({
      name,
      runtime: await openBatches(payments, {
        onBatch,
        ...options,
        debug: { timing: true, ...options.debug },
      }),
    });
  }

  async close(): Promise<void> {
    for (const { runtime } of this.#runtimes) await runtime.close();
  }

  /** Runs a case every way, interleaved; returns the speeds against the loop by name. */
  async compare(one: Case): Promise<Map<string, number>> {
    const count = one.items.length;
    const inputs = one.items.map(({ turns, accounts }) =>
      Uint32Array.of(turns, accounts.length, ...accounts),
    );
    // As much for each as one block may use, but for what the root needs.
    const gas = Math.floor((0.9 * ENDLESS_GAS) / count);
    const items: Item[] = inputs.map((words) => ({ input: new Uint8Array(words.buffer), gas }));
    const metadata = batchMetadata({ entry: one.entry, items, inbox: BOUND });
    const plain = plainLoop(one.entry, inputs);
    const times = new Map<string, number[]>([
      ["plain", []],
      ...this.#runtimes.map(({ name }): [string, number[]] => [name, []]),
    ]);
    const reports = new Map<string, BatchReport>();
    const began = performance.now();
    plain();
    const rounds = Math.min(ROUNDS_LIMIT, Math.max(ROUNDS, ROUNDS_MS / (performance.now() - began)));
    const before = performance.now() - began > ROUNDS_MS * ROUNDS ? 1 : rounds;
    for (let round = -Math.ceil(before); round < rounds; round++) {
      const began = performance.now();
      plain();
      if (round >= 0) times.get("plain")?.push(performance.now() - began);
      for (const { name, runtime } of this.#runtimes) {
        await runtime.produce(metadata);
        const report = this.#last as BatchReport;
        reports.set(name, report);
        if (round >= 0) times.get(name)?.push(report.milliseconds);
      }
    }
    const loop = times.get("sequential") as number[];
    const speeds = new Map<string, number>();
    for (const [name, list] of times) {
      const median = quantile(list, 0.5);
      const spread = spreadOf(list);
      const ratio = timesAsFast(list, loop);
      speeds.set(name, ratio);
      const row = { name: `${one.name}, ${name}`, value: (median * 1e3) / count, unit: "µs/item", spread };
      this.#report.row(name === "sequential" ? row : { ...row, baseline: "as fast as sequential", ratio });
    }
    this.#evidence(one.name, reports);
    return speeds;
  }

  #evidence(name: string, reports: ReadonlyMap<string, BatchReport>): void {
    const forced = reports.get("forced");
    if (forced === undefined || forced.parallel === 0) return;
    const { parallel, executions, validations, versions, versionBytes, nanoseconds } = forced;
    this.#report.row({ name: `${name}, executions`, value: executions / parallel, unit: "per item" });
    this.#report.row({ name: `${name}, validations`, value: validations / parallel, unit: "per item" });
    if (versions > 0)
      this.#report.row({
        name: `${name}, versions and logs`,
        value: versionBytes / versions,
        unit: "B per line",
      });
    for (const phase of PHASES) {
      const value = (nanoseconds?.[phase] ?? 0) / 1e3 / parallel;
      this.#report.row({ name: `${name}, ${phase}`, value, unit: "µs/item" });
    }
  }
}

/** The same items by the guest as it was compiled, in a plain loop. */
function plainLoop(entry: string, inputs: readonly Uint32Array[]): () => void {
  const module = new WebAssembly.Module(payments as BufferSource);
  const { exports } = new WebAssembly.Instance(module, { env: { abort: () => {} } });
  const run = exports[entry] as (length: bigint) => bigint;
  const memory = new Uint32Array((exports.memory as WebAssembly.Memory).buffer);
  return () => {
    for (const words of inputs) {
      for (let i = 0; i < words.length; i++) memory[BOUND / 4 + i] = words[i] as number;
      run(BigInt(words.byteLength));
    }
  };
}

/** Turns of a kernel that take a microsecond in the plain guest. */
function turnsPerMicrosecond(kernel: Kernel): number {
  const turns = kernel === "mix" ? 10_000_000 : 20_000;
  const loop = plainLoop(`${kernel}2`, [Uint32Array.of(turns, 2, 0, 1)]);
  const times = Array.from({ length: 9 }, () => {
    const began = performance.now();
    loop();
    return (performance.now() - began) * 1e3;
  });
  return turns / quantile(times, 0.5);
}

/**
 * Time of the batch variant over that of the sequential variant, on one thread, for items of 20 µs of work.
 */
async function variantRatio(report: Report, kernel: Kernel, turns: number): Promise<number> {
  const program = admit(payments);
  const code = instrumentForBatch(payments, BOUND) as Uint8Array;
  const touch = ({ aux }: Machine, address: number, length: number): void => {
    const first = Math.floor(address / LINE_BYTES);
    new Uint8Array(aux.buffer).fill(
      3,
      AUX_TAGS + first,
      AUX_TAGS + Math.ceil((address + length) / LINE_BYTES),
    );
  };
  const machines = [
    new Machine(program),
    new Machine(program, new WebAssembly.Module(code as BufferSource), undefined, { bound: BOUND, touch }),
  ];
  for (const machine of machines) {
    new Uint32Array(machine.memory.buffer, BOUND, 4).set([turns, 2, 1, 2]);
    if (program.hasStart) machine.start();
  }
  const ratios: number[] = [];
  for (let round = -5; round < 25; round++) {
    const [production, batch] = machines.map((machine) => {
      const began = performance.now();
      for (let i = 0; i < 500; i++) machine.run(`${kernel}2`);
      return performance.now() - began;
    }) as [number, number];
    if (round >= 0) ratios.push(batch / production);
  }
  const ratio = quantile(ratios, 0.5);
  const spread = spreadOf(ratios);
  report.row({ name: `r, ${kernel}: batch variant`, value: ratio, unit: "× sequential", spread });
  return ratio;
}

let seed = 1;
function random(limit: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * limit);
}

function transfers(kernel: Kernel, accounts: number, reads: 2 | 8, us: number, turns: number): Case {
  const entry = `${kernel}${reads === 2 ? 2 : 5}`;
  const name = `${kernel} ${us} µs, ${reads} reads, ${accounts} accounts`;
  const items = Array.from({ length: ITEMS }, () => ({
    turns,
    accounts: Array.from({ length: reads }, () => random(accounts)),
  }));
  return { name, entry, items };
}

/** Batches that conflict on purpose. */
function adversaries(turns: number): Case[] {
  const make = (name: string, accounts: (i: number) => number[]): Case => ({
    name,
    entry: "mix2",
    items: Array.from({ length: ITEMS }, (_, i) => ({ turns, accounts: accounts(i) })),
  });
  return [
    make("counter", () => [0, 0]),
    make("chain", (i) => [i, i + 1]),
    make("one hot account", (i) => [0, i + 1]),
  ];
}

/** A real block: each transaction hashes once for every 2,000 gas of its limit. */
function realBlock(path: string): Case & { readonly criticalPath: number } {
  const { number, transactions } = readBlock(path);
  const accounts = new Map<string, number>();
  const place = (address: string): number => {
    if (!accounts.has(address)) accounts.set(address, accounts.size);
    return accounts.get(address) as number;
  };
  const finished: number[] = [];
  let total = 0;
  let longest = 0;
  const items = transactions.map(({ from, to, gasLimit }, i) => {
    const pair = [place(from), place(to ?? `new ${i}`)];
    const turns = Math.ceil(gasLimit / GAS_PER_COMPRESSION);
    const end = Math.max(...pair.map((account) => finished[account] ?? 0)) + turns;
    for (const account of pair) finished[account] = end;
    total += turns;
    longest = Math.max(longest, end);
    return { turns, accounts: pair };
  });
  return {
    name: `block ${number} (${items.length} items)`,
    entry: "sha2",
    items,
    criticalPath: longest / total,
  };
}

export async function run(report: Report): Promise<void> {
  const workers = Math.max(2, availableParallelism());
  const bench = new Bench(report);
  await bench.open("sequential", { workers: 1, runner: "sequential" });
  await bench.open("1 worker", { workers: 1 });
  await bench.open("forced", { workers, debug: { force: true } });
  await bench.open(`${workers} workers`, { workers });
  const turns = { mix: turnsPerMicrosecond("mix"), sha: turnsPerMicrosecond("sha") };
  const decided: number[] = [];
  const compare = async (one: Case): Promise<void> => {
    decided.push((await bench.compare(one)).get(`${workers} workers`) as number);
  };
  try {
    for (const kernel of ["mix", "sha"] as const) {
      await variantRatio(report, kernel, Math.round(20 * turns[kernel]));
      for (const us of WORK_US) {
        for (const reads of [2, 8] as const) {
          for (const accounts of ACCOUNTS) {
            await compare(transfers(kernel, accounts, reads, us, Math.round(us * turns[kernel])));
          }
        }
      }
    }
    for (const one of adversaries(Math.round(20 * turns.mix))) await compare(one);
    for (const path of listBlocks(OWN_BLOCKS)) {
      const block = realBlock(path);
      if (block.items.length === 0) continue;
      report.row({ name: `${block.name}, critical path`, value: block.criticalPath, unit: "of the work" });
      await compare(block);
    }
    report.row({ name: "deciding, all rows", value: geometricMean(decided), unit: "× sequential" });
    report.row({ name: "deciding, the worst row", value: Math.min(...decided), unit: "× sequential" });
  } finally {
    await bench.close();
  }
}
