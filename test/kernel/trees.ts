/**
 * Random process trees as scripts for the driver: children of children that write memory, burn gas, fault,
 * are retried, dropped, left running or joined in any order. A function of the seed alone.
 */

import { quota, REGION, SCRATCH, Script } from "../driver.ts";
import { DRIVER_HASH } from "../fixture.ts";

/** A small generator of its own (mulberry32), so that a seed means the same tree for ever. */
export function random(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * limit);
  };
}

export interface TreeShape {
  /** Levels below the root. */
  readonly depth: number;
  readonly children: number;
}

/** A script for the root. */
export function randomTree(seed: number, shape: TreeShape): Script {
  const next = random(seed);
  return node(next, shape.depth, shape.children, true);
}

function node(next: (limit: number) => number, depth: number, breadth: number, isRoot: boolean): Script {
  const script = new Script();
  const started: number[] = [];
  work(script, next);
  const count = depth === 0 ? 0 : 1 + next(breadth);
  for (let i = 0; i < count; i++) {
    const child = next(5);
    const inner = node(next, depth - 1, breadth, false).metadata();
    // Below a level the quotas are used up: some creations fail, and that must fail everywhere in the same
    // way.
    const pages = 80 + next(4) * 40 * (1 + depth * breadth * breadth);
    script.put(child, {
      program: DRIVER_HASH,
      memoryQuotaPages: quota(pages),
      processQuota: next(12),
      // Those that have none fault where they leave a child running.
      heldGas: next(4) === 0 ? 0 : 60_000_000 * depth,
      ranges: [{ source: inner, target: REGION }],
      start: { entry: "run", argument: BigInt(REGION), gas: gasFor(next, depth) },
    });
    started.push(child);
    if (next(3) === 0) work(script, next);
    if (next(3) === 0) join(script, next, started);
  }
  while (started.length > 0 && next(6) !== 0) join(script, next, started);
  work(script, next);
  if (!isRoot && next(8) === 0) script.trap();
  if (!isRoot && next(8) === 0) script.abort();
  return script;
}

function gasFor(next: (limit: number) => number, depth: number): number {
  const kind = next(8);
  if (kind === 0) return 0;
  if (kind === 1) return next(200_000);
  return 20_000_000 * (depth + 1) ** 2;
}

function work(script: Script, next: (limit: number) => number): void {
  for (let i = next(3); i > 0; i--) {
    const at = SCRATCH + 0x80000 + next(0x40000);
    const kind = next(6);
    if (kind === 0) script.spin(next(3000));
    else if (kind === 1) script.fill(at, next(9000), next(256));
    else if (kind === 2) script.fill(at, next(9000), 0);
    else if (kind === 3) script.grow(next(3));
    else script.store(at, BigInt(next(1 << 30)));
  }
}

function join(script: Script, next: (limit: number) => number, started: number[]): void {
  const [child] = started.splice(next(started.length), 1) as [number];
  const kind = next(6);
  if (kind === 0) {
    script.put(child, { drop: true });
  } else if (kind === 1) {
    // Perhaps it faulted: try again from its reference snapshot, with more gas, now and then keeping the
    // snapshot.
    script.put(child, {
      start: { entry: "run", argument: BigInt(REGION), gas: 30_000_000, keep: next(2) === 0 },
    });
    script.get(child, { status: true, hash: true });
  } else if (kind === 2) {
    script.get(child, {
      status: true,
      detail: 64,
      copy: [{ source: SCRATCH + 0x80000, length: next(5000) }],
    });
  } else {
    script.get(child, { status: true, hash: true });
  }
}
