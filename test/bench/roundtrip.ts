/**
 * What it costs a parent to use a child: PUT with START, then GET with STATUS, of a child that does nothing,
 * beside a task of the thread pool. And what is left of that when the child runs on another thread while the
 * parent works.
 */

import { join } from "node:path";
import { Piscina } from "piscina";
import { compileGuest } from "../../runtime/compile.ts";
import { programHash, Runtime } from "../../runtime/index.ts";
import { DRIVER_INITIAL_MEMORY, REGION, Script } from "../driver.ts";
import { type Measurement, measure, reportTimes, type Variant } from "./measure.ts";
import type { Report } from "./report.ts";

const GAS = Number.MAX_SAFE_INTEGER;
const GUESTS = join(import.meta.dirname, "../guests");
/** Rounds of the driver's SPIN, some 100 µs. */
const SPIN_ROUNDS = 100_000;
const NOTHING = `data:text/javascript,${encodeURIComponent("export default () => 0;")}`;

const driver = await compileGuest(join(GUESTS, "driver.ts"), { initialMemory: DRIVER_INITIAL_MEMORY });
const trivial = await compileGuest(join(GUESTS, "trivial.ts"));

/** A variant that runs the commands which `build` writes `count` times in one block. */
function looped(runtime: Runtime, name: string, build: (script: Script) => void): Variant {
  return {
    name,
    run: async (count) => {
      const script = new Script();
      const first = script.length;
      build(script);
      script.loop(first, count);
      await runtime.produce(script.metadata(), { gasLimit: GAS });
    },
  };
}

export async function run(report: Report): Promise<void> {
  await inline(report);
  await elsewhere(report);
}

async function inline(report: Report): Promise<void> {
  const pool = new Piscina({ filename: NOTHING, minThreads: 1, maxThreads: 1 });
  const runtime = await Runtime.open({ root: driver, programs: [trivial], workers: 1 });
  try {
    const setup = new Script();
    setup.put(1, { program: programHash(trivial), memoryQuota: 4 });
    await runtime.produce(setup.metadata(), { gasLimit: GAS });
    const roundTrip = (entry: string) => (script: Script) => {
      script.put(1, { start: { entry, argument: 1n, gas: 1_000_000 } });
      script.get(1, { status: true });
    };
    reportTimes(
      report,
      await measure([
        {
          name: "piscina task",
          run: async (count) => {
            for (let i = 0; i < count; i++) await pool.run(null);
          },
        },
        looped(runtime, "PUT, GET inline, child writes nothing", roundTrip("idle")),
        looped(runtime, "PUT, GET inline, child writes a page", roundTrip("run")),
        looped(runtime, "GET alone", (script) => script.get(1, { status: true })),
      ]),
    );
  } finally {
    await runtime.close();
    await pool.destroy();
  }
}

/**
 * Parent and child do the same work of some 100 µs. In turn they need twice as long as one; what they need
 * more than one when the child is on another thread is the price of handing it over and taking it back.
 */
async function elsewhere(report: Report): Promise<void> {
  const runtime = await Runtime.open({ root: driver, programs: [driver], workers: 2 });
  try {
    const work = new Script({ base: REGION });
    work.spin(SPIN_ROUNDS);
    const setup = new Script();
    const copy = { source: work.metadata(), target: REGION };
    setup.put(1, { program: programHash(driver), memoryQuota: DRIVER_INITIAL_MEMORY, ranges: [copy] });
    await runtime.produce(setup.metadata(), { gasLimit: GAS });
    const measurements = await measure([
      looped(runtime, "work alone", (script) => script.spin(SPIN_ROUNDS)),
      looped(runtime, "work beside a child that works as long", (script) => {
        script.put(1, { start: { entry: "run", argument: BigInt(REGION), gas: 2 ** 32 } });
        script.spin(SPIN_ROUNDS);
        script.get(1, { status: true });
      }),
    ]);
    reportTimes(report, measurements);
    const [alone, beside] = measurements as [Measurement, Measurement];
    const value = (beside.nanoseconds - alone.nanoseconds) / 1e3;
    report.row({ name: "PUT, GET on another worker: the difference", value, unit: "µs" });
  } finally {
    await runtime.close();
  }
}
