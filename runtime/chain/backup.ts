/** Backups of stores, also of those that somebody is writing to. */

import { makeDirectories } from "../directories.ts";
import { StoreError, UsageError } from "../errors.ts";
import type { Database } from "../store/database.ts";
import { storeFailure } from "../store/failures.ts";
import { InputLog, type LogFrame, type LogPlace } from "../store/log.ts";
import type { Block } from "./block.ts";
import { blockOf, findBlock } from "./stored.ts";

/**
 * Copies a store into the directory `to`, which holds none yet, while a runtime may continue writing to it.
 * All that was acknowledged before the call is in the copy: its newest states, and what its log of inputs has
 * beyond them. The copy is opened and looked at before this resolves; the newest block whose state is in it
 * is returned.
 *
 * @throws StoreError (STORE_MISSING, STORE_EMPTY, STORE_VERSION, STORE_CORRUPT, STORE_FULL, STORE_READ_ONLY),
 *   UsageError (STORE_NOT_EMPTY)
 * @example
 * ```ts
 * const block = await backupStore("state", "copy");
 * console.log(block.height <= runtime.head.height); // true
 * ```
 */
export async function backupStore(path: string, to: string): Promise<Block> {
  const access = await import("../store/access.ts");
  const { Database, openToRead, openToWrite, readLog } = access;
  const source = await openToRead(path);
  try {
    if (Database.exists(to)) {
      const text = `there is a store in ${to} already: name another directory`;
      throw new UsageError("STORE_NOT_EMPTY", text, { to });
    }
    // Read before the states: what a checkpoint releases meanwhile is in these.
    const frames = framesOf(source, path, readLog);
    makeDirectories(to);
    try {
      await source.copyTo(to);
      const copy = openToWrite(to, true);
      try {
        await addLog(copy, to, readLog(copy), frames);
        return blockOf(findBlock(access, copy, to));
      } finally {
        await copy.close();
      }
    } catch (error) {
      Database.remove(to);
      throw storeFailure(error, to);
    }
  } finally {
    await source.close();
  }
}

/** A log's frames, and of which epoch they are. */
interface Frames {
  readonly epoch: Buffer;
  readonly frames: readonly LogFrame[];
}

/** What the log has now; a checkpoint may be made meanwhile, then it is read again. */
export function framesOf(
  source: Database,
  path: string,
  readLog: (database: Database) => LogPlace | null,
): Frames | null {
  for (let attempt = 1; ; attempt++) {
    source.refresh();
    const log = readLog(source);
    if (log === null) return null;
    const { frames, behind } = InputLog.survey(path, log);
    source.refresh();
    const isMoved = readLog(source)?.position !== log.position;
    if (!isMoved && behind.length === 0) return { epoch: log.epoch, frames };
    if (isMoved && attempt < ATTEMPTS_LIMIT) continue;
    throw new StoreError("STORE_CORRUPT", `the log of inputs of the store ${path} is damaged`, { path });
  }
}

const ATTEMPTS_LIMIT = 100;

/** Gives a copy, which nobody writes to, a log of its own: of the frames that its states do not cover. */
async function addLog(copy: Database, to: string, log: LogPlace | null, read: Frames | null): Promise<void> {
  const { packLog } = await import("../store/access.ts");
  let place: LogPlace | null = null;
  if (log !== null) {
    place = await InputLog.create(to, log.bytes);
    // Where the log has started again, the states cover all that was in it.
    const frames = read?.epoch.equals(log.epoch) ? read.frames : [];
    const own = InputLog.read(to, place).log;
    for (const { position, body } of frames) if (position >= log.position) await own.append(body);
    await own.close();
  }
  copy.transaction(() => {
    copy.putMeta("writer", null);
    copy.putMeta("log", place === null ? null : packLog(place));
  });
}
