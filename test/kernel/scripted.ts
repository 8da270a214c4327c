/** Scripts of raw calls (test/driver.ts) on the thread of a test, with gas and work of each activation. */

import { MemoryEdit, readMemory } from "../../runtime/image/memory.ts";
import type { Process } from "../../runtime/image/process.ts";
import type { ProgramHandle } from "../../runtime/kernel/program.ts";
import { type Work, work } from "../../runtime/work.ts";
import { FAULT_NONE, STATUS_RUNNABLE } from "../../syscalls/abi.ts";
import { RESULTS, type Results, Script } from "../driver.ts";
import { type Solo, solo } from "../solo.ts";

/** What an activation came to. */
export interface Played<T> {
  /** FAULT_… */
  readonly fault: number;
  readonly gasUsed: number;
  readonly work: Work;
  /** Of an activation that did not fault. */
  readonly results: Results;
  readonly handles: T;
}

/** A process of the driver, which is the first program, about to run a script. */
export function starting({ heap, programs }: Solo, process: Process, script: Script, gas: number): Process {
  const bytes = Buffer.from(script.metadata());
  const start = process.copy();
  const edit = new MemoryEdit(heap, start.memory);
  edit.write(script.base, bytes, 0, bytes.length);
  start.memory = edit.commit();
  start.presentPages += edit.morePresent;
  start.status = STATUS_RUNNABLE;
  start.entry = (programs[0] as ProgramHandle).entries.indexOf("run");
  start.argumentLow = script.base;
  start.gas = gas;
  return start;
}

/** A driver that plays scripts. */
export class Scripted {
  readonly solo: Solo;
  /** As the last script left it. */
  process: Process;

  /** The first of the programs is the driver. */
  static async open(programs: readonly Uint8Array[]): Promise<Scripted> {
    return new Scripted(await solo(programs));
  }

  private constructor(by: Solo) {
    this.solo = by;
    this.process = by.fresh(0);
  }

  /** Runs the script that `write` lays out; one that faults leaves the process as it was. */
  play<T>(write: (script: Script) => T, gas = 1e14): Played<T> {
    const { heap, kernel } = this.solo;
    const script = new Script({ commands: 4096 });
    const handles = write(script);
    const start = starting(this.solo, this.process, script, gas);
    const before = { ...work };
    const result = kernel.activate(start, 1);
    const done = { ...work };
    for (const kind of Object.keys(done) as (keyof Work)[]) done[kind] -= before[kind];
    const { fault, gasUsed } = result;
    if (fault === FAULT_NONE) this.process = result;
    return {
      fault,
      gasUsed,
      work: done,
      get results() {
        const data = Buffer.alloc(result.codeLow);
        readMemory(heap, result.memory, RESULTS, data, 0, data.length);
        return script.read(data);
      },
      handles,
    };
  }
}
