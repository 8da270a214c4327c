/**
 * Keeps admitted programs, in memory and in a directory if one is given.
 *
 * The key is the SHA-256 of the original bytes and the rewriter's version. A file carries a hash of its own
 * content: one that is damaged, or of another version, is admitted anew and replaced. The directory must be
 * writable by this runtime alone: the hash finds damage, not malice. Files appear by rename, so that several
 * processes may share a directory.
 *
 *   file  "stillpoint program 1\n" · SHA-256 of the rest (32 bytes) ·
 *         V8 serialisation of [REWRITER_VERSION, Program]
 */

import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { admit, type Program, programHash, REWRITER_VERSION } from "./admit.ts";

const MAGIC = Buffer.from("stillpoint program 1\n");
const HASH_BYTES = 32;

export class ProgramCache {
  readonly #directory: string | null;
  readonly #programs = new Map<string, Promise<Program>>();

  /** With a directory, programs are kept there beyond the life of the process. */
  constructor(directory?: string) {
    this.#directory = directory ?? null;
  }

  /** As admit(), once for each module. Rejects with AdmissionError, which is not kept. */
  admit(bytes: Uint8Array): Promise<Program> {
    const own = new Uint8Array(bytes);
    const key = Buffer.from(programHash(own)).toString("hex");
    const known = this.#programs.get(key);
    if (known !== undefined) return known;
    const program = this.#load(key, own);
    this.#programs.set(key, program);
    program.catch(() => this.#programs.delete(key));
    return program;
  }

  async #load(key: string, bytes: Uint8Array): Promise<Program> {
    if (this.#directory === null) return admit(bytes);
    const version = createHash("sha256").update(REWRITER_VERSION).digest("hex").slice(0, 16);
    const path = join(this.#directory, `${key}-${version}`);
    const stored = await read(path, bytes);
    if (stored !== null) return stored;
    const program = await admit(bytes);
    await this.#store(path, program);
    return program;
  }

  /** A cache that cannot be written is a slow cache, no error. */
  async #store(path: string, program: Program): Promise<void> {
    const content = serialize([REWRITER_VERSION, program]);
    const temporary = `${path}.${randomUUID()}`;
    try {
      await mkdir(this.#directory as string, { recursive: true });
      await writeFile(temporary, Buffer.concat([MAGIC, sha256(content), content]));
      await rename(temporary, path);
    } catch {
      await rm(temporary, { force: true }).catch(() => {});
    }
  }
}

function sha256(content: Uint8Array): Buffer {
  return createHash("sha256").update(content).digest();
}

/** The program in the file, or null if it is not there, damaged, or of another version. */
async function read(path: string, bytes: Uint8Array): Promise<Program | null> {
  try {
    const file = await readFile(path);
    const head = MAGIC.length + HASH_BYTES;
    if (file.length < head || !file.subarray(0, MAGIC.length).equals(MAGIC)) return null;
    const content = file.subarray(head);
    if (!sha256(content).equals(file.subarray(MAGIC.length, head))) return null;
    const [version, program] = deserialize(content) as [string, Program];
    if (version !== REWRITER_VERSION || !Buffer.from(bytes).equals(program.bytes)) return null;
    return program;
  } catch {
    return null;
  }
}
