/**
 * The blocks of the crash harness: some memory written, a child or two, now and then a child left running.
 */

import { quota, REGION, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH } from "../fixture.ts";
import { random } from "../kernel/trees.ts";

/** Where the root keeps the branch of the last block. */
export const BRANCH_AT = SCRATCH + 0x80008;

/** The metadata of the block at `height` of a branch. */
export function metadata(height: number, branch: number): Uint8Array {
  const next = random(height * 7 + branch);
  const script = new Script();
  script.store(SCRATCH + 0x80000, BigInt(height));
  script.store(BRANCH_AT, BigInt(branch));
  for (let i = next(4); i > 0; i--) {
    script.fill(SCRATCH + 0x80000 + next(64) * 4096, 1 + next(9000), (height + i) & 255);
  }
  const child = next(4);
  const inner = new Script();
  inner.store(SCRATCH + 0x90000 + next(16) * 4096, BigInt(height));
  inner.spin(next(2000));
  script.put(child, {
    program: DRIVER_HASH,
    memoryQuotaPages: quota(80),
    ranges: [{ source: inner.metadata(), target: REGION }],
    start: { entry: "run", argument: BigInt(REGION), gas: 20_000_000 },
  });
  // One in three is joined by a later block, perhaps after a crash.
  if (next(3) !== 0) script.get(child, { status: true, hash: true });
  if (next(4) === 0) script.get((child + 1) % 4, { status: true });
  return script.metadata();
}
