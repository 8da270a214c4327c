/**
 * Determinator's set of parallel programs as processes, each phase in four copies: with one worker and with
 * two, and against the same module driven by hand with two threads, instrumented and plain. All variants must
 * give the same bytes. Preparing the input is not measured.
 */

import assert from "node:assert/strict";
import { programHash, type Runtime } from "../../runtime/index.ts";
import { compile, GAS, Guest } from "../determinator/harness.ts";
import { open, play } from "../fixture.ts";
import { ByHand } from "./by-hand.ts";
import { measure } from "./measure.ts";
import type { Report } from "./report.ts";

/** By program its size, so that one worker takes about a tenth of a second, and whether it is coarse. */
const PROGRAMS = {
  md5: { size: 400_000, coarse: true },
  multiply: { size: 512, coarse: true },
  sorting: { size: 1 << 20, coarse: true },
  options: { size: 40_000, coarse: true },
  fourier: { size: 512, coarse: false },
  decompose: { size: 512, coarse: false },
} as const;
const SHARED_BYTES = 64 << 20;
const ROUNDS = 9;

class AsProcesses {
  readonly guest: Guest;
  readonly #result: bigint;

  private constructor(runtime: Runtime, result: bigint) {
    this.guest = new Guest(runtime);
    this.#result = BigInt.asUintN(64, result);
  }

  static async open(program: Uint8Array, size: number, workers: number): Promise<AsProcesses> {
    const runtime = await open([program], { workers, retain: 4, gasLimit: 4 * GAS });
    await play(runtime, (s) =>
      s.put(1, { program: programHash(program), memoryQuota: 16_384, processQuota: 64 }),
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
    const instrumented = await ByHand.open(program, "instrumented", size, SHARED_BYTES);
    const plain = await ByHand.open(program, "plain", size, SHARED_BYTES);
    const results = await measure(
      [
        { name: "1 worker", prepare: () => one.prepare(), run: () => one.guest.call("solve") },
        { name: "2 workers", prepare: () => two.prepare(), run: () => two.guest.call("solve") },
        { name: "instrumented", prepare: () => instrumented.prepare(), run: () => instrumented.run() },
        { name: "plain", prepare: () => plain.prepare(), run: () => plain.run() },
      ],
      { rounds: ROUNDS, warmupRounds: 2, count: 1 },
    );
    const bytes = one.result();
    for (const other of [two, instrumented, plain]) assert.ok(other.result().equals(bytes), name);
    for (const each of [one.guest.runtime, two.guest.runtime, instrumented, plain]) await each.close();

    const [alone, beside, hand, bare] = results.map((each) => each.nanoseconds / 1e6);
    const kind = coarse ? "coarse" : "fine";
    const rows = [
      [`${name} (${kind}), 1 worker`, alone, undefined, ""],
      [`${name}, 2 workers`, beside, alone, "speed of 1 worker"],
      [`${name}, instrumented by hand, 2 threads`, hand, beside, "as fast by processes"],
      [`${name}, plain by hand, 2 threads`, bare, beside, "as fast by processes"],
    ] as const;
    for (const [i, [row, value = 0, of, baseline]] of rows.entries()) {
      const spread = results[i]?.spread ?? 0;
      // Speed-up of two workers; then the share of the speed by hand that processes reach.
      const ratio = of === undefined ? undefined : i === 1 ? of / value : value / of;
      report.row({
        name: row,
        value,
        unit: "ms",
        spread,
        ...(ratio === undefined ? {} : { baseline, ratio }),
      });
    }
  }
}
