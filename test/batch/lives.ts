/**
 * Random lives of processes that take batches: they are made of this program and then of that one, by hash or
 * from bytes, are children of the root or of one of its children, have batches in a row with and without
 * something in between, are cloned, written to, dropped, left running over blocks. A block is a script of the
 * driver (test/driver.ts).
 */

import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { type CompileOptions, compileGuest } from "../../runtime/compile.ts";
import { programHash } from "../../runtime/index.ts";
import { CLONE_SELF } from "../../syscalls/abi.ts";
import { type PutSpec, quota, Script } from "../driver.ts";
import { DRIVER_HASH, ENDLESS_GAS } from "../fixture.ts";
import { random } from "../kernel/trees.ts";
import { FAMILY, FAMILY_PAGES, family, familyBatch, scripts } from "./families.ts";
import { getOutcomes, putBatch } from "./requests.ts";
import { PLENTY, randomBatch, SCRIPT, STATE_BYTES } from "./scripts.ts";

// The guest of scripts in forms whose state ends elsewhere than it thinks. All have inbox and outbox at the
// same place.
const compiled = (name: string, options: CompileOptions): Promise<Uint8Array> =>
  compileGuest(fileURLToPath(new URL(`../guests/batch/${name}.ts`, import.meta.url)), {
    enable: ["simd"],
    ...options,
  });
/** Of other code, for it is not optimised. */
const PLAIN = await compiled("script", { optimize: false });
/** State ends where initial memory does, and static data lies in the state: batches need `prepare` before. */
const LOW = await compiled("script_low", { memoryBase: 0x10000, initialMemory: 2 });
const ALL = patched(LOW, Buffer.from("STATE_OTHER"), Buffer.from("STATE_BYTES"));
/** All memory is private: the export has another name. */
const NONE = patched(SCRIPT, Buffer.from("STATE_BYTES"), Buffer.from("STATE_OTHER"));
/** State ends in the middle of what the items take for it: what lies behind is private. */
const HALF = patched(SCRIPT, i32Constant(STATE_BYTES), i32Constant(STATE_BYTES / 2), true);

/** Those of genesis; the others are installed. */
export const GENESIS: readonly Uint8Array[] = [SCRIPT, ALL, family];
const HASHES = [SCRIPT, ALL].map(programHash);
const INSTALLED = [PLAIN, NONE, HALF];

/** The instruction i32.const with a number of three bytes, and the end of an initial value. */
function i32Constant(value: number): Buffer {
  return Buffer.from([0x41, (value & 127) | 128, ((value >>> 7) & 127) | 128, value >>> 14, 0x0b]);
}

/** The module with these bytes, which occur once, or first in a constant, instead of those. */
function patched(module: Uint8Array, from: Buffer, to: Buffer, first = false): Uint8Array {
  const bytes = Buffer.from(module);
  const at = bytes.indexOf(from);
  if (at < 0 || (!first && bytes.indexOf(from, at + 1) >= 0))
    throw new Error("lives: patched: not that module");
  to.copy(bytes, at);
  return new Uint8Array(bytes);
}

export const OPTIONS = {
  gasLimit: ENDLESS_GAS,
  memoryQuotaPages: quota(13_000),
  retainBlocks: 64,
};
/** The root's children that take batches, and one that has such children itself. */
const CHILDREN = 3;
/** One whose items have children of their own. */
const FAMILY_CHILD = 7;
const PARENT = 8;
/** Where a child of the driver finds its script. */
const INNER = 0x100000;
const PAGES = 60;

/** A block. The first of a life, with seed 0, makes the parent. */
export function live(seed: number): Script {
  const next = random(seed);
  const outer = new Script();
  if (seed === 0) {
    outer.put(PARENT, {
      program: DRIVER_HASH,
      memoryQuotaPages: quota(2000),
      processQuota: 40,
      heldGas: 4e10,
    });
    return outer;
  }
  act(outer, next, 1 + next(4), 1);
  if (next(2) === 0) {
    const inner = new Script({ base: INNER });
    act(inner, next, 1 + next(4), 0);
    const start = { entry: "run", argument: BigInt(INNER), gas: 2e10 };
    outer.put(PARENT, { ranges: [{ source: inner.metadata(), target: INNER }], start });
    // Left to itself it runs speculatively, and so do the batches below it.
    if (next(3) > 0) outer.get(PARENT, { status: true, hash: true });
  }
  act(outer, next, next(3), 1);
  return outer;
}

/** Does so many things to the children from `first` on. */
function act(script: Script, next: (limit: number) => number, times: number, first: number): void {
  const child = (): number => first + next(CHILDREN);
  for (let i = 0; i < times; i++) {
    switch (next(15)) {
      case 0:
        script.put(child(), make(next));
        break;
      case 1:
        script.put(child(), { clone: next(8) === 0 ? CLONE_SELF : child(), memoryQuotaPages: quota(PAGES) });
        break;
      case 2:
        script.put(child(), next(4) === 0 ? { drop: true } : { ranges: [write(next), write(next)] });
        break;
      case 3:
      case 4:
        script.put(child(), { start: { entry: "prepare", argument: BigInt(next(200_000)), gas: PLENTY } });
        break;
      case 5:
        getOutcomes(script, child(), { first: next(4), count: next(40), capacity: 8192 });
        break;
      case 6:
        script.get(child(), { status: true, hash: true });
        break;
      case 7:
        script.spin(1 + next(20_000));
        break;
      case 8:
        giveFamily(script, next);
        break;
      default:
        give(script, next, child());
    }
  }
}

/** Gives a child a batch: as it is, or made again or written to by the same request. */
function give(script: Script, next: (limit: number) => number, child: number): void {
  const { items, gas = 0, inboxCapacity = 0, outboxCapacity = 64 } = randomBatch(next(1 << 30));
  const rest = next(4) === 0 ? make(next) : next(4) === 0 ? { ranges: [write(next)] } : {};
  const few = items.slice(0, 50);
  putBatch(
    script,
    child,
    { items: few, gas, inbox: STATE_BYTES, inboxCapacity, outboxCapacity, keep: next(8) === 0 },
    rest,
  );
}

function giveFamily(script: Script, next: (limit: number) => number): void {
  const list = fc.sample(scripts, { seed: next(1 << 30), numRuns: 1 })[0] ?? [];
  const { entry, items, inbox } = familyBatch(list.slice(0, 12));
  const program = {
    program: FAMILY,
    memoryQuotaPages: quota(FAMILY_PAGES),
    processQuota: 20,
    heldGas: 1e10,
  };
  putBatch(script, FAMILY_CHILD, { entry, items, inbox, gas: 1e10 }, next(3) === 0 ? program : {});
}

/** The part PROGRAM. */
function make(next: (limit: number) => number): PutSpec {
  const quotas = { memoryQuotaPages: quota(PAGES), processQuota: next(3) };
  const program = pick(next, [...HASHES, ...INSTALLED]);
  return program.length === 32 ? { program, ...quotas } : { install: program, ...quotas };
}

function pick<T>(next: (limit: number) => number, list: readonly T[]): T {
  return list[next(list.length)] as T;
}

function write(next: (limit: number) => number): { source: Uint8Array; target: number } {
  const long = next(4) === 0;
  const target = long ? next(30) * 4096 : next(STATE_BYTES + 4096);
  return { source: new Uint8Array(long ? 4096 : 1 + next(100)).fill(next(256)), target };
}
