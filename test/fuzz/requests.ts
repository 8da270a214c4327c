/**
 * Fuzzer "requests": requests with wild fields against the model of test/kernel/requests.ts, with one worker
 * and with three. Its canaries are the rules of the model: without any one of them it must fail.
 */

import type { Runtime } from "../../runtime/index.ts";
import { withRuntime } from "../fixture.ts";
import { checkTree } from "../kernel/invariants.ts";
import { REQUEST_OPTIONS, REQUEST_PROGRAMS, RULES, type Rule, randomRequests } from "../kernel/requests.ts";

const SCRIPTS = 20;
const REQUESTS = 80;

/** A batch of scripts; what differs, or null. */
export async function round(seed: number): Promise<string | null> {
  const runs: string[][] = [];
  for (const workers of [1, 3]) {
    const ids: string[] = [];
    const difference = await withRuntime(
      REQUEST_PROGRAMS,
      { ...REQUEST_OPTIONS, workers },
      async (runtime) => {
        for (let i = 0; i < SCRIPTS; i++) {
          const { id, differences } = await run(runtime, seed * SCRIPTS + i);
          if (differences.length > 0) return differences.join("\n");
          checkTree(runtime);
          ids.push(id);
        }
        return null;
      },
    );
    if (difference !== null) return difference;
    runs.push(ids);
  }
  const at = runs[0]?.findIndex((id, i) => id !== runs[1]?.[i]) as number;
  return at < 0 ? null : `script ${seed * SCRIPTS + at}: 1 worker and 3 workers differ`;
}

/** Scripts until the model without `rule` fails; their number, or null. */
export function canary(rule: Rule, seed: number, scripts: number): Promise<number | null> {
  return withRuntime(REQUEST_PROGRAMS, REQUEST_OPTIONS, async (runtime) => {
    for (let i = 0; i < scripts; i++) {
      const { differences } = await run(runtime, seed + i, [rule]);
      if (differences.length > 0) return i + 1;
    }
    return null;
  });
}

export { RULES };

async function run(runtime: Runtime, seed: number, without: readonly Rule[] = []) {
  await runtime.revert(0);
  const { script, check } = randomRequests(seed, REQUESTS, without);
  const { id, data } = await runtime.produce(script.metadata());
  return { id, differences: check(script.read(data)).differences };
}
