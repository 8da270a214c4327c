/** Writes single instructions of an instrumented module: the vocabulary of rewrite.ts and assemble.ts. */

import { FAULT_OUT_OF_GAS } from "../../../syscalls/abi.ts";
import { addRun, type Run } from "../decode/body.ts";
import * as op from "../decode/opcodes.ts";
import { Writer } from "../decode/writer.ts";
import { AUX_FAULT } from "../layout.ts";

/** Index of the aux memory in every instrumented module. */
export const AUX = 1;
const EMPTY = 0x40;

export class Code extends Writer {
  /** Where branches stand that are seldom taken. */
  readonly unlikely: number[] = [];

  override clear(): void {
    super.clear();
    this.unlikely.length = 0;
  }

  op(opcode: number): void {
    if (opcode < op.PREFIX_FC) {
      this.u8(opcode);
    } else if (opcode < op.PREFIX_FD) {
      this.u8(0xfc);
      this.u32(opcode - op.PREFIX_FC);
    } else {
      this.u8(0xfd);
      this.u32(opcode - op.PREFIX_FD);
    }
  }

  index(opcode: number, index: number): void {
    this.op(opcode);
    this.u32(index);
  }

  get(local: number): void {
    this.index(op.LOCAL_GET, local);
  }

  set(local: number): void {
    this.index(op.LOCAL_SET, local);
  }

  tee(local: number): void {
    this.index(op.LOCAL_TEE, local);
  }

  i32(value: number): void {
    this.u8(op.I32_CONST);
    this.s32(value);
  }

  i64(value: bigint): void {
    this.u8(op.I64_CONST);
    this.s64(value);
  }

  /** Opens block, loop or if without parameters; `type` is a result's type. */
  open(opcode: number, type = EMPTY): void {
    this.u8(opcode);
    this.u8(type);
  }

  /** Opens an if that is seldom entered. */
  openUnlikely(): void {
    this.unlikely.push(this.length);
    this.open(op.IF);
  }

  end(): void {
    this.u8(op.END);
  }

  /** The immediates of a load or store in the memory of that index. */
  access(opcode: number, memory: number, offset: number, alignment = op.WIDTH[opcode] as number): void {
    this.op(opcode);
    if (memory === 0) {
      this.u32(alignment);
    } else {
      this.u32(alignment | 0x40);
      this.u32(memory);
    }
    this.u32(offset);
  }

  /** A load or store at a fixed place of the aux memory; for a store, call it with the value's code. */
  auxLoad(opcode: number, place: number): void {
    this.i32(0);
    this.access(opcode, AUX, place);
  }

  auxStore(opcode: number, place: number, value: () => void): void {
    this.i32(0);
    value();
    this.access(opcode, AUX, place);
  }

  /** Ends the activation with a fault. V8 takes code that ends in `unreachable` for cold. */
  fault(code: number): void {
    this.auxStore(op.I32_STORE, AUX_FAULT, () => this.i32(code));
    this.op(op.UNREACHABLE);
  }

  /** With an i64 of gas on the stack, just reduced: faults if it is below zero. */
  faultIfOutOfGas(): void {
    this.i64(0n);
    this.op(op.I64_LT_S);
    this.open(op.IF);
    this.fault(FAULT_OUT_OF_GAS);
    this.end();
  }
}

/** Writes the locals of a function: `runs`, then single ones. */
export function writeLocals(code: Writer, locals: readonly number[], first: readonly Run[] = []): void {
  const runs = first.map((run) => ({ ...run }));
  for (const type of locals) addRun(runs, type, 1);
  code.u32(runs.length);
  for (const run of runs) {
    code.u32(run.count);
    code.u8(run.type);
  }
}
