/** Counts what calls make and look at in the heap, on the calling thread. */

import {
  type Heap,
  KIND_BLOB,
  KIND_NODE,
  KIND_PAGE,
  KIND_PROCESS,
  type Ref,
} from "../../runtime/heap/heap.ts";
import type { Process } from "../../runtime/image/process.ts";
import { Script } from "../driver.ts";
import { driver } from "../fixture.ts";
import { type Solo, solo } from "../solo.ts";
import { starting } from "./scripted.ts";

/** Objects. */
export interface Work {
  pages: number;
  nodes: number;
  records: number;
  blobs: number;
  /** Looked at: how often an object's place was asked for. */
  visits: number;
}

/** What `run` makes and looks at. */
export function counted<T>(heap: Heap, run: () => T): { result: T; work: Work } {
  const work: Work = { pages: 0, nodes: 0, records: 0, blobs: 0, visits: 0 };
  const { allocate, resolve } = heap;
  heap.allocate = (kind: number, length: number, references: number): Ref => {
    if (kind === KIND_PAGE) work.pages++;
    if (kind === KIND_NODE) work.nodes++;
    if (kind === KIND_PROCESS) work.records++;
    if (kind === KIND_BLOB) work.blobs++;
    return allocate.call(heap, kind, length, references);
  };
  heap.resolve = (ref: Ref): Ref => {
    work.visits++;
    return resolve.call(heap, ref);
  };
  try {
    return { result: run(), work };
  } finally {
    heap.allocate = allocate;
    heap.resolve = resolve;
  }
}

const SCRIPT = 0x200000;

/** A driver (test/guests/driver.ts) on the calling thread, and programs that it may make children of. */
export class Bench {
  readonly solo: Solo;
  /** The driver's process, as the last script left it. */
  process: Process;

  private constructor(made: Solo) {
    this.solo = made;
    this.process = made.fresh(0);
  }

  static async open(programs: readonly Uint8Array[] = []): Promise<Bench> {
    return new Bench(await solo([driver, ...programs]));
  }

  /** The driver runs a script with so much gas. */
  run(write: (script: Script) => void, gas = 1e12, commands = 4096): { result: Process; work: Work } {
    const script = new Script({ base: SCRIPT, commands });
    write(script);
    const { heap, kernel } = this.solo;
    const start = starting(this.solo, this.process, script, gas);
    const { result, work } = counted(heap, () => kernel.activate(start, 1));
    this.process = result;
    return { result, work };
  }
}
