/**
 * Programs as the kernel uses them: compiled, with the image of a fresh process in the heap.
 *
 * Those of genesis are given when the runtime is opened, as plain data that can be posted to every thread;
 * the compiled module travels with it, so that threads share native code. Those installed at run time are
 * bytes in the heap: each thread admits and compiles them when it first meets them. That is a function of the
 * bytes, so it does not matter who has done it, and whether it was done before. Their batch variant is made
 * by the first thread that runs a batch of theirs in parallel; those that help take its code from the heap.
 */

import { createHash } from "node:crypto";
import { PROGRAM_BYTES } from "../../syscalls/abi.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { tableDiffCount } from "../heap/table.ts";
import { hashOf } from "../image/hash.ts";
import { initialMemory } from "../image/memory.ts";
import { installedPages, pagesTaken } from "../image/quota.ts";
import { lazy } from "../lazy.ts";
import { PAGE_BYTES } from "../limits.ts";
import type { Program } from "../program/admit.ts";
import { COUNTING, work } from "../work.ts";

const counting = COUNTING;

const admission = lazy<typeof import("../program/admit.ts")>(import.meta.url, "../program/admit.ts");

declare global {
  /** For programs that use this package with neither "dom" nor "webworker" among their libraries. */
  namespace WebAssembly {
    interface Module {}
    interface Memory {}
  }
}

export interface ProgramHandle {
  /** The BLOB of the original bytes; its hash is the program's name. */
  readonly ref: Ref;
  readonly hashHex: string;
  readonly module: WebAssembly.Module;
  /** In which the items of its batches run; null: there is none, or not yet (LoadedProgram). */
  readonly batchModule: WebAssembly.Module | null;
  readonly entries: readonly string[];
  readonly memory: Program["memory"];
  /** Memory below this address is state, above it private to an item of a batch. */
  readonly stateBytes: number;
  readonly hasStart: boolean;
  /** It imports ret or snapshot. */
  readonly suspends: boolean;
  readonly initialMemory: Ref;
  /** Pages that are present in it. */
  readonly presentPages: number;
  readonly initialGlobals: Ref;
  readonly globalsLength: number;
  /** Of its tables, and items of the segments that fill them: what an instance has to set up. */
  readonly tableElements: number;
}

/** A program that was installed at run time. */
interface Installed {
  readonly program: Program;
  readonly module: WebAssembly.Module;
  readonly batch: BatchVariant;
  readonly bytes: number;
  /** BLOBs of its bytes that this thread has seen and that no collection has freed. */
  readonly refs: Set<Ref>;
  /** Null after a collection. */
  loaded: LoadedProgram | null;
}

/** The variant in which the items of a program's batches run, as a thread knows it. */
interface BatchVariant {
  /** Null: there is none, for a function of it would be too large. Undefined: it was not made yet. */
  module: WebAssembly.Module | null | undefined;
  /** Its code, where other threads may not have it; then `module` is what was compiled from this. */
  code: Uint8Array | null;
}

/** One thread's programs. */
export class Programs {
  readonly #heap: Heap;
  readonly #genesis = new Map<string, LoadedProgram>();
  /**
   * Those of genesis, and BLOBs of installed ones as far as they were looked up since the last collection.
   */
  readonly #byRef = new Map<Ref, LoadedProgram>();
  /**
   * By hash, least recently admitted or looked up first. What a retained image can reach stays: a collection
   * frees the others, and between two collections they have room for as many again. Beyond that the oldest
   * goes, reachable or not: so many bytes were installed and paid meanwhile that admitting it again is paid
   * too.
   */
  readonly #installed = new Map<string, Installed>();
  #installedBytes = 0;
  /** Twice what the memory quotas of one image allow, which fit into half of the heap or less. */
  readonly #bytesLimit: number;

  /** `bytesLimit`: bytes of installed programs that are kept. */
  constructor(
    heap: Heap,
    handles: readonly ProgramHandle[],
    bytesLimit = Math.floor((heap.bytes.length / PAGE_BYTES) * PROGRAM_BYTES),
  ) {
    this.#heap = heap;
    this.#bytesLimit = bytesLimit;
    for (const handle of handles) this.#genesis.set(handle.hashHex, new LoadedProgram(handle));
    this.forget();
  }

  /** The program whose bytes are the BLOB `from`, which has been admitted before, on whatever thread. */
  get(from: Ref): LoadedProgram {
    const known = this.#byRef.get(from);
    if (known !== undefined) return known;
    const hashHex = Buffer.from(hashOf(this.#heap, from)).toString("hex");
    const genesis = this.#genesis.get(hashHex);
    if (genesis !== undefined) {
      this.#byRef.set(from, genesis);
      return genesis;
    }
    const ref = this.#heap.resolve(from);
    const installed = this.#admit(hashHex, this.#heap.payload(ref));
    const { program, module, batch } = installed;
    const quotaPages = installedPages(installed.bytes);
    installed.loaded ??= new LoadedProgram(makeHandle(this.#heap, ref, program, module), batch, quotaPages);
    installed.refs.add(ref);
    this.#byRef.set(ref, installed.loaded);
    return installed.loaded;
  }

  /** A program of genesis by its hash. */
  ofGenesis(hashHex: string): LoadedProgram | undefined {
    return this.#genesis.get(hashHex);
  }

  /** The programs of genesis whose batches can run in parallel. */
  withState(): readonly LoadedProgram[] {
    return [...this.#genesis.values()].filter(({ handle }) => handle.batchModule && handle.stateBytes > 0);
  }

  /** A program by its hash, if this thread has it. */
  withHash(hashHex: string): LoadedProgram | null {
    return this.#genesis.get(hashHex) ?? this.#installed.get(hashHex)?.loaded ?? null;
  }

  /**
   * The program that these bytes are.
   *
   * @throws AdmissionError
   */
  install(bytes: Buffer): LoadedProgram {
    if (counting) work.bytesHashed += bytes.length;
    const hashHex = createHash("sha256").update(bytes).digest("hex");
    const genesis = this.#genesis.get(hashHex);
    if (genesis !== undefined && !genesis.handle.suspends) return genesis;
    return this.#admit(hashHex, bytes).loaded ?? this.get(this.#heap.blob(bytes));
  }

  /** Bytes of the installed programs that this thread keeps compiled. */
  get installedBytes(): number {
    return this.#installedBytes;
  }

  /** After a collection: installed programs whose bytes it has freed are gone. */
  forget(): void {
    this.#byRef.clear();
    for (const program of this.#genesis.values()) this.#byRef.set(program.ref, program);
    for (const [hashHex, installed] of this.#installed) {
      // What else it has in the heap may be gone.
      installed.loaded = null;
      for (const ref of installed.refs) if (!this.#heap.outlived(ref)) installed.refs.delete(ref);
      if (installed.refs.size === 0) this.#drop(hashHex, installed);
    }
  }

  #drop(hashHex: string, { bytes, refs }: Installed): void {
    this.#installed.delete(hashHex);
    this.#installedBytes -= bytes;
    for (const ref of refs) this.#byRef.delete(ref);
  }

  #admit(hashHex: string, bytes: Buffer): Installed {
    let installed = this.#installed.get(hashHex);
    if (installed === undefined) {
      if (counting) work.bytesAdmitted += bytes.length;
      const program = admission().admitEntryProgram(bytes);
      const module = new WebAssembly.Module(program.code as Uint8Array<ArrayBuffer>);
      // Without state the two variants are one.
      const batch = { module: program.stateBytes === 0 ? module : undefined, code: null };
      installed = { program, module, batch, bytes: bytes.length, refs: new Set(), loaded: null };
      this.#installedBytes += bytes.length;
    }
    this.#installed.delete(hashHex);
    this.#installed.set(hashHex, installed);
    for (const [oldest, old] of this.#installed) {
      if (this.#installedBytes <= this.#bytesLimit || old === installed) break;
      this.#drop(oldest, old);
    }
    return installed;
  }
}

/** What the kernel needs of an admitted program whose bytes are the BLOB `ref`. */
export function makeHandle(
  heap: Heap,
  ref: Ref,
  program: Program,
  module: WebAssembly.Module,
  batchModule: WebAssembly.Module | null = null,
): ProgramHandle {
  const memory = initialMemory(heap, program.data);
  return {
    ref,
    hashHex: Buffer.from(program.hash).toString("hex"),
    module,
    // Without state the two variants are one.
    batchModule: program.stateBytes === 0 ? module : batchModule,
    entries: program.entries,
    memory: program.memory,
    stateBytes: program.stateBytes,
    hasStart: program.hasStart,
    suspends: program.suspends,
    initialMemory: memory,
    presentPages: tableDiffCount(heap, 0, memory),
    initialGlobals: program.globals.length === 0 ? 0 : heap.blob(program.globals),
    globalsLength: program.globals.length,
    tableElements: program.tableElements,
  };
}

/** What an instance is made of. */
export interface Variant {
  readonly program: LoadedProgram;
  readonly module: WebAssembly.Module;
  /** Where the state ends, of the batch variant; 0: the sequential variant. */
  readonly bound: number;
}

export class LoadedProgram {
  readonly handle: ProgramHandle;
  readonly ref: Ref;
  /** Pages of 4 KiB that it takes of the memory quota of each of its processes. */
  readonly quotaPages: number;
  readonly sequential: Variant;
  readonly #batch: BatchVariant;
  #loop: Variant;
  /** The BLOB of the batch variant's code, 0: none yet. */
  #code: Ref = 0;
  readonly #entries = new Map<string, number>();

  /** `batch` and `quotaPages` of one that was installed at run time; those of genesis take nothing. */
  constructor(
    handle: ProgramHandle,
    batch: BatchVariant = { module: handle.batchModule, code: null },
    quotaPages = 0,
  ) {
    this.handle = handle;
    this.quotaPages = quotaPages;
    this.ref = handle.ref;
    this.sequential = { program: this, module: handle.module, bound: 0 };
    this.#batch = batch;
    this.#loop = this.sequential;
    handle.entries.forEach((name, index) => {
      this.#entries.set(Buffer.from(name, "utf8").toString("latin1"), index);
    });
  }

  /** In which the items of its batches run in parallel. Null: there is none. Undefined: not made yet. */
  get batchModule(): WebAssembly.Module | null | undefined {
    return this.#batch.module;
  }

  /** In which the items of its batches run one after the other. */
  get loop(): Variant {
    const { module } = this.#batch;
    const { stateBytes } = this.handle;
    if (this.#loop === this.sequential && module && stateBytes > 0) {
      this.#loop = { program: this, module, bound: stateBytes };
    }
    return this.#loop;
  }

  /** Makes the batch variant, if that was not done. */
  makeBatch(heap: Heap): void {
    if (this.#batch.module !== undefined) return;
    if (counting) work.bytesAdmitted += heap.length(this.ref);
    const { instrumentForBatch } = admission();
    this.#keepBatch(instrumentForBatch(heap.payload(this.ref), this.handle.stateBytes));
  }

  /** What other threads need for `takeBatch`: the BLOB of the batch variant's code, 0 if they have it. */
  shareBatch(heap: Heap): Ref {
    const { code } = this.#batch;
    if (code !== null && this.#code === 0) this.#code = heap.blob(code);
    return this.#code;
  }

  /** The batch variant's module: this thread's own, or made from what another one shares. */
  takeBatch(heap: Heap, code: Ref): WebAssembly.Module {
    if (this.#batch.module === undefined) this.#keepBatch(new Uint8Array(heap.payload(code)));
    return this.#batch.module as WebAssembly.Module;
  }

  #keepBatch(code: Uint8Array | null): void {
    this.#batch.code = code;
    this.#batch.module = code === null ? null : new WebAssembly.Module(code as Uint8Array<ArrayBuffer>);
  }

  /** Pages of 4 KiB that a fresh process of it takes of its memory quota. */
  get freshPages(): number {
    const { memory, globalsLength } = this.handle;
    return pagesTaken(memory.initialPages, this.quotaPages, globalsLength);
  }

  /** The number of the entry whose name has these bytes (one a character), -1 if there is none. */
  entry(name: string): number {
    return this.#entries.get(name) ?? -1;
  }
}
