/**
 * A snapshot on its way into an empty node. CometBFT's light client has verified the app hash, which is the
 * block's id: the import takes no other block, and says so at its first chunk. Each chunk is compared with
 * the hash that the snapshot's metadata has of it, so a corrupted one is fetched again.
 */

import { hash } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import {
  ResponseApplySnapshotChunk_Result as Applied,
  ResponseOfferSnapshot_Result as Offered,
  type RequestApplySnapshotChunk,
  type RequestOfferSnapshot,
} from "../abci/index.ts";
import { StoreError } from "../errors.ts";
import { type Importer, openImport } from "../store.ts";
import { hexOf } from "../text.ts";
import { HASH_BYTES } from "../units.ts";
import { SNAPSHOT_FORMAT } from "./snapshots.ts";

/** A peer that sends more corrupted chunks is not asked again. */
const CORRUPTED_MAX = 2;

/** What becomes of a chunk. `isComplete`: it was the last, and the block is in the store. */
export interface Taken {
  readonly result: Applied;
  readonly refetchChunks?: number[];
  readonly rejectSenders?: string[];
  readonly isComplete?: boolean;
}

export class Restore {
  readonly height: bigint;
  readonly #hashes: Uint8Array;
  readonly #importer: Importer;
  readonly #place: string;
  readonly #corrupted = new Map<string, number>();

  private constructor(height: bigint, hashes: Uint8Array, importer: Importer, place: string) {
    this.height = height;
    this.#hashes = hashes;
    this.#importer = importer;
    this.#place = place;
  }

  /** Begins an import beside the store in the directory `store`; or why it is not begun. */
  static async begin(
    { snapshot, appHash }: RequestOfferSnapshot,
    store: string,
  ): Promise<Restore | Exclude<Offered, Offered.ACCEPT>> {
    if (snapshot?.format !== SNAPSHOT_FORMAT) return Offered.REJECT_FORMAT;
    const { height, chunks, metadata } = snapshot;
    const isWhole = chunks > 0 && metadata.length === chunks * HASH_BYTES;
    const isNamed = Buffer.compare(hash("sha256", metadata, "buffer"), snapshot.hash) === 0;
    if (!isWhole || !isNamed || appHash.length !== HASH_BYTES) return Offered.REJECT;
    const place = `${store}.sync`;
    await rm(place, { recursive: true, force: true });
    const importer = await openImport(place, hexOf(appHash));
    return new Restore(height, metadata, importer, place);
  }

  /** Takes a chunk. @throws StoreError of this host: its disk is full, say */
  async take({ index, chunk, sender }: RequestApplySnapshotChunk): Promise<Taken> {
    const { next } = this.#importer;
    if (index < next) return { result: Applied.ACCEPT };
    if (index > next) return { result: Applied.RETRY, refetchChunks: [next] };
    const wanted = this.#hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
    if (Buffer.compare(hash("sha256", chunk, "buffer"), wanted) !== 0) return this.#refetch(index, sender);
    try {
      this.#importer.take(chunk);
      if (this.#importer.next < this.#hashes.length / HASH_BYTES) return { result: Applied.ACCEPT };
      await this.#importer.finish();
      return { result: Applied.ACCEPT, isComplete: true };
    } catch (error) {
      // It is what the snapshot says, and the snapshot is not of the block.
      if (error instanceof StoreError && error.code === "CHUNK_REFUSED")
        return { result: Applied.REJECT_SNAPSHOT, rejectSenders: [sender] };
      throw error;
    }
  }

  #refetch(index: number, sender: string): Taken {
    const times = (this.#corrupted.get(sender) ?? 0) + 1;
    this.#corrupted.set(sender, times);
    const refetch = { result: Applied.RETRY, refetchChunks: [index] };
    return times > CORRUPTED_MAX ? { ...refetch, rejectSenders: [sender] } : refetch;
  }

  /** Puts the block where the store was, which must be closed. */
  async moveTo(store: string): Promise<void> {
    await rm(store, { recursive: true, force: true });
    await rename(this.#place, store);
  }

  async close(): Promise<void> {
    await this.#importer.close();
  }
}
