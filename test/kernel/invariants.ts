/**
 * What must hold of every committed tree, whatever ran in it; read from the heap's records, not through the
 * kernel.
 *
 * - A process's counters say what its children table holds: number of children, runnable descendants and
 *   their
 *   gas.
 * - Quotas are conserved: what a process has passed on is what its children were given, and with what it
 * takes itself it is no more than the process was given.
 * - Fields that only one status means are zero in the others.
 * - Reference snapshots have none of their own.
 */

import assert from "node:assert/strict";
import type { Runtime } from "../../runtime/chain/runtime.ts";
import type { Heap, Ref } from "../../runtime/heap/heap.ts";
import { tableDiff, tableDiffCount } from "../../runtime/heap/table.ts";
import { hashOf } from "../../runtime/image/hash.ts";
import { childOf, loadProcess, type Process } from "../../runtime/image/process.ts";
import * as abi from "../../syscalls/abi.ts";

/** What a subtree holds together. */
export interface Holdings {
  readonly processes: number;
  /** Gas of runnable processes. */
  readonly gas: number;
  readonly runnable: number;
  /** Pages of 4 KiB that were given to it. */
  readonly memory: number;
  /** Processes, and quotas that nobody has used. */
  readonly slots: number;
}

/** Checks the head's tree; returns what it holds. */
export function checkTree(runtime: Runtime): Holdings {
  const [root] = headRef(runtime);
  const { heap } = runtime.engine;
  const { programs } = runtime.rules();
  const isOfRules = (program: Ref): boolean => {
    const hash = Buffer.from(hashOf(heap, program)).toString("hex");
    return programs.includes(hash);
  };
  return checkProcess(heap, loadProcess(heap, root as Ref), "root", false, isOfRules);
}

/** The record of the head. */
export function headRef(runtime: Runtime): Ref[] {
  return [runtime.refOf(runtime.head)];
}

function checkProcess(
  heap: Heap,
  process: Process,
  path: string,
  isReference: boolean,
  isOfRules: (program: Ref) => boolean,
): Holdings {
  checkFields(process, path, isReference);
  let processes = 1;
  let gas = 0;
  let runnable = 0;
  let passed = 0;
  let heldGasPassed = 0;
  let lent = 0;
  let slots = 1 + process.processQuota;
  let children = 0;
  tableDiff(heap, 0, process.children, (number, _none, child) => {
    const seen = childOf(process.gasEpoch, loadProcess(heap, child));
    if (seen.gasInside === 0 && seen.ref !== 0) assert.equal(seen.parentGasEpoch, 0, `${path}/${number}`);
    const held = checkProcess(heap, seen, `${path}/${number}`, false, isOfRules);
    processes += held.processes;
    gas += held.gas;
    runnable += held.runnable;
    passed += held.memory;
    heldGasPassed += seen.heldGasGiven;
    if (seen.status === abi.STATUS_RUNNABLE) lent += seen.gas;
    slots += held.slots;
    children++;
  });
  assert.equal(process.presentPages, tableDiffCount(heap, 0, process.memory), `${path}: present pages`);
  assert.equal(process.childCount, children, `${path}: number of children`);
  assert.equal(process.gasHeld, gas, `${path}: gas of runnable descendants`);
  assert.equal(process.runnableHeld, runnable, `${path}: runnable descendants`);
  assert.equal(passed, process.memoryPassed, `${path}: memory quota passed on`);
  assert.equal(heldGasPassed, process.heldGasPassed, `${path}: held gas passed on`);
  assert.equal(lent, process.gasLent, `${path}: gas of runnable children`);
  assert.ok(lent + heldGasPassed <= process.heldGasGiven, `${path}: held-gas quota`);
  const own = ownPages(heap, process, isOfRules(process.program));
  assert.ok(
    own + passed <= process.memoryGiven,
    `${path}: takes ${own} + ${passed} of ${process.memoryGiven}`,
  );
  assert.equal(slots, process.processesGiven + 1, `${path}: process quota`);
  if (process.referenceRef !== 0) {
    assert.ok(!isReference, `${path}: the reference snapshot has one of its own`);
    const back = checkProcess(heap, loadProcess(heap, process.referenceRef), `${path}@`, true, isOfRules);
    assert.equal(back.memory, process.memoryGiven, `${path}: memory quota of the reference snapshot`);
    assert.equal(back.slots, slots, `${path}: process quota of the reference snapshot`);
  }
  if (process.status === abi.STATUS_RUNNABLE) {
    gas += process.gas;
    runnable++;
  }
  return { processes, gas, runnable, memory: process.memoryGiven, slots };
}

/** What a process takes of its quota, from the objects of its image. */
function ownPages(heap: Heap, process: Process, isOfRules: boolean): number {
  const { globals, continuation, inputs, outcomes, text, status, memoryPages, program } = process;
  const programPages = isOfRules ? 0 : 4 + Math.ceil(heap.length(program) / 32);
  assert.equal(process.programPages, programPages, "pages of the program");
  let kept = 0;
  for (const ref of [globals, continuation, inputs, outcomes])
    if (ref !== 0) kept += heap.payload(ref).length;
  if (status !== abi.STATUS_FAULTED && text !== 0) kept += heap.payload(text).length;
  return 4 + 16 * memoryPages + programPages + Math.ceil(Math.max(0, kept - 12_288) / 4096);
}

function checkFields(process: Process, path: string, isReference: boolean): void {
  const { status } = process;
  const only = (statuses: readonly number[], fields: Record<string, number>): void => {
    if (statuses.includes(status)) return;
    for (const [name, value] of Object.entries(fields))
      assert.equal(value, 0, `${path}: ${name} (status ${status})`);
  };
  only([abi.STATUS_RUNNABLE], {
    entry: process.entry,
    argumentLow: process.argumentLow,
    argumentHigh: process.argumentHigh,
    gas: process.gas,
    inputs: process.inputs,
  });
  only([abi.STATUS_RETURNED], { outcomes: process.outcomes });
  only([abi.STATUS_FAULTED], { fault: process.fault, line: process.line, column: process.column });
  only([abi.STATUS_FAULTED, abi.STATUS_SNAPSHOT], { text: process.text });
  only([abi.STATUS_RETURNED, abi.STATUS_RET, abi.STATUS_ENDED], {
    codeLow: process.codeLow,
    codeHigh: process.codeHigh,
  });
  only([abi.STATUS_SNAPSHOT], {
    regionPointer: process.regionPointer,
    regionCapacity: process.regionCapacity,
  });
  if (status === abi.STATUS_FRESH && !isReference) assert.equal(process.gasUsed, 0, `${path}: gas used`);
  if (status === abi.STATUS_RET || status === abi.STATUS_SNAPSHOT)
    assert.notEqual(process.continuation, 0, `${path}: continuation`);
  if (status === abi.STATUS_FRESH || status === abi.STATUS_RETURNED)
    assert.equal(process.continuation, 0, `${path}: continuation`);
  for (const [name, value] of Object.entries({ gas: process.gas, gasHeld: process.gasHeld }))
    assert.ok(Number.isSafeInteger(value) && value >= 0, `${path}: ${name} is ${value}`);
  assert.ok(Number.isSafeInteger(process.gasUsed), `${path}: gasUsed is ${process.gasUsed}`);
}
