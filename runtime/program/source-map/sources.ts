/**
 * Where the sources of programs stand, as far as this process knows: names of functions and source maps, for
 * messages to people and nothing else. `compileGuest` tells it of what it compiles.
 */

import { SourceMap } from "node:module";
import { badArgument } from "../../arguments.ts";
import { type Program, programHash } from "../admit.ts";
import { savedGlobals } from "../decode/state.ts";
import { GLOBAL_NAMES, nameOf } from "./names.ts";

/** A place in a source file; line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What a compiler tells of a program. */
export interface Sources {
  /** A source map, version 3, whose columns are byte offsets in the module: what `asc --sourceMap` writes. */
  readonly map?: string;
  /** The module with a section "name", if the program itself has none. */
  readonly named?: Uint8Array;
  /** The directory that files in the map are relative to, for coverage. Default: the current one. */
  readonly directory?: string;
}

/** Where libraries have scratch: address and length of each stretch, in bytes. */
export type Scratch = readonly (readonly [address: number, length: number])[];

/** The field of a source map in which `compileGuest` keeps it; those that begin with "x_" are free to use. */
export const SCRATCH_FIELD = "x_stillpoint_scratch";
/** The same for the names of the author's functions that are used. */
export const FUNCTIONS_FIELD = "x_stillpoint_functions";

interface Known {
  readonly sources: Sources;
  readonly named: Uint8Array;
  /** Made when it is asked. */
  map: SourceMap | null;
  scratch: Scratch | null;
}

/** How far before an instruction the source of another one still tells where it is. */
const SEARCH_BYTES = 64;

const known = new Map<string, Known>();

/**
 * Tells this process where the sources of a program stand, for the stacks of `Runtime.trace`. Not needed for
 * what `compileGuest` has compiled; `stillpoint compile --sources` writes the files.
 *
 * @throws UsageError (BAD_ARGUMENT)
 * @example
 * ```ts
 * const program = await readFile("ledger.wasm");
 * const map = await readFile("ledger.wasm.map", "utf8");
 * addSources(program, { map, named: await readFile("ledger.wasm.named") });
 * ```
 */
export function addSources(program: Uint8Array, sources: Sources): void {
  if (typeof sources !== "object" || sources === null) {
    throw badArgument("sources", sources, 'an object with a "map", or with "named"');
  }
  const { map, named = program, directory } = sources;
  if (directory !== undefined && typeof directory !== "string")
    throw badArgument("sources.directory", directory, "a path");
  if (map !== undefined) parse(map);
  known.set(keyOf(programHash(program)), { sources, named, map: null, scratch: null });
}

/** What this process was told of a program. */
export function sourcesOf(program: Uint8Array): Sources {
  return known.get(keyOf(programHash(program)))?.sources ?? {};
}

/** Files that are nobody's own: the standard library, and packages. */
const LIBRARY = "~lib/";

export function isOfLibrary({ file }: Place): boolean {
  return file.startsWith(LIBRARY);
}

interface Found {
  readonly name: string;
  readonly source: Place | null;
  readonly callSite?: Place;
}

/**
 * The name of a function of a program, whose body begins at `start`, and where the source of the instruction
 * at `offset` stands; and, of library code in a function of the author's, of the last one before it that is
 * the author's.
 */
export function sourceOf(
  { hash, bytes }: Program,
  functionIndex: number,
  start: number,
  offset: number,
): Found {
  const found = known.get(keyOf(hash));
  const name = nameOf(found?.named ?? bytes, functionIndex) ?? `function ${functionIndex}`;
  if (found?.sources.map === undefined) return { name, source: null };
  found.map ??= parse(found.sources.map);
  const source = placeOf(found.map, offset);
  if (source === null || !isOfLibrary(source) || name.startsWith(LIBRARY)) return { name, source };
  const callSite = authorsPlace(found.map, start, offset);
  return callSite === null ? { name, source } : { name, source, callSite };
}

/** Where the instruction at `offset` stands, as far as the map says, and from which offset on it says so. */
export function mappedAt({ hash }: Program, offset: number): (Place & { readonly from: number }) | null {
  const found = known.get(keyOf(hash));
  if (found?.sources.map === undefined) return null;
  found.map ??= parse(found.sources.map);
  const entry = found.map.findEntry(0, offset);
  if (!("originalSource" in entry) || entry.originalSource === undefined) return null;
  const { originalSource: file, originalLine, originalColumn, generatedColumn: from } = entry;
  return { file, line: originalLine + 1, column: originalColumn + 1, from };
}

/**
 * What the compiler calls the global that is saved in a word of 8 bytes of AUX_GLOBALS, or "global" and its
 * number. One of the library begins with "~".
 */
export function globalOf({ hash, bytes }: Program, word: number): string {
  const index = savedGlobals(bytes)[word] ?? -1;
  return nameOf(known.get(keyOf(hash))?.named ?? bytes, index, GLOBAL_NAMES) ?? `global ${index}`;
}

/** Where the libraries in a program have scratch, as far as its compiler has told. */
export function scratchOf({ hash }: Program): Scratch {
  const found = known.get(keyOf(hash));
  if (found?.sources.map === undefined) return [];
  found.scratch ??= JSON.parse(found.sources.map)[SCRATCH_FIELD] ?? [];
  return found.scratch as Scratch;
}

/** The last place from `start` to `offset` that is not of a library. */
function authorsPlace(map: SourceMap, start: number, offset: number): Place | null {
  for (let at = offset; at >= start; ) {
    const entry = map.findEntry(0, at);
    if (!("originalSource" in entry) || entry.generatedColumn < start) return null;
    const { originalSource: file, originalLine, originalColumn, generatedColumn } = entry;
    const place = { file, line: originalLine + 1, column: originalColumn + 1 };
    if (file !== undefined && !isOfLibrary(place)) return place;
    at = generatedColumn - 1;
  }
  return null;
}

/** Not every instruction has a place: optimisers make some of their own. Then that of one shortly before. */
function placeOf(map: SourceMap, offset: number): Place | null {
  for (let at = offset; at >= 0 && at > offset - SEARCH_BYTES; at--) {
    const entry = map.findEntry(0, at);
    if (!("originalSource" in entry) || entry.originalSource === undefined) continue;
    const { originalSource: file, originalLine, originalColumn } = entry;
    return { file, line: originalLine + 1, column: originalColumn + 1 };
  }
  return null;
}

const keyOf = (hash: Uint8Array): string => Buffer.from(hash).toString("hex");

function parse(map: string): SourceMap {
  try {
    return new SourceMap(JSON.parse(map));
  } catch (error) {
    throw Object.assign(badArgument("map", map, "a source map"), { cause: error });
  }
}
