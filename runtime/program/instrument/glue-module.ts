/**
 * Small modules of glue that copy between memories: what no compiler of ours can write, since they name
 * several memories. Each is built when its file is loaded, from a list of memories, imports and functions.
 */

import { Writer } from "../decode/writer.ts";
import { Code, writeLocals } from "./code.ts";

/** A memory that is imported from the module "glue"; its index is its place in the list. */
export interface GlueMemory {
  readonly name: string;
  /** A shared memory must be imported with its exact maximum at most. */
  readonly shared: boolean;
}

/** A function imported from the module "glue"; its index is its place in the list. */
export interface GlueImport {
  readonly name: string;
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}

/** A function that is exported, or only called by others; its index follows those of the imports. */
export interface GlueFunction {
  readonly name: string;
  readonly parameters: readonly number[];
  readonly results: readonly number[];
  readonly locals: readonly number[];
  readonly write: (code: Code) => void;
}

const MAXIMUM_PAGES = 65536;
const FUNCTION = 0;
const MEMORY = 2;

/** The bytes of a module with these parts. */
export function glueModule(
  memories: readonly GlueMemory[],
  imports: readonly GlueImport[],
  functions: readonly GlueFunction[],
): Uint8Array<ArrayBuffer> {
  const types = new Writer();
  types.u32(imports.length + functions.length);
  for (const { parameters, results } of [...imports, ...functions]) {
    types.u8(0x60);
    for (const list of [parameters, results]) {
      types.u32(list.length);
      for (const type of list) types.u8(type);
    }
  }
  const imported = new Writer();
  imported.u32(memories.length + imports.length);
  for (const { name, shared } of memories) {
    imported.name("glue");
    imported.name(name);
    imported.u8(MEMORY);
    imported.u8(shared ? 3 : 1);
    imported.u32(0);
    imported.u32(MAXIMUM_PAGES);
  }
  imports.forEach(({ name }, index) => {
    imported.name("glue");
    imported.name(name);
    imported.u8(FUNCTION);
    imported.u32(index);
  });
  const declared = new Writer();
  const exported = new Writer();
  const bodies = new Writer();
  for (const section of [declared, exported, bodies]) section.u32(functions.length);
  functions.forEach(({ name, locals, write }, place) => {
    const index = imports.length + place;
    declared.u32(index);
    exported.name(name);
    exported.u8(FUNCTION);
    exported.u32(index);
    const code = new Code(256);
    writeLocals(code, locals);
    write(code);
    code.end();
    bodies.sized(code);
  });
  const out = new Writer(4096);
  out.bytes(Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00));
  out.section(1, types);
  out.section(2, imported);
  out.section(3, declared);
  out.section(7, exported);
  out.section(10, bodies);
  return out.finish().slice();
}
