/**
 * Programs as the kernel uses them: compiled, with the image of a fresh process in the heap.
 *
 * ProgramHandle is plain data that can be posted to every thread; the compiled module travels with it, so
 * that threads share native code.
 */

import type { Ref } from "../heap/heap.ts";
import type { Program } from "../program/admit.ts";

export interface ProgramHandle {
  /** The BLOB of the original bytes; its hash is the program's name. */
  readonly ref: Ref;
  readonly hashHex: string;
  readonly module: WebAssembly.Module;
  readonly entries: readonly string[];
  readonly memory: Program["memory"];
  readonly hasStart: boolean;
  readonly suspends: boolean;
  readonly initialMemory: Ref;
  readonly initialGlobals: Ref;
  readonly globalsLength: number;
}

/** All programs of a runtime, by reference and by hash. */
export class Programs {
  readonly #byRef = new Map<Ref, LoadedProgram>();
  readonly #byHash = new Map<string, LoadedProgram>();

  constructor(handles: readonly ProgramHandle[]) {
    for (const handle of handles) {
      const program = new LoadedProgram(handle);
      this.#byRef.set(handle.ref, program);
      this.#byHash.set(handle.hashHex, program);
    }
  }

  get(ref: Ref): LoadedProgram | undefined {
    return this.#byRef.get(ref);
  }

  byHash(hash: Buffer): LoadedProgram | undefined {
    return this.#byHash.get(hash.toString("hex"));
  }
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
