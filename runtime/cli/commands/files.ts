/**
 * Files that commands read and write. A file with a block is a sequence of chunks, each after its length, a
 * little-endian u32.
 */

import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getSystemErrorMessage } from "node:util";
import { UsageError } from "../../errors.ts";

const LENGTH_BYTES = 4;
/** More than any chunk has: 256 KiB, and one object of at most 128 MiB. */
const LENGTH_LIMIT = 1 << 28;

/** @throws UsageError BAD_FILE */
export function readInput(file: string): Uint8Array<ArrayBuffer> {
  return withFile(file, "read", () => readFileSync(file));
}

/**
 * Writes chunks, and creates the file with the first one. Returns the number of bytes.
 *
 * @throws UsageError BAD_FILE
 */
export async function writeChunks(
  file: string,
  chunks: AsyncIterable<Uint8Array>,
  tell: (bytes: number) => void = () => {},
): Promise<number> {
  let descriptor: number | null = null;
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(chunk.length, 0);
      bytes += LENGTH_BYTES + chunk.length;
      descriptor = withFile(file, "written", () => {
        const to: number = descriptor ?? openSync(file, "w");
        writeFileSync(to, length);
        writeFileSync(to, chunk);
        return to;
      });
      tell(bytes);
    }
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
  return bytes;
}

/** Bytes of a store's file; 0: there is none yet. */
export function fileBytes(directory: string): number {
  return statSync(join(directory, "data.mdb"), { throwIfNoEntry: false })?.size ?? 0;
}

/** The chunks of such a file. One that is cut off is yielded as it is: the import refuses it. */
export function* readChunks(file: string): Generator<Uint8Array, undefined> {
  const descriptor = withFile(file, "read", () => openSync(file, "r"));
  try {
    for (;;) {
      const length = bytesOf(file, descriptor, LENGTH_BYTES);
      if (length.length === 0) return;
      if (length.length < LENGTH_BYTES) yield length;
      else yield bytesOf(file, descriptor, Math.min(length.readUInt32LE(0), LENGTH_LIMIT));
    }
  } finally {
    closeSync(descriptor);
  }
}

/** The next `count` bytes, or as many as there are. */
function bytesOf(file: string, descriptor: number, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  let length = 0;
  for (let more = -1; more !== 0 && length < count; length += more) {
    more = withFile(file, "read", () => readSync(descriptor, bytes, length, count - length, null));
  }
  return bytes.subarray(0, length);
}

/** @throws UsageError BAD_FILE */
export function withFile<T>(file: string, what: "read" | "written", work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const { errno } = cause as NodeJS.ErrnoException; // its message would name the file again
    const why = errno === undefined ? (cause as Error).message : getSystemErrorMessage(errno);
    const message = `${file}: cannot be ${what}: ${why}`;
    throw new UsageError("BAD_FILE", message, { file }, { cause });
  }
}
