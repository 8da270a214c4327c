/**
 * Sources of a guest by their paths relative to the base directory, with forward slashes: files below it, the
 * SDK of this very package wherever it is asked for, and texts that stand for files.
 */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../errors.ts";
import { plainImports } from "../typed/imports.ts";

/** The directory of this package. */
export const PACKAGE_ROOT = findPackage(dirname(fileURLToPath(import.meta.url)), "stillpoint");
const SDK_PATH = /(?:^|\/)node_modules\/stillpoint\/(guest(?:\/.*)?|syscalls\/.*)$/;

/** What asc calls a file of this package. */
const LIBRARY = "~lib/stillpoint/";

/** What the compiler is asked for. */
export interface Request {
  /** The entry, relative to `base`. */
  readonly source: string;
  readonly base: string;
  /** What errors call it: the author's own entry. */
  readonly name: string;
  readonly flags: readonly string[];
  /** Texts that stand for those of files. */
  readonly texts: ReadonlyMap<string, string>;
}

/** A file that was asked for, and the hash of its content, null if there is none. */
export interface Read {
  readonly path: string;
  readonly hash: string | null;
}

/** Files that were asked for, with the hashes of their contents, in order. */
export function readsOf(seen: ReadonlyMap<string, string | null>): Read[] {
  const reads = [...seen].map(([path, hash]) => ({ path, hash }));
  return reads.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** In hex. */
export function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** The text of a source as the compiler reads it; null if there is none. */
export async function readText({ base, texts }: Request, name: string): Promise<string | null> {
  const own = SDK_PATH.exec(name)?.[1];
  const text = texts.get(own === undefined ? name : LIBRARY + own);
  return text ?? plain(base, name, await readSource(base, name));
}

/** What editors make of imports is taken back: asc does not know `import type`. */
function plain(base: string, name: string, text: string | null): string | null {
  return text === null || isSdk(base, name) ? text : plainImports(text);
}

/** Whether the path names a file of the SDK. */
export function isSdk(base: string, name: string): boolean {
  if (SDK_PATH.test(name)) return true;
  const path = PACKAGE_ROOT === undefined ? "" : toPosix(relative(PACKAGE_ROOT, resolve(base, name)));
  return path.startsWith("guest/") || path.startsWith("syscalls/");
}

/** The text of a source file below `base`, or of the SDK wherever it is asked for; null if there is none. */
export async function readSource(base: string, name: string): Promise<string | null> {
  const own = name.startsWith(LIBRARY) ? name.slice(LIBRARY.length) : SDK_PATH.exec(name)?.[1];
  try {
    return await readFile(
      own !== undefined && PACKAGE_ROOT ? join(PACKAGE_ROOT, own) : resolve(base, name),
      "utf8",
    );
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR") return null;
    throw new UsageError(
      "E_GUEST_MISSING",
      `cannot read the guest source ${name}: ${code}`,
      { name },
      { cause: error },
    );
  }
}

/** The nearest directory from `start` upwards with a package.json (of the given name). */
export function findPackage(start: string, name?: string): string | undefined {
  for (let directory = start; ; directory = dirname(directory)) {
    const manifest = join(directory, "package.json");
    if (
      existsSync(manifest) &&
      (name === undefined || JSON.parse(readFileSync(manifest, "utf8")).name === name)
    )
      return directory;
    if (directory === dirname(directory)) return undefined;
  }
}

export function toPosix(path: string): string {
  return path.split(sep).join("/");
}
