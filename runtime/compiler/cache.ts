/**
 * What was made of sources, on disk: safe to share between processes, and to delete at any time.
 *
 *   <request>.json   the files that were read the last time, found or not
 *   <content>.guest  32 bytes SHA-256 of its name and the rest · what was made; the name is a hash over what
 *                    was asked for, the version of asc and the contents of all those files
 *
 * Both are written beside and renamed into place; what does not check is made again.
 */

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeDirectories } from "../directories.ts";
import { HASH_BYTES } from "../units.ts";
import { type Read, sha256 } from "./sources.ts";

const CACHE_VERSION = 6;

/** What names an entry. */
export interface Key {
  /** All that what is made depends on, besides the contents of files. */
  readonly what: readonly string[];
  /** Everything else that distinguishes one request from another. */
  readonly where: readonly string[];
  /** The content of a file, null: there is none. */
  readonly read: (path: string) => Promise<string | null>;
}

/** What was made, and of which files. */
export interface Made {
  readonly content: Uint8Array;
  readonly reads: readonly Read[];
}

/** What the cache has in `directory`, false: nothing is kept; else what `make` makes. */
export async function cached(
  directory: string | false,
  key: Key,
  make: () => Promise<Made>,
): Promise<Uint8Array> {
  if (directory === false) return (await make()).content;
  const list = join(directory, `${digest("request", [...key.what, ...key.where], [])}.json`);
  return (
    (await load(directory, list, key)) ??
    (await oneAtATime(async () => {
      const other = await load(directory, list, key);
      if (other !== undefined) return other;
      const made = await make();
      await save(directory, list, key, made);
      return made.content;
    }))
  );
}

let queue: Promise<unknown> = Promise.resolve();

/** Of two requests for the same the second finds what the first has kept. */
function oneAtATime<T>(task: () => Promise<T>): Promise<T> {
  const result = queue.then(task);
  queue = result.catch(() => undefined);
  return result;
}

async function load(directory: string, list: string, { what, read }: Key): Promise<Uint8Array | undefined> {
  try {
    const paths: unknown = JSON.parse(await readFile(list, "utf8"));
    if (!Array.isArray(paths) || !paths.every((path) => typeof path === "string")) return undefined;
    const reads = await Promise.all(
      paths.map(async (path: string) => {
        const content = await read(path);
        return { path, hash: content === null ? null : sha256(content) };
      }),
    );
    const name = digest("content", what, reads);
    const entry = await readFile(join(directory, `${name}.guest`));
    const content = entry.subarray(HASH_BYTES);
    return hashOf(name, content) === entry.toString("hex", 0, HASH_BYTES) ? content : undefined;
  } catch {
    return undefined; // missing or unreadable: as if it had never been made
  }
}

async function save(directory: string, list: string, { what }: Key, { content, reads }: Made): Promise<void> {
  try {
    makeDirectories(directory);
    const name = digest("content", what, reads);
    const entry = Buffer.concat([Buffer.from(hashOf(name, content), "hex"), content]);
    await replace(join(directory, `${name}.guest`), entry);
    await replace(list, JSON.stringify(reads.map((read) => read.path)));
  } catch {
    // A cache that cannot be written (read-only installation, full disk) costs time, not correctness.
  }
}

let compilerVersion: string | undefined;

function ascVersion(): string {
  if (compilerVersion === undefined) {
    const manifest = fileURLToPath(import.meta.resolve("assemblyscript/package.json"));
    compilerVersion = String(JSON.parse(readFileSync(manifest, "utf8")).version);
  }
  return compilerVersion;
}

function digest(kind: string, strings: readonly string[], reads: readonly Read[]): string {
  return sha256(
    JSON.stringify([CACHE_VERSION, kind, ascVersion(), strings, reads.map((read) => [read.path, read.hash])]),
  );
}

/** Over the name too, so that an entry under another's name is noticed. */
function hashOf(name: string, content: Uint8Array): string {
  return sha256(Buffer.concat([Buffer.from(name), content]));
}

async function replace(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.${randomUUID()}`;
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
