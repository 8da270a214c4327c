/**
 * Snapshots for nodes that join by state sync: exports of blocks of the store, made beside production from a
 * pinned block, and kept in files beside the store, so that serving one costs a read.
 *
 *   STORE.snapshots/HEIGHT/hashes     SHA-256 of each chunk, one after the other: the snapshot's metadata
 *   STORE.snapshots/HEIGHT/0, 1, …    the chunks
 *
 * The hash of a snapshot is the SHA-256 of its metadata. A directory that ends in ".part" is not complete.
 */

import { hash } from "node:crypto";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Snapshot } from "../abci/index.ts";
import { makeDirectories } from "../directories.ts";
import type { Block, Runtime } from "../index.ts";
import { exportBlock } from "../store.ts";
import { HASH_BYTES } from "../units.ts";

export const SNAPSHOT_FORMAT = 1;
/** CometBFT takes chunks of at most 16 MB. */
const CHUNK_BYTES = 1 << 20;
/** Nodes in the middle of the one before the latest can finish. */
const KEPT = 2;
/** Older ones stay as long as somebody fetches chunks of them, but no more than these in all. */
const KEPT_IN_USE = 6;

type Listed = Omit<Snapshot, "$typeName" | "$unknown">;

export class Snapshots {
  readonly #store: string;
  readonly #directory: string;
  /** In ascending order of heights. */
  #known: Listed[] = [];
  /** Heights of those of which a chunk was fetched since the last one was made. */
  #used = new Set<bigint>();
  #making: Promise<void> | null = null;

  private constructor(store: string) {
    this.#store = store;
    this.#directory = `${store}.snapshots`;
  }

  /** Those beside the store in the directory `store`. */
  static async open(store: string): Promise<Snapshots> {
    const snapshots = new Snapshots(store);
    snapshots.#known = await snapshots.#read();
    return snapshots;
  }

  get list(): readonly Listed[] {
    return this.#known;
  }

  /** Starts to make one of a block, which must be retained, unless one is being made. */
  start(runtime: Runtime, block: Block, height: bigint, onError: (error: unknown) => void): void {
    if (this.#making !== null) return;
    this.#making = this.#make(runtime, block, height)
      .catch(onError)
      .finally(() => {
        this.#making = null;
      });
  }

  /** Resolves when none is being made. */
  async idle(): Promise<void> {
    await this.#making;
  }

  /** A chunk; empty if there is no such one. */
  async chunk(height: bigint, format: number, index: number): Promise<Uint8Array> {
    const isKnown = this.#known.some((each) => each.height === height && index < each.chunks);
    if (format !== SNAPSHOT_FORMAT || !isKnown) return new Uint8Array();
    this.#used.add(height);
    return readFile(join(this.#directory, String(height), String(index)));
  }

  async #make(runtime: Runtime, block: Block, height: bigint): Promise<void> {
    const directory = join(this.#directory, String(height));
    const part = `${directory}.part`;
    await runtime.pin(block);
    try {
      await runtime.checkpoint();
      await rm(part, { recursive: true, force: true });
      makeDirectories(part);
      const hashes: Uint8Array[] = [];
      for await (const chunk of exportBlock(this.#store, { block, chunkBytes: CHUNK_BYTES })) {
        await writeFile(join(part, String(hashes.length)), chunk);
        hashes.push(hash("sha256", chunk, "buffer"));
      }
      await writeFile(join(part, "hashes"), Buffer.concat(hashes));
      await rm(directory, { recursive: true, force: true });
      await rename(part, directory);
    } finally {
      await runtime.unpin(block);
    }
    await this.#keep(await this.#read());
  }

  /** Removes those that are old, and that nobody fetches. */
  async #keep(complete: readonly Listed[]): Promise<void> {
    const isKept = ({ height }: Listed, i: number, all: readonly Listed[]): boolean => {
      const newer = all.length - 1 - i;
      return newer < KEPT || (newer < KEPT_IN_USE && this.#used.has(height));
    };
    this.#known = complete.filter(isKept);
    const old = complete.filter((each) => !this.#known.includes(each));
    this.#used.clear();
    for (const { height } of old) await rm(join(this.#directory, String(height)), { recursive: true });
  }

  /** Those that are complete. */
  async #read(): Promise<Listed[]> {
    const names = await readdir(this.#directory).catch(() => []);
    const known: Listed[] = [];
    for (const name of names) {
      if (!/^\d+$/.test(name)) continue;
      const metadata = new Uint8Array(await readFile(join(this.#directory, name, "hashes")));
      const chunks = metadata.length / HASH_BYTES;
      const whole = hash("sha256", metadata, "buffer");
      known.push({ height: BigInt(name), format: SNAPSHOT_FORMAT, chunks, hash: whole, metadata });
    }
    return known.sort((a, b) => Number(a.height - b.height));
  }
}
