/**
 * The round trip of a trivial child: PUT with START, GET with STATUS, from inside the parent; beside a task
 * of piscina, which is what one would use without processes. The child counts in its memory, so every trip
 * publishes a page. The parent is the scriptable driver of the tests; its loop costs are subtracted (the row
 * "empty loop").
 */

import { Piscina } from "piscina";
import { programHash, type Runtime } from "../../runtime/index.ts";
import { Script } from "../driver.ts";
import { ENDLESS_GAS, guest, open } from "../fixture.ts";
import { type Measurement, measure, reportTimes } from "./measure.ts";
import type { Report } from "./report.ts";

const trivial = await guest("trivial");
const TRIPS = 20_000;
const GAS = 1_000_000;
/** Rounds of the driver's SPIN: about 30 µs, in which another worker can finish the child. */
const SPIN = 3_000;

function loop(runtime: Runtime, body: (script: Script) => void): (count: number) => Promise<unknown> {
  return (count) => {
    const script = new Script();
    script.put(1, { program: programHash(trivial) });
    const first = script.length;
    body(script);
    script.loop(first, count);
    return runtime.produce(script.metadata());
  };
}

function trip(entry: string, spin = 0): (script: Script) => void {
  return (script) => {
    script.put(1, { start: { entry, gas: GAS } });
    if (spin > 0) script.spin(spin);
    script.get(1, { words: { 4: 1, 8: 0x200000 } });
  };
}

export async function run(report: Report): Promise<void> {
  const alone = await open([trivial], { gasLimit: ENDLESS_GAS, workers: 1, retainBlocks: 1 });
  const inline = await measure(
    [
      { name: "empty loop", run: loop(alone, (script) => script.store(0x200000, 1n)) },
      { name: "inline, one page changed", run: loop(alone, trip("run")) },
      { name: "inline, nothing changed", run: loop(alone, trip("idle")) },
    ],
    { count: TRIPS, warmupRounds: 6 },
  );
  await alone.close();
  reportTimes(report, without(inline));

  const two = await open([trivial], { gasLimit: ENDLESS_GAS, workers: 2, retainBlocks: 1 });
  const beside = await measure(
    [
      { name: "parent's work", run: loop(two, (script) => script.spin(SPIN)) },
      { name: "on another worker beside the parent's work", run: loop(two, trip("run", SPIN)) },
    ],
    { count: TRIPS / 10 },
  );
  await two.close();
  reportTimes(report, without(beside));

  const pool = new Piscina({
    filename: new URL("./task.mjs", import.meta.url).href,
    minThreads: 1,
    maxThreads: 1,
  });
  const task = await measure(
    [
      {
        name: "a piscina task",
        run: async (count) => {
          for (let i = 0; i < count; i++) await pool.run(i);
        },
      },
    ],
    { count: 500 },
  );
  await pool.destroy();
  reportTimes(report, task);
}

/** Takes the first measurement, the loop around, from the others. */
function without([base, ...others]: readonly Measurement[]): Measurement[] {
  const around = base?.nanoseconds ?? 0;
  return others.map((one) => ({ ...one, nanoseconds: one.nanoseconds - around, ratio: 1 }));
}
