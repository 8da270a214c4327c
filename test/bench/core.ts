/**
 * The core of Block-STM by itself: what scheduling, versions and commits cost an item that reads and writes
 * two lines, against a plain loop over the same lines; and what a second thread gains when items take
 * longer. No guest, no kernel: the items are a few instructions of Wasm (test/guests/core/driver.ts).
 */

import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { CORE_FLAGS, coreMemory, coreModule, instantiateCore } from "../../runtime/batch/core.ts";
import {
  ARENAS,
  LINE_BYTES,
  WORKER_ABORTS,
  WORKER_EXECUTIONS,
  WORKER_SIZE,
  WORKERS,
} from "../../runtime/batch/layout.ts";
import { compileWithFlags } from "../../runtime/compile.ts";
import { Random } from "../program/random.ts";
import { measure, reportTimes } from "./measure.ts";
import type { Report } from "./report.ts";

const ITEMS = 10_240;
const WINDOW = 256;
const WINDOWS = ITEMS / WINDOW;
const ARENA_BYTES = 16 << 20;
const ACCOUNTS = [2, 100, 100_000];
/** Turns of three shifts each; the second is some microseconds. */
const TURNS = [0, 2_500];

interface Driver {
  plain(at: number, items: number, work: number): void;
  drive(
    at: number,
    items: number,
    work: number,
    window: number,
    worker: number,
    workers: number,
    begin: number,
  ): void;
}

interface Share {
  readonly driver: WebAssembly.Module;
  readonly core: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly at: number;
}

function instantiate({ driver, core, memory, at }: Share): Driver {
  const words = new Uint32Array(memory.buffer);
  const lines = (at + 128 + ITEMS * 8 + 63) & ~63;
  const instance = instantiateCore(core, memory, {
    equals: (line, address) => {
      for (let i = 0; i < LINE_BYTES / 4; i++) {
        if (words[(lines + line * LINE_BYTES) / 4 + i] !== words[address / 4 + i]) return 0;
      }
      return 1;
    },
  });
  const imports = { env: { memory }, core: instance as unknown as WebAssembly.ModuleImports };
  return new WebAssembly.Instance(driver, imports).exports as unknown as Driver;
}

export async function run(report: Report): Promise<void> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const source = fileURLToPath(new URL("../guests/core/driver.ts", import.meta.url));
  const code = new Uint8Array(await compileWithFlags(source, root, CORE_FLAGS));
  const memory = coreMemory(3, ARENA_BYTES);
  const at = ARENAS + 2 * ARENA_BYTES + (1 << 20); // in the third arena, which is no worker's
  const share: Share = { driver: await WebAssembly.compile(code), core: await coreModule(), memory, at };
  const driver = instantiate(share);
  const other = new Worker(new URL(import.meta.url), { workerData: share });
  const words = new Uint32Array(memory.buffer);
  const clear = (): void => void words.fill(0, at / 4, (at + 128) / 4);
  const count = (counter: number): number =>
    words[(WORKERS + counter) / 4]! + words[(WORKERS + WORKER_SIZE + counter) / 4]!;
  for (const accounts of ACCOUNTS) {
    const random = new Random(accounts);
    for (let item = 0; item < ITEMS; item++) {
      const from = random.below(accounts);
      words[(at + 128) / 4 + 2 * item] = from;
      words[(at + 128) / 4 + 2 * item + 1] = (from + 1 + random.below(accounts - 1)) % accounts;
    }
    for (const turns of TURNS) {
      const single = (times: number): void => {
        clear();
        for (let i = 0; i < times; i++) driver.drive(at, ITEMS, turns, WINDOW, 0, 1, i * WINDOWS);
      };
      const both = async (times: number): Promise<void> => {
        clear();
        const done = new Promise((resolve) => other.once("message", resolve));
        other.postMessage({ turns, times });
        for (let i = 0; i < times; i++) driver.drive(at, ITEMS, turns, WINDOW, 0, 2, i * WINDOWS);
        await done;
      };
      const loop = (times: number): void => {
        for (let i = 0; i < times; i++) driver.plain(at, ITEMS, turns);
      };
      const label = `${accounts} accounts, ${turns} turns`;
      const times = Math.max(1, Math.round(20 / (1 + turns / 100)));
      const before = [count(WORKER_EXECUTIONS), count(WORKER_ABORTS)] as const;
      const results = await measure(
        [
          { name: `${label}: loop`, run: loop },
          { name: `${label}: core, one thread`, run: single },
          { name: `${label}: core, two threads`, run: both },
        ],
        { count: times, rounds: 9 },
      );
      const perItem = results.map((result) => ({ ...result, nanoseconds: result.nanoseconds / ITEMS }));
      reportTimes(report, perItem);
      const executions = count(WORKER_EXECUTIONS) - before[0];
      report.note(
        `${((100 * (count(WORKER_ABORTS) - before[1])) / executions).toFixed(1)} % of executions aborted`,
      );
    }
  }
  await other.terminate();
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const share = workerData as Share;
  const driver = instantiate(share);
  port.on("message", ({ turns, times }: { turns: number; times: number }) => {
    for (let i = 0; i < times; i++) driver.drive(share.at, ITEMS, turns, WINDOW, 1, 2, i * WINDOWS);
    port.postMessage(null);
  });
}
