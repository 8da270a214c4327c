/**
 * One run of asc, on the thread that calls it. It can end that thread, for asc exits after a crash of its
 * own, and it can run for ever: so it is called on a thread of its own (thread.ts).
 */

import { relative, resolve } from "node:path";
import type { Transform } from "assemblyscript/asc";
import { UsageError } from "../errors.ts";
import { FUNCTIONS_FIELD, SCRATCH_FIELD } from "../program/source-map/sources.ts";
import { Notes } from "./notes.ts";
import { type Read, type Request, readsOf, readText, sha256, toPosix } from "./sources.ts";

const LENGTHS_BYTES = 8;

/** What asc wrote. */
export interface Compiled {
  readonly code: Uint8Array;
  /** "" if none was asked for. */
  readonly map: string;
  /** What it warns of; "" if nothing. */
  readonly warnings: string;
}

/**
 * Compiles.
 *
 * @throws UsageError E_GUEST_COMPILE with the diagnostics
 */
export async function runAsc(request: Request): Promise<Compiled & { readonly reads: Read[] }> {
  const { source, base, name: entry, flags } = request;
  const asc = await import("assemblyscript/asc");
  const { default: binaryen } = await import("assemblyscript/binaryen");
  const notes = new Notes(binaryen);
  const seen = new Map<string, string | null>();
  let code: Uint8Array | undefined;
  let map = "";
  let diagnostics = "";
  const result = await asc.main([source, "--outFile", "guest.wasm", "--noColors", ...flags], {
    stdout: { write: () => true },
    stderr: {
      write: (chunk: string | Uint8Array) => {
        diagnostics += typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
        return true;
      },
    },
    readFile: async (path: string, directory: string) => {
      const name = toPosix(relative(base, resolve(directory === "." ? base : directory, path)));
      if (!name.endsWith(".ts")) return null;
      const content = await readText(request, name);
      seen.set(name, content === null ? null : sha256(content));
      return content;
    },
    writeFile: (path: string, contents: string | Uint8Array) => {
      if (typeof contents !== "string") code = contents;
      else if (path.endsWith(".map")) map = contents;
    },
    listFiles: () => [],
    // Of a transform that is given here asc uses its steps alone.
    transforms: [notes as unknown as Transform],
  });
  if (result.error || !code) {
    const text = diagnostics.trim() || (result.error?.stack ?? "no output");
    throw new UsageError("E_GUEST_COMPILE", `${entry} does not compile:\n${text}`, {
      entry,
      diagnostics: text,
    });
  }
  if (map !== "") map = withNotes(map, notes);
  return { code, map, warnings: diagnostics.trim(), reads: readsOf(seen) };
}

/** A source map without the texts of the sources, which are most of it, and with what was noted. */
function withNotes(map: string, { scratch, functions }: Notes): string {
  const { sourcesContent: _, ...rest } = JSON.parse(map);
  return JSON.stringify({ ...rest, [SCRATCH_FIELD]: scratch, [FUNCTIONS_FIELD]: functions });
}

/** As it is kept: u32 length of the module · u32 length of the map · module · source map · warnings. */
export function encodeCompiled({ code, map, warnings }: Compiled): Uint8Array {
  const texts = [Buffer.from(map), Buffer.from(warnings)] as const;
  const lengths = Buffer.alloc(LENGTHS_BYTES);
  lengths.writeUInt32LE(code.length);
  lengths.writeUInt32LE(texts[0].length, 4);
  return Buffer.concat([lengths, code, ...texts]);
}

/** As it was. */
export function decodeCompiled(bytes: Uint8Array): Compiled {
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const map = LENGTHS_BYTES + content.readUInt32LE(0);
  const end = map + content.readUInt32LE(4);
  return {
    code: new Uint8Array(content.subarray(LENGTHS_BYTES, map)),
    map: content.toString("utf8", map, end),
    warnings: content.toString("utf8", end),
  };
}
