/**
 * Kits: rules as threads know them. A kit is a BLOB, JSON in UTF-8, whose reference names the rules in a job;
 * it lists what a thread needs to make instances of the programs. The references in it are kept alive by
 * the code that made it (chain/rulebook.ts).
 */

import type { Heap, Ref } from "../heap/heap.ts";
import { tableDiffCount } from "../heap/table.ts";
import { initialMemory } from "../image/memory.ts";
import type { Program } from "../program/admit.ts";
import { hexOf } from "../text.ts";

/** What is known of a program without compiling it: plain data. */
export interface ProgramFacts {
  /** The BLOB of the original bytes; its hash is the program's name. */
  readonly ref: Ref;
  readonly hashHex: string;
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
  /** Bytes of the host that an instance takes at most, memories apart. */
  readonly instanceBytes: number;
}

/** A program of rules. */
export interface ProgramParts extends ProgramFacts {
  /** BLOBs of the code of both variants; 0: threads were started with it, or there is no batch variant. */
  readonly code: Ref;
  readonly batchCode: Ref;
}

/** Rules, for a thread. */
export interface Kit {
  /** Version of the cost table. */
  readonly costs: string;
  /** Bytes of installed programs that a thread keeps compiled. */
  readonly installedBytes: number;
  readonly programs: readonly ProgramParts[];
}

/** The facts of an admitted program whose bytes are the BLOB `ref`. */
export function describeProgram(heap: Heap, ref: Ref, program: Program): ProgramFacts {
  const memory = initialMemory(heap, program.data);
  return {
    ref,
    hashHex: hexOf(program.hash),
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
    instanceBytes: program.instanceBytes,
  };
}
