/** Exporting blocks from a store; the streams are drawn in store/transfer.ts and store/portable.ts. */

import { createHash } from "node:crypto";
import { checkNames, flag, integer } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import type { Database } from "../store/database.ts";
import { storeFailure } from "../store/failures.ts";
import type { ExportRecord } from "../store/record.ts";
import type { Block } from "./block.ts";
import { type Access, blockOf, checkState, findAnchor, findBlock, genesisId } from "./stored.ts";

/** Options of `exportBlock`. */
export interface ExportOptions {
  /** Which block, by height of the chain or by value. Default: the head. */
  readonly block?: number | Block;
  /** A block that the receiver has: only what differs is sent. Default: none. */
  readonly base?: number | Block;
  /** Begin with this chunk: what an import that was interrupted asks for. Default 0. */
  readonly from?: number;
  /** Maximum number of chunks. Default: all. */
  readonly count?: number;
  /**
   * About how many bytes a chunk has. All who ask for chunks of one export by their numbers, and an import
   * that continues, must give the same. Default 256 KiB.
   */
  readonly chunkBytes?: number;
  /**
   * Write the portable format, which another version of the runtime can import that hashes states in another
   * way: `openImport` with "rehash". Not with "base". Default false: each chunk can be checked against the
   * id of the block as it comes.
   */
  readonly portable?: boolean;
}

/**
 * What an export consists of: enough to ask several senders for its chunks, and to check each as it comes.
 */
export interface ExportManifest {
  /** Id of the genesis, in hex. */
  readonly genesis: string;
  readonly block: Block;
  /** Id of the block that the receiver must have, null: none. */
  readonly base: string | null;
  readonly chunkBytes: number;
  /** Each by its number: where it begins in the stream of all, its length, and the SHA-256 of it in hex. */
  readonly chunks: readonly { readonly at: number; readonly bytes: number; readonly hash: string }[];
  readonly bytes: number;
  /** SHA-256 of the hashes of all chunks, in hex. */
  readonly hash: string;
}

/**
 * What `exportBlock` with the same options gives, without the chunks. Makes all of them once.
 *
 * @throws as `exportBlock`
 * @example
 * ```ts
 * const { chunks, bytes } = await exportManifest("state");
 * let sent = 0;
 * for await (const chunk of exportBlock("state", { from: 1, count: 1 })) sent += chunk.length;
 * console.log(sent === chunks[1].bytes, bytes === chunks[1].at + sent); // true true
 * ```
 */
export async function exportManifest(
  path: string,
  options: Omit<ExportOptions, "from" | "count"> = {},
): Promise<ExportManifest> {
  checkNames(options, ["block", "base", "chunkBytes", "portable"]);
  const { CHUNK_BYTES } = await import("../store/access.ts");
  const parts: ExportManifest["chunks"][number][] = [];
  let bytes = 0;
  let record: ExportRecord | null = null;
  const all = createHash("sha256");
  const chunks = chunksOf(path, options, (found) => {
    record = found;
  });
  for await (const chunk of chunks) {
    const digest = createHash("sha256").update(chunk).digest();
    all.update(digest);
    parts.push({ at: bytes, bytes: chunk.length, hash: digest.toString("hex") });
    bytes += chunk.length;
  }
  const { genesis, block, base } = record as unknown as ExportRecord;
  return {
    genesis: genesisId(genesis).toString("hex"),
    block: blockOf(block),
    base: base?.id.toString("hex") ?? null,
    chunkBytes: options.chunkBytes ?? CHUNK_BYTES,
    chunks: parts,
    bytes,
    hash: all.digest("hex"),
  };
}

/**
 * The chunks of a block of the store in the directory `path`, of about 256 KiB each. The block must stay
 * retained meanwhile: pin it if somebody writes to the store.
 *
 * @throws StoreError (STORE_MISSING, STORE_EMPTY, STORE_VERSION, STORE_CORRUPT), UsageError (NOT_RETAINED,
 *   BAD_OPTION)
 * @example
 * ```ts
 * const importer = await openImport("copy", runtime.head.id);
 * for await (const chunk of exportBlock("state", { from: importer.next })) importer.take(chunk);
 * console.log((await importer.finish()).height); // 0
 * ```
 */
export function exportBlock(path: string, options: ExportOptions = {}): AsyncGenerator<Uint8Array> {
  return chunksOf(path, options, () => {});
}

/** As `exportBlock`, of a block that need not be retained: others are made from its state. @internal */
export function exportAnchor(path: string, { id }: Block): AsyncGenerator<Uint8Array> {
  return chunksOf(
    path,
    {},
    () => {},
    (access, database) => findAnchor(access, database, path, id),
  );
}

/** The chunks; `found` is called with the block that they are of. */
async function* chunksOf(
  path: string,
  options: ExportOptions,
  found: (record: ExportRecord) => void,
  find = (access: Access, database: Database) => findBlock(access, database, path, options.block),
): AsyncGenerator<Uint8Array> {
  checkNames(options, ["block", "base", "from", "count", "chunkBytes", "portable"]);
  const isPortable = flag(options, "portable");
  if (isPortable && options.base !== undefined) {
    throw new UsageError("BAD_OPTION", 'a portable export is whole: leave "base" out', { option: "base" });
  }
  const from = integer(options, "from", 0, 0, 0xffffffff);
  const count = integer(options, "count", 0xffffffff, 0, 0xffffffff);
  const access = await import("../store/access.ts");
  const { CHUNK_BYTES, exportChunks, genesisBytesOf, openToRead, portableChunks } = access;
  const chunkBytes = integer(options, "chunkBytes", CHUNK_BYTES, 1, 1 << 28);
  const database = await openToRead(path);
  try {
    const block = find(access, database);
    const base = options.base === undefined ? null : findBlock(access, database, path, options.base);
    for (const one of [block, base]) if (one !== null) checkState(access, database, one);
    try {
      let left = count;
      const record = { genesis: genesisBytesOf(database), block, base };
      found(record);
      const chunks = isPortable ? portableChunks : exportChunks;
      for (const chunk of left === 0 ? [] : chunks(database, record, from, chunkBytes)) {
        yield new Uint8Array(chunk);
        if (--left === 0) break;
        // To read all of a large state takes long: others get their turn.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      database.refresh();
      if ([block, base].every((one) => one === null || database.block(one.id) !== undefined)) throw error;
      const text = `the block was pruned while it was exported from ${path}: pin it meanwhile`;
      throw new UsageError("NOT_RETAINED", text, { path });
    }
  } catch (error) {
    throw storeFailure(error, path);
  } finally {
    await database.close();
  }
}
