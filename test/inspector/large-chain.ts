/** A chain of 10,000 blocks with 100,000 processes, in memory, and what the inspector shows of it. */

import { recordBlock } from "../../runtime/debug.ts";
import { programHash, type Runtime } from "../../runtime/index.ts";
import { Source } from "../../runtime/inspector/source.ts";
import { quota, Script } from "../driver.ts";
import { guest, open } from "../fixture.ts";

export const BLOCKS = 10_000;
export const PROCESSES = 100_000;
/** Commands that one block has room for. */
export const COMMANDS = 5_000;

export async function openLarge(): Promise<{ readonly runtime: Runtime; readonly source: Source }> {
  const child = await guest("trivial");
  const runtime = await open([child], {
    retainBlocks: BLOCKS + 1,
    runner: "sequential",
    memoryQuotaPages: (PROCESSES + 1000) * quota(1),
    processQuota: PROCESSES,
  });
  const program = programHash(child);
  const empty = new Script({ commands: 0 }).metadata();
  while (runtime.head.height < BLOCKS - PROCESSES / COMMANDS) await runtime.produce(empty);
  for (let first = 0; first < PROCESSES; first += COMMANDS) {
    const script = new Script({ commands: COMMANDS });
    for (let number = first; number < first + COMMANDS; number++)
      script.put(number, { program, memoryQuotaPages: quota(1) });
    await runtime.produce(script.metadata());
  }
  const source = new Source({
    ...{ name: "large", kind: "runtime", chain: runtime },
    trace: async (block) => ({ ...(await runtime.trace(block)), transactions: [] }),
    recorded: async () => null,
    record: (block) => recordBlock(runtime, block),
  });
  return { runtime, source };
}
