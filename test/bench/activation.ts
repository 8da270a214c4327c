/**
 * One activation of a process whose slot holds it: from an image to the next, on one thread, without a call
 * around it; with nothing changed, and with pages changed. And what an idle child takes of the heap.
 */

import type { Process } from "../../runtime/image/process.ts";
import { guest } from "../fixture.ts";
import { bytesPerChild } from "../soak/soak.ts";
import { solo } from "../solo.ts";
import { measure, reportTimes } from "./measure.ts";
import type { Report } from "./report.ts";

const SIZES_MIB = [1, 16, 64];
const DIRTY = [0, 1, 16];
const CHILDREN = 20_000;

export async function run(report: Report): Promise<void> {
  const dirty = await guest("dirty");
  for (const mebibytes of SIZES_MIB) {
    const one = await solo([dirty], { warmBytes: 2 ** 30 });
    let head: Process = one.start(one.fresh(0), "fill", mebibytes);
    const rows = await measure(
      DIRTY.map((pages) => ({
        name: `${mebibytes} MiB, ${pages} pages changed`,
        run: (count: number) => {
          for (let i = 0; i < count; i++) head = one.start(head, "dirty", pages);
        },
      })),
      { count: 1000 },
    );
    reportTimes(report, rows);
  }
  const { fresh, worked } = await bytesPerChild(CHILDREN);
  report.row({ name: "an idle child, made only", value: fresh, unit: "bytes" });
  report.row({ name: "an idle child with a page of its own", value: worked, unit: "bytes" });
}
