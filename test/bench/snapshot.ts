/**
 * Snapshot and revert of processes of 1 MiB, 64 MiB and 1 GiB with 0, 16 and 256 scattered dirty pages: the
 * activation that writes the pages, their publishing, and the root hash; on one thread, without the workers
 * around. Baseline: what cannot be avoided for each dirty page, one copy of it and one SHA-256.
 */

import { hash } from "node:crypto";
import { hashObject } from "../../runtime/image/hash.ts";
import { type Process, publishProcess } from "../../runtime/image/process.ts";
import { Script } from "../driver.ts";
import { guest, open } from "../fixture.ts";
import { type Solo, solo } from "../solo.ts";
import { measure, reportTimes } from "./measure.ts";
import type { Report } from "./report.ts";

const DIRTY = [0, 16, 256];
const PAGE = 4096;

export async function run(report: Report): Promise<void> {
  const dirty = await guest("dirty");
  for (const mebibytes of [1, 64, 1024]) {
    const one = await solo([dirty], { heapBytes: 6 * 2 ** 30, warmBytes: (mebibytes + 512) * 2 ** 20 });
    const filled = one.start(one.fresh(0), "fill", mebibytes);
    hashObject(one.heap, publishProcess(one.heap, filled));
    await snapshots(report, one, filled, mebibytes);
  }
  await reverts(report);
}

/** Runtime.revert itself, over 100 blocks and back: what it costs before anything runs. */
async function reverts(report: Report): Promise<void> {
  const runtime = await open([], { workers: 1 });
  const script = new Script();
  script.store(0x280000, 1n);
  for (let i = 0; i < 100; i++) await runtime.produce(script.metadata());
  const { head } = runtime;
  const [row] = await measure([
    {
      name: "Runtime.revert over 100 blocks",
      run: async (count) => {
        for (let i = 0; i < count / 2; i++) {
          await runtime.revert(0);
          await runtime.revert(head);
        }
      },
    },
  ]);
  await runtime.close();
  reportTimes(report, row === undefined ? [] : [row]);
}

async function snapshots(report: Report, one: Solo, filled: Process, mebibytes: number): Promise<void> {
  const size = mebibytes < 1024 ? `${mebibytes} MiB` : `${mebibytes / 1024} GiB`;
  let head = filled;
  const step = (dirty: number): void => {
    head = one.start(head, "dirty", dirty);
    hashObject(one.heap, publishProcess(one.heap, head));
  };
  const scratch = Buffer.alloc(PAGE);
  const memory = Buffer.alloc(mebibytes * 2 ** 20, 1);
  let at = 0;
  const results = await measure(
    [
      {
        name: "copy and hash of 256 pages",
        run: (count) => {
          for (let i = 0; i < count * 256; i++) {
            at = (at + PAGE * 40_503) % memory.length;
            memory.copy(scratch, 0, at, at + PAGE);
            hash("sha256", scratch, "latin1");
          }
        },
      },
      ...DIRTY.map((dirty) => ({
        name: `${size}, ${dirty} dirty pages`,
        run: (count: number) => {
          for (let i = 0; i < count; i++) step(dirty);
        },
      })),
      {
        name: `${size}, revert by 256 dirty pages and run`,
        // Two states that differ in 256 pages: each activation begins with bringing the other one back.
        run: (count: number) => {
          const back = head;
          step(256);
          const there = head;
          for (let i = 0; i < count; i++) {
            one.start(back, "dirty", 0);
            one.start(there, "dirty", 0);
          }
        },
      },
    ],
    { rounds: 9, count: 10 },
  );
  const [baseline, none, ...some] = results;
  report.row({
    name: `${size}: copy and hash of a page`,
    value: (baseline?.nanoseconds ?? 0) / 256e3,
    unit: "µs",
    spread: baseline?.spread ?? 0,
  });
  report.row({
    name: `${size}: snapshot without dirty pages`,
    value: (none?.nanoseconds ?? 0) / 1e3,
    unit: "µs",
    spread: none?.spread ?? 0,
  });
  for (const [i, dirty] of [16, 256].entries()) {
    const row = some[i];
    if (row === undefined || none === undefined || baseline === undefined) continue;
    const each = (row.nanoseconds - none.nanoseconds) / dirty;
    report.row({
      name: `${size}: each of ${dirty} dirty pages`,
      value: each / 1e3,
      unit: "µs",
      spread: row.spread,
      baseline: "copy and hash",
      ratio: each / (baseline.nanoseconds / 256),
    });
  }
  const revert = some[2];
  report.row({
    name: `${size}: revert by 256 pages, and back`,
    value: (revert?.nanoseconds ?? 0) / 1e3,
    unit: "µs",
    spread: revert?.spread ?? 0,
  });
}
