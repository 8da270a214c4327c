/**
 * The store: what durability adds to a block, what a restart costs, going back in history, bytes on the disk,
 * export and import. Baseline of a commit: the same bytes appended to a file and synced, in the same run. A
 * restart is measured in processes of their own, of the package (built again) and of the sources.
 */

import { execFileSync } from "node:child_process";
import { closeSync, fsyncSync, openSync, statSync, writeFileSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { programHash, type Runtime } from "../../runtime/index.ts";
import { exportBlock, openImport } from "../../runtime/store.ts";
import { quota, Script } from "../driver.ts";
import { driver, guest, open } from "../fixture.ts";
import { measure, quantile } from "./measure.ts";
import type { Report } from "./report.ts";
import type { Restart, RestartTask } from "./restart.ts";

const PAGE = 4096;
const dirty = await guest("dirty");
const DIRTY = programHash(dirty);
const GAS = 100_000_000_000;
const OPTIONS = {
  workers: 2,
  retainBlocks: 2000,
  runner: "sequential",
  memoryQuotaPages: quota(65_536),
  gasLimit: GAS,
} as const;
const RESTARTS = 7;
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export async function run(report: Report): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-bench-"));
  try {
    await commits(report, directory);
    await history(report, directory);
    execFileSync(process.execPath, [file("../../scripts/build.ts")], { cwd: file("../..") });
    for (const mebibytes of [1, 64, 1024]) await restart(report, directory, mebibytes);
    await transfer(report, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Makes children of 1 MiB each, numbered from 0. */
async function fill(runtime: Runtime, mebibytes: number): Promise<void> {
  for (let first = 0; first < mebibytes; first += 32) {
    const script = new Script();
    for (let child = first; child < Math.min(mebibytes, first + 32); child++) {
      script.put(child, {
        program: DIRTY,
        memoryQuotaPages: quota(64),
        // Each with other contents: what is equal is stored once.
        start: { entry: "fill", argument: (BigInt(child) << 32n) | 1n, gas: GAS / 100 },
      });
      script.get(child, { status: true });
    }
    await runtime.produce(script.metadata());
  }
}

/** A block that writes into so many scattered pages, at most 256 of each child. */
function writing(pages: number, children = 1): Uint8Array {
  const script = new Script();
  for (let child = 0; child < children; child++) {
    script.put(child, {
      start: { entry: "dirty", argument: BigInt(Math.ceil(pages / children)), gas: GAS / 100 },
    });
    script.get(child, { status: true });
  }
  return script.metadata();
}

async function commits(report: Report, directory: string): Promise<void> {
  for (const pages of [16, 256]) {
    const open64 = async (store?: object): Promise<Runtime> => {
      const runtime = await open([dirty], { ...OPTIONS, retainBlocks: 4, ...(store as { store: never }) });
      await fill(runtime, 64);
      return runtime;
    };
    const plain = await open64();
    const block = await open64({ store: join(directory, `block-${pages}`) });
    const logged = await open64({
      store: { path: join(directory, `logged-${pages}`), durability: "logged" },
    });
    const log = openSync(join(directory, "log"), "w");
    const bytes = Buffer.alloc(pages * PAGE, 7);
    const metadata = writing(pages, Math.min(16, pages));
    const produce = (runtime: Runtime) => async (count: number) => {
      for (let i = 0; i < count; i++) await runtime.produce(metadata);
    };
    const rows = await measure(
      [
        {
          name: "append and fsync",
          run: (count) => {
            for (let i = 0; i < count; i++) {
              writeSync(log, bytes);
              fsyncSync(log);
            }
          },
        },
        { name: "block in memory", run: produce(plain) },
        { name: "durable block", run: produce(block) },
        { name: "logged block", run: produce(logged) },
      ],
      { rounds: 15, count: 8 },
    );
    closeSync(log);
    const baseline = rows[0]?.nanoseconds ?? 1;
    for (const { name, nanoseconds, spread } of rows) {
      report.row({
        name: `${pages} dirty pages: ${name}`,
        value: nanoseconds / 1e6,
        unit: "ms",
        spread,
        ...(name === "append and fsync"
          ? {}
          : { baseline: "append and fsync", ratio: nanoseconds / baseline }),
      });
    }
    for (const runtime of [plain, block, logged]) await runtime.close();
  }
}

async function history(report: Report, directory: string): Promise<void> {
  const path = join(directory, "history");
  const store = { path, durability: "block" } as const;
  const runtime = await open([dirty], { ...OPTIONS, store });
  await fill(runtime, 16);
  const before = statSync(`${path}/data.mdb`).size;
  const BLOCKS = 1100;
  const PAGES = 16;
  for (let i = 0; i < BLOCKS; i++) await runtime.produce(writing(PAGES, 16));
  const grown = statSync(`${path}/data.mdb`).size - before;
  report.row({
    name: "bytes on disk per byte of a changed page (16 each)",
    value: grown / (BLOCKS * PAGES * PAGE),
    unit: "",
  });
  const { head } = runtime;
  for (const by of [1, 100, 1000]) {
    const reverts: number[] = [];
    const blocks: number[] = [];
    for (let i = 0; i < 9; i++) {
      await runtime.revert(head);
      let start = performance.now();
      await runtime.revert(head.height - by);
      reverts.push(performance.now() - start);
      start = performance.now();
      await runtime.produce(writing(1));
      blocks.push(performance.now() - start);
    }
    report.row({ name: `revert by ${by} blocks, durable`, value: quantile(reverts, 0.5), unit: "ms" });
    report.row({ name: `revert by ${by} blocks: the next block`, value: quantile(blocks, 0.5), unit: "ms" });
  }
  await runtime.close();
}

async function restart(report: Report, directory: string, mebibytes: number): Promise<void> {
  const path = join(directory, `restart-${mebibytes}`);
  const size = mebibytes < 1024 ? `${mebibytes} MiB` : `${mebibytes / 1024} GiB`;
  const options = { ...OPTIONS, retainBlocks: 4, processQuota: 4096 };
  const first = await open([dirty], { ...options, store: path });
  await fill(first, mebibytes);
  await first.close();
  const put = (name: string, bytes: Uint8Array): string => {
    writeFileSync(join(directory, name), bytes);
    return join(directory, name);
  };
  const task: Omit<RestartTask, "runtime"> = {
    programs: [put("driver.wasm", driver), put("dirty.wasm", dirty)],
    options: { ...options, store: path },
    metadata: put("metadata", writing(1)),
  };
  const built = new URL("../../dist/runtime/index.js", import.meta.url).href;
  const source = new URL("../../runtime/index.ts", import.meta.url).href;
  const code = { NODE_COMPILE_CACHE: join(directory, "code") };
  const variants: { name: string; runtime: string; env: object; seen: Restart[] }[] = [
    { name: "package", runtime: built, env: {}, seen: [] },
    { name: "package, NODE_COMPILE_CACHE", runtime: built, env: code, seen: [] },
    { name: "sources", runtime: source, env: {}, seen: [] },
  ];
  for (let i = -1; i < RESTARTS; i++) {
    for (const { runtime, env, seen } of variants) {
      const args = [file("restart.ts"), JSON.stringify({ runtime, ...task } satisfies RestartTask)];
      const said = execFileSync(process.execPath, args, {
        encoding: "utf8",
        env: { ...process.env, ...env },
      });
      // The first fills caches.
      if (i >= 0) seen.push(JSON.parse(said));
    }
  }
  for (const { name, seen } of variants) {
    const of = (what: keyof Restart): number =>
      quantile(
        seen.map((one) => one[what]),
        0.5,
      );
    report.row({ name: `restart of ${size}, ${name}: open`, value: of("openMs"), unit: "ms" });
    report.row({ name: `restart of ${size}, ${name}: first block`, value: of("answeredMs"), unit: "ms" });
    if (name === "package") {
      report.row({
        name: `restart of ${size}: heap after it`,
        value: of("heapBytes") / 2 ** 20,
        unit: "MiB",
      });
    }
  }
}

async function transfer(report: Report, directory: string): Promise<void> {
  const path = join(directory, "restart-64");
  const chunks: Uint8Array[] = [];
  let start = performance.now();
  for await (const chunk of exportBlock(path)) chunks.push(chunk);
  const megabytes = chunks.reduce((sum, { length }) => sum + length, 0) / 1e6;
  report.row({ name: "export", value: megabytes / ((performance.now() - start) / 1e3), unit: "MB/s" });
  const runtime = await open([dirty], { ...OPTIONS, processQuota: 4096, retainBlocks: 4, store: path });
  const { id } = runtime.head;
  await runtime.close();
  start = performance.now();
  const importer = await openImport(join(directory, "copy"), id);
  for (const chunk of chunks) importer.take(chunk);
  await importer.finish();
  report.row({ name: "import", value: megabytes / ((performance.now() - start) / 1e3), unit: "MB/s" });
}
