/**
 * Programs as the kernel uses them: compiled, with the image of a fresh process in the heap.
 *
 * Those of genesis are given when the runtime is opened, as plain data that can be posted to every thread;
 * the compiled module travels with it, so that threads share native code. Those installed at run time are
 * bytes in the heap: each thread admits and compiles them when it first meets them. That is a function of the
 * bytes, so it does not matter who has done it, and whether it was done before.
 */

import { createHash } from "node:crypto";
import type { Heap, Ref } from "../heap/heap.ts";
import { hashOf } from "../image/hash.ts";
import { initialMemory } from "../image/memory.ts";
import { admitEntryProgram, type Program } from "../program/admit.ts";

export interface ProgramHandle {
  /** The BLOB of the original bytes; its hash is the program's name. */
  readonly ref: Ref;
  readonly hashHex: string;
  readonly module: WebAssembly.Module;
  readonly entries: readonly string[];
  readonly memory: Program["memory"];
  readonly hasStart: boolean;
  /** It went through Asyncify. */
  readonly suspends: boolean;
  readonly initialMemory: Ref;
  readonly initialGlobals: Ref;
  readonly globalsLength: number;
}

/**
 * Installed programs that a thread keeps compiled; the one that was not used for the longest time gives way.
 */
const INSTALLED_LIMIT = 64;

/** One thread's programs. */
export class Programs {
  readonly #heap: Heap;
  readonly #genesis = new Map<string, LoadedProgram>();
  /** By reference; those that were installed are forgotten at a collection. */
  readonly #byRef = new Map<Ref, LoadedProgram>();
  /** Admitted and compiled, by hash, least recently used first. */
  readonly #admitted = new Map<string, { program: Program; module: WebAssembly.Module }>();

  constructor(heap: Heap, handles: readonly ProgramHandle[]) {
    this.#heap = heap;
    for (const handle of handles) {
      const program = new LoadedProgram(handle);
      this.#byRef.set(handle.ref, program);
      this.#genesis.set(handle.hashHex, program);
    }
  }

  /** The program whose bytes are the BLOB `ref`, which has been admitted before, on whatever thread. */
  get(ref: Ref): LoadedProgram {
    const known = this.#byRef.get(ref);
    if (known !== undefined) return known;
    const program = this.#load(ref, this.#heap.payload(ref));
    this.#byRef.set(ref, program);
    return program;
  }

  /** A program of genesis by its hash. */
  ofGenesis(hashHex: string): LoadedProgram | undefined {
    return this.#genesis.get(hashHex);
  }

  /**
   * The program that these bytes are.
   *
   * @throws AdmissionError
   */
  install(bytes: Buffer): LoadedProgram {
    const hashHex = createHash("sha256").update(bytes).digest("hex");
    const genesis = this.#genesis.get(hashHex);
    if (genesis !== undefined && !genesis.handle.suspends) return genesis;
    this.#admit(hashHex, bytes);
    return this.get(this.#heap.blob(bytes));
  }

  /** After a collection: references to installed programs are gone. */
  forget(): void {
    this.#byRef.clear();
    for (const program of this.#genesis.values()) this.#byRef.set(program.ref, program);
  }

  #load(ref: Ref, bytes: Buffer): LoadedProgram {
    const hashHex = Buffer.from(hashOf(this.#heap, ref)).toString("hex");
    const { program, module } = this.#admit(hashHex, bytes);
    return new LoadedProgram(makeHandle(this.#heap, ref, program, module));
  }

  #admit(hashHex: string, bytes: Buffer): { program: Program; module: WebAssembly.Module } {
    let admitted = this.#admitted.get(hashHex);
    if (admitted === undefined) {
      const program = admitEntryProgram(bytes);
      admitted = { program, module: new WebAssembly.Module(program.code as Uint8Array<ArrayBuffer>) };
    }
    this.#admitted.delete(hashHex);
    this.#admitted.set(hashHex, admitted);
    const [oldest] = this.#admitted.keys();
    if (this.#admitted.size > INSTALLED_LIMIT) this.#admitted.delete(oldest as string);
    return admitted;
  }
}

/** What the kernel needs of an admitted program whose bytes are the BLOB `ref`. */
export function makeHandle(
  heap: Heap,
  ref: Ref,
  program: Program,
  module: WebAssembly.Module,
): ProgramHandle {
  return {
    ref,
    hashHex: Buffer.from(program.hash).toString("hex"),
    module,
    entries: program.entries,
    memory: program.memory,
    hasStart: program.hasStart,
    suspends: program.suspends,
    initialMemory: initialMemory(heap, program.data),
    initialGlobals: program.globals.length === 0 ? 0 : heap.blob(program.globals),
    globalsLength: program.globals.length,
  };
}

export class LoadedProgram {
  readonly handle: ProgramHandle;
  readonly ref: Ref;
  readonly #entries = new Map<string, number>();

  constructor(handle: ProgramHandle) {
    this.handle = handle;
    this.ref = handle.ref;
    handle.entries.forEach((name, index) => {
      this.#entries.set(Buffer.from(name, "utf8").toString("latin1"), index);
    });
  }

  /** The number of the entry whose name has these bytes (one a character), -1 if there is none. */
  entry(name: string): number {
    return this.#entries.get(name) ?? -1;
  }
}
