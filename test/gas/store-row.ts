/**
 * A row of the benchmark "gas" that needs a runtime: STARTs of images that lie in a store, of which nothing
 * was loaded since it was opened. Wall time, for the activation waits for the disk.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programHash, type Runtime } from "../../runtime/index.ts";
import { quota, Script } from "../driver.ts";
import { ENDLESS_GAS, guest, play, withRuntime } from "../fixture.ts";

const CHILDREN = 16;
const MEBIBYTES = 4;
const GAS = ENDLESS_GAS;
const LOOP = 10_000_000;
const OPTIONS = { gasLimit: GAS, memoryQuotaPages: quota(60_000), workers: 1, retainBlocks: 4 } as const;

export const STORE_ROW = "START of images that lie in a store";
export const STORE_REASON =
  "loads from a store wait for the disk, once for each page that was evicted or not loaded yet";

/** Nanoseconds per gas, and how many times that of a plain loop in the same runtime it is, round by round. */
export async function measureLoads(rounds: number): Promise<{ times: number[]; factors: number[] }> {
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-bench-gas-"));
  const dirty = await guest("dirty");
  const options = { ...OPTIONS, store: directory };
  const times: number[] = [];
  const factors: number[] = [];
  try {
    await withRuntime([dirty], options, (runtime) => fill(runtime, programHash(dirty)));
    for (let round = 0; round < rounds; round++) {
      await withRuntime([dirty], options, async (runtime) => {
        const { height } = runtime.head;
        // Once for the compiler of V8, once for the figure.
        await wallPerGas(runtime, (script) => script.spin(LOOP));
        const base = await wallPerGas(runtime, (script) => script.spin(LOOP));
        const time = await wallPerGas(runtime, (script) => {
          for (let child = 0; child < CHILDREN; child++) {
            script.put(child, { start: { entry: "dirty", argument: 0n, gas: 1e8 } });
            script.get(child, { status: true });
          }
        });
        times.push(time);
        factors.push(time / base);
        await runtime.revert(height);
      });
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return { times, factors };
}

/** Each child with other contents: what is equal is stored once. */
async function fill(runtime: Runtime, program: Uint8Array): Promise<void> {
  const script = new Script();
  for (let child = 0; child < CHILDREN; child++) {
    const argument = (BigInt(child) << 32n) | BigInt(MEBIBYTES);
    script.put(child, {
      program,
      memoryQuotaPages: quota(512),
      start: { entry: "fill", argument, gas: GAS / 100 },
    });
    script.get(child, { status: true });
  }
  await runtime.produce(script.metadata());
}

async function wallPerGas(runtime: Runtime, write: (script: Script) => unknown): Promise<number> {
  const start = performance.now();
  const { block } = await play(runtime, write);
  return ((performance.now() - start) * 1e6) / block.gasUsed;
}
