/**
 * Determinator's set of parallel programs as processes, each phase in four copies: with one worker and with
 * two, and against the same module driven by hand with one thread and with two, instrumented and plain. All
 * variants must give the same bytes. Preparing the input is not measured. The first rounds do not count: then
 * memory is touched for the first time, which costs several times what copying it does.
 */

import assert from "node:assert/strict";
import { programHash, type Runtime } from "../../runtime/index.ts";
import { compile, GAS, Guest } from "../determinator/harness.ts";
import { quota } from "../driver.ts";
import { open, play } from "../fixture.ts";
import { ByHand } from "./by-hand.ts";
import { type Measurement, measure, timesAsFast } from "./measure.ts";
import type { Report } from "./report.ts";

/** By program its size, so that one worker takes a few tenths of a second, and whether it is coarse. */
const PROGRAMS = {
  md5: { size: 2_000_000, coarse: true },
  multiply: { size: 704, coarse: true },
  sorting: { size: 1 << 22, coarse: true },
  options: { size: 400_000, coarse: true },
  fourier: { size: 1024, coarse: false },
  decompose: { size: 768, coarse: false },
} as const;
const SHARED_BYTES = 64 << 20;
const ROUNDS = 7;
const WARMUP_ROUNDS = 5;

class AsProcesses {
  readonly guest: Guest;
  readonly #result: bigint;

  private constructor(runtime: Runtime, result: bigint) {
    this.guest = new Guest(runtime);
    this.#result = BigInt.asUintN(64, result);
  }

  static async open(program: Uint8Array, size: number, workers: number): Promise<AsProcesses> {
    const runtime = await open([program], { workers, retainBlocks: 4, gasLimit: 4 * GAS });
    await play(runtime, (s) =>
      s.put(1, { program: programHash(program), memoryQuotaPages: quota(16_384), processQuota: 64 }),
    );
    return new AsProcesses(runtime, await new Guest(runtime).call("prepare", BigInt(size)));
  }

  /** Back to the prepared state. */
  prepare(): Promise<unknown> {
    return this.guest.runtime.revert(2);
  }

  result(): Buffer {
    return this.guest.read(this.#result >> 32n, Number(this.#result & 0xffffffffn));
  }
}

export async function run(report: Report): Promise<void> {
  for (const [name, { size, coarse }] of Object.entries(PROGRAMS)) {
    const program = await compile(`workloads/${name}`);
    const one = await AsProcesses.open(program, size, 1);
    const two = await AsProcesses.open(program, size, 2);
    const hand = await ByHand.open(program, "instrumented", size, SHARED_BYTES);
    const plain = await ByHand.open(program, "plain", size, SHARED_BYTES);
    const results = await measure(
      [
        { name: "1 worker", prepare: () => one.prepare(), run: () => one.guest.call("solve") },
        { name: "2 workers", prepare: () => two.prepare(), run: () => two.guest.call("solve") },
        { name: "1 thread", prepare: () => hand.prepare(), run: () => hand.runAlone() },
        { name: "2 threads", prepare: () => hand.prepare(), run: () => hand.run() },
        { name: "plain", prepare: () => plain.prepare(), run: () => plain.run() },
      ],
      { rounds: ROUNDS, warmupRounds: WARMUP_ROUNDS, count: 1 },
    );
    const bytes = one.result();
    for (const other of [two, hand, plain]) assert.ok(other.result().equals(bytes), name);
    for (const each of [one.guest.runtime, two.guest.runtime, hand, plain]) await each.close();
    const title = `${name} of ${size.toLocaleString("en")} (${coarse ? "coarse" : "fine"})`;
    tell(report, name, title, results as [Measurement, Measurement, Measurement, Measurement, Measurement]);
  }
}

/** Ratios are of speeds: more is better. */
function tell(
  report: Report,
  name: string,
  title: string,
  [one, two, thread, threads, plain]: [Measurement, Measurement, Measurement, Measurement, Measurement],
): void {
  const row = (name: string, of: Measurement, baseline?: string, ratio?: number): void => {
    const time = { name, value: of.nanoseconds / 1e6, unit: "ms", spread: of.spread };
    report.row(baseline === undefined || ratio === undefined ? time : { ...time, baseline, ratio });
  };
  const faster = (a: Measurement, b: Measurement): number => timesAsFast(a.times, b.times);
  row(`${title}, 1 worker`, one);
  row(`${name}, 2 workers`, two, "speed of 1 worker", faster(two, one));
  row(`${name}, instrumented by hand, 1 thread`, thread, "as fast: 1 worker", faster(one, thread));
  row(`${name}, instrumented by hand, 2 threads`, threads, "speed of 1 thread", faster(threads, thread));
  row(`${name}, 2 workers against that`, two, "speed of 2 threads", faster(two, threads));
  row(`${name}, plain by hand, 2 threads`, plain, "as fast: 2 workers", faster(two, plain));
}
