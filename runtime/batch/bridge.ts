/**
 * The bridge: Wasm glue between a guest's memory, the base memory and the versions of the core.
 *
 * A worker that runs items of a batch has one instance of `bridge` for its guest memory and one of `base`.
 * The memories:
 *
 *   guest   the item's view. Below the bound a line is valid only if its tag says so; above is private memory
 *   aux     tags and marks of the instrumented program (program/layout.ts)
 *   base    shared by all workers: the state before the window, loaded page by page from the heap, and
 *           changed by commits. A byte for each page at 0 (PAGE_LOADED, PAGE_DIRTY, PAGE_LOADING), pages at
 *           BASE_AT
 *   core    shared by all workers: logs and versions (layout.ts)
 *
 * `bridge` exports
 *   touch(address, length, write)   what instrumented code calls before it accesses lines that it has not:
 *                                   they are looked up, copied into the guest's memory and tagged
 *   changed() -> pages              at an item's end: clears its tags and the state's part of AUX_PAID,
 *                                   notes in the log which lines have other bytes than were first read; in
 *                                   how many pages
 *   publish() -> i32                makes versions of those lines; 0: the core has no room for them
 * Both leave lines above the bound alone: those are cells (cells.ts).
 *
 * `base` exports
 *   read(line, address)             the 64 bytes at `address` of core become the base's line
 *   equals(line, address) -> i32    whether the base's line has the 64 bytes at `address` of core
 *   apply(begin, end)               the versions that the log from `begin` to `end` left go to the base
 */

import * as op from "../program/decode/opcodes.ts";
import { I32 } from "../program/decode/opcodes.ts";
import type { Code } from "../program/instrument/code.ts";
import { copyLine, countUp, eachLineOf, lineAddress, linesDiffer } from "../program/instrument/glue-lines.ts";
import { glueModule } from "../program/instrument/glue-module.ts";
import {
  AUX_FAULT,
  AUX_MARKS,
  AUX_PAID,
  AUX_TAGS,
  LINE_BYTES,
  TAG_PRESENT,
  TAG_WRITTEN,
} from "../program/layout.ts";
import { LINE_SHIFT, PAGE_LINES_SHIFT } from "../units.ts";
import {
  ENTRY_BYTES,
  ENTRY_FLAGS,
  ENTRY_LINE,
  ENTRY_SIZE,
  ENTRY_UNREAD,
  ENTRY_VERSION,
  ENTRY_WRITTEN,
  VERSION_BYTES,
} from "./layout.ts";

/** Where the base's pages begin: before them lies a byte for each. */
export const BASE_AT = 1 << 20;
export const PAGE_LOADED = 1;
export const PAGE_DIRTY = 2;
export const PAGE_LOADING = 4;

/** The pages from `from` to `end` - 1 that commits have changed, ascending. */
export function* changedPages(base: WebAssembly.Memory, from: number, end: number): Iterable<number> {
  const flags = new Uint8Array(base.buffer, from, end - from);
  const changed = PAGE_LOADED | PAGE_DIRTY;
  for (let at = flags.indexOf(changed); at >= 0; at = flags.indexOf(changed, at + 1)) yield from + at;
}

/** AUX_FAULT of an item that was given up: it read from one that will run again. */
export const FAULT_GIVEN_UP = -2;

/** log2 of the lines of a page. */

const GUEST = 0;
const AUX = 1;
const BASE = 2;
const CORE = 3;

/** Brings the page of `line` into the base if it is not there. */
function needBase(code: Code, base: number, line: number, load: number): void {
  const page = () => {
    code.get(line);
    code.i32(PAGE_LINES_SHIFT);
    code.op(op.I32_SHR_U);
  };
  page();
  code.access(op.I32_LOAD8_U, base, 0);
  code.i32(PAGE_LOADED);
  code.op(op.I32_AND);
  code.op(op.I32_EQZ);
  code.open(op.IF);
  page();
  code.index(op.CALL, load);
  code.end();
}

const LOOKUP = 0;
const VERSION = 1;
const LOG_BEGIN = 2;
const LOG_END = 3;
const LOAD = 4;

/** `body` for every entry of this incarnation's log, with its address in the local `entry`. */
function eachEntry(code: Code, entry: number, end: number, body: () => void): void {
  code.index(op.CALL, LOG_BEGIN);
  code.set(entry);
  code.index(op.CALL, LOG_END);
  code.set(end);
  countUp(code, entry, end, ENTRY_SIZE, body);
}

/** `body` for every entry of a line of state, of which there are `lines`, with its number in `line`. */
function eachLine(
  code: Code,
  entry: number,
  end: number,
  line: number,
  lines: number,
  body: () => void,
): void {
  eachEntry(code, entry, end, () => {
    code.get(entry);
    code.access(op.I32_LOAD, CORE, ENTRY_LINE);
    code.tee(line);
    code.i32(lines);
    code.op(op.I32_LT_U);
    code.open(op.IF);
    body();
    code.end();
  });
}

function touch(bound: number) {
  return (code: Code): void => {
    const [address, length, write, line, last, entry, at, tag, shown] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;
    eachLineOf(code, { address, length, line, last }, bound, () => {
      code.get(line);
      code.access(op.I32_LOAD8_U, AUX, AUX_TAGS);
      code.tee(tag);
      code.op(op.I32_EQZ);
      code.open(op.IF);
      code.get(line);
      code.index(op.CALL, LOOKUP);
      code.tee(entry);
      code.op(op.I32_EQZ);
      code.open(op.IF);
      code.i32(0);
      code.i32(FAULT_GIVEN_UP);
      code.access(op.I32_STORE, AUX, AUX_FAULT);
      code.op(op.UNREACHABLE);
      code.end();
      lineAddress(code, line, at);
      code.get(entry);
      code.access(op.I32_LOAD, CORE, ENTRY_VERSION);
      code.op(op.I32_EQZ);
      code.open(op.IF);
      needBase(code, BASE, line, LOAD);
      copyLine(code, { memory: CORE, at: entry, offset: ENTRY_BYTES }, { memory: BASE, at, offset: BASE_AT });
      code.end();
      // What the item has accumulated there is shown on top of what was read, and counts as written.
      code.get(entry);
      code.access(op.I32_LOAD, CORE, ENTRY_FLAGS);
      code.tee(shown);
      code.open(op.IF);
      code.i32(TAG_WRITTEN);
      code.set(tag);
      code.op(op.ELSE);
      code.get(entry);
      code.i32(ENTRY_BYTES);
      code.op(op.I32_ADD);
      code.set(shown);
      code.end();
      copyLine(code, { memory: GUEST, at, offset: 0 }, { memory: CORE, at: shown, offset: 0 });
      code.end();
      // Present, and written if it was or will be.
      code.get(line);
      code.get(tag);
      code.i32(TAG_PRESENT | TAG_WRITTEN);
      code.i32(TAG_PRESENT);
      code.get(write);
      code.op(op.SELECT);
      code.op(op.I32_OR);
      code.access(op.I32_STORE8, AUX, AUX_TAGS);
    });
  };
}

function changed(code: Code, lines: number): void {
  const [entry, end, line, at, pages] = [0, 1, 2, 3, 4] as const;
  const page = () => {
    code.get(line);
    code.i32(PAGE_LINES_SHIFT);
    code.op(op.I32_SHR_U);
  };
  const set = (map: number, value: number) => {
    page();
    code.i32(value);
    code.access(op.I32_STORE8, AUX, map);
  };
  const count = (): void => {
    code.open(op.IF);
    page();
    code.access(op.I32_LOAD8_U, AUX, AUX_MARKS);
    code.op(op.I32_EQZ);
    code.get(pages);
    code.op(op.I32_ADD);
    code.set(pages);
    set(AUX_MARKS, 1);
    code.end();
  };
  eachLine(code, entry, end, line, lines, () => {
    code.get(entry);
    code.access(op.I32_LOAD, CORE, ENTRY_VERSION);
    code.i32(ENTRY_UNREAD);
    code.op(op.I32_EQ);
    code.open(op.IF);
    // Deltas change a line if they add up to anything.
    code.get(entry);
    code.access(op.I32_LOAD, CORE, ENTRY_WRITTEN);
    code.set(at);
    for (let byte = 0; byte < LINE_BYTES; byte += 16) {
      code.get(at);
      code.access(op.V128_LOAD, CORE, VERSION_BYTES + byte, 4);
      if (byte > 0) code.op(op.V128_OR);
    }
    code.op(op.V128_ANY_TRUE);
    count();
    code.op(op.ELSE);
    lineAddress(code, line, at);
    code.get(entry);
    code.get(line);
    code.access(op.I32_LOAD8_U, AUX, AUX_TAGS);
    code.i32(TAG_WRITTEN);
    code.op(op.I32_AND);
    code.op(op.I32_EQZ);
    code.op(op.I32_EQZ);
    linesDiffer(code, { memory: GUEST, at, offset: 0 }, { memory: CORE, at: entry, offset: ENTRY_BYTES });
    code.op(op.I32_AND);
    code.access(op.I32_STORE, CORE, ENTRY_FLAGS);
    code.get(line);
    code.i32(0);
    code.access(op.I32_STORE8, AUX, AUX_TAGS);
    code.get(entry);
    code.access(op.I32_LOAD, CORE, ENTRY_FLAGS);
    count();
    code.end();
  });
  // No mark outlives the count. A page of state that is paid has a line in the log.
  eachLine(code, entry, end, line, lines, () => {
    set(AUX_MARKS, 0);
    set(AUX_PAID, 0);
  });
  code.get(pages);
}

function publish(code: Code, lines: number): void {
  const [entry, end, line, at, to] = [0, 1, 2, 3, 4] as const;
  eachLine(code, entry, end, line, lines, () => {
    code.get(entry);
    code.access(op.I32_LOAD, CORE, ENTRY_FLAGS);
    code.open(op.IF);
    lineAddress(code, line, at);
    code.get(entry);
    code.index(op.CALL, VERSION);
    code.tee(to);
    code.op(op.I32_EQZ);
    code.open(op.IF);
    code.i32(0);
    code.op(op.RETURN);
    code.end();
    copyLine(code, { memory: CORE, at: to, offset: 0 }, { memory: GUEST, at, offset: 0 });
    code.end();
  });
  code.i32(1);
}

const bridges = new Map<number, WebAssembly.Module>();

/** The bridge of programs whose state ends at `bound`. */
export function bridgeModule(bound: number): WebAssembly.Module {
  let module = bridges.get(bound);
  if (module === undefined) {
    const bytes = glueModule(
      [
        { name: "guest", shared: false },
        { name: "aux", shared: false },
        { name: "base", shared: true },
        { name: "core", shared: true },
      ],
      [
        { name: "lookup", parameters: [I32], results: [I32] },
        { name: "version", parameters: [I32], results: [I32] },
        { name: "logBegin", parameters: [], results: [I32] },
        { name: "logEnd", parameters: [], results: [I32] },
        { name: "load", parameters: [I32], results: [] },
      ],
      [
        {
          name: "touch",
          parameters: [I32, I32, I32],
          results: [],
          locals: [I32, I32, I32, I32, I32, I32],
          write: touch(bound),
        },
        {
          name: "changed",
          parameters: [],
          results: [I32],
          locals: [I32, I32, I32, I32, I32],
          write: (code) => changed(code, bound >>> LINE_SHIFT),
        },
        {
          name: "publish",
          parameters: [],
          results: [I32],
          locals: [I32, I32, I32, I32, I32],
          write: (code) => publish(code, bound >>> LINE_SHIFT),
        },
      ],
    );
    module = new WebAssembly.Module(bytes);
    bridges.set(bound, module);
  }
  return module;
}

/** The functions between the base and the core; one instance for a thread. Memories: base, core. */
export function baseModule(): WebAssembly.Module {
  const [base, core, load] = [0, 1, 0];
  const bytes = glueModule(
    [
      { name: "base", shared: true },
      { name: "core", shared: true },
    ],
    [{ name: "load", parameters: [I32], results: [] }],
    [
      {
        name: "equals",
        parameters: [I32, I32],
        results: [I32],
        locals: [I32],
        write: (code) => {
          const [line, address, at] = [0, 1, 2] as const;
          needBase(code, base, line, load);
          lineAddress(code, line, at);
          linesDiffer(code, { memory: base, at, offset: BASE_AT }, { memory: core, at: address, offset: 0 });
          code.op(op.I32_EQZ);
        },
      },
      {
        name: "read",
        parameters: [I32, I32],
        results: [],
        locals: [I32],
        write: (code) => {
          const [line, address, at] = [0, 1, 2] as const;
          needBase(code, base, line, load);
          lineAddress(code, line, at);
          copyLine(code, { memory: core, at: address, offset: 0 }, { memory: base, at, offset: BASE_AT });
        },
      },
      {
        name: "apply",
        parameters: [I32, I32],
        results: [],
        locals: [I32, I32, I32],
        write: (code) => {
          const [entry, end, line, at, from] = [0, 1, 2, 3, 4] as const;
          countUp(code, entry, end, ENTRY_SIZE, () => {
            code.get(entry);
            code.access(op.I32_LOAD, core, ENTRY_WRITTEN);
            code.tee(from);
            code.open(op.IF);
            code.get(entry);
            code.access(op.I32_LOAD, core, ENTRY_LINE);
            code.set(line);
            lineAddress(code, line, at);
            copyLine(
              code,
              { memory: base, at, offset: BASE_AT },
              { memory: core, at: from, offset: VERSION_BYTES },
            );
            code.get(line);
            code.i32(PAGE_LINES_SHIFT);
            code.op(op.I32_SHR_U);
            code.i32(PAGE_LOADED | PAGE_DIRTY);
            code.access(op.I32_STORE8, base, 0);
            code.end();
          });
        },
      },
    ],
  );
  return new WebAssembly.Module(bytes);
}
