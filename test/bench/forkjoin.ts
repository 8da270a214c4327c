/**
 * Fork and join of 8 copies over 16 MiB with 1 % of the pages changed: clone, run, merge, drop. Beside it
 * what cannot be avoided: the same pages changed by one process, and each of them copied once, from one
 * place of memory to another.
 */

import { programHash, type Runtime } from "../../runtime/index.ts";
import { GET_PARTS, GET_STATUS_POINTER, PART_GET_STATUS } from "../../syscalls/abi.ts";
import { compile, GAS } from "../determinator/harness.ts";
import { quota, SCRATCH } from "../driver.ts";
import { open, play } from "../fixture.ts";
import { measure, reportTimes } from "./measure.ts";
import type { Report } from "./report.ts";

const PAGE_BYTES = 4096;
const PAGES = (16 << 20) / PAGE_BYTES;
const COPIES = 8;
/** Of each copy. */
const CHANGED = Math.round(PAGES / 100 / COPIES);
const TRIPS = 20;

async function prepared(program: Uint8Array, workers: number): Promise<Runtime> {
  const runtime = await open([program], { workers, retainBlocks: 2, gasLimit: 100 * GAS });
  await play(runtime, (s) => {
    s.put(1, { program: programHash(program), memoryQuotaPages: quota(8192), processQuota: 64 });
    s.put(1, { start: { entry: "prepare", gas: GAS } });
    s.get(1, { status: true });
  });
  return runtime;
}

function loop(runtime: Runtime, entry: string, pages: number): (count: number) => Promise<unknown> {
  return async (count) => {
    const { results, handles } = await play(runtime, (s) => {
      const first = s.put(1, { start: { entry, argument: BigInt(pages), gas: GAS } });
      s.get(1, { words: { [GET_PARTS]: PART_GET_STATUS, [GET_STATUS_POINTER]: SCRATCH } });
      s.loop(first, count);
      return s.get(1, { status: true });
    });
    const { fault } = results.status(handles);
    if (fault !== 0) throw new Error(`forkjoin: ${entry} faulted: ${fault}`);
  };
}

export async function run(report: Report): Promise<void> {
  const program = await compile("determinator/forkjoin");
  const from = Buffer.alloc(16 << 20, 1);
  const to = Buffer.alloc(16 << 20, 2);
  const copyPages = (count: number): void => {
    for (let i = 0; i < count * COPIES * CHANGED; i++) {
      const at = ((i * 40_503) % PAGES) * PAGE_BYTES;
      from.copy(to, at, at, at + PAGE_BYTES);
    }
  };
  for (const workers of [1, 2]) {
    const runtime = await prepared(program, workers);
    const results = await measure(
      [
        { name: `${COPIES * CHANGED} pages copied`, run: copyPages },
        { name: "the work by one process", run: loop(runtime, "alone", CHANGED) },
        { name: `fork-join, ${workers} workers`, run: loop(runtime, "fork", CHANGED) },
        { name: `fork-join, nothing changed, ${workers} workers`, run: loop(runtime, "fork", 0) },
      ],
      { rounds: 9, count: TRIPS },
    );
    await runtime.close();
    reportTimes(report, results);
    const [copy, work, fork] = results.map((one) => one.nanoseconds);
    report.row({
      name: `fork-join / (copies + work), ${workers} workers`,
      value: (fork ?? 0) / ((copy ?? 0) + (work ?? 0)),
      unit: "times",
    });
  }
}
