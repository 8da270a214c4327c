/**
 * What a block costs by the pages it dirtied and by the size of the process, root hash included; and what a
 * revert costs, alone and together with the block after it.
 *
 * Every block pays for the pool's round trip, its metadata and its data; so the price of a page is the
 * difference between blocks with 256 dirty pages and blocks with none, divided by 256.
 */

import { join } from "node:path";
import { compileGuest } from "../../runtime/compile.ts";
import { type Block, Runtime } from "../../runtime/index.ts";
import { DRIVER_INITIAL_MEMORY, Script } from "../driver.ts";
import { type Measurement, measure, reportTimes, type Variant } from "./measure.ts";
import type { Report } from "./report.ts";

const GAS = Number.MAX_SAFE_INTEGER;
const PAGE_BYTES = 4096;
const WASM_PAGE_BYTES = 65536;
/** The driver's own memory ends here; what is grown lies above. */
const GROWN = DRIVER_INITIAL_MEMORY * WASM_PAGE_BYTES;
const SIZES_MIB = [1, 64, 1024];
const DIRTY_PAGES = [0, 16, 256];

const driver = await compileGuest(join(import.meta.dirname, "../guests/driver.ts"), {
  initialMemory: DRIVER_INITIAL_MEMORY,
});

export async function run(report: Report): Promise<void> {
  for (const mib of SIZES_MIB) {
    const runtime = await Runtime.open({ root: driver, workers: 1 });
    try {
      await measureSize(report, runtime, mib);
    } finally {
      await runtime.close();
    }
  }
}

async function measureSize(report: Report, runtime: Runtime, mib: number): Promise<void> {
  const bytes = mib << 20;
  const fill = new Script();
  fill.grow(bytes / WASM_PAGE_BYTES);
  fill.fill(GROWN, bytes, 1);
  const base = await runtime.produce(fill.metadata(), { gasLimit: GAS });

  const name = (dirty: number) => `block, ${mib} MiB, ${dirty} dirty pages`;
  const blocks = DIRTY_PAGES.map((dirty) => blockVariant(runtime, name(dirty), bytes, dirty));
  const measured = await measure(blocks);
  reportTimes(report, measured);
  const [none, , most] = measured as [Measurement, Measurement, Measurement];
  const value = (most.nanoseconds - none.nanoseconds) / 256 / 1e3;
  report.row({ name: `snapshot and root, ${mib} MiB, each dirty page`, value, unit: "µs" });
  await measureRevert(report, runtime, base, mib);
}

/** Blocks that write to `dirty` pages scattered over the grown memory, each time something else. */
function blockVariant(runtime: Runtime, name: string, bytes: number, dirty: number): Variant {
  const scripts = [1n, 2n].map((value) => dirtyingScript(bytes, dirty, value));
  let turn = 0;
  return {
    name,
    run: async (count) => {
      for (let i = 0; i < count; i++) await runtime.produce(scripts[turn++ % 2]!, { gasLimit: GAS });
    },
  };
}

function dirtyingScript(bytes: number, dirty: number, value: bigint): Uint8Array {
  const script = new Script({ commands: 256 + 1 });
  const stride = dirty === 0 ? 0 : Math.max(PAGE_BYTES, Math.floor(bytes / dirty / PAGE_BYTES) * PAGE_BYTES);
  for (let i = 0; i < dirty; i++) script.store(GROWN + ((i * stride) % bytes), value + BigInt(i));
  return script.metadata();
}

async function measureRevert(report: Report, runtime: Runtime, base: Block, mib: number): Promise<void> {
  const bytes = mib << 20;
  await runtime.revert(base);
  const next = dirtyingScript(bytes, 16, 9n);
  const other = await runtime.produce(next, { gasLimit: GAS });
  const measured = await measure([
    {
      name: `revert, ${mib} MiB`,
      run: async (count) => {
        for (let i = 0; i < count; i++) await runtime.revert(i % 2 === 0 ? base : other);
      },
    },
    {
      name: `revert and block, ${mib} MiB, 16 dirty pages`,
      run: async (count) => {
        for (let i = 0; i < count; i++) {
          await runtime.revert(base);
          await runtime.produce(next, { gasLimit: GAS });
        }
      },
    },
  ]);
  reportTimes(report, measured);
}
