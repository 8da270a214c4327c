/**
 * A guest that takes as much memory of the host outside of the heap as it can, in a process of its own, whose
 * resident memory is measured.
 *
 *   node --expose-gc host-run.ts --mib N
 *
 * Opens a runtime with `hostBytes` of N MiB. Each block makes a child of another size, which touches all of
 * its memory in vain and is dropped: its instance is kept for another one of that size. So the thread's pool
 * fills, and then some. Prints a line of JSON: HostRun.
 */

import { parseArgs } from "node:util";
import { hostBounds } from "../../runtime/chain/host-bounds.ts";
import { UNIT_BYTES } from "../../runtime/heap/heap.ts";
import { Runtime } from "../../runtime/index.ts";
import { PAGE_BYTES, PAGES_PER_WASM_PAGE } from "../../runtime/limits.ts";
import { programHash } from "../../runtime/program/admit.ts";
import { DRIVER_INITIAL_MEMORY, quota } from "../driver.ts";
import { driver, play } from "../fixture.ts";
import { gasGuest } from "../gas/rows.ts";
import { memoryFor, PRIVATE, STATE_BYTES, Steps } from "../gas/steps.ts";

export interface HostRun {
  readonly hostBytes: number;
  /** Most that was resident after a block, without what the heap had taken. */
  readonly residentBytes: number;
  readonly blocks: number;
}

/** Of the guest at first, and of the largest child, in pages of 64 KiB. */
const SMALL = memoryFor(16);
const LARGE = 480;
/** Children once more, after the pool is full. */
const MORE = 40;
const RULES = {
  gasLimit: 40_000_000,
  heldGasQuota: 0,
  memoryQuotaPages: quota(LARGE + 40 + DRIVER_INITIAL_MEMORY),
};
const HOST = { workers: 1, views: 0, heapBytes: 2 ** 29 };

const { values } = parseArgs({ options: { mib: { type: "string", default: "1024" } } });
const hostBytes = Number(values.mib) * 2 ** 20;
const guest = await gasGuest(SMALL);
const runtime = await Runtime.open({
  ...{ root: driver, programs: [driver, guest], retainBlocks: 1 },
  ...{ ...RULES, ...HOST, hostBytes },
});
const { hostBytes: least } = hostBounds(RULES, { ...HOST, hostBytes });
const sizes = LARGE - SMALL;
const blocks = Math.ceil((hostBytes - least) / ((LARGE - sizes / 4) * 65_536)) + MORE;
let residentBytes = 0;
for (let block = 0; block < blocks; block++) {
  const pages = LARGE - (block % Math.floor(sizes / 2));
  const grow = new Steps().grow(pages - SMALL);
  const touch = new Steps()
    .touch(0, STATE_BYTES / PAGE_BYTES, 1)
    .touch(PRIVATE, pages * PAGES_PER_WASM_PAGE - PRIVATE / PAGE_BYTES, 1)
    .abort();
  await play(runtime, (script) => {
    const start = { entry: "run", argument: BigInt(grow.base), gas: 15_000_000 };
    const memoryQuotaPages = quota(LARGE + 20);
    script.put(block, { program: programHash(guest), memoryQuotaPages });
    for (const steps of [grow, touch]) {
      script.put(block, { ranges: [{ source: steps.bytes(), target: steps.base }], start });
      script.get(block, { status: true });
    }
    script.put(block, { drop: true });
  });
  gc?.();
  const heapBytes = runtime.engine.heap.top * UNIT_BYTES;
  residentBytes = Math.max(residentBytes, process.memoryUsage.rss() - heapBytes);
}
await runtime.close();
console.log(JSON.stringify({ hostBytes, residentBytes, blocks } satisfies HostRun));
