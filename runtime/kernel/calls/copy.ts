/**
 * COPY and ZERO: bytes between a caller's memory, which is live, and a child's image, which is a value.
 *
 * A child's memory stays open for writing in place until others see it (image/memory.ts), so what a PUT makes
 * again is a function of contents and of what the caller did to the child before. It is paid by the object,
 * to be hashed, and by the unit, so that gas bounds the heap. GET makes nothing: the return point does, and
 * is paid for it.
 */

import * as abi from "../../../syscalls/abi.ts";
import type { Heap } from "../../heap/heap.ts";
import { tableGet } from "../../heap/table.ts";
import { MemoryEdit, type Pay, readMemory } from "../../image/memory.ts";
import type { Process } from "../../image/process.ts";
import { PAGE_BYTES } from "../../limits.ts";
import type { Activation } from "../activation.ts";
import type { Child } from "../children.ts";
import { COST_HEAP_OBJECT, COST_HEAP_UNIT } from "../gas.ts";

/** The ranges of a PUT, in their order. */
export function copyIn(heap: Heap, caller: Activation, child: Child): void {
  const { ranges } = caller.putRequest;
  const slot = caller.slot;
  const process = child.writable();
  const pay: Pay = (units) => caller.charge(COST_HEAP_OBJECT + units * COST_HEAP_UNIT);
  process.edit ??= new MemoryEdit(heap, process.memory, pay);
  const { edit } = process;
  for (let i = 0; i < ranges.count; i++) {
    const target = ranges.target(i);
    const length = ranges.length(i);
    if (ranges.kind(i) === abi.RANGE_ZERO) {
      edit.zero(target, length);
      continue;
    }
    const source = ranges.source(i);
    // Whole pages at equal offsets within a page are shared.
    const head = headBytes(caller, source, target, length);
    const whole = Math.floor((length - head) / PAGE_BYTES);
    edit.write(target, slot.memory, source, head);
    for (let page = 0; page < whole; page++) {
      const from = (source + head) / PAGE_BYTES + page;
      edit.share((target + head) / PAGE_BYTES + page, slot.pageAt(heap, caller.start.memory, from, pay));
    }
    const done = head + whole * PAGE_BYTES;
    edit.write(target + done, slot.memory, source + done, length - done);
  }
  const before = edit.morePresent;
  process.memory = edit.commit();
  process.presentPages += edit.morePresent - before;
}

/** Range number `range` of a GET. */
export function copyOut(heap: Heap, caller: Activation, process: Process, range: number): void {
  const { ranges } = caller.getRequest;
  const slot = caller.slot;
  const source = ranges.source(range);
  const target = ranges.target(range);
  const length = ranges.length(range);
  const head = headBytes(caller, source, target, length);
  const whole = Math.floor((length - head) / PAGE_BYTES);
  slot.mark(target, head);
  readMemory(heap, process.memory, source, slot.memory, target, head);
  for (let i = 0; i < whole; i++) {
    const from = (source + head) / PAGE_BYTES + i;
    const page = tableGet(heap, process.memory, from);
    const isShared = !(process.edit?.owns(from, page) ?? false);
    slot.putPage(heap, (target + head) / PAGE_BYTES + i, page, isShared);
  }
  const done = head + whole * PAGE_BYTES;
  slot.mark(target + done, length - done);
  readMemory(heap, process.memory, source + done, slot.memory, target + done, length - done);
}

/**
 * How many bytes of a COPY come before its whole pages, which can be shared: those up to the first border of
 * a page, or all of them where source and target lie differently in their pages, or where the caller is an
 * item: its slot publishes nothing before the batch is over.
 */
function headBytes(caller: Activation, source: number, target: number, length: number): number {
  if (caller.isItem || (source - target) % PAGE_BYTES !== 0) return length;
  return Math.min(length, (PAGE_BYTES - (target % PAGE_BYTES)) % PAGE_BYTES);
}
