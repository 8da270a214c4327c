/**
 * What a module says of its state, read without checking the rest of it: for the compiler, which lays memory
 * out by it. What is wrong with a module is found at its admission.
 */

import { AdmissionError } from "./admission-error.ts";
import { STATE_BYTES } from "./module.ts";
import * as op from "./opcodes.ts";
import { Reader } from "./reader.ts";

export interface DeclaredState {
  /** The exported constant STATE_BYTES; 0 without one. */
  readonly stateBytes: number;
  /** Initial memory, in pages of 64 KiB. */
  readonly memoryPages: number;
}

const NOTHING: DeclaredState = { stateBytes: 0, memoryPages: 0 };

export function readState(bytes: Uint8Array): DeclaredState {
  try {
    return read(new Reader(bytes, 8));
  } catch (error) {
    if (error instanceof AdmissionError) return NOTHING;
    throw error;
  }
}

function read(reader: Reader): DeclaredState {
  let memoryPages = 0;
  let globals: (number | null)[] = [];
  let stateBytes = 0;
  const { end } = reader;
  while (reader.offset < end) {
    const id = reader.u8();
    const size = reader.u32();
    const next = reader.offset + size;
    if (id === 5) {
      reader.offset += 2; // one memory, its flags
      memoryPages = reader.u32();
    } else if (id === 6) {
      globals = Array.from({ length: reader.u32() }, () => globalValue(reader));
    } else if (id === 7) {
      for (let rest = reader.u32(); rest > 0; rest--) {
        const name = reader.name(size);
        const kind = reader.u8();
        const index = reader.u32();
        if (name === STATE_BYTES && kind === 3) stateBytes = globals[index] ?? 0;
      }
    }
    reader.offset = next;
  }
  return { stateBytes, memoryPages };
}

/** The value of a global of type i32 as an unsigned number; null for others. */
function globalValue(reader: Reader): number | null {
  reader.offset += 2; // type, mutability
  let value: number | null = null;
  for (let opcode = reader.u8(); opcode !== op.END; opcode = reader.u8()) {
    if (opcode === op.I32_CONST) value = reader.s32() >>> 0;
    else if (opcode === op.I64_CONST) reader.s64();
    else if (opcode === op.F32_CONST) reader.offset += 4;
    else if (opcode === op.F64_CONST) reader.offset += 8;
    else if (opcode === op.REF_NULL) reader.u8();
    else if (opcode === op.REF_FUNC || opcode === op.GLOBAL_GET) reader.u32();
    else reader.fail("malformed", "An initial value that compilers of guests do not write");
  }
  return value;
}
