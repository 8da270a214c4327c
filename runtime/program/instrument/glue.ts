/**
 * The functions that every instrumented module gets besides its own: the exports of layout.ts, the wrappers
 * around the kernel's calls. The bulk instructions are in bulk.ts.
 */

import { GUEST_IMPORTS } from "../decode/imports.ts";
import type { ImportName } from "../decode/model.ts";
import * as op from "../decode/opcodes.ts";
import { F32, F64, I32, I64, V128 } from "../decode/opcodes.ts";
import {
  AUX_ARGUMENT,
  AUX_GAS,
  AUX_GLOBALS,
  AUX_LIST,
  AUX_MARKS,
  AUX_RESULT,
  LIST_CAPACITY,
} from "../layout.ts";
import { guard } from "../lines/guards.ts";
import type { Lines } from "../lines/lines.ts";
import { AUX, Code, writeLocals } from "./code.ts";
import { markGroup, passGroup } from "./groups.ts";
import { missed } from "./touch.ts";

/**
 * The kernel's functions, in the order in which they are imported: what guests import, and what stands for
 * `memory.grow`. Values of 64 bits cross in memory: RET's are in AUX_RESULT and AUX_ARGUMENT.
 */
export const KERNEL_IMPORTS: readonly {
  readonly name: ImportName | "grow";
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}[] = [
  { name: "put", ...GUEST_IMPORTS.put },
  { name: "get", ...GUEST_IMPORTS.get },
  { name: "ret", parameters: [], results: [] },
  { name: "snapshot", ...GUEST_IMPORTS.snapshot },
  { name: "grow", parameters: [I32], results: [I32] },
  { name: "abort", ...GUEST_IMPORTS.abort },
  { name: "accumulate", ...GUEST_IMPORTS.accumulate },
];

/** What the batch variant imports behind them. */
export const TOUCH_IMPORT = { name: "touch", parameters: [I32, I32, I32], results: [] };

export interface Glue {
  readonly parameters: readonly number[];
  readonly results: readonly number[];
  readonly code: Code;
}

export function glue(
  parameters: readonly number[],
  results: readonly number[],
  locals: number[],
  write: (code: Code) => void,
): Glue {
  const code = new Code(256);
  writeLocals(code, locals);
  write(code);
  code.end();
  return { parameters, results, code };
}

/** What a guest calls in place of an import: the kernel sees and sets the gas in AUX_GAS. */
export function wrapper(name: ImportName | "grow", gasGlobal: number): Glue {
  const index = KERNEL_IMPORTS.findIndex((item) => item.name === name);
  const { parameters, results } = KERNEL_IMPORTS[index] as (typeof KERNEL_IMPORTS)[0];
  const save = (code: Code) =>
    code.auxStore(op.I64_STORE, AUX_GAS, () => code.index(op.GLOBAL_GET, gasGlobal));
  const load = (code: Code) => {
    code.auxLoad(op.I64_LOAD, AUX_GAS);
    code.index(op.GLOBAL_SET, gasGlobal);
  };
  if (name === "ret") {
    return glue([I64], [I64], [], (code) => {
      code.auxStore(op.I64_STORE, AUX_RESULT, () => code.get(0));
      save(code);
      code.index(op.CALL, index);
      load(code);
      code.auxLoad(op.I64_LOAD, AUX_ARGUMENT);
    });
  }
  return glue(parameters, results, [], (code) => {
    save(code);
    parameters.forEach((_, parameter) => {
      code.get(parameter);
    });
    code.index(op.CALL, index);
    if (name === "abort") code.op(op.UNREACHABLE);
    else load(code);
  });
}

function takeGas(code: Code, low: number, high: number, gasGlobal: number): void {
  code.get(low);
  code.op(op.I64_EXTEND_I32_U);
  joinHigh(code, high);
  code.index(op.GLOBAL_SET, gasGlobal);
}

/** Ors the high half of an i64 to the low half on the stack. */
function joinHigh(code: Code, high: number): void {
  code.get(high);
  code.op(op.I64_EXTEND_I32_U);
  code.i64(32n);
  code.op(op.I64_SHL);
  code.op(op.I64_OR);
}

export interface Counters {
  readonly gasGlobal: number;
  readonly depthGlobal: number;
  /** What the depth counter starts from. */
  readonly depth: number;
  /** Of a program that can be suspended: whether it runs (layout.ts); else null. */
  readonly stateGlobal: number | null;
  /** Of the batch variant. */
  readonly lines: Lines | null;
}

function begin(code: Code, gasLow: number, gasHigh: number, counters: Counters): void {
  takeGas(code, gasLow, gasHigh, counters.gasGlobal);
  code.i32(counters.depth);
  code.index(op.GLOBAL_SET, counters.depthGlobal);
  if (counters.lines === null) return;
  for (const global of counters.lines.guarded) guard(code, counters.lines, global);
}

/** The function that checks call for lines that may lack what is needed. */
export function miss(lines: Lines, touch: number, write: boolean): Glue {
  return glue([I32, I32], [], [], (code) => missed(code, touch, lines, write));
}

/** run(entry, argumentLow, argumentHigh, gasLow, gasHigh) */
export function run(entries: readonly number[], counters: Counters): Glue {
  return glue([I32, I32, I32, I32, I32], [], [I64], (code) => {
    const [entry, low, high, gasLow, gasHigh, result] = [0, 1, 2, 3, 4, 5] as const;
    begin(code, gasLow, gasHigh, counters);
    code.open(op.BLOCK, I64);
    code.open(op.BLOCK);
    for (let index = 0; index < entries.length; index++) code.open(op.BLOCK);
    code.get(entry);
    code.index(op.BR_TABLE, entries.length);
    for (let index = 0; index <= entries.length; index++) code.u32(index);
    entries.forEach((functionIndex, index) => {
      code.end();
      code.get(low);
      code.op(op.I64_EXTEND_I32_U);
      joinHigh(code, high);
      code.index(op.CALL, functionIndex);
      code.index(op.BR, entries.length - index);
    });
    code.end();
    code.op(op.UNREACHABLE);
    code.end();
    code.set(result);
    const store = () => code.auxStore(op.I64_STORE, AUX_RESULT, () => code.get(result));
    if (counters.stateGlobal === null) {
      store();
    } else {
      // An entry that is suspended returns no result, and must not overwrite the code given to RET.
      code.index(op.GLOBAL_GET, counters.stateGlobal);
      code.op(op.I32_EQZ);
      code.open(op.IF);
      store();
      code.end();
    }
    code.auxStore(op.I64_STORE, AUX_GAS, () => code.index(op.GLOBAL_GET, counters.gasGlobal));
  });
}

/** start(gasLow, gasHigh) */
export function start(functionIndex: number, counters: Counters): Glue {
  return glue([I32, I32], [], [], (code) => {
    begin(code, 0, 1, counters);
    code.index(op.CALL, functionIndex);
    code.auxStore(op.I64_STORE, AUX_GAS, () => code.index(op.GLOBAL_GET, counters.gasGlobal));
  });
}

/** The width of a global in the AUX_GLOBALS area. */
export function globalBytes(type: number): number {
  return type === V128 ? 16 : 8;
}

/**
 * load() or save(): mutable globals, given by index and type, from or to AUX_GLOBALS. Narrow ones take eight
 * bytes, the upper four zero.
 */
export function transfer(
  direction: "load" | "save",
  globals: readonly { index: number; type: number }[],
): Glue {
  return glue([], [], [], (code) => {
    let place = AUX_GLOBALS;
    for (const { index, type } of globals) {
      const wide = type === I64 || type === F64 || type === V128;
      const storeOp = type === V128 ? op.V128_STORE : type === F64 ? op.F64_STORE : op.I64_STORE;
      if (direction === "load") {
        const loadOp =
          type === V128
            ? op.V128_LOAD
            : type === I64
              ? op.I64_LOAD
              : type === I32
                ? op.I32_LOAD
                : type === F32
                  ? op.F32_LOAD
                  : op.F64_LOAD;
        code.auxLoad(loadOp, place);
        code.index(op.GLOBAL_SET, index);
      } else {
        code.auxStore(storeOp, place, () => {
          code.index(op.GLOBAL_GET, index);
          if (type === F32) code.op(op.I32_REINTERPRET_F32);
          if (!wide) code.op(op.I64_EXTEND_I32_U);
        });
      }
      place += globalBytes(type);
    }
  });
}

/** scan(from, end) -> count: goes through the groups in which something is marked. */
export function scan(): Glue {
  return glue([I32, I32], [I32], [I32], (code) => {
    const [page, end, count] = [0, 1, 2] as const;
    code.open(op.BLOCK);
    code.open(op.LOOP);
    code.get(page);
    code.get(end);
    code.op(op.I32_GE_U);
    code.index(op.BR_IF, 1);
    passGroup(code, page, 0);
    code.get(page);
    code.access(op.I32_LOAD8_U, AUX, AUX_MARKS);
    code.open(op.IF);
    code.get(count);
    code.i32(LIST_CAPACITY);
    code.op(op.I32_GE_U);
    code.open(op.IF);
    // What is left of the group is for the next scan.
    markGroup(code, page);
    code.index(op.BR, 3);
    code.end();
    code.get(count);
    code.i32(2);
    code.op(op.I32_SHL);
    code.get(page);
    code.access(op.I32_STORE, AUX, AUX_LIST);
    code.get(count);
    code.i32(1);
    code.op(op.I32_ADD);
    code.set(count);
    code.get(page);
    code.i32(0);
    code.access(op.I32_STORE8, AUX, AUX_MARKS);
    code.end();
    code.get(page);
    code.i32(1);
    code.op(op.I32_ADD);
    code.set(page);
    code.index(op.BR, 0);
    code.end();
    code.end();
    code.get(count);
  });
}
