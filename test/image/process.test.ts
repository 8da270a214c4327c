/** Records: what is written of a process is read again, whatever of it is zero. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createHeap, Heap } from "../../runtime/heap/heap.ts";
import { hashOf, writeRecord } from "../../runtime/image/hash.ts";
import { loadProcess, Process, publishProcess } from "../../runtime/image/process.ts";
import { decodeRecord, HASHED_FIELDS } from "../../runtime/image/record.ts";
import { STATUS_RETURNED } from "../../syscalls/abi.ts";
import { random } from "../kernel/trees.ts";
import { baseSeed } from "../seed.ts";

const heap = new Heap(createHeap(64 << 20), 1);

/** What a Process holds that is written. */
function fieldsOf(process: Process): Record<string, unknown> {
  const { ref, reference, edit, ...fields } = process;
  return fields;
}

test("every process is read as it was written, and the next record is not read for its zeros", (t) => {
  const next = random(baseSeed(t));
  const names = Object.keys(fieldsOf(new Process()));
  const written: Process[] = [];
  for (let i = 0; i < 2000; i++) {
    const process = new Process();
    for (const name of names) {
      if (next(3) > 0) continue;
      const isReference = ["program", "memory", "children", "globals", "continuation"].includes(name);
      const isBlob = ["text", "inputs", "outcomes"].includes(name);
      const value = isReference || isBlob ? heap.blob(Uint8Array.of(i)) : 1 + next(1 << 30);
      if (name !== "referenceRef") Object.assign(process, { [name]: value });
    }
    if (i > 0 && next(2) === 0) process.referenceRef = (written[next(i)] as Process).ref;
    publishProcess(heap, process);
    written.push(process);
  }
  for (const process of written) {
    assert.deepEqual(fieldsOf(loadProcess(heap, process.ref)), fieldsOf(process));
    hashOf(heap, process.ref);
    const record = decodeRecord(writeRecord(heap, process.ref)) as Record<string, unknown>;
    for (const [name, type] of HASHED_FIELDS) {
      if (type === "u32" || type === "gas") assert.equal(record[name], fieldsOf(process)[name], name);
    }
  }
});

test("the record of a process that ran once and stands idle takes two units", () => {
  const process = new Process();
  Object.assign(process, { program: heap.blob(Uint8Array.of(1)), memory: 0, referenceRef: 0 });
  Object.assign(process, { status: STATUS_RETURNED, started: 1, memoryPages: 1, memoryGiven: 1 });
  Object.assign(process, { codeLow: 7, gasUsed: 1234 });
  assert.equal(heap.units(publishProcess(heap, process)), 2);
});
