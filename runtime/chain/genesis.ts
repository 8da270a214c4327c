/**
 * Genesis: what a chain begins with, and which all replicas must share, named by one hash. It is described by
 * the options of `open`; a store keeps it from its first block on.
 */

import { hash } from "node:crypto";
import { STATUS_RUNNABLE } from "../../syscalls/abi.ts";
import { UsageError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { hashObject } from "../image/hash.ts";
import { type Process, publishProcess } from "../image/process.ts";
import { encodeGenesis, type GenesisFields, type Rules } from "../image/rules.ts";
import { freshProcess } from "../kernel/images.ts";
import { LoadedProgram, makeHandle, type ProgramHandle } from "../kernel/program.ts";
import type { Program } from "../program/admit.ts";
import type { Settings } from "./options.ts";
import type { KnownRules, Rulebook } from "./rulebook.ts";
import { constantsOf, NEWEST } from "./versions.ts";

export interface Genesis extends GenesisFields {
  /** SHA-256 of `bytes`. */
  readonly id: Buffer;
  readonly bytes: Uint8Array;
}

/** The genesis with these fields. */
export function genesisOf(fields: GenesisFields): Genesis {
  const bytes = encodeGenesis(fields);
  return { ...fields, bytes, id: hash("sha256", bytes, "buffer") };
}

/** Admits the programs that options name; the rules that a new chain begins with. @throws AdmissionError */
export async function firstRules(book: Rulebook, settings: Settings, root: Uint8Array): Promise<KnownRules> {
  const programs: string[] = [];
  for (const bytes of [root, ...settings.programs]) {
    const name = await book.add(bytes);
    if (!programs.includes(name)) programs.push(name);
  }
  const { gasLimit, memoryQuotaPages, heldGasQuota, processQuota } = settings;
  const quotas = { gasLimit, memoryQuotaPages, heldGasQuota, processQuota };
  return book.know({ programs, ...quotas, ...NEWEST, constants: constantsOf(NEWEST.costs) });
}

/**
 * The root of a new chain before its first instruction, runnable, in the heap.
 *
 * @throws UsageError (NO_ENTRY, QUOTA)
 */
export function makeRoot(heap: Heap, entry: string, rules: Rules, handle: ProgramHandle): Ref {
  const program = new LoadedProgram(handle);
  const number = program.entry(Buffer.from(entry, "utf8").toString("latin1"));
  if (number < 0) {
    throw new UsageError(
      "NO_ENTRY",
      `the root program has no entry "${entry}": export a function of that name and of type ` +
        '(i64) -> i64, or name another with the option "entry". ' +
        `Its entries: ${handle.entries.join(", ") || "none"}`,
      { entry },
    );
  }
  checkRootQuota(program, rules.memoryQuotaPages);
  const root: Process = freshProcess(program, rules.memoryQuotaPages, rules.processQuota, rules.heldGasQuota);
  root.status = STATUS_RUNNABLE;
  root.entry = number;
  root.gas = rules.gasLimit;
  return publishProcess(heap, root);
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
