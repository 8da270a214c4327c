/**
 * The input log: what blocks were made from, on the disk before the states that they lead to.
 *
 * It is one file of a fixed size, written full once, so that appending changes neither its length nor its
 * place on the disk: one write and one fdatasync. Behind its header lies a ring of frames, each of whole
 * sectors, so that no sector of a frame that is durable is ever written again before it is released.
 *
 *   directory/inputs.log   header, a sector: magic · u32 version · u32 0 · u64 bytes of the ring · id · check
 *   frame                  u32 magic · u32 length of the body · u64 position · previous check · check · body
 *
 * Positions count bytes since the file was made, modulo its size they are places in the ring. The check of a
 * frame is over the epoch, a random number that lies in the store alone, the check of the frame before, and
 * the rest of the frame. So neither what is left of an earlier round, nor bytes that a user chose, can be
 * taken for a frame. Where the log begins is a mark that lies in the store, written in the transaction that
 * makes what is before it superfluous (a checkpoint).
 *
 * The end is the first place where no frame is. A frame that was not written whole was never acknowledged,
 * and nothing is appended behind it: if there is a whole one behind the end, the log is damaged.
 */

import { createHash, randomBytes } from "node:crypto";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { assert, StoreError } from "../errors.ts";
import { syncDirectory } from "./directory.ts";

const NAME = "inputs.log";
const MAGIC = Buffer.from("stillpoint log\n\0", "latin1");
const VERSION = 1;
/** Unit in which a disk writes: whatever tears, it does not tear what lies in another one. */
export const SECTOR_BYTES = 4096;
const HEADER_BYTES = 64;
const FRAME_MAGIC = 0x676f6c73;
const FRAME_BYTES = 48;
export const CHECK_BYTES = 16;
/** Bytes written at once when the file is made. */
const FILL_BYTES = 1 << 20;

/** A place between two frames: what is before it is superfluous. */
export interface LogMark {
  readonly position: number;
  /** The check of the frame before. */
  readonly check: Buffer;
  readonly epoch: Buffer;
}

/** A frame that is whole. */
export interface LogFrame {
  readonly position: number;
  readonly body: Buffer;
}

/** A frame that follows from those before, and where it ends. */
export interface LinkedFrame extends LogFrame {
  readonly end: LogMark;
}

/** What is in the file of a log. */
export interface LogSurvey {
  /** In order, up to its end. */
  readonly frames: readonly LinkedFrame[];
  /** Whole ones behind the end: what is in between is damaged. */
  readonly behind: readonly LogFrame[];
}

/** Which file it is, and where it begins: what a store keeps of its log. */
export interface LogPlace extends LogMark {
  readonly id: Buffer;
  /** Size of the ring. */
  readonly bytes: number;
}

export class InputLog {
  readonly #path: string;
  readonly #id: Buffer;
  readonly #bytes: number;
  #file: FileHandle | null = null;
  #begin: number;
  #end: LogMark;
  /** Whether a frame may be on the disk, or not, that was never acknowledged: nothing is appended then. */
  #isLeft = false;
  /** Whether what is appended might not be found: likewise. */
  #isSuspended = false;
  readonly #directory: string;
  /** Which files lay in the directory when it was opened. */
  readonly #files: string;
  readonly #step: (name: string) => void;

  private constructor(
    directory: string,
    { id, bytes, ...begin }: LogPlace,
    step: (name: string) => void = () => {},
  ) {
    assert(bytes > 0 && bytes % SECTOR_BYTES === 0, "log: a ring has whole sectors");
    this.#path = `${directory}/${NAME}`;
    this.#directory = directory;
    this.#files = filesIn(directory);
    this.#step = step;
    this.#id = id;
    this.#bytes = bytes;
    this.#begin = begin.position;
    this.#end = begin;
    this.#move(begin.position, begin);
  }

  /** The log is from one position to a mark: whole sectors, as many as the ring has at most. */
  #move(begin: number, end: LogMark): void {
    assert(begin % SECTOR_BYTES === 0 && end.position % SECTOR_BYTES === 0, "log: frames have whole sectors");
    assert(begin >= 0 && begin <= end.position, "log: it ends before it begins");
    assert(end.position - begin <= this.#bytes, "log: a frame would lie over another one");
    this.#begin = begin;
    this.#end = end;
  }

  /**
   * Makes an empty log in the directory, in place of any that is there, and returns where it begins: it
   * counts from the moment in which the store keeps that.
   */
  static async create(directory: string, bytes: number): Promise<LogPlace> {
    const id = randomBytes(16);
    const header = Buffer.alloc(SECTOR_BYTES);
    MAGIC.copy(header);
    header.writeUInt32LE(VERSION, 16);
    header.writeBigUInt64LE(BigInt(bytes), 24);
    id.copy(header, 32);
    hash(header.subarray(0, 48)).copy(header, 48);
    const file = await open(`${directory}/${NAME}`, "w");
    try {
      await file.write(header, 0, header.length, 0);
      const fill = Buffer.alloc(FILL_BYTES);
      for (let at = 0; at < bytes; at += FILL_BYTES) {
        await file.write(fill, 0, Math.min(FILL_BYTES, bytes - at), SECTOR_BYTES + at);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    syncDirectory(directory);
    return { id, bytes, ...newMark(0) };
  }

  /** Removes the file; the store does not know it any more. */
  static remove(directory: string): Promise<void> {
    return rm(`${directory}/${NAME}`, { force: true });
  }

  /**
   * Opens the log that the store in the directory knows by `place`, and reads its frames.
   * `step` is called between the steps of appending: where the crash harness kills.
   *
   * @throws StoreError (STORE_MISSING, STORE_CORRUPT)
   */
  static read(
    directory: string,
    place: LogPlace,
    step?: (name: string) => void,
  ): { readonly log: InputLog; readonly frames: readonly LinkedFrame[] } {
    const log = new InputLog(directory, place, step);
    const { frames, behind } = log.#read();
    if (behind.length > 0) {
      throw log.#damaged(`what lies at position ${log.#end.position} cannot be read`);
    }
    return { log, frames };
  }

  /**
   * As `read`, but continues where the log is damaged; somebody may be appending.
   *
   * @throws StoreError (STORE_MISSING; STORE_CORRUPT: nothing can be read)
   */
  static survey(directory: string, place: LogPlace): LogSurvey {
    return new InputLog(directory, place).#read();
  }

  /** Makes the log end where the first damage is: these frames, which are behind that, are none any more. */
  static async cut(directory: string, { bytes }: LogPlace, behind: readonly LogFrame[]): Promise<void> {
    const file = await open(`${directory}/${NAME}`, "r+");
    try {
      const nothing = Buffer.alloc(SECTOR_BYTES);
      for (const { position } of behind) {
        await file.write(nothing, 0, SECTOR_BYTES, SECTOR_BYTES + (position % bytes));
      }
      await file.datasync();
    } finally {
      await file.close();
    }
  }

  /** Where the log ends now: behind a checkpoint that holds all of it, it begins there. */
  get end(): LogMark {
    return this.#end;
  }

  /** What the store keeps of it when it begins at `mark`. */
  placeAt(mark: LogMark): LogPlace {
    return { id: this.#id, bytes: this.#bytes, ...mark };
  }

  /** Bytes between its two ends. */
  get usedBytes(): number {
    return this.#end.position - this.#begin;
  }

  /** Size of the ring. */
  get limitBytes(): number {
    return this.#bytes;
  }

  /** Share of the ring that is in use. */
  get usedShare(): number {
    return this.usedBytes / this.#bytes;
  }

  /**
   * Whether a frame with a body of so many bytes can be appended: "later" when earlier ones are released;
   * "never": it takes more than a quarter of the ring, or something failed.
   */
  accepts(length: number): "now" | "later" | "never" {
    const bytes = sectors(FRAME_BYTES + length);
    if (this.#isLeft || this.#isSuspended || 4 * bytes > this.#bytes) return "never";
    return this.usedBytes + bytes <= this.#bytes ? "now" : "later";
  }

  /**
   * Appends a frame, which is durable when this resolves. If it rejects, whether the frame is there is not
   * known, and nothing more is appended until it was cleared, or the log has started again.
   *
   * @throws StoreError (STORE_MISSING)
   */
  async append(body: Uint8Array): Promise<void> {
    assert(this.accepts(body.length) === "now", "log: there is no room for a frame");
    const { position, check: previous, epoch } = this.#end;
    const frame = Buffer.alloc(sectors(FRAME_BYTES + body.length));
    frame.writeUInt32LE(FRAME_MAGIC, 0);
    frame.writeUInt32LE(body.length, 4);
    frame.writeBigUInt64LE(BigInt(position), 8);
    previous.copy(frame, 16);
    frame.set(body, FRAME_BYTES);
    const check = checkOf(frame, body.length, epoch);
    check.copy(frame, 32);
    this.#checkInPlace();
    this.#isLeft = true;
    this.#step("log");
    this.#file ??= await open(this.#path, "r+");
    const beforeWrap = Math.min(frame.length, this.#bytes - (position % this.#bytes));
    await this.#write(frame.subarray(0, beforeWrap), position % this.#bytes);
    if (beforeWrap < frame.length) await this.#write(frame.subarray(beforeWrap), 0);
    this.#step("log written");
    await this.#file.datasync();
    this.#step("log synced");
    this.#isLeft = false;
    this.#move(this.#begin, { position: position + frame.length, check, epoch });
  }

  /** Nobody would find what is appended to a file that was removed, moved or replaced. */
  #checkInPlace(): void {
    if (filesIn(this.#directory) === this.#files) return;
    const path = this.#directory;
    const text =
      `the files of the store ${path} were removed, moved or replaced while it was open, so nothing is ` +
      "written any more. Put them back, or close this and open it again";
    throw new StoreError("STORE_MISSING", text, { path });
  }

  async #write(bytes: Buffer, at: number): Promise<void> {
    for (let from = 0; from < bytes.length; ) {
      const file = this.#file as FileHandle;
      const written = await file.write(bytes, from, bytes.length - from, SECTOR_BYTES + at + from);
      from += written.bytesWritten;
    }
  }

  /** Makes sure that no frame is where an `append` has failed; whether that is certain. */
  async clear(): Promise<boolean> {
    const file = this.#file;
    // Without a file nothing was written.
    if (this.#isLeft && file !== null) {
      try {
        await this.#write(Buffer.alloc(SECTOR_BYTES), this.#end.position % this.#bytes);
        await file.datasync();
      } catch {
        return false;
      }
    }
    this.#isLeft = false;
    return true;
  }

  /**
   * Nothing is appended until the log starts again: whether the store says already that it does is not known,
   * and then nobody would find it.
   */
  suspend(): void {
    this.#isSuspended = true;
  }

  /** What is before `mark` may be written over: the store says durably that the log begins there. */
  release({ position }: LogMark): void {
    assert(position >= this.#begin, "log: what was released is in use again");
    this.#move(position, this.#end);
  }

  /**
   * A mark behind which nothing is, whatever the disk holds: with `beginAnew`, once the store keeps it.
   */
  get restart(): LogMark {
    return newMark(this.#end.position);
  }

  /** The store says durably that the log begins at `mark`, which is empty. */
  beginAnew(mark: LogMark): void {
    assert(mark.position === this.#end.position, "log: it starts again at its end");
    this.#move(mark.position, mark);
    this.#isLeft = false;
    this.#isSuspended = false;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }

  #read(): LogSurvey {
    const ring = this.#readFile();
    const frames: LinkedFrame[] = [];
    const behind: LogFrame[] = [];
    const last = this.#begin + this.#bytes;
    for (;;) {
      const frame = this.#frameAt(ring, this.#end.position, last);
      if (frame === null || !frame.previous.equals(this.#end.check)) break;
      const { position, epoch } = this.#end;
      const end = position + sectors(FRAME_BYTES + frame.body.length);
      this.#move(this.#begin, { position: end, check: frame.check, epoch });
      frames.push({ position, body: frame.body, end: this.#end });
    }
    for (let at = this.#end.position + SECTOR_BYTES; at < last; at += SECTOR_BYTES) {
      const frame = this.#frameAt(ring, at, last);
      if (frame !== null) behind.push({ position: at, body: frame.body });
    }
    return { frames, behind };
  }

  /** The frame at a position, null: there is none that is whole. */
  #frameAt(
    ring: Buffer,
    position: number,
    last: number,
  ): { readonly previous: Buffer; readonly check: Buffer; readonly body: Buffer } | null {
    if (position >= last) return null;
    const at = position % this.#bytes;
    if (ring.readUInt32LE(at) !== FRAME_MAGIC) return null;
    if (ring.readBigUInt64LE(at + 8) !== BigInt(position)) return null;
    const length = ring.readUInt32LE(at + 4);
    const bytes = sectors(FRAME_BYTES + length);
    if (position + bytes > last) return null;
    const wraps = Math.max(0, at + bytes - this.#bytes);
    const parts = [ring.subarray(at, at + bytes - wraps), ring.subarray(0, wraps)];
    const frame = wraps === 0 ? (parts[0] as Buffer) : Buffer.concat(parts);
    const check = frame.subarray(32, 32 + CHECK_BYTES);
    if (!checkOf(frame, length, this.#end.epoch).equals(check)) return null;
    const body = frame.subarray(FRAME_BYTES, FRAME_BYTES + length);
    return { previous: frame.subarray(16, 16 + CHECK_BYTES), check, body };
  }

  #readFile(): Buffer {
    let file: number;
    try {
      file = openSync(this.#path, "r");
    } catch (cause) {
      const path = this.#path;
      const text = `the log of inputs ${path} cannot be opened: ${(cause as Error).message}. ${RECOVER}`;
      throw new StoreError("STORE_MISSING", text, { path }, { cause });
    }
    try {
      const header = Buffer.alloc(HEADER_BYTES);
      const isWhole = readSync(file, header, 0, HEADER_BYTES, 0) === HEADER_BYTES;
      if (!isWhole || !hash(header.subarray(0, 48)).equals(header.subarray(48, 64))) {
        throw this.#damaged("its header cannot be read");
      }
      if (!header.subarray(32, 48).equals(this.#id)) throw this.#damaged("it is that of another store");
      const ring = Buffer.alloc(this.#bytes);
      if (readSync(file, ring, 0, ring.length, SECTOR_BYTES) !== ring.length) {
        throw this.#damaged("it was cut off");
      }
      return ring;
    } finally {
      closeSync(file);
    }
  }

  #damaged(what: string): StoreError {
    const path = this.#path;
    const text = `the log of inputs ${path} is damaged: ${what}, and blocks may lie behind that. ${RECOVER}`;
    return new StoreError("STORE_CORRUPT", text, { path });
  }
}

const RECOVER =
  'Restore the file; or give up the blocks that are in it alone: "stillpoint store DIR recover", or the ' +
  'option "recover": "checkpoint"';

/** Which files of a store lie in the directory. */
function filesIn(directory: string): string {
  const files = [NAME, "data.mdb"].map((name) => statSync(`${directory}/${name}`, { throwIfNoEntry: false }));
  return files.map((file) => (file === undefined ? "" : `${file.dev} ${file.ino}`)).join();
}

function newMark(position: number): LogMark {
  return { position, check: Buffer.alloc(CHECK_BYTES), epoch: randomBytes(16) };
}

/** The check of a frame with a body of `length` bytes: of all but the check itself. */
function checkOf(frame: Buffer, length: number, epoch: Buffer): Buffer {
  const sum = createHash("sha256").update(epoch).update(frame.subarray(0, 32));
  return sum
    .update(frame.subarray(FRAME_BYTES, FRAME_BYTES + length))
    .digest()
    .subarray(0, CHECK_BYTES);
}

function hash(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest().subarray(0, CHECK_BYTES);
}

/** The number of bytes, rounded up to whole sectors. */
function sectors(bytes: number): number {
  return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES;
}
