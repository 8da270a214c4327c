/**
 * What gas buys: CPU time per gas of operations at the worst content that a guest can set up, against a plain
 * loop, each interleaved with it. Fails (exit code 1) if a row costs more than LIMIT times what the loop does
 * for its gas; rows that are documented exceptions are reported and do not count.
 *
 * And what a unit of each kind of work takes (runtime/work.ts), beside the least that gas has to pay for it
 * in the fuzzer "gas": fails if that is less than the LIMIT-th part.
 */

import { CALL_ROWS, MERGE_ROWS } from "../gas/call-rows.ts";
import { Caller, type Request } from "../gas/caller.ts";
import { timeInstructions } from "../gas/instructions.ts";
import { INSTRUCTION_ROWS, ITEM_ROWS } from "../gas/item-rows.ts";
import { UNIT_GAS } from "../gas/prices.ts";
import { activation, gasGuest, make, type Row } from "../gas/rows.ts";
import { START_ROWS } from "../gas/start-rows.ts";
import { measureLoads, STORE_REASON, STORE_ROW } from "../gas/store-row.ts";
import { callUnits, heapUnits, instanceUnits, UNIT_PROGRAMS } from "../gas/units.ts";
import { quantile, spreadOf } from "./measure.ts";
import type { Report } from "./report.ts";

/** Times the plain loop, at most; the goal is half of it. */
export const LIMIT = 20;
const ROUNDS = 5;
const LOOP_TURNS = 10_000_000n;
const LOOP_CHILD = 1_000_000;
const HEAP_BYTES = 2 ** 32;
/** Instructions that are reported of all. */
const DEAREST = 8;
/** Of the runs of a unit in a round, about. */
const UNIT_MS = 10;

export const ROWS: readonly Row[] = [
  ...CALL_ROWS,
  ...MERGE_ROWS,
  ...START_ROWS,
  ...ITEM_ROWS,
  ...INSTRUCTION_ROWS,
];

/** `rows`: only those whose name has that text. */
export async function run(report: Report, { rows = "" }: { readonly rows?: string }): Promise<void> {
  const above: string[] = [];
  for (const row of ROWS) {
    const { name, documented } = row;
    if (!name.includes(rows)) continue;
    const { factor, perGas, spread } = await measureRow(row);
    const remark = documented === undefined ? {} : { documented };
    report.row({ name, value: perGas, unit: "ns/gas", spread, ...LOOP, ratio: factor, ...remark });
    if (factor > LIMIT && documented === undefined) above.push(name);
  }
  if (STORE_ROW.includes(rows)) {
    const { times, factors } = await measureLoads(ROUNDS);
    const row = { name: STORE_ROW, unit: "ns/gas", ...LOOP, documented: STORE_REASON };
    report.row({ ...row, value: quantile(times, 0.5), ratio: quantile(factors, 0.5) });
  }
  above.push(...(await measureInstructions(report, rows)));
  const cheap = await measureUnits(report, rows);
  if (above.length > 0) report.note(`above ${LIMIT} times the plain loop: ${above.join("; ")}`);
  if (cheap.length > 0) report.note(`priced below a part in ${LIMIT}: ${cheap.join(", ")}`);
  if (above.length + cheap.length > 0) process.exitCode = 1;
}

const LOOP = { baseline: "plain loop" } as const;

/** Nanoseconds per gas of a row, and how many times that of the plain loop in the same round: medians. */
async function measureRow(row: Row): Promise<{ factor: number; perGas: number; spread: number }> {
  const { caller, loop } = await openBeside(row.programs);
  const timed = row.open(caller, caller.hashes.slice(0, -1));
  timed();
  const times: number[] = [];
  const factors: number[] = [];
  for (let round = 0; round < (row.rounds ?? ROUNDS); round++) {
    const base = cpuPerGas(() => caller.repeat(loop));
    const time = cpuPerGas(timed);
    times.push(time);
    factors.push(time / base);
  }
  const perGas = quantile(times, 0.5);
  const spread = spreadOf(times);
  return { factor: quantile(factors, 0.5), perGas, spread };
}

/** Reports the instructions that take longest for their gas; those above the limit. */
async function measureInstructions(report: Report, rows: string): Promise<string[]> {
  const prefix = "instruction ";
  if (!prefix.includes(rows) && !rows.startsWith(prefix)) return [];
  const { caller, loop } = await openBeside([]);
  const perLoop = (): number => cpuPerGas(() => caller.repeat(loop));
  const before = perLoop();
  const times = [...timeInstructions(rows.startsWith(prefix) ? rows.slice(prefix.length) : "")];
  const base = Math.min(before, perLoop());
  times.sort((a, b) => b.perGas - a.perGas);
  const factorOf = (perGas: number): number => perGas / base;
  for (const { name, perGas } of times.slice(0, DEAREST))
    report.row({ name: prefix + name, value: perGas, unit: "ns/gas", ...LOOP, ratio: factorOf(perGas) });
  report.note(`${times.length} instructions on the operands that are slowest for a processor`);
  return times.filter(({ perGas }) => factorOf(perGas) > LIMIT).map(({ name }) => prefix + name);
}

/** Reports what a unit of each kind of work takes; the kinds whose price is too low. */
async function measureUnits(report: Report, rows: string): Promise<string[]> {
  const { caller, loop } = await openBeside(UNIT_PROGRAMS);
  const cheap: string[] = [];
  for (const { kind, units, prepare, run } of [...instanceUnits(), ...heapUnits(), ...callUnits(caller)]) {
    const name = `work: ${kind}`;
    if (!name.includes(rows)) continue;
    prepare?.();
    const times = prepare === undefined ? runsIn(UNIT_MS, run) : 1;
    const perUnit: number[] = [];
    const factors: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const base = cpuPerGas(() => caller.repeat(loop));
      prepare?.();
      const time = cpuPerGas(() => {
        for (let i = 0; i < times; i++) run();
        return times * units;
      });
      perUnit.push(time);
      factors.push(time / base / UNIT_GAS[kind]);
    }
    const factor = quantile(factors, 0.5);
    report.row({ name, value: quantile(perUnit, 0.5), unit: "ns", ...LOOP, ratio: factor });
    if (factor > LIMIT) cheap.push(kind);
  }
  return cheap;
}

/** How often to run something so that it takes about so long; runs it. */
function runsIn(ms: number, run: () => unknown): number {
  const start = performance.now();
  run();
  return Math.ceil(ms / (performance.now() - start));
}

/** A caller of these programs and, as child LOOP_CHILD, of the plain loop, optimised. */
async function openBeside(programs: Row["programs"]): Promise<{ caller: Caller; loop: readonly Request[] }> {
  const all = await Promise.all([...programs, gasGuest()]);
  const caller = await Caller.open(all, { heapBytes: HEAP_BYTES });
  make(caller, LOOP_CHILD, caller.hashes.at(-1)!);
  const loop = activation(caller, LOOP_CHILD, { entry: "spin", argument: LOOP_TURNS });
  for (let i = 0; i < 3; i++) caller.repeat(loop);
  return { caller, loop };
}

/** CPU time of all threads, in nanoseconds, for each gas or unit that `timed` returns. */
function cpuPerGas(timed: () => number): number {
  const before = process.cpuUsage();
  const gas = timed();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1e3) / gas;
}
