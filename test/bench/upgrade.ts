/**
 * What a change of program takes: apps with 4 and with 1,000 MiB of state are upgraded, in turns, to programs
 * with a migration that writes one word. The first upgrade of an app is told apart: the memory of a thread is
 * touched for the first time.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { App } from "../../runtime/app/index.ts";
import { buildGuest } from "../../runtime/compile.ts";
import type { Transaction } from "../../runtime/typed/client.ts";
import { quantile, spreadOf } from "./measure.ts";
import type { Report } from "./report.ts";

const SIZES_MIB = [4, 1000];
const UPGRADES = 6;
const PAGES_PER_MIB = 256;
/** Pages that one transaction writes. */
const PAGES_AT_ONCE = 16_000;
const SOMEBODY: `0x${string}` = `0x${"00".repeat(20)}`;

const source = (mib: number, version: number): string => `
import { StateVector, contract, migrate, transaction } from "stillpoint/guest";
const words = new StateVector<u64>(${mib * PAGES_PER_MIB * 512});
@contract class Upgraded {
  @transaction fill(page: u32, end: u32): void {
    for (; page < end; page++) store<u64>(words.at + 64 + (<usize>page << 12), page + 1);
  }
  ${version === 0 ? "" : `@migrate to${version}(): void { store<u64>(words.at + 64, ${version}); }`}
}
`;

/** An app of that size, and the programs that it is to have. */
interface Upgraded {
  readonly mib: number;
  readonly app: App;
  readonly programs: readonly Uint8Array[];
  readonly times: number[];
}

export async function run(report: Report): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-bench-"));
  try {
    const all: Upgraded[] = [];
    for (const mib of SIZES_MIB) all.push(await filled(directory, mib));
    for (let version = 1; version <= UPGRADES; version++) {
      for (const { app, programs, times } of all) {
        const began = performance.now();
        await app.upgrade({ program: programs[version] as Uint8Array });
        times.push(performance.now() - began);
      }
    }
    const medians = all.map(({ times }) => quantile(times.slice(1), 0.5));
    for (const [at, { app, mib, times }] of all.entries()) {
      const [first, ...rest] = times as [number, ...number[]];
      const value = medians[at] as number;
      report.row({ name: `${mib} MiB of state, the first upgrade`, value: first, unit: "ms" });
      const compared =
        at === 0 ? {} : { baseline: `${all[0]?.mib} MiB`, ratio: value / (medians[0] as number) };
      report.row({
        name: `${mib} MiB of state, later ones`,
        value,
        unit: "ms",
        spread: spreadOf(rest),
        ...compared,
      });
      await app.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function filled(directory: string, mib: number): Promise<Upgraded> {
  const file = join(directory, `of${mib}.ts`);
  const programs: Uint8Array[] = [];
  for (let version = 0; version <= UPGRADES; version++) {
    writeFileSync(file, source(mib, version));
    programs.push((await buildGuest(file, { cache: false })).program);
  }
  const app = await App.open({ program: programs[0] as Uint8Array, workers: 1 });
  const { fill } = app.client.Upgraded as unknown as { fill(args: object): Transaction };
  const pages = mib * PAGES_PER_MIB - 1;
  for (let page = 0; page < pages; page += PAGES_AT_ONCE) {
    const filling = app.submit(fill({ page, end: Math.min(pages, page + PAGES_AT_ONCE) }), {
      from: SOMEBODY,
      gas: 500_000_000,
    });
    await app.produce();
    const outcome = await filling;
    if (!outcome.ok) throw new Error(`filling failed: ${outcome.error}`);
  }
  return { mib, app, programs, times: [] };
}
