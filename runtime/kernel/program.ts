/**
 * Programs as the kernel uses them: compiled, with the image of a fresh process in the heap.
 *
 * Those of the rules are what any process may be made of. A thread is started with some, whose compiled
 * modules travel with them, so that threads share native code; the others it makes from the kit of the rules
 * (kit.ts) that a job names. Those installed at run time are bytes in the heap: each thread admits and
 * compiles them when it first meets them. That is a function of the bytes, so it does not matter who has done
 * it, and whether it was done before. Their batch variant is made by the first thread that runs a batch of
 * theirs in parallel; those that help take its code from the heap.
 */

import { createHash } from "node:crypto";
import { PROGRAM_BYTES } from "../../syscalls/abi.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { hashOf } from "../image/hash.ts";
import { installedPages, pagesTaken } from "../image/quota.ts";
import { lazy } from "../lazy.ts";
import { PAGE_BYTES } from "../limits.ts";
import type { Program } from "../program/admit.ts";
import { COUNTING, work } from "../work.ts";
import { costsInForce, FIRST_COSTS, useCosts } from "./gas.ts";
import { describeProgram, type Kit, type ProgramFacts, type ProgramParts } from "./kit.ts";

const counting = COUNTING;

const admission = lazy<typeof import("../program/admit.ts")>(import.meta.url, "../program/admit.ts");

declare global {
  /** For programs that use this package with neither "dom" nor "webworker" among their libraries. */
  namespace WebAssembly {
    interface Module {}
    interface Memory {}
  }
}

/** A program of rules, compiled. */
export interface ProgramHandle extends ProgramFacts {
  readonly module: WebAssembly.Module;
  /** In which the items of its batches run; null: there is none, or not yet (LoadedProgram). */
  readonly batchModule: WebAssembly.Module | null;
  /** What its code counts in, if it is one that counts (program/source-map/counters.ts): for tests. */
  readonly counters?: WebAssembly.Memory;
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

/** The rules that a thread begins with. */
export interface FirstRules {
  /** 0: there is none, for no other rules will come. */
  readonly kit: Ref;
  readonly costs: string;
  /** Bytes of installed programs that a thread keeps. Default: what fits into any heap of that size. */
  readonly installedBytes?: number;
}

/** Bytes of installed programs that threads keep: twice what this memory quota allows one image to have. */
export function installedBytesOf(memoryQuotaPages: number): number {
  return 2 * Math.floor(memoryQuotaPages * PROGRAM_BYTES);
}

/** One thread's programs. */
export class Programs {
  readonly #heap: Heap;
  /** Those of the rules in force, by hash. */
  #ofRules: ReadonlyMap<string, LoadedProgram> = new Map();
  /** The kit of these rules, 0: the thread has none. */
  #kit: Ref = 0;
  /** Version of the cost table in force. */
  #costs = FIRST_COSTS;
  /** All programs of rules that this thread has met, by hash and version of the cost table. */
  readonly #compiled = new Map<string, LoadedProgram>();
  /**
   * Those of the rules, and BLOBs of installed ones as far as they were looked up since the last collection.
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
  /** Twice what the memory quota allows one image. */
  #bytesLimit: number;

  /** With the programs of the rules that the thread begins with. */
  constructor(
    heap: Heap,
    programs: readonly ProgramHandle[],
    { kit, costs, installedBytes }: FirstRules = { kit: 0, costs: FIRST_COSTS },
  ) {
    this.#heap = heap;
    this.#bytesLimit = installedBytes ?? installedBytesOf(heap.bytes.length / PAGE_BYTES / 2);
    const loaded = programs.map((handle) => new LoadedProgram(handle));
    for (const program of loaded) this.#compiled.set(`${program.handle.hashHex}/${costs}`, program);
    this.#enter(kit, costs, loaded);
  }

  /** Rules come into force on this thread: those of a job at the bottom of its stack. */
  use(kit: Ref): void {
    if (kit === this.#kit) return;
    const { costs, installedBytes, programs } = JSON.parse(this.#heap.payload(kit).toString("utf8")) as Kit;
    this.#bytesLimit = installedBytes;
    this.#enter(
      kit,
      costs,
      programs.map((parts) => this.#compile(parts, costs)),
    );
  }

  /** The kit of the rules in force. */
  get kit(): Ref {
    return this.#kit;
  }

  #enter(kit: Ref, costs: string, programs: readonly LoadedProgram[]): void {
    this.#kit = kit;
    this.#ofRules = new Map(programs.map((program) => [program.handle.hashHex, program]));
    if (costs !== this.#costs) for (const [hashHex, one] of this.#installed) this.#drop(hashHex, one);
    this.#costs = costs;
    useCosts(costs);
    this.#byRef.clear();
    for (const program of programs) this.#byRef.set(program.ref, program);
  }

  #compile({ code, batchCode, ...facts }: ProgramParts, costs: string): LoadedProgram {
    const key = `${facts.hashHex}/${costs}`;
    const known = this.#compiled.get(key);
    if (known !== undefined) return known;
    const compiled = (blob: Ref): WebAssembly.Module =>
      new WebAssembly.Module(new Uint8Array(this.#heap.payload(blob)));
    const module = compiled(code);
    const batchModule = facts.stateBytes === 0 ? module : batchCode === 0 ? null : compiled(batchCode);
    const program = new LoadedProgram({ ...facts, module, batchModule });
    this.#compiled.set(key, program);
    return program;
  }

  /** The program whose bytes are the BLOB `from`, which has been admitted before, on whatever thread. */
  get(from: Ref): LoadedProgram {
    const known = this.#byRef.get(from);
    if (known !== undefined) return known;
    const hashHex = Buffer.from(hashOf(this.#heap, from)).toString("hex");
    const ofRules = this.#ofRules.get(hashHex);
    if (ofRules !== undefined) {
      this.#byRef.set(from, ofRules);
      return ofRules;
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

  /** A program of the rules in force by its hash. */
  ofRules(hashHex: string): LoadedProgram | undefined {
    return this.#ofRules.get(hashHex);
  }

  /** The programs of the rules whose batches can run in parallel. */
  withState(): readonly LoadedProgram[] {
    return [...this.#ofRules.values()].filter(({ handle }) => handle.batchModule && handle.stateBytes > 0);
  }

  /** A program by its hash, if this thread has it. */
  withHash(hashHex: string): LoadedProgram | null {
    return this.#ofRules.get(hashHex) ?? this.#installed.get(hashHex)?.loaded ?? null;
  }

  /**
   * The program that these bytes are.
   *
   * @throws AdmissionError
   */
  install(bytes: Buffer): LoadedProgram {
    if (counting) work.bytesHashed += bytes.length;
    const hashHex = createHash("sha256").update(bytes).digest("hex");
    const ofRules = this.#ofRules.get(hashHex);
    if (ofRules !== undefined && !ofRules.handle.suspends) return ofRules;
    return this.#admit(hashHex, bytes).loaded ?? this.get(this.#heap.blob(bytes));
  }

  /** Bytes of the installed programs that this thread keeps compiled. */
  get installedBytes(): number {
    return this.#installedBytes;
  }

  /** After a collection: installed programs whose bytes it has freed are gone. */
  forget(): void {
    this.#byRef.clear();
    for (const program of this.#ofRules.values()) this.#byRef.set(program.ref, program);
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
      const program = admission().admitEntryProgram(bytes, { costs: this.#costs });
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
  // Without state the two variants are one.
  return {
    ...describeProgram(heap, ref, program),
    module,
    batchModule: program.stateBytes === 0 ? module : batchModule,
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
  /** What an instance imports besides, of code that counts. */
  readonly counters: { readonly counters?: WebAssembly.Memory };
  readonly #batch: BatchVariant;
  #loop: Variant;
  /** The BLOB of the batch variant's code, 0: none yet. */
  #code: Ref = 0;
  readonly #entries = new Map<string, number>();

  /** `batch` and `quotaPages` of one that was installed at run time; those of the rules take nothing. */
  constructor(
    handle: ProgramHandle,
    batch: BatchVariant = { module: handle.batchModule, code: null },
    quotaPages = 0,
  ) {
    this.handle = handle;
    this.quotaPages = quotaPages;
    this.ref = handle.ref;
    this.sequential = { program: this, module: handle.module, bound: 0 };
    this.counters = handle.counters === undefined ? {} : { counters: handle.counters };
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
    // The table in force: an installed program is forgotten with it.
    const costs = costsInForce;
    this.#keepBatch(instrumentForBatch(heap.payload(this.ref), this.handle.stateBytes, { costs }));
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
