/**
 * Fuzzer "host": a guest takes as much memory of the host outside of the heap as it can (host-run.ts). It
 * never takes more than `open` says, and comes close to that.
 */

import { fileURLToPath } from "node:url";
import type { Fault } from "../planted.ts";
import type { HostRun } from "./host-run.ts";
import { linesOf } from "./process.ts";

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Of the bound, what the guest takes at least: what else there is in it, it does not fill. */
const SHARE_LEAST = 0.8;

export const CANARIES: Readonly<Record<string, readonly Fault[]>> = {
  "instances are kept whatever they take": [
    {
      file: "runtime/kernel/slots/slot-pool.ts",
      find: "this.#freeBytes > this.#limits.bytes",
      put: "this.#freeBytes > Infinity",
    },
  ],
  "what an activation touched in vain is not counted": [
    {
      file: "runtime/kernel/slots/slot.ts",
      find: "      this.#touched += found;",
      put: "",
    },
  ],
};

/** Fills a process with so many MiB of such memory as `hostBytes`. */
export async function fillHost(mib: number, plant?: string): Promise<HostRun> {
  const faults = plant === undefined ? [] : (CANARIES[plant] as readonly Fault[]);
  const env = { STILLPOINT_FAULTS: JSON.stringify(faults) };
  const run = [path("host-run.ts"), "--mib", `${mib}`];
  const command = ["--expose-gc", "--import", path("../plant-hook.ts"), ...run];
  const [measured] = await linesOf<HostRun>("host", command, env);
  return measured as HostRun;
}

/** What is wrong with what was measured; null: nothing. */
export function wrongWith({ hostBytes, residentBytes }: HostRun): string | null {
  if (residentBytes > hostBytes) return "more than open says";
  return residentBytes < SHARE_LEAST * hostBytes ? "less than four fifths of what open says" : null;
}

/** What was measured, in words. */
export function describeHost({ hostBytes, residentBytes, blocks }: HostRun): string {
  const share = (residentBytes / hostBytes).toFixed(2);
  const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);
  return `${blocks} blocks, ${mib(residentBytes)} of ${mib(hostBytes)} MiB resident: ${share}`;
}
