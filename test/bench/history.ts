/**
 * What a long history costs: a block at the retain limit, a fork, a revert, and looking through a reader,
 * with 100 and with 100,000 retained blocks, in turns. STILLPOINT_BENCH_BLOCKS sets the longer one.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Runtime } from "../../runtime/index.ts";
import { openReader, type Reader } from "../../runtime/store.ts";
import { SCRATCH, Script } from "../driver.ts";
import { open } from "../fixture.ts";
import { measure, reportTimes, type Variant } from "./measure.ts";
import type { Report } from "./report.ts";

const SHORT = 100;
const LONG = Number(process.env.STILLPOINT_BENCH_BLOCKS ?? 100_000);
const OPTIONS = { workers: 1, runner: "sequential" } as const;

const script = new Script();
script.store(SCRATCH, 1n);
const metadata = script.metadata();

interface Chain {
  readonly name: string;
  readonly runtime: Runtime;
  readonly reader: Reader;
}

export async function run(report: Report): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-bench-"));
  try {
    const chains: Chain[] = [];
    for (const length of [SHORT, LONG]) chains.push(await filled(join(directory, `${length}`), length));
    const each = (name: string, use: (chain: Chain) => unknown): Variant[] =>
      chains.map((chain) => ({
        name: `${name}, ${chain.name} retained`,
        run: async (count) => {
          for (let i = 0; i < count; i++) await use(chain);
        },
      }));
    const options = { rounds: 15, count: 20 };
    const kinds: Readonly<Record<string, (chain: Chain) => unknown>> = {
      "block at the limit": ({ runtime }) => runtime.produce(metadata),
      "fork and close": async ({ runtime }) => (await runtime.fork()).close(),
      "revert by 50 and back": async ({ runtime }) => {
        const { head } = runtime;
        await runtime.revert(head.height - 50);
        await runtime.revert(head);
      },
      "reader: head": ({ reader }) => reader.head,
      "reader: read of a block": ({ reader, runtime }) =>
        reader.read([], SCRATCH, 8, runtime.head.height - 60),
    };
    for (const [name, use] of Object.entries(kinds)) {
      reportTimes(report, await measure(each(name, use), options));
    }
    for (const { runtime, reader } of chains) {
      await reader.close();
      await runtime.close();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function filled(path: string, length: number): Promise<Chain> {
  const store = { path, durability: "logged" } as const;
  const runtime = await open([], { ...OPTIONS, retainBlocks: length, store });
  for (let i = 0; i < length; i++) await runtime.produce(metadata);
  await runtime.checkpoint();
  return { name: `${length}`, runtime, reader: await openReader(path) };
}
