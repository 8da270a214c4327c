/** Several children of one root that all have batches at once: scripts for the driver (test/driver.ts). */

import { programHash, type RuntimeOptions } from "../../runtime/index.ts";
import { quota, Script } from "../driver.ts";
import { ENDLESS_GAS } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import type { BatchInput } from "./batches.ts";
import { putBatch } from "./requests.ts";
import { batch, randomBatch, SCRIPT, STATE_BYTES } from "./scripts.ts";

export const SEVERAL: Partial<RuntimeOptions> = {
  gasLimit: ENDLESS_GAS,
  memoryQuotaPages: quota(8192),
};
export const CHILDREN = 4;
const HASH = programHash(SCRIPT);

export function scriptOf(write: (script: Script) => void): Script {
  const script = new Script();
  write(script);
  return script;
}

/** Gives a child a batch, which continues while the root does something else. */
export function give(script: Script, child: number, { items, gas }: BatchInput): void {
  const total = items.reduce((sum, item) => sum + Number(item.gas), 1_000_000);
  putBatch(script, child, { items, inbox: STATE_BYTES, gas: gas ?? total });
}

/** Makes the children, which have room to grow. */
export function makeSeveral(): Script {
  return scriptOf((script) => {
    for (let child = 1; child <= CHILDREN; child++)
      script.put(child, { program: HASH, memoryQuotaPages: quota(40) });
  });
}

/** Joins some of the children, and gives all of them random batches. */
export function giveSeveral(seed: number): Script {
  const next = random(seed);
  return scriptOf((script) => {
    for (let child = 1; child <= CHILDREN; child++) {
      if (next(3) > 0) script.get(child, { status: true, hash: true });
      const { items } = randomBatch(seed * CHILDREN + child);
      give(script, child, batch(items.slice(0, 60), 100_000_000));
    }
    if (next(2) > 0) script.spin(1 + next(20_000));
  });
}
