/**
 * Genesis: everything that two runtimes must share to compute the same states, checked, loaded and named by
 * one hash.
 */

import { createHash } from "node:crypto";
import { ABI_VERSION, STATUS_RUNNABLE } from "../../syscalls/abi.ts";
import { UsageError } from "../errors.ts";
import type { Heap } from "../heap/heap.ts";
import { HASH_GENESIS, HASH_VERSION, hashObject } from "../image/hash.ts";
import type { Process } from "../image/process.ts";
import * as gas from "../kernel/gas.ts";
import { freshProcess } from "../kernel/images.ts";
import { LoadedProgram, makeHandle, type ProgramHandle } from "../kernel/program.ts";
import * as limits from "../limits.ts";
import { type Program, REWRITER_VERSION } from "../program/admit.ts";
import type { ProgramCache } from "../program/cache.ts";
import type { Settings } from "./options.ts";

export interface Genesis {
  /** SHA-256 over all consensus rules, quotas and programs. */
  readonly id: Buffer;
  /** The first is the root's. */
  readonly programs: readonly ProgramHandle[];
  /** The root before its first instruction, runnable. */
  readonly start: Process;
}

/** Admits the programs, puts them into the heap, and makes the root. */
export async function makeGenesis(heap: Heap, settings: Settings, cache: ProgramCache): Promise<Genesis> {
  const programs: ProgramHandle[] = [];
  const seen = new Set<string>();
  for (const bytes of [settings.root, ...settings.programs]) {
    const program = await cache.admit(bytes);
    const variant = settings.runner === "parallel" && program.stateBytes > 0;
    const handle = await loadProgram(heap, program, variant ? await cache.batchCode(program) : null);
    if (!seen.has(handle.hashHex)) programs.push(handle);
    seen.add(handle.hashHex);
  }
  return {
    id: genesisId(settings, programs),
    programs,
    start: makeRoot(settings, programs[0] as ProgramHandle),
  };
}

/**
 * Compiles an admitted program and puts what the kernel needs of it into the heap; `batchCode`: of the
 * variant in which items of its batches run.
 */
export async function loadProgram(
  heap: Heap,
  program: Program,
  batchCode: Uint8Array | null = null,
): Promise<ProgramHandle> {
  const ref = heap.blob(program.bytes);
  hashObject(heap, ref);
  const compile = (code: Uint8Array) => WebAssembly.compile(code as Uint8Array<ArrayBuffer>);
  const module = await compile(program.code);
  return makeHandle(heap, ref, program, module, batchCode === null ? null : await compile(batchCode));
}

function makeRoot(settings: Settings, handle: ProgramHandle): Process {
  const program = new LoadedProgram(handle);
  const entry = program.entry(Buffer.from(settings.entry, "utf8").toString("latin1"));
  if (entry < 0) {
    throw new UsageError(
      "NO_ENTRY",
      `the root program has no entry "${settings.entry}": export a function of that name and of type ` +
        '(i64) -> i64, or name another with the option "entry". ' +
        `Its entries: ${handle.entries.join(", ") || "none"}`,
      { entry: settings.entry },
    );
  }
  checkRootQuota(program, settings.memoryQuotaPages);
  const root = freshProcess(program, settings.memoryQuotaPages, settings.processQuota, settings.heldGasQuota);
  root.status = STATUS_RUNNABLE;
  root.entry = entry;
  root.gas = settings.gasLimit;
  return root;
}

/** Throws unless a fresh process of `program` fits into `memoryQuotaPages` pages of 4 KiB. */
export function checkRootQuota({ freshPages, handle }: LoadedProgram, memoryQuotaPages: number): void {
  if (freshPages <= memoryQuotaPages) return;
  const { initialPages } = handle.memory;
  throw new UsageError(
    "QUOTA",
    `a process with an initial memory of ${initialPages} pages of 64 KiB takes ${freshPages} pages ` +
      `of 4 KiB, more than the option "memoryQuotaPages", which is ${memoryQuotaPages}`,
    { initialPages, freshPages, memoryQuotaPages },
  );
}

function genesisId(settings: Settings, programs: readonly ProgramHandle[]): Buffer {
  const rules = {
    version: 1,
    abi: ABI_VERSION,
    rewriter: REWRITER_VERSION,
    gas: Object.entries(gas).filter(([, value]) => typeof value === "number"),
    limits: Object.entries(limits).filter(([name]) => !limits.HOST_LIMITS.includes(name)),
    memoryQuotaPages: settings.memoryQuotaPages,
    processQuota: settings.processQuota,
    heldGasQuota: settings.heldGasQuota,
    gasLimit: settings.gasLimit,
    entry: settings.entry,
    programs: programs.map((program) => program.hashHex),
  };
  return createHash("sha256")
    .update(Buffer.from([HASH_GENESIS, HASH_VERSION]))
    .update(JSON.stringify(rules))
    .digest();
}
