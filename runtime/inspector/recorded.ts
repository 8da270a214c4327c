/** Recordings of a store or a runtime, whose list is read again after a while only: it may be long. */

import { readRecording } from "../debug.ts";
import { UsageError } from "../errors.ts";
import type { Runtime } from "../index.ts";
import type { BlockRecording, RecordingEntry } from "../record/shapes.ts";

type Recordings = Awaited<ReturnType<typeof readRecording>>;

const LISTED_MS = 1000;
/** Recordings that are kept as they were read. */
const KEPT = 4;

export class Recorded {
  readonly #source: string | Runtime;
  #recordings: Recordings | null = null;
  #entries: ReadonlyMap<string, RecordingEntry> = new Map();
  readonly #read = new Map<string, BlockRecording>();
  #listedAt = Number.NEGATIVE_INFINITY;

  /** Of the store in a directory, or of a runtime, which may have none. */
  constructor(source: string | Runtime) {
    this.#source = source;
  }

  /** The recording of a block; null: there is none. */
  async of({ id }: { readonly id: string }): Promise<BlockRecording | null> {
    await this.#list();
    const entry = this.#entries.get(id);
    if (entry === undefined) return null;
    const recording = this.#read.get(id) ?? this.#recordings?.read(entry) ?? null;
    if (recording === null) return null;
    this.#read.set(id, recording);
    if (this.#read.size > KEPT) this.#read.delete(this.#read.keys().next().value as string);
    return recording;
  }

  async #list(): Promise<void> {
    const now = performance.now();
    if (now - this.#listedAt < LISTED_MS) return;
    this.#listedAt = now;
    try {
      this.#recordings = await readRecording(this.#source);
    } catch (error) {
      if (error instanceof UsageError && error.code === "NO_RECORDING") return;
      throw error;
    }
    const made = this.#recordings.entries().filter(({ id }) => id !== null);
    this.#entries = new Map(made.map((entry) => [entry.id as string, entry]));
  }
}
