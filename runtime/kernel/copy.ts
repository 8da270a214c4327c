/** COPY and ZERO: bytes between a caller's memory, which is live, and a child's image, which is a value. */

import * as abi from "../../syscalls/abi.ts";
import type { Heap } from "../heap/heap.ts";
import { tableGet } from "../heap/table.ts";
import { MemoryEdit, readMemory } from "../image/memory.ts";
import type { Process } from "../image/process.ts";
import { PAGE_BYTES } from "../limits.ts";
import type { Activation } from "./activation.ts";
import type { Child } from "./children.ts";

/** The ranges of a PUT, in their order. */
export function copyIn(heap: Heap, caller: Activation, child: Child): void {
  const { ranges } = caller.putRequest;
  const slot = caller.slot;
  const process = child.writable();
  const edit = new MemoryEdit(heap, process.memory);
  for (let i = 0; i < ranges.count; i++) {
    const target = ranges.target(i);
    const length = ranges.length(i);
    if (ranges.kind(i) === abi.RANGE_ZERO) {
      edit.zero(target, length);
      continue;
    }
    const source = ranges.source(i);
    // Whole pages at equal offsets within a page are published once and shared.
    const head = headBytes(caller, source, target, length);
    const whole = Math.floor((length - head) / PAGE_BYTES);
    edit.write(target, slot.memory, source, head);
    if (whole > 0) {
      const from = (source + head) / PAGE_BYTES;
      slot.publishRange(heap, caller.start.memory, from, from + whole);
      for (let page = 0; page < whole; page++) {
        edit.share((target + head) / PAGE_BYTES + page, tableGet(heap, slot.root, from + page));
      }
    }
    const done = head + whole * PAGE_BYTES;
    edit.write(target + done, slot.memory, source + done, length - done);
  }
  process.memory = edit.commit();
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
  const done = head + whole * PAGE_BYTES;
  slot.mark(target, head);
  readMemory(heap, process.memory, source, slot.memory, target, head);
  if (whole > 0) {
    const from = (source + head) / PAGE_BYTES;
    const first = (target + head) / PAGE_BYTES;
    const at = Array.from({ length: whole }, (_, i) => first + i);
    const pages = at.map((_, i) => tableGet(heap, process.memory, from + i));
    slot.share(heap, caller.start.memory, at, pages);
  }
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
