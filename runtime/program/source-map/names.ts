/**
 * Custom sections, and the names of functions and globals as compilers leave them in "name": for messages to
 * people, and for tools. These sections are not checked at admission, so nothing in them can be relied on.
 */

import { AdmissionError } from "../admission-error.ts";
import { Reader } from "../decode/reader.ts";

const CUSTOM = 0;
/** Kinds of names. */
const FUNCTION_NAMES = 1;
export const GLOBAL_NAMES = 7;
const CHARACTERS_MAX = 100;

/** The same error, with the name of its function in the message if the module has it. */
export function withName(error: unknown, bytes: Uint8Array): unknown {
  if (!(error instanceof AdmissionError) || error.functionIndex === null) return error;
  const name = nameOf(bytes, error.functionIndex);
  if (name === null) return error;
  return new AdmissionError(error.reason, error.text, error.offset, error.functionIndex, name);
}

/** The name of a function, or of another kind; null if there is none or the section is damaged. */
export function nameOf(bytes: Uint8Array, wanted: number, kind = FUNCTION_NAMES): string | null {
  const reader = new Reader(bytes, 8);
  try {
    for (;;) {
      const id = reader.u8();
      const size = reader.u32();
      const end = reader.skip(size) + size;
      if (id !== CUSTOM) continue;
      const inside = new Reader(bytes, end - size, end);
      if (inside.name(size) !== "name") continue;
      return inNames(inside, wanted, kind);
    }
  } catch {
    return null; // the end of the module, or damage
  }
}

function inNames(reader: Reader, wanted: number, kind: number): string | null {
  for (;;) {
    const id = reader.u8();
    const size = reader.u32();
    const end = reader.skip(size) + size;
    if (id !== kind) continue;
    const list = new Reader(reader.bytes, end - size, end);
    for (let left = list.u32(); left > 0; left--) {
      const index = list.u32();
      if (index === wanted) return printable(list.name(size));
      list.skip(list.u32());
    }
    return null;
  }
}

/** Without control characters, and short. */
function printable(name: string): string | null {
  const clean = name.replace(/[\p{C}\p{Z}]+/gu, " ").trim();
  const characters = [...clean.slice(0, 4 * CHARACTERS_MAX)];
  if (characters.length <= CHARACTERS_MAX) return clean === "" ? null : clean;
  return `${characters.slice(0, CHARACTERS_MAX).join("")}…`;
}

/** The content of the first custom section of that name; null if there is none or the module is damaged. */
export function customSection(bytes: Uint8Array, wanted: string): Uint8Array | null {
  const reader = new Reader(bytes, 8);
  try {
    while (reader.offset < reader.end) {
      const id = reader.u8();
      const size = reader.u32();
      const end = reader.skip(size) + size;
      if (id !== CUSTOM) continue;
      const inside = new Reader(bytes, end - size, end);
      if (inside.name(size) === wanted) return bytes.subarray(inside.offset, end);
    }
  } catch {
    // The end of the module, or damage.
  }
  return null;
}

/** The module without its custom sections of these names. */
export function withoutSections(bytes: Uint8Array, names: readonly string[]): Uint8Array {
  const reader = new Reader(bytes, 8);
  const kept = [bytes.subarray(0, 8)];
  while (reader.offset < reader.end) {
    const start = reader.offset;
    const id = reader.u8();
    const size = reader.u32();
    const end = reader.skip(size) + size;
    const dropped = id === CUSTOM && names.includes(new Reader(bytes, end - size, end).name(size));
    if (!dropped) kept.push(bytes.subarray(start, end));
  }
  return new Uint8Array(Buffer.concat(kept));
}
