/** What a guest may import, from the definitions in syscalls/abi.ts. */

import * as abi from "../../../syscalls/abi.ts";
import type { ImportName } from "./model.ts";
import { I32, I64 } from "./opcodes.ts";

export interface GuestImport {
  readonly module: string;
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}

const TYPES: Readonly<Record<string, number>> = { i32: I32, i64: I64 };

/** By name. */
export const GUEST_IMPORTS: Readonly<Record<ImportName, GuestImport>> = {
  put: parse(abi.IMPORT_PUT),
  get: parse(abi.IMPORT_GET),
  ret: parse(abi.IMPORT_RET),
  snapshot: parse(abi.IMPORT_SNAPSHOT),
  accumulate: parse(abi.IMPORT_ACCUMULATE),
  abort: parse(abi.IMPORT_ABORT),
};

/** Reads "module.name(parameter: type, …): type". */
function parse(text: string): GuestImport {
  const [head, rest] = text.split("(") as [string, string];
  const [parameters, results] = rest.split(")") as [string, string];
  return { module: head.split(".")[0] as string, parameters: typesIn(parameters), results: typesIn(results) };
}

function typesIn(text: string): number[] {
  return [...text.matchAll(/: (i32|i64)/g)].map(([, type]) => TYPES[type as string] as number);
}
