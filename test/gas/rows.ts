/**
 * What a row of the benchmark "gas" is, and what rows are made of. The rows: call-rows.ts, start-rows.ts,
 * item-rows.ts.
 */

import { compileGuest } from "../../runtime/compile.ts";
import * as abi from "../../syscalls/abi.ts";
import type { PutSpec, RangeSpec } from "../driver.ts";
import type { Caller, Request } from "./caller.ts";
import { memoryFor, type Steps } from "./steps.ts";

export const PAGE = 4096;
/** Pages of 64 MiB. */
export const MANY = 16_384;
const RANGES = 512;
export const G = 1e10;

export interface Row {
  readonly name: string;
  /** Why it is above the limit and stays there; such rows do not fail the benchmark. */
  readonly documented?: string;
  /** Rounds that are measured, where a round takes long. */
  readonly rounds?: number;
  readonly programs: readonly (Uint8Array | Promise<Uint8Array>)[];
  /** Sets everything up; returns what is timed, which returns its gas. */
  readonly open: (caller: Caller, hashes: readonly Uint8Array[]) => () => number;
}

const GUEST = new URL("../guests/gas.ts", import.meta.url).pathname;
const compiled = new Map<number, Promise<Uint8Array>>();

/** The guest "gas", with so much memory in pages of 64 KiB. */
export function gasGuest(memory = memoryFor(16)): Promise<Uint8Array> {
  let program = compiled.get(memory);
  if (program === undefined) {
    program = compileGuest(GUEST, { initialMemory: memory });
    compiled.set(memory, program);
  }
  return program;
}

/** With so many pages of 4 KiB to touch from PRIVATE on. */
export const touching = (pages: number): Promise<Uint8Array> => gasGuest(memoryFor(pages));

// ---- what the rows are made of ----------------------------------------------------------------------------

export function ok({ code }: { code: number | null }): void {
  if (code !== abi.OK) throw new Error(`gas: a call returned ${code}`);
}

/** Makes a child, with quota to grow and for children of its own. */
export function make(caller: Caller, child: number, hash: Uint8Array, rest: PutSpec = {}): number {
  ok(caller.put(child, { program: hash, ...rest }));
  return child;
}

/** PUT START and GET STATUS. */
export function activation(
  caller: Caller,
  child: number,
  start: NonNullable<PutSpec["start"]>,
): readonly Request[] {
  return [
    caller.putRequest(child, { start: { gas: G, ...start } }),
    caller.getRequest(child, { status: true }),
  ];
}

/** Puts steps into a child, and returns the requests that run them. */
export function stepping(
  caller: Caller,
  child: number,
  steps: Steps,
  start: PutSpec["start"] = {},
): readonly Request[] {
  ok(caller.put(child, { ranges: [{ source: steps.bytes(), target: steps.base }] }));
  return activation(caller, child, { entry: "run", argument: BigInt(steps.base), ...start });
}

/** Whole pages of the caller, the same for all, into pages of the child from `target` on. */
export function sharePage(
  caller: Caller,
  child: number,
  source: number,
  target: number,
  pages: number,
): void {
  for (let done = 0; done < pages; done += RANGES) {
    const ranges = Array.from({ length: Math.min(RANGES, pages - done) }, (_, i): RangeSpec => {
      return { source, target: target + (done + i) * PAGE, length: PAGE };
    });
    ok(caller.put(child, { ranges }));
  }
}

/** Pages of the caller's with some bytes. */
export function fillOwn(caller: Caller, address: number, byte: number, pages = 1): void {
  caller.store(address, new Uint8Array(pages * PAGE).fill(byte));
}
