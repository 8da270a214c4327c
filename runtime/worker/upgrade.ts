/**
 * What a change of rules does to the state of a block before the block runs: quotas of the root, programs of
 * processes, and migrations. A function of the state, the plan and the gas; the new rules are in force
 * already.
 *
 * The plan is a BLOB, JSON in UTF-8, written by the main thread from a change it has checked.
 */

import { STATUS_FAULTED, STATUS_RUNNABLE, STATUS_SNAPSHOT } from "../../syscalls/abi.ts";
import { assert, UsageError } from "../errors.ts";
import type { Heap, Ref } from "../heap/heap.ts";
import { tableGet, tableUpdate } from "../heap/table.ts";
import { childOf, loadProcess, type Process, publishProcess } from "../image/process.ts";
import { pagesLeft } from "../image/quota.ts";
import { FAULT_NAMES } from "../kernel/faults.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { LoadedProgram, Programs } from "../kernel/program.ts";
import { replaceProgram } from "../kernel/replace.ts";
import { placeOf } from "../kernel/slots/slot-pool.ts";
import { entryNumber } from "../kernel/view.ts";
import { halvesOf } from "../u64.ts";

/** Quotas of the root: of the whole tree. */
export interface RootQuotas {
  readonly memoryQuotaPages: number;
  readonly heldGasQuota: number;
  readonly processQuota: number;
}

export interface PlannedReplacement {
  readonly path: readonly number[];
  /** Hash of the new program, in hex. */
  readonly program: string;
  /** Null: none is run. */
  readonly migrate: string | null;
  /** The argument, a u64 in decimal digits. */
  readonly argument: string;
  /** Null: all that is left. */
  readonly gas: number | null;
}

/** What is to be done, in this order. */
export interface UpgradePlan {
  /** Null: as before. */
  readonly quotas: RootQuotas | null;
  readonly replace: readonly PlannedReplacement[];
}

export function packPlan(plan: UpgradePlan): Buffer {
  return Buffer.from(JSON.stringify(plan), "utf8");
}

/** What an upgrade needs of the thread on which it runs. */
export interface Workshop {
  readonly heap: Heap;
  readonly programs: Programs;
  readonly kernel: Kernel;
  /** Runs an activation of the process at `path`. */
  at(path: readonly number[], run: () => Process): Process;
}

/** A state that a block can run on, and what gas is left for it. */
export interface Upgraded {
  readonly root: Process;
  readonly gas: number;
}

/**
 * Applies a plan. Nothing is kept of it if it throws.
 *
 * @throws UsageError (QUOTA, E_STATE, NO_ENTRY, MIGRATION_FAULT, GAS_LIMIT)
 */
export function upgrade(shop: Workshop, start: Process, planned: Ref, budget: number): Upgraded {
  const { heap } = shop;
  const plan = JSON.parse(heap.payload(planned).toString("utf8")) as UpgradePlan;
  let root = plan.quotas === null ? start : withQuotas(heap, start, plan.quotas);
  let gas = budget;
  for (const one of plan.replace) {
    const replaced = new Replacing(shop, one, gas).in(root);
    root = replaced.root;
    gas = replaced.gas;
  }
  return { root, gas };
}

function withQuotas(heap: Heap, start: Process, quotas: RootQuotas): Process {
  const { memoryQuotaPages, heldGasQuota, processQuota } = quotas;
  const root = start.copy();
  root.memoryGiven = memoryQuotaPages;
  root.heldGasGiven = heldGasQuota;
  root.processQuota += processQuota - root.processesGiven;
  root.processesGiven = processQuota;
  const held = root.heldGasPassed + root.gasLent;
  const inUse = [
    ["memoryQuotaPages", memoryQuotaPages, memoryQuotaPages - pagesLeft(heap, root)],
    ["heldGasQuota", heldGasQuota, held],
    ["processQuota", processQuota, processQuota - root.processQuota],
  ] as const;
  for (const [quota, value, used] of inUse) {
    if (used <= value) continue;
    const text = `the rules would have a ${quota} of ${value}, and ${used} are in use: make it at least that`;
    throw new UsageError("QUOTA", text, { quota, value, used });
  }
  return root;
}

/** One replacement, on its way down the tree and up again. */
class Replacing {
  readonly #shop: Workshop;
  readonly #heap: Heap;
  readonly #plan: PlannedReplacement;
  readonly #name: string;
  #gas: number;

  constructor(shop: Workshop, plan: PlannedReplacement, gas: number) {
    this.#shop = shop;
    this.#heap = shop.heap;
    this.#plan = plan;
    this.#name = `/${plan.path.join("/")}`;
    this.#gas = gas;
  }

  in(root: Process): Upgraded {
    return { root: this.#at(root, 0), gas: this.#gas };
  }

  /** The process at that depth of the path, with what is to be replaced below it, or itself. */
  #at(process: Process, depth: number): Process {
    if (process.status === STATUS_RUNNABLE) throw this.#state("it, or a process above it, is running");
    const number = this.#plan.path[depth];
    if (number === undefined) return this.#replace(process);
    const heap = this.#heap;
    const ref = tableGet(heap, process.children, number);
    if (ref === 0) throw this.#state("there is no such process");
    const before = childOf(process.gasEpoch, loadProcess(heap, ref));
    const after = this.#at(before, depth + 1);
    after.parentGasEpoch = after.gasInside > 0 ? process.gasEpoch : 0;
    const parent = process.copy();
    parent.gasHeld += after.gasInside - before.gasInside;
    parent.runnableHeld += after.runnableInside - before.runnableInside;
    parent.children = tableUpdate(heap, process.children, [number], [publishProcess(heap, after)], 1);
    return parent;
  }

  #replace(process: Process): Process {
    const { programs } = this.#shop;
    const from = programs.get(process.program);
    const to = programs.ofRules(this.#plan.program);
    assert(to !== undefined, "upgrade: a program that the rules do not have");
    const [before, after] = [from.handle.stateBytes, to.handle.stateBytes];
    if (before === 0) throw this.#state("its program declares no state, so nothing of it could be kept");
    if (after < before)
      throw this.#state(`the new program declares ${after} bytes of state, the old ${before}`);
    const fresh = replaceProgram(this.#heap, process, from, to);
    const left = pagesLeft(this.#heap, fresh);
    if (left < 0) {
      const text = `${this.#name} would take ${-left} pages of 4 KiB more of memory than its quota allows`;
      throw new UsageError("QUOTA", text, { process: this.#name, pages: -left });
    }
    const { migrate } = this.#plan;
    return migrate === null ? fresh : this.#migrate(fresh, to, migrate);
  }

  /** Runs the entry as if the process had been started. */
  #migrate(fresh: Process, program: LoadedProgram, migrate: string): Process {
    const { path, argument } = this.#plan;
    const isRoot = path.length === 0;
    const start = fresh.copy();
    if (!isRoot) start.reference = fresh;
    start.status = STATUS_RUNNABLE;
    start.entry = entryNumber(program, migrate);
    const { low, high } = halvesOf(BigInt(argument));
    start.argumentLow = low;
    start.argumentHigh = high;
    start.gas = this.#taken();
    const { kernel } = this.#shop;
    const end = this.#shop.at(path, () => kernel.activate(start, path.length, placeOf(path)));
    if (end.status === STATUS_FAULTED) throw this.#fault(end, migrate);
    if (isRoot && end.status !== STATUS_SNAPSHOT) {
      throw this.#state(`the entry "${migrate}" ended without SNAPSHOT, so no block can follow`);
    }
    this.#gas -= end.gasUsed;
    return end.ref === 0 ? end : end.copy();
  }

  #taken(): number {
    const { gas } = this.#plan;
    if (gas === null || gas <= this.#gas) return gas ?? this.#gas;
    const text =
      `${this.#name} is to migrate with ${gas} gas, ` + `and the block has ${this.#gas} left. Give it more`;
    throw new UsageError("GAS_LIMIT", text, { process: this.#name, gas, left: this.#gas });
  }

  #state(why: string): UsageError {
    const text = `the program of process ${this.#name} cannot be replaced: ${why}`;
    return new UsageError("E_STATE", text, { process: this.#name });
  }

  #fault({ fault, text, line, column, gasUsed }: Process, migrate: string): UsageError {
    const name = FAULT_NAMES[fault] as string;
    const said = text === 0 ? "" : this.#heap.payload(text).toString("utf8");
    const what = said === "" ? name : `${name}: ${said} (${line}:${column})`;
    return new UsageError(
      "MIGRATION_FAULT",
      `the entry "${migrate}" of process ${this.#name} faulted: ${what}. There is no block`,
      { process: this.#name, entry: migrate, fault: name, text: said, line, column, gasUsed },
    );
  }
}

/** Metadata must fit into the region that the root has designated for it. @throws UsageError */
export function checkCapacity({ length }: Uint8Array, capacity: number): void {
  if (length <= capacity) return;
  throw new UsageError(
    "METADATA_TOO_LONG",
    `metadata of ${length} bytes does not fit into the root's region of ${capacity} bytes`,
    { length, capacity },
  );
}
