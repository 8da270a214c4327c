/**
 * Writes one function of an instrumented module from its decoded body: gas, call depth, canonical NaNs, marks
 * of written pages. Everything is encoded again from the decoded instructions.
 *
 * A function whose gas is kept in a local, or that counts call depth, has one exit: its body is wrapped in a
 * block, and a return becomes a branch out of it, so that the counters are put right behind it.
 */

import { FAULT_CALL_DEPTH } from "../../../syscalls/abi.ts";
import type { Body } from "../decode/body.ts";
import type { FunctionType, Module } from "../decode/model.ts";
import * as op from "../decode/opcodes.ts";
import type { Writer } from "../decode/writer.ts";
import { guard } from "../lines/guards.ts";
import { emptyLines, type LinePlan, type Lines, planLines } from "../lines/lines.ts";
import { planRanges } from "../lines/ranges.ts";
import { savedLocals } from "../suspend/saved.ts";
import type { Sites } from "../suspend/sites.ts";
import { Suspension } from "../suspend/suspension.ts";
import { Accesses } from "./access.ts";
import { emptyMarks, type Marks, planMarks, REACH, type Reach } from "./barrier.ts";
import { type Checks, checkOperands } from "./checks.ts";
import { Code, writeLocals } from "./code.ts";
import type { Defect } from "./defects.ts";
import { type Charges, chargesOf, PAGE_TOUCH_GAS } from "./gas.ts";
import { canonicalisations, type Kept, writeCanonical } from "./nan.ts";

/** Numbers of the instrumented module's items. */
export interface Targets {
  readonly module: Module;
  /** By function of the original: imports are their wrappers. */
  readonly functions: (index: number) => number;
  /** The same for a ref.func, which must be declared. */
  readonly references: (index: number) => number;
  /** The type () -> results of a function type with several results; its index. */
  readonly blockType: (type: FunctionType) => number;
  readonly reach: Reach;
  readonly gasGlobal: number;
  readonly depthGlobal: number;
  /** Of programs that can suspend: whether they run, and where to (layout.ts). */
  readonly stateGlobal: number;
  readonly grow: () => number;
  readonly copy: () => number;
  readonly fill: () => number;
  readonly init: (segment: number) => number;
  /** In the batch variant: how accesses find state. */
  readonly lines: Lines | null;
  /** Whether to note which instruction each piece of code is made for. */
  readonly origins: boolean;
  /** How often prices are paid. */
  readonly price: number;
  readonly checks: Checks;
  readonly defect: Defect | null;
}

/** Rewrites functions one after the other, with scratch space that is used again. */
export class Rewriter {
  readonly #targets: Targets;
  readonly #source: Uint8Array;
  readonly #scratch = new Code(4096);
  #fixes = new Uint8Array(0);
  #marks: Marks = emptyMarks(0);
  #lines: LinePlan = emptyLines(0);
  /** Where branches of the function written last stand that are seldom taken, counted from its start. */
  unlikely: number[] = [];
  /**
   * Pairs, if they are wanted: where the code of an instruction begins, counted in the same way, and where
   * that instruction stands in the source.
   */
  origins: number[] = [];
  /** Bytes of checks in it that only some engines need. */
  checkBytes = 0;

  constructor(source: Uint8Array, targets: Targets) {
    this.#source = source;
    this.#targets = targets;
  }

  /**
   * Appends the function, with its size, to `out`; returns its size. `depthCharge` is 0 for functions that do
   * not count; `sites` are where it can be suspended, null if it cannot.
   */
  function(body: Body, type: FunctionType, depthCharge: number, sites: Sites | null, out: Writer): number {
    if (this.#fixes.length < body.length) {
      const capacity = body.ops.length;
      this.#fixes = new Uint8Array(capacity);
      this.#marks = emptyMarks(capacity);
      this.#lines = emptyLines(capacity);
    }
    const { reach, lines, defect } = this.#targets;
    planMarks(body, reach, this.#marks, defect === "group" ? 2 * REACH : REACH);
    const suspends = sites === null ? null : { sites, locals: savedLocals(body, this.#marks, sites, defect) };
    canonicalisations(body, this.#fixes, defect === "kept-nan" ? null : suspends, defect === "nan-shape");
    if (lines !== null) {
      planRanges(body, lines, this.#lines);
      planLines(body, reach, lines, this.#lines);
    }
    const plan: Plan = {
      charges: chargesOf(body, this.#targets.price),
      fixes: this.#fixes,
      marks: this.#marks,
      lines: this.#lines,
      depthCharge,
      suspends,
    };
    this.#scratch.clear();
    const writer = new FunctionWriter(this.#source, this.#targets, body, type, plan, this.#scratch);
    const size = writer.write(out);
    this.checkBytes = writer.checkBytes;
    const start = size - this.#scratch.length;
    this.unlikely = [
      ...writer.head.unlikely.map((place) => start - writer.head.length + place),
      ...this.#scratch.unlikely.map((place) => start + place),
    ];
    this.origins = writer.origins.map((value, i) => (i % 2 === 0 ? start + value : value));
    return size;
  }
}

interface Plan {
  readonly charges: Charges;
  readonly fixes: Uint8Array;
  readonly marks: Marks;
  /** Of the batch variant. */
  readonly lines: LinePlan;
  readonly depthCharge: number;
  /** Of a function that can be suspended: where, and which of its locals are saved. */
  readonly suspends: Kept | null;
}

class FunctionWriter {
  readonly #source: Uint8Array;
  readonly #targets: Targets;
  readonly #body: Body;
  readonly #type: FunctionType;
  readonly #plan: Plan;
  readonly #code: Code;
  readonly #accesses: Accesses;
  readonly #suspension: Suspension | null;
  /** What comes before the code, of a function that can be suspended. */
  readonly head = new Code(0);
  /** Places in `code` and in the source, in turn. */
  readonly origins: number[] = [];
  checkBytes = 0;
  readonly #extra: number[] = [];
  readonly #temporaries = new Map<string, number>();
  /** The local that holds the gas where that pays, or null. */
  #gas: number | null = null;
  #nesting = 0;
  #oneExit = false;

  constructor(
    source: Uint8Array,
    targets: Targets,
    body: Body,
    type: FunctionType,
    plan: Plan,
    scratch: Code,
  ) {
    this.#code = scratch;
    this.#source = source;
    this.#targets = targets;
    this.#body = body;
    this.#type = type;
    this.#plan = plan;
    const temporary = (name: string, local: number) => this.#temporary(name, local);
    const pay = () => this.#charge(PAGE_TOUCH_GAS * targets.price);
    this.#accesses = new Accesses(scratch, targets, body, plan.marks, plan.lines, { temporary, pay });
    const fetched = (maker: number) => {
      if (targets.defect !== "address") this.#saveAddress(maker);
    };
    this.#suspension =
      plan.suspends === null
        ? null
        : new Suspension(scratch, body, type, plan.suspends.sites, plan.suspends.locals, {
            ...targets,
            temporary,
            fetched,
          });
  }

  write(out: Writer): number {
    const code = this.#code;
    const { charges, depthCharge } = this.#plan;
    const suspension = this.#suspension;
    const entryCharge = charges.get(0) as number;
    const caches = this.#caches();
    this.#oneExit = caches || depthCharge > 0 || suspension !== null;
    if (caches) this.#gas = this.#temporary("gas", op.I64);
    if (suspension === null) this.#charge(entryCharge, true);
    if (depthCharge > 0) this.#enterDepth(depthCharge);
    if (suspension !== null) {
      suspension.begin();
    } else if (this.#oneExit) {
      code.u8(op.BLOCK);
      const { results } = this.#type;
      if (results.length > 1) code.s32(this.#targets.blockType(this.#type));
      else code.u8(results.length === 1 ? (results[0] as number) : 0x40);
    }
    for (let place = 0; place < this.#body.length; place++) this.#instruction(place);
    if (this.#oneExit) {
      // The body's own `end` closed the block.
      if (this.#gas !== null && this.#targets.defect !== "exit") this.#flushGas();
      if (depthCharge > 0) {
        // From the local, not the global: the next call need not wait for what this one wrote.
        code.get(this.#temporary("depth", op.I32));
        code.i32(depthCharge);
        code.op(op.I32_ADD);
        code.index(op.GLOBAL_SET, this.#targets.depthGlobal);
      }
      suspension?.finish();
      code.end();
    }
    suspension?.head(this.head, () => this.#charge(entryCharge, true, this.head));
    const locals = new Code(64);
    writeLocals(locals, this.#extra, this.#body.runs);
    const size = locals.length + this.head.length + code.length;
    out.u32(size);
    for (const part of [locals, this.head, code]) out.bytes(part.view());
    return size;
  }

  /**
   * Whether the gas is better kept in a local: when loops turn more often than calls are made, by a guess of
   * eight turns a loop. A call followed by `unreachable` (AssemblyScript's abort) is never made in code that
   * matters.
   */
  #caches(): boolean {
    const { ops, length } = this.#body;
    const loops: boolean[] = [];
    let weight = 1;
    let turns = 0;
    let calls = 0;
    for (let place = 0; place < length; place++) {
      const opcode = ops[place] as number;
      if (opcode === op.LOOP) {
        weight *= 8;
        turns += weight;
        loops.push(true);
      } else if (opcode === op.BLOCK || opcode === op.IF) {
        loops.push(false);
      } else if (opcode === op.END) {
        if (loops.pop() === true) weight /= 8;
      } else if (leaves(opcode) && !this.#isCold(place)) {
        calls += weight;
      }
    }
    return turns > calls;
  }

  #isCold(place: number): boolean {
    return place + 1 < this.#body.length && this.#body.ops[place + 1] === op.UNREACHABLE;
  }

  #temporary(name: string, type: number): number {
    const known = this.#temporaries.get(name);
    if (known !== undefined) return known;
    const local = this.#body.locals.length + this.#extra.length;
    this.#extra.push(type);
    this.#temporaries.set(name, local);
    return local;
  }

  #charge(amount: number, first = false, code = this.#code): void {
    const global = this.#targets.gasGlobal;
    if (this.#targets.defect === "gas" && !first) return;
    if (this.#gas !== null && !first) code.get(this.#gas);
    else code.index(op.GLOBAL_GET, global);
    code.i64(BigInt(amount));
    code.op(op.I64_SUB);
    const local = this.#gas ?? this.#temporary("gas", op.I64);
    code.tee(local);
    if (this.#gas === null) {
      code.index(op.GLOBAL_SET, global);
      code.get(local);
    }
    code.faultIfOutOfGas();
  }

  /** The gas from the local to the global, before other code runs. */
  #flushGas(): void {
    this.#code.get(this.#gas as number);
    this.#code.index(op.GLOBAL_SET, this.#targets.gasGlobal);
  }

  #fetchGas(): void {
    this.#code.index(op.GLOBAL_GET, this.#targets.gasGlobal);
    this.#code.set(this.#gas as number);
  }

  #enterDepth(charge: number): void {
    const code = this.#code;
    const global = this.#targets.depthGlobal;
    const local = this.#temporary("depth", op.I32);
    code.index(op.GLOBAL_GET, global);
    code.i32(charge);
    code.op(op.I32_SUB);
    code.tee(local);
    code.index(op.GLOBAL_SET, global);
    code.get(local);
    code.i32(0);
    code.op(op.I32_LT_S);
    if (this.#targets.defect === "depth") {
      code.op(op.DROP);
      return;
    }
    code.open(op.IF);
    code.fault(FAULT_CALL_DEPTH);
    code.end();
  }

  #instruction(place: number): void {
    const body = this.#body;
    const opcode = body.ops[place] as number;
    if (this.#targets.origins) this.origins.push(this.#code.length, body.at[place] as number);
    const charge = this.#plan.charges.get(place);
    if (charge !== undefined && place > 0) this.#charge(charge);
    const handsOver = this.#gas !== null && leaves(opcode);
    if (handsOver && this.#targets.defect !== "flush") this.#flushGas();
    if (this.#suspension === null) this.#encode(place, opcode);
    else this.#suspension.write(place, opcode, () => this.#encode(place, opcode));
    if (handsOver && !this.#isCold(place)) this.#fetchGas();
    const shape = this.#plan.fixes[place] as number;
    if (shape !== 0 && this.#targets.defect !== "nan")
      writeCanonical(this.#code, shape, (name, type) => this.#temporary(name, type));
    this.#saveAddress(place);
  }

  /** Puts the address that the instruction has left where the mark of a store looks for it. */
  #saveAddress(place: number): void {
    const saved = this.#plan.marks.saves[place] ?? 0;
    if (saved !== 0) this.#code.tee(this.#temporary(`address${saved - 1}`, op.I32));
  }

  #encode(place: number, opcode: number): void {
    const code = this.#code;
    switch (op.IMMEDIATES[opcode]) {
      case op.NO_IMMEDIATE:
        if (this.#targets.checks.overflow) this.#check(opcode, 0);
        return code.op(opcode);
      case op.LANE:
        code.op(opcode);
        return code.u8((this.#body.a[place] as number) >> 8);
      case op.MEMORY_ARGUMENT:
      case op.MEMORY_LANE:
        return op.IS_STORE[opcode] === 1
          ? this.#accesses.store(place, opcode)
          : this.#accesses.load(place, opcode);
    }
    if (!this.#encodeControl(place, opcode)) this.#encodeOther(place, opcode);
  }

  /** Encodes what directs control or names a function; false if the instruction is another. */
  #encodeControl(place: number, opcode: number): boolean {
    const code = this.#code;
    const body = this.#body;
    const targets = this.#targets;
    const a = body.a[place] as number;
    switch (opcode) {
      case op.BLOCK:
      case op.IF:
      case op.LOOP:
        this.#nesting++;
        code.u8(opcode);
        code.s32(a);
        return true;
      case op.END:
        this.#nesting--;
        code.op(opcode);
        return true;
      case op.RETURN:
        if (this.#oneExit) code.index(op.BR, this.#nesting);
        else code.op(opcode);
        return true;
      case op.BR:
      case op.BR_IF:
        code.index(opcode, a);
        return true;
      case op.BR_TABLE: {
        const labels = body.labels[a] as number[];
        code.op(opcode);
        code.u32(labels.length - 1);
        for (const label of labels) code.u32(label);
        return true;
      }
      case op.CALL:
        code.index(opcode, targets.functions(a));
        return true;
      case op.REF_FUNC:
        code.index(opcode, targets.references(a));
        return true;
      case op.CALL_INDIRECT: {
        const table = body.b[place] as number;
        this.#check(opcode, table);
        code.index(opcode, a);
        code.u32(table);
        return true;
      }
      default:
        return false;
    }
  }

  #encodeOther(place: number, opcode: number): void {
    const code = this.#code;
    const body = this.#body;
    const targets = this.#targets;
    const a = body.a[place] as number;
    switch (opcode) {
      case op.NOP:
        return;
      case op.GLOBAL_SET:
        code.index(opcode, a);
        if (targets.lines !== null) guard(code, targets.lines, a);
        return;
      case op.SELECT_TYPED:
        code.op(opcode);
        code.u32(1);
        return code.u8(a);
      case op.REF_NULL:
        code.op(opcode);
        return code.u8(a);
      case op.TABLE_GET:
        this.#check(opcode, a);
        return code.index(opcode, a);
      case op.MEMORY_SIZE:
        return code.index(opcode, 0);
      case op.MEMORY_GROW:
        return code.index(op.CALL, targets.grow());
      case op.MEMORY_COPY:
        return code.index(op.CALL, targets.copy());
      case op.MEMORY_FILL:
        return code.index(op.CALL, targets.fill());
      case op.MEMORY_INIT:
        return code.index(op.CALL, targets.init(a));
      case op.I32_CONST:
        return code.i32(a);
      case op.I64_CONST:
        return code.i64(body.wide[a] as bigint);
      case op.F32_CONST:
      case op.F64_CONST:
      case op.V128_CONST:
      case op.I8X16_SHUFFLE: {
        const size = opcode === op.F32_CONST ? 4 : opcode === op.F64_CONST ? 8 : 16;
        code.op(opcode);
        return code.bytes(this.#source.subarray(a, a + size));
      }
      case op.LOCAL_GET:
      case op.LOCAL_SET:
      case op.LOCAL_TEE:
      case op.GLOBAL_GET:
      case op.TABLE_SIZE:
        return code.index(opcode, a);
      default: // unreachable else drop select ref.is_null
        return code.op(opcode);
    }
  }

  /** What comes before the instruction on engines that do not show its faults. */
  #check(opcode: number, table: number): void {
    const before = this.#code.length;
    const temporary = (name: string, type: number): number => this.#temporary(name, type);
    checkOperands(this.#code, opcode, table, this.#targets.checks, temporary);
    // Every engine has one text for the index of table.get and that of call_indirect.
    if (opcode !== op.TABLE_GET) this.checkBytes += this.#code.length - before;
  }
}

/** Whether the instruction becomes a call: other code charges gas, and may hand it to the kernel. */
function leaves(opcode: number): boolean {
  switch (opcode) {
    case op.CALL:
    case op.CALL_INDIRECT:
    case op.MEMORY_GROW:
    case op.MEMORY_COPY:
    case op.MEMORY_FILL:
    case op.MEMORY_INIT:
      return true;
    default:
      return false;
  }
}
