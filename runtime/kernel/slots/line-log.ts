/**
 * The log of a slot in which items run one after the other in the batch variant of their program: the lines
 * of state that the running item has written, each with the bytes it had. What an item costs then follows
 * the lines that it wrote, whatever the size of the state.
 *
 * The slot holds all of the state, so every line has TAG_PRESENT and loads touch nothing. The first store to
 * a line touches it: the log takes it, and it gets TAG_WRITTEN until the item ends. Then `measure` finds the
 * lines whose bytes differ and counts their pages, which is what the item pays for; `settle` keeps them, and
 * marks their pages for who publishes the state after the batch, or puts them back. A page of state that is
 * paid has a line in the log, so `settle` also clears AUX_PAID.
 *
 *   AUX_LOG     entries of ENTRY_BYTES: u32 line, u32 whether it differs, u64 zero, the 64 bytes it had
 *   AUX_LOGGED  bytes of all entries
 *   AUX_SHADOW  the byte of a page of state: 1 from when `measure` counted it to `settle`
 *
 * An item that writes more lines than the log can hold leaves by FAULT_INTERNAL_SEQUENTIAL: the sequential
 * variant runs it, whose slot is put back by pages (shadow.ts).
 */

import * as op from "../../program/decode/opcodes.ts";
import { I32, I64 } from "../../program/decode/opcodes.ts";
import type { Code } from "../../program/instrument/code.ts";
import {
  copyLine,
  countUp,
  eachLineOf,
  type LineAt,
  lineAddress,
  linesDiffer,
} from "../../program/instrument/glue-lines.ts";
import { glueModule } from "../../program/instrument/glue-module.ts";
import { markGroup } from "../../program/instrument/groups.ts";
import * as layout from "../../program/layout.ts";
import { LINE_SHIFT, PAGE_LINES_SHIFT } from "../../units.ts";
import { costsInForce } from "../gas.ts";
import { accumulate } from "./accumulate-glue.ts";

// Functions of the module by index; the first is imported.
const KERNEL = 0;
const TOUCH = 1;

const GUEST = 0;
const AUX = 1;
const ENTRY_DIFFERS = 4;
const ENTRY_DATA = 16;
const ENTRY_BYTES = ENTRY_DATA + layout.LINE_BYTES;
const I32_GT_S = 0x4a;
const ROOM_BYTES = layout.AUX_LOG_END - layout.AUX_LOG;

export interface LineLog {
  /** What instrumented code calls before it writes lines, and the kernel before it does. */
  touch(address: number, length: number, write: number): void;
  /** Adds to AUX_STATE_PAGES the pages that have a line with other bytes than before the item. */
  measure(): void;
  /** Takes the item's lines as they are if `keep`, else puts them back; forgets them. */
  settle(keep: number): void;
  /** The kernel's call, by the kernel only where it must (accumulate-glue.ts). */
  accumulate(request: number): number;
}

const modules = new Map<string, WebAssembly.Module>();

/** The log of the slot with these memories, whose state ends at `bound`; `accumulate` is the kernel's. */
export function lineLog(
  guest: WebAssembly.Memory,
  aux: WebAssembly.Memory,
  bound: number,
  accumulate: (request: number) => number,
): LineLog {
  tagLines(aux, bound);
  const imports = { glue: { guest, aux, accumulate } };
  return new WebAssembly.Instance(compiledLog(bound), imports).exports as unknown as LineLog;
}

/** The module of the log of a state that ends at `bound`, compiled once in a thread for each cost table. */
export function compiledLog(bound: number): WebAssembly.Module {
  const key = `${bound}/${costsInForce}`;
  let module = modules.get(key);
  if (module === undefined) {
    module = new WebAssembly.Module(lineLogModule(bound));
    modules.set(key, module);
  }
  return module;
}

/** Every line of the state is there. */
export function tagLines(aux: WebAssembly.Memory, bound: number): void {
  const end = layout.AUX_TAGS + (bound >>> LINE_SHIFT);
  new Uint8Array(aux.buffer).fill(layout.TAG_PRESENT, layout.AUX_TAGS, end);
}

/** The module of a log; `bound`: where the state ends, `capacity`: bytes of entries it has room for. */
export function lineLogModule(bound: number, capacity = ROOM_BYTES): Uint8Array<ArrayBuffer> {
  const define = (name: string, parameters: number, locals: number, write: (code: Code) => void) => ({
    name,
    parameters: new Array<number>(parameters).fill(I32),
    results: [],
    locals: new Array<number>(locals).fill(I32),
    write,
  });
  return glueModule(
    ["guest", "aux"].map((name) => ({ name, shared: false })),
    [{ name: "accumulate", parameters: [I32], results: [I32] }],
    [
      define("touch", 3, 4, (code) => touch(code, bound, capacity - ENTRY_BYTES)),
      define("measure", 0, 5, measure),
      define("settle", 1, 4, settle),
      {
        name: "accumulate",
        parameters: [I32],
        results: [I32],
        locals: [I32, I32, I32, I64, I64, I64],
        write: (code) => accumulate(code, bound, KERNEL, TOUCH),
      },
    ],
  );
}

/** touch(address, length, write); `full`: the log has no room for an entry that begins beyond that. */
function touch(code: Code, bound: number, full: number): void {
  const [address, length, write, line, last, entry, at] = [0, 1, 2, 3, 4, 5, 6] as const;
  code.get(write);
  code.op(op.I32_EQZ);
  code.open(op.IF);
  code.op(op.RETURN);
  code.end();
  eachLineOf(code, { address, length, line, last }, bound, () => {
    code.get(line);
    code.access(op.I32_LOAD8_U, AUX, layout.AUX_TAGS);
    code.i32(layout.TAG_PRESENT);
    code.op(op.I32_EQ);
    code.open(op.IF);
    code.auxLoad(op.I32_LOAD, layout.AUX_LOGGED);
    code.tee(entry);
    code.i32(full);
    code.op(I32_GT_S);
    code.open(op.IF);
    code.fault(layout.FAULT_INTERNAL_SEQUENTIAL);
    code.end();
    code.get(entry);
    code.get(line);
    code.access(op.I32_STORE, AUX, layout.AUX_LOG);
    lineAddress(code, line, at);
    copyLine(code, before(entry), now(at));
    setTag(code, line, layout.TAG_PRESENT | layout.TAG_WRITTEN);
    code.auxStore(op.I32_STORE, layout.AUX_LOGGED, () => {
      code.get(entry);
      code.i32(ENTRY_BYTES);
      code.op(op.I32_ADD);
    });
    code.end();
  });
}

/** The line at the address in the local, and as it was by the entry in the local. */
const now = (at: number): LineAt => ({ memory: GUEST, at, offset: 0 });
const before = (entry: number): LineAt => ({ memory: AUX, at: entry, offset: layout.AUX_LOG + ENTRY_DATA });

function setTag(code: Code, line: number, tag: number): void {
  code.get(line);
  code.i32(tag);
  code.access(op.I32_STORE8, AUX, layout.AUX_TAGS);
}

/** Puts the page of a line on the stack. */
function pageOf(code: Code, line: number): void {
  code.get(line);
  code.i32(PAGE_LINES_SHIFT);
  code.op(op.I32_SHR_U);
}

/** Runs `visit` for each entry of the log, with its line in the local. */
function eachEntry(
  code: Code,
  { entry, end, line }: { entry: number; end: number; line: number },
  visit: () => void,
): void {
  code.auxLoad(op.I32_LOAD, layout.AUX_LOGGED);
  code.set(end);
  countUp(code, entry, end, ENTRY_BYTES, () => {
    code.get(entry);
    code.access(op.I32_LOAD, AUX, layout.AUX_LOG);
    code.set(line);
    visit();
  });
}

/** measure() */
function measure(code: Code): void {
  const [entry, end, line, at, pages] = [0, 1, 2, 3, 4] as const;
  eachEntry(code, { entry, end, line }, () => {
    lineAddress(code, line, at);
    code.get(entry);
    linesDiffer(code, now(at), before(entry));
    code.tee(at);
    code.access(op.I32_STORE, AUX, layout.AUX_LOG + ENTRY_DIFFERS);
    code.get(at);
    code.open(op.IF);
    pageOf(code, line);
    code.tee(at);
    code.access(op.I32_LOAD8_U, AUX, layout.AUX_SHADOW);
    code.op(op.I32_EQZ);
    code.get(pages);
    code.op(op.I32_ADD);
    code.set(pages);
    code.get(at);
    code.i32(1);
    code.access(op.I32_STORE8, AUX, layout.AUX_SHADOW);
    code.end();
  });
  code.auxStore(op.I32_STORE, layout.AUX_STATE_PAGES, () => {
    code.auxLoad(op.I32_LOAD, layout.AUX_STATE_PAGES);
    code.get(pages);
    code.op(op.I32_ADD);
  });
}

/** settle(keep) */
function settle(code: Code): void {
  const [keep, entry, end, line, at] = [0, 1, 2, 3, 4] as const;
  eachEntry(code, { entry, end, line }, () => {
    setTag(code, line, layout.TAG_PRESENT);
    pageOf(code, line);
    code.tee(at);
    code.i32(0);
    code.access(op.I32_STORE8, AUX, layout.AUX_PAID);
    code.get(entry);
    code.access(op.I32_LOAD, AUX, layout.AUX_LOG + ENTRY_DIFFERS);
    code.open(op.IF);
    code.get(at);
    code.i32(0);
    code.access(op.I32_STORE8, AUX, layout.AUX_SHADOW);
    code.get(keep);
    code.open(op.IF);
    code.get(at);
    code.i32(1);
    code.access(op.I32_STORE8, AUX, layout.AUX_MARKS);
    markGroup(code, at);
    code.op(op.ELSE);
    lineAddress(code, line, at);
    copyLine(code, now(at), before(entry));
    code.end();
    code.end();
  });
  code.auxStore(op.I32_STORE, layout.AUX_LOGGED, () => code.i32(0));
}
