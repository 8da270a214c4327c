/**
 * The glue of a shadow (shadow.ts), in Wasm: it names three memories, the slot's, the slot's aux and the
 * shadow. What a mark stands for, a *block*, is compared whole, since the mark says no more, and copied in
 * chunks. A block is a page in the sequential variant, and a quarter of one in the batch variant.
 */

import * as op from "../../program/decode/opcodes.ts";
import { I32, I64 } from "../../program/decode/opcodes.ts";
import type { Code } from "../../program/instrument/code.ts";
import { addTo, countUp } from "../../program/instrument/glue-lines.ts";
import { glueModule } from "../../program/instrument/glue-module.ts";
import { passGroup } from "../../program/instrument/groups.ts";
import * as layout from "../../program/layout.ts";

const GUEST = 0;
const AUX = 1;
const SHADOW = 2;
const PAGE_SHIFT = 12;
/** What is compared and copied at once: a page has 16 chunks. */
const CHUNK_SHIFT = 8;
const CHUNK_BYTES = 1 << CHUNK_SHIFT;
const VECTOR_BYTES = 16;
/** Marks that are looked at together where nothing is marked. */
const SCAN_STEP = 64;
/** How far into the next block a mark reaches (slot.ts). */
const STRADDLE_BYTES = 128;
/** Marks: written; differs, but the list was full; written by the kernel, but only in the first chunk. */
const WRITTEN = 1;
const UNLISTED = 2;
export const WRITTEN_FIRST = 4;
export const FIRST_BYTES = CHUNK_BYTES;
/** The byte of a page at AUX_SHADOW: the shadow has it; and state of it was kept. */
const BROUGHT = 1;
export const KEPT = 2;
/** An entry of the list: u32 block, u32 its chunks that differ. */
const ENTRY_SHIFT = 3;

// Functions of the glue by index; the first is imported.
const FETCH = 0;
const BRING = 1;
const DIFFERENCE = 2;
const NOTE = 3;
const REACH = 4;
const MOVE = 5;

// Instructions that nothing else writes.
const I32_CTZ = 0x68;
const I64_CTZ = 0x7a;
const I64_EQZ = 0x50;
const I64_AND = 0x83;

export interface ShadowGlue {
  /**
   * Lists the blocks that differ from the shadow, counts those of state in AUX_STATE_PAGES, and takes the
   * marks away, and the bytes in AUX_PAID of their pages. `state` and `end` are numbers of blocks: where
   * state and memory end; `first`: below it nothing is marked, and what is written there may reach beyond it
   * as beyond a marked block.
   */
  measure(state: number, end: number, first: number): void;
  /** Makes what differs agree with the shadow; `keep`: state goes into it. */
  settle(state: number, end: number, keep: number): void;
}

/**
 * The glue for marks of that kind. It lists `capacity` blocks that differ, marks any more again, and seeks
 * them again.
 */
export function shadowModule(
  marks: layout.Marks,
  capacity = layout.LIST_CAPACITY / 2,
): Uint8Array<ArrayBuffer> {
  const define = (
    name: string,
    parameters: number,
    results: number,
    locals: number[],
    write: (code: Code) => void,
  ) => ({
    name,
    parameters: Array.from({ length: parameters }, () => I32),
    results: Array.from({ length: results }, () => I32),
    locals,
    write,
  });
  return glueModule(
    ["guest", "aux", "shadow"].map((name) => ({ name, shared: false })),
    [{ name: "fetch", parameters: [I32], results: [] }],
    [
      define("bring", 1, 0, [], bring),
      define("difference", 2, 1, [I32, I32, I32], (code) => difference(code, marks)),
      define("note", 3, 0, [I32, I32], (code) => note(code, marks, capacity)),
      define("reach", 3, 0, [I32], (code) => reach(code, marks)),
      define("move", 4, 0, [I32], (code) => move(code, marks)),
      define("measure", 3, 0, [I32, I32, I32, I32, I64], (code) => measure(code, marks)),
      define("settle", 3, 0, [I32, I32, I32, I64], (code) => settle(code, marks, capacity)),
    ],
  );
}

/** bring(page): the shadow has the page. */
function bring(code: Code): void {
  const page = 0;
  code.get(page);
  code.access(op.I32_LOAD8_U, AUX, layout.AUX_SHADOW);
  code.op(op.I32_EQZ);
  code.open(op.IF);
  code.get(page);
  code.index(op.CALL, FETCH);
  code.get(page);
  code.i32(BROUGHT);
  code.access(op.I32_STORE8, AUX, layout.AUX_SHADOW);
  code.get(page);
  code.i32(layout.GROUP_SHIFT);
  code.op(op.I32_SHR_U);
  code.i32(1);
  code.access(op.I32_STORE8, AUX, layout.AUX_SHADOW_GROUPS);
  code.end();
}

/** Whether `length` bytes at the address in the local differ between slot and shadow: 0 or 1. */
function differs(code: Code, address: number, length: number): void {
  for (let offset = 0; offset < length; offset += VECTOR_BYTES) {
    for (const memory of [GUEST, SHADOW]) {
      code.get(address);
      code.access(op.V128_LOAD, memory, offset);
    }
    code.op(op.V128_XOR);
    if (offset > 0) code.op(op.V128_OR);
  }
  code.op(op.V128_ANY_TRUE);
}

/** Where the bytes are of the pages that are paid. */
const paidAt = ({ shift, at }: layout.Marks): number => (shift === PAGE_SHIFT ? at : layout.AUX_PAID);

const chunksOf = ({ shift }: layout.Marks): number => 1 << (shift - CHUNK_SHIFT);

/** Puts the page of the block on the stack. */
function pageOf(code: Code, block: number, { shift }: layout.Marks): void {
  code.get(block);
  code.i32(PAGE_SHIFT - shift);
  code.op(op.I32_SHR_U);
}

/** difference(block, chunks): which of its first chunks differ, a bit for each. */
function difference(code: Code, { shift }: layout.Marks): void {
  const [block, chunks, address, chunk, mask] = [0, 1, 2, 3, 4] as const;
  code.get(block);
  code.i32(shift);
  code.op(op.I32_SHL);
  code.set(address);
  code.open(op.LOOP);
  differs(code, address, CHUNK_BYTES);
  code.get(chunk);
  code.op(op.I32_SHL);
  code.get(mask);
  code.op(op.I32_OR);
  code.set(mask);
  addTo(code, address, CHUNK_BYTES);
  addTo(code, chunk, 1);
  code.get(chunk);
  code.get(chunks);
  code.op(op.I32_LT_U);
  code.index(op.BR_IF, 0);
  code.end();
  code.get(mask);
}

/** Loads a word of the aux memory's header, adds one, stores it. */
function increment(code: Code, place: () => void): void {
  place();
  place();
  code.access(op.I32_LOAD, AUX, 0);
  code.i32(1);
  code.op(op.I32_ADD);
  code.access(op.I32_STORE, AUX, 0);
}

/**
 * note(block, chunks, state): if one of its first chunks differs, the block is listed, and counted if it is
 * of state.
 */
function note(code: Code, marks: layout.Marks, capacity: number): void {
  const [block, chunks, state, mask, place] = [0, 1, 2, 3, 4] as const;
  pageOf(code, block, marks);
  code.index(op.CALL, BRING);
  code.get(block);
  code.get(chunks);
  code.index(op.CALL, DIFFERENCE);
  code.tee(mask);
  code.op(op.I32_EQZ);
  code.open(op.IF);
  code.op(op.RETURN);
  code.end();
  // Above the bound of a batch variant there is no state, so a block of state is a page.
  code.get(block);
  code.get(state);
  code.op(op.I32_LT_U);
  code.open(op.IF);
  increment(code, () => code.i32(layout.AUX_STATE_PAGES));
  code.end();
  code.auxLoad(op.I32_LOAD, layout.AUX_LISTED);
  code.tee(place);
  code.i32(capacity);
  code.op(op.I32_LT_U);
  code.open(op.IF);
  code.get(place);
  code.i32(ENTRY_SHIFT);
  code.op(op.I32_SHL);
  code.tee(place);
  code.get(block);
  code.access(op.I32_STORE, AUX, layout.AUX_LIST);
  code.get(place);
  code.get(mask);
  code.access(op.I32_STORE, AUX, layout.AUX_LIST + 4);
  increment(code, () => code.i32(layout.AUX_LISTED));
  code.op(op.ELSE);
  setMark(code, marks, block, UNLISTED);
  code.end();
}

/** reach(block, state, end): notes a block that is not marked if stores before it have reached into it. */
function reach(code: Code, marks: layout.Marks): void {
  const [block, state, end, address] = [0, 1, 2, 3] as const;
  code.get(block);
  code.get(end);
  code.op(op.I32_GE_U);
  code.open(op.IF);
  code.op(op.RETURN);
  code.end();
  code.get(block);
  code.access(op.I32_LOAD8_U, AUX, marks.at);
  code.open(op.IF);
  code.op(op.RETURN);
  code.end();
  pageOf(code, block, marks);
  code.index(op.CALL, BRING);
  code.get(block);
  code.i32(marks.shift);
  code.op(op.I32_SHL);
  code.set(address);
  differs(code, address, STRADDLE_BYTES);
  code.open(op.IF);
  code.get(block);
  code.i32(chunksOf(marks));
  code.get(state);
  code.index(op.CALL, NOTE);
  code.end();
}

function setMark(code: Code, { at }: layout.Marks, block: number, value: number): void {
  code.get(block);
  code.i32(value);
  code.access(op.I32_STORE8, AUX, at);
}

/** move(block, mask, state, keep): in the chunks of the mask slot and shadow become equal. */
function move(code: Code, marks: layout.Marks): void {
  const { shift } = marks;
  const [block, mask, state, keep, address] = [0, 1, 2, 3, 4] as const;
  const copy = (to: number, from: number): void => {
    for (let offset = 0; offset < CHUNK_BYTES; offset += VECTOR_BYTES) {
      code.get(address);
      code.get(address);
      code.access(op.V128_LOAD, from, offset);
      code.access(op.V128_STORE, to, offset);
    }
  };
  // Whether the block goes into the shadow.
  code.get(block);
  code.get(state);
  code.op(op.I32_LT_U);
  code.get(keep);
  code.op(op.I32_AND);
  code.tee(keep);
  code.open(op.IF);
  pageOf(code, block, marks);
  code.i32(KEPT);
  code.access(op.I32_STORE8, AUX, layout.AUX_SHADOW);
  code.end();
  code.open(op.LOOP);
  code.get(block);
  code.i32(shift);
  code.op(op.I32_SHL);
  code.get(mask);
  code.op(I32_CTZ);
  code.i32(CHUNK_SHIFT);
  code.op(op.I32_SHL);
  code.op(op.I32_OR);
  code.set(address);
  code.get(keep);
  code.open(op.IF);
  copy(SHADOW, GUEST);
  code.op(op.ELSE);
  copy(GUEST, SHADOW);
  code.end();
  code.get(mask);
  code.get(mask);
  code.i32(1);
  code.op(op.I32_SUB);
  code.op(op.I32_AND);
  code.tee(mask);
  code.index(op.BR_IF, 0);
  code.end();
}

/** Continues with the loop around it behind the next 64 blocks, if none of them is marked. */
function passUnmarked(code: Code, kind: layout.Marks, base: number): void {
  // A step may reach beyond the end of memory, where nothing is ever marked.
  code.open(op.BLOCK);
  code.get(base);
  code.i32(SCAN_STEP - 1);
  code.op(op.I32_AND);
  code.index(op.BR_IF, 0);
  for (let offset = 0; offset < SCAN_STEP; offset += VECTOR_BYTES) {
    code.get(base);
    code.access(op.V128_LOAD, AUX, kind.at + offset);
    if (offset > 0) code.op(op.V128_OR);
  }
  code.op(op.V128_ANY_TRUE);
  code.index(op.BR_IF, 0);
  addTo(code, base, SCAN_STEP);
  code.index(op.BR, 1);
  code.end();
}

/**
 * Runs `visit`, which takes the mark away, for each block below `end` whose mark has one of the bits, in
 * ascending order. The search begins with block `base`, a multiple of 8; that and `marks`, an i64, are used
 * up. `byGroup`: the marks are of pages, with their groups. That of the first page stays if others come
 * before it in its group.
 */
function forMarked(
  code: Code,
  kind: layout.Marks,
  bits: number,
  byGroup: boolean,
  locals: { block: number; end: number; base: number; marks: number },
  visit: () => void,
): void {
  const { block, end, base, marks } = locals;
  code.open(op.BLOCK);
  code.open(op.LOOP);
  code.get(base);
  code.get(end);
  code.op(op.I32_GE_U);
  code.index(op.BR_IF, 1);
  if (byGroup) passGroup(code, base, 0);
  else passUnmarked(code, kind, base);
  // Eight marks at a time.
  code.get(base);
  code.access(op.I64_LOAD, AUX, kind.at);
  code.i64(0x0101010101010101n * BigInt(bits));
  code.op(I64_AND);
  code.set(marks);
  code.open(op.BLOCK);
  code.open(op.LOOP);
  code.get(marks);
  code.op(I64_EQZ);
  code.index(op.BR_IF, 1);
  code.get(base);
  code.get(marks);
  code.op(I64_CTZ);
  code.op(op.I32_WRAP_I64);
  code.i32(3);
  code.op(op.I32_SHR_U);
  code.op(op.I32_ADD);
  code.set(block);
  code.get(marks);
  code.get(marks);
  code.i64(1n);
  code.op(op.I64_SUB);
  code.op(I64_AND);
  code.set(marks);
  visit();
  code.index(op.BR, 0);
  code.end();
  code.end();
  addTo(code, base, 8);
  code.index(op.BR, 0);
  code.end();
  code.end();
}

/**
 * measure(state, end, first): looks for pages that are paid, and in these for marked blocks. So what nothing
 * was written to costs the same in both variants, a byte for each page.
 */
function measure(code: Code, kind: layout.Marks): void {
  const [state, end, base, block, mark, page, pageEnd, marks] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const pages: layout.Marks = { at: paidAt(kind), shift: PAGE_SHIFT };
  const blocksShift = PAGE_SHIFT - kind.shift;
  for (const place of [layout.AUX_STATE_PAGES, layout.AUX_LISTED])
    code.auxStore(op.I32_STORE, place, () => code.i32(0));
  const reached = (local: number): void => {
    for (const parameter of [local, state, end]) code.get(parameter);
    code.index(op.CALL, REACH);
  };
  code.get(base);
  code.open(op.IF);
  reached(base);
  code.end();
  for (const [blocks, whole] of [
    [base, base],
    [end, pageEnd],
  ] as const) {
    pageOf(code, blocks, kind);
    code.set(whole);
  }
  forMarked(code, pages, WRITTEN | WRITTEN_FIRST, true, { block: page, end: pageEnd, base, marks }, () => {
    if (pages.at !== kind.at) setMark(code, pages, page, 0);
    code.get(page);
    code.i32(blocksShift);
    code.op(op.I32_SHL);
    code.set(block);
    code.open(op.LOOP);
    measureBlock(code, kind, { block, mark, state }, () => reached(block));
    code.get(block);
    code.i32((1 << blocksShift) - 1);
    code.op(op.I32_AND);
    code.index(op.BR_IF, 0);
    code.end();
  });
}

/** Notes the block if it is marked, and the next one if that was reached; the local is the next one then. */
function measureBlock(
  code: Code,
  kind: layout.Marks,
  { block, mark, state }: { block: number; mark: number; state: number },
  reached: () => void,
): void {
  code.get(block);
  code.access(op.I32_LOAD8_U, AUX, kind.at);
  code.tee(mark);
  code.open(op.IF);
  setMark(code, kind, block, 0);
  code.get(block);
  code.i32(chunksOf(kind));
  code.i32(1);
  code.get(mark);
  code.i32(WRITTEN);
  code.op(op.I32_AND);
  code.tee(mark);
  code.op(op.SELECT);
  code.get(state);
  code.index(op.CALL, NOTE);
  code.end();
  addTo(code, block, 1);
  code.get(mark);
  code.open(op.IF);
  reached();
  code.end();
}

/** settle(state, end, keep) */
function settle(code: Code, kind: layout.Marks, capacity: number): void {
  const [state, end, keep, i, count, base, marks] = [0, 1, 2, 3, 4, 5, 6] as const;
  const moveThe = (block: () => void, mask: () => void): void => {
    block();
    mask();
    code.get(state);
    code.get(keep);
    code.index(op.CALL, MOVE);
  };
  const entry = (field: number) => () => {
    code.get(i);
    code.i32(ENTRY_SHIFT);
    code.op(op.I32_SHL);
    code.access(op.I32_LOAD, AUX, layout.AUX_LIST + field);
  };
  code.auxLoad(op.I32_LOAD, layout.AUX_LISTED);
  code.set(count);
  countUp(code, i, count, 1, () => moveThe(entry(0), entry(4)));
  // The list was full: what had no room in it is marked.
  code.get(count);
  code.i32(capacity);
  code.op(op.I32_EQ);
  code.open(op.IF);
  forMarked(code, kind, UNLISTED, false, { block: i, end, base, marks }, () => {
    setMark(code, kind, i, 0);
    moveThe(
      () => code.get(i),
      () => {
        code.get(i);
        code.i32(chunksOf(kind));
        code.index(op.CALL, DIFFERENCE);
      },
    );
  });
  code.end();
}
