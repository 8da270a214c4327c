/**
 * Keeps admitted programs, in memory and in a directory if one is given.
 *
 * The key is the SHA-256 of the original bytes, the rewriter's version, the cost table and what the engine
 * needs checked; for the batch variant also where state ends. A file carries a hash of its own content: one
 * that is damaged, or of another version, is made again and replaced. The directory must be writable by this
 * runtime alone: the hash finds damage, not malice. Files appear by rename, so that several processes may
 * share a directory.
 *
 *   file  "stillpoint program 3\n" · SHA-256 of the rest (32 bytes) ·
 *         V8 serialisation of [REWRITER_VERSION, original bytes, what was made of them: a Program, or the
 *         code of a batch variant, or null]
 */

import { createHash, randomUUID } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { makeDirectories } from "../directories.ts";
import { hexOf } from "../text.ts";
import { HASH_BYTES } from "../units.ts";
import {
  admit,
  BATCH_VERSION,
  instrumentForBatch,
  type Program,
  programHash,
  REWRITER_VERSION,
} from "./admit.ts";
import { knowTraps } from "./faults.ts";
import { FIRST_COSTS } from "./instrument/gas.ts";

const MAGIC = Buffer.from("stillpoint program 3\n");

export class ProgramCache {
  readonly #directory: string | null;
  readonly #kept = new Map<string, Promise<unknown>>();

  /** With a directory, programs are kept there beyond the life of the process. */
  constructor(directory?: string) {
    this.#directory = directory ?? null;
  }

  /** As admit(), once for each module. Rejects with AdmissionError, which is not kept. */
  admit(bytes: Uint8Array, costs = FIRST_COSTS): Promise<Program> {
    const own = new Uint8Array(bytes);
    const key = `${hexOf(programHash(own))}${suffix(costs)}`;
    return this.#once(key, own, () => admit(own, { costs }));
  }

  /** The code of the batch variant of an admitted program: as instrumentForBatch(), once for each. */
  batchCode({ hash, bytes, stateBytes }: Program, costs = FIRST_COSTS): Promise<Uint8Array | null> {
    const name = hexOf(hash);
    const key = `${name}-batch-${BATCH_VERSION}-${stateBytes}${suffix(costs)}`;
    return this.#once(key, bytes, () => instrumentForBatch(bytes, stateBytes, { costs }));
  }

  #once<T>(key: string, bytes: Uint8Array, make: () => T): Promise<T> {
    const known = this.#kept.get(key) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const made = this.#load(key, bytes, make);
    this.#kept.set(key, made);
    made.catch(() => this.#kept.delete(key));
    return made;
  }

  async #load<T>(key: string, bytes: Uint8Array, make: () => T): Promise<T> {
    if (this.#directory === null) return make();
    const version = createHash("sha256").update(REWRITER_VERSION).digest("hex").slice(0, 16);
    const path = join(this.#directory, `${key}-${version}`);
    const stored = await read<T>(path, bytes);
    if (stored !== null) return stored.made;
    const made = make();
    await this.#store(path, bytes, made);
    return made;
  }

  /** A cache that cannot be written is a slow cache, no error. */
  async #store(path: string, bytes: Uint8Array, made: unknown): Promise<void> {
    const content = serialize([REWRITER_VERSION, bytes, made]);
    const temporary = `${path}.${randomUUID()}`;
    try {
      makeDirectories(this.#directory as string);
      await writeFile(temporary, Buffer.concat([MAGIC, sha256(content), content]));
      await rename(temporary, path);
    } catch {
      await rm(temporary, { force: true }).catch(() => {});
    }
  }
}

/** Of the table of costs, and of code for an engine that needs more checks. */
function suffix(costs: string): string {
  const { index, overflow } = knowTraps().checks;
  return [costs === FIRST_COSTS ? "" : `-${costs}`, index ? "-index" : "", overflow ? "-overflow" : ""].join(
    "",
  );
}

function sha256(content: Uint8Array): Buffer {
  return createHash("sha256").update(content).digest();
}

/** What is in the file, or null if it is not there, damaged, or of another version. */
async function read<T>(path: string, bytes: Uint8Array): Promise<{ made: T } | null> {
  try {
    const file = await readFile(path);
    const head = MAGIC.length + HASH_BYTES;
    if (file.length < head || !file.subarray(0, MAGIC.length).equals(MAGIC)) return null;
    const content = file.subarray(head);
    if (!sha256(content).equals(file.subarray(MAGIC.length, head))) return null;
    const [version, original, made] = deserialize(content) as [string, Uint8Array, T];
    if (version !== REWRITER_VERSION || !Buffer.from(bytes).equals(original)) return null;
    return { made };
  } catch {
    return null;
  }
}
