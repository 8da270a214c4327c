/**
 * States for nodes that join. An export is made when somebody asks for one and there is none that is young
 * enough, and is in files from then on: serving it costs the node a read for each request.
 *
 * Its block is pinned as long as that takes. Blocks made since are in the archive, with what it takes to run
 * them: so an export of yesterday is as good, and the one before the latest is served as well, to those who
 * are in the middle of it.
 */

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RequestError } from "../../runtime/http/checks.ts";
import { type ExportManifest, exportBlock, exportManifest } from "../../runtime/store.ts";
import type { Bank } from "./bank.ts";

/** After this many blocks a new one is made. */
const AGE_BLOCKS = 1_000;

export class Exports {
  readonly #bank: Bank;
  readonly #store: string;
  readonly #directory: string;
  /** The latest is the last; two at most. */
  readonly #manifests: ExportManifest[] = [];
  #making: Promise<ExportManifest> | null = null;

  private constructor(bank: Bank, store: string, directory: string) {
    this.#bank = bank;
    this.#store = store;
    this.#directory = directory;
  }

  /** Exports of the bank in `store`, to be kept in a directory, which is emptied. */
  static async open(bank: Bank, store: string, directory: string): Promise<Exports> {
    await rm(directory, { recursive: true, force: true });
    // A node that was killed while it made one has left its pin.
    const base = bank.runtime.blocks()[0]?.height ?? 0;
    for (const block of bank.runtime.retained()) if (block.height < base) await bank.runtime.unpin(block);
    return new Exports(bank, store, directory);
  }

  /** What there is to be had: a state, and how its chunks look. */
  async latest(): Promise<ExportManifest> {
    const latest = this.#manifests.at(-1);
    if (latest !== undefined && this.#bank.head.height < latest.block.height + AGE_BLOCKS) return latest;
    this.#making ??= this.#make().finally(() => {
      this.#making = null;
    });
    return this.#making;
  }

  /**
   * A chunk of an export.
   *
   * @throws RequestError (NO_CHUNK)
   */
  async chunk(id: string, number: string): Promise<Uint8Array> {
    const known = this.#manifests.find(({ block }) => block.id === id);
    const index = /^\d{1,9}$/.test(number) ? Number(number) : -1;
    if (known?.chunks[index] !== undefined) return readFile(this.#file(id, index));
    throw new RequestError(404, "NO_CHUNK", "there is no such chunk, or not any more: ask for the manifest");
  }

  async #make(): Promise<ExportManifest> {
    const { runtime } = this.#bank;
    const block = runtime.head;
    await runtime.pin(block);
    try {
      // Its state is in the store then.
      await runtime.checkpoint();
      const manifest = await exportManifest(this.#store, { block });
      await mkdir(join(this.#directory, block.id), { recursive: true });
      let number = 0;
      for await (const chunk of exportBlock(this.#store, { block })) {
        await writeFile(this.#file(block.id, number++), chunk);
      }
      this.#manifests.push(manifest);
      const old = this.#manifests.length > 2 ? this.#manifests.shift() : undefined;
      if (old !== undefined) await rm(join(this.#directory, old.block.id), { recursive: true });
      return manifest;
    } finally {
      await runtime.unpin(block);
    }
  }

  #file(id: string, number: number): string {
    return join(this.#directory, id, String(number));
  }
}
