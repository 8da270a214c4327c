/** The program that a PUT names: by hash, or by its Wasm bytes, whose admission is part of the call. */

import * as abi from "../../../syscalls/abi.ts";
import { part } from "../../heap/bytes.ts";
import type { Heap, Ref } from "../../heap/heap.ts";
import { HASH_BYTES, hasHash } from "../../image/hash.ts";
import { AdmissionError } from "../../program/admission-error.ts";
import { hexOf } from "../../text.ts";
import type { Activation } from "../activation.ts";
import { COST_PROGRAM_SEARCH } from "../gas.ts";
import type { LoadedProgram, Programs } from "../program.ts";
import { REASON_NUMBERS } from "./reasons.ts";

/** By hash: of the rules, the caller's own, or of one of its children; whatever else this thread may know. */
export function findProgram(heap: Heap, programs: Programs, caller: Activation): LoadedProgram | undefined {
  const { programPointer } = caller.putRequest;
  const hash = Uint8Array.from(part(caller.slot.memory, programPointer, HASH_BYTES));
  const ofRules = programs.ofRules(hexOf(hash));
  if (ofRules !== undefined) return ofRules;
  const words = new Uint32Array(hash.buffer);
  const named = (program: Ref): boolean => hasHash(heap, program, words);
  if (named(caller.start.program)) return caller.slot.program;
  caller.charge(caller.children.searched * COST_PROGRAM_SEARCH);
  const found = caller.children.findProgram(named);
  if (found !== 0) return programs.get(found);
  refuse(caller, 0, 0);
  return undefined;
}

/** The hash, in hex, by which a PUT found no program; null: it gave Wasm bytes. */
export function unknownProgram({ putRequest, slot }: Activation): string | null {
  const { programPointer, programLength } = putRequest;
  if (programLength > 0) return null;
  return part(slot.memory, programPointer, HASH_BYTES).toString("hex");
}

/** By Wasm bytes. */
export function installProgram(programs: Programs, caller: Activation): LoadedProgram | undefined {
  const { programPointer, programLength } = caller.putRequest;
  try {
    return programs.install(part(caller.slot.memory, programPointer, programLength));
  } catch (error) {
    if (!(error instanceof AdmissionError)) throw error;
    refuse(caller, REASON_NUMBERS[error.reason], error.offset);
    return undefined;
  }
}

/** Writes into the request why its program is not admitted. */
function refuse(caller: Activation, reason: number, offset: number): void {
  const { slot, putRequest } = caller;
  const { pointer } = putRequest;
  slot.mark(pointer, abi.PUT_SIZE);
  slot.words[(pointer + abi.PUT_REASON) / 4] = reason;
  slot.words[(pointer + abi.PUT_REASON_OFFSET) / 4] = offset;
}
