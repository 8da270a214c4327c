/**
 * Keeps recordings of blocks: in the files of a directory, or in memory where there is none. No block waits
 * for it: records are written one after the other beside the blocks, those that come while too many wait are
 * left out, and what cannot be written ends the recording, which is reported.
 */

import type { StillpointError } from "../errors.ts";
import { type RawRecording, recordingOf } from "./raw.ts";
import {
  decodeRecord,
  encodeRecord,
  listRecords,
  readRecord,
  SegmentWriter,
  type StoredEntry,
} from "./segments.ts";
import type { BlockRecording, RecordingEntry } from "./shapes.ts";

/** Bytes of recordings that wait to be written; later ones are left out. */
const WAITING_BYTES = 64 << 20;

/** Recordings that can be read. */
export interface Recordings {
  /** What there is, the oldest first. */
  entries(): RecordingEntry[];
  /**
   * The latest recording of a block, by its height or its id; null if there is none. Attempts that failed are
   * had by their entries.
   */
  read(block: number | string | RecordingEntry): BlockRecording | null;
}

/** The recordings in the files of a directory; none if it does not exist. */
export class StoredRecordings implements Recordings {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  entries(): StoredEntry[] {
    return listRecords(this.#directory);
  }

  read(block: number | string | RecordingEntry): BlockRecording | null {
    // One of its own entries says where it is: the list need not be made again.
    const isPlaced = typeof block === "object" && "place" in block;
    const entry = isPlaced ? (block as StoredEntry) : entryOf(this.entries(), block);
    const raw = entry === undefined ? null : readRecord(entry);
    return raw === null ? null : recordingOf(raw);
  }
}

/** Recordings in memory, as they would be in files. */
class KeptRecordings implements Recordings {
  readonly #limitBytes: number;
  readonly #kept: { readonly entry: RecordingEntry; readonly record: Uint8Array }[] = [];
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  async append(record: Uint8Array, { head }: RawRecording): Promise<boolean> {
    if (record.length > this.#limitBytes) return false;
    const { height, id, parent, time } = head;
    this.#kept.push({ entry: { height, id, parent, time, bytes: record.length }, record });
    this.#bytes += record.length;
    while (this.#bytes > this.#limitBytes) this.#bytes -= this.#kept.shift()?.record.length ?? 0;
    return true;
  }

  entries(): RecordingEntry[] {
    return this.#kept.map(({ entry }) => entry);
  }

  read(block: number | string | RecordingEntry): BlockRecording | null {
    const entry = entryOf(this.entries(), block);
    const found = this.#kept.find((kept) => kept.entry === entry);
    return found === undefined ? null : recordingOf(decodeRecord(found.record));
  }
}

/** The latest entry of a block, or that entry if it is still there. */
function entryOf<E extends RecordingEntry>(
  entries: readonly E[],
  block: number | string | RecordingEntry,
): E | undefined {
  if (typeof block === "number") return entries.findLast(({ height, id }) => height === block && id !== null);
  if (typeof block === "string") return entries.findLast(({ id }) => id === block);
  const { height, id, parent, time } = block;
  const isIt = (e: E): boolean =>
    e.height === height && e.id === id && e.parent === parent && e.time === time;
  return entries.findLast(isIt);
}

/** Why a recording ended. */
export type Stopped = Pick<StillpointError, "code"> & { readonly text: string };

export class Recorder {
  readonly #sink: { append(record: Uint8Array, raw: RawRecording): Promise<boolean> };
  readonly #recordings: Recordings;
  readonly onStop: (why: Stopped) => void;
  #writing: Promise<void> = Promise.resolve();
  #waitingBytes = 0;
  #isStopped = false;
  /** Ids of blocks that are recorded; null: they have not been asked for since a new one was. */
  #known: Set<string | null> | null = null;
  /** Recordings that were left out. */
  lost = 0;

  /** Without a directory it keeps them in memory. `onStop` is called when it cannot continue. */
  constructor(directory: string | null, limitBytes: number, onStop: (why: Stopped) => void) {
    this.onStop = onStop;
    if (directory === null) {
      const kept = new KeptRecordings(limitBytes);
      this.#sink = kept;
      this.#recordings = kept;
    } else {
      this.#sink = new SegmentWriter(directory, limitBytes);
      this.#recordings = new StoredRecordings(directory);
    }
  }

  get recordings(): Recordings {
    return this.#recordings;
  }

  /** Whether it continues. */
  get isOpen(): boolean {
    return !this.#isStopped;
  }

  /** Whether there is a recording of the block with that id. */
  has(id: string): boolean {
    this.#known ??= new Set(this.#recordings.entries().map((entry) => entry.id));
    return this.#known.has(id);
  }

  /** Keeps a recording, soon. Never throws. */
  add(raw: RawRecording): void {
    // Blocks are made again many at a time, and new ones without end: what these would add is not kept.
    if (raw.head.again) this.#known?.add(raw.head.id);
    else this.#known = null;
    const bytes = raw.spans.byteLength + raw.accesses.byteLength;
    if (this.#isStopped || this.#waitingBytes + bytes > WAITING_BYTES) {
      this.lost++;
      return;
    }
    this.#waitingBytes += bytes;
    this.#writing = this.#writing.then(() => this.#write(raw, bytes));
  }

  async #write(raw: RawRecording, bytes: number): Promise<void> {
    try {
      // The block that has just ended is acknowledged first.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#isStopped) return;
      if (!(await this.#sink.append(await encodeRecord(raw), raw))) this.lost++;
    } catch (error) {
      this.#isStopped = true;
      const { code = "RECORDING", message } = error as NodeJS.ErrnoException;
      this.onStop({ code, text: `the recording has stopped, and blocks continue: ${message}` });
    } finally {
      this.#waitingBytes -= bytes;
    }
  }

  /** Resolves when all so far are written, or given up. */
  flush(): Promise<void> {
    return this.#writing;
  }
}
