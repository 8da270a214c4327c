/**
 * The writer of a store: one process at a time.
 *
 * The holder is a record in the store itself, read and replaced inside a transaction, so two that come at
 * once are separated by lmdb. A process that was killed leaves its record behind: it is void when no process
 * has that number, or one that started at another time, or the machine was started again. (Processes that do
 * not see each other, in two containers say, must not share a store.)
 *
 * A thread can end while its process continues. So a holder keeps a file open whose name has its token, and
 * which is removed at once: Node closes the files of a thread that ends, and what a process has open can be
 * seen, where there is /proc.
 */

import { randomUUID } from "node:crypto";
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { StoreError } from "../errors.ts";
import type { Database } from "./database.ts";
import { type Holder, packHolder, unpackHolder } from "./record.ts";

/** Open files of the stores that this thread holds, by token. */
const signs = new Map<string, number>();

/**
 * Makes this process the store's writer; returns the token by which it is known. Inside a transaction.
 *
 * @throws StoreError (STORE_LOCKED)
 */
export function takeHold(database: Database, path: string): string {
  const record = database.meta("writer");
  const holder = record === undefined ? null : unpackHolder(record);
  if (holder !== null && isAlive(holder)) {
    const who = holder.pid === process.pid ? "this process itself" : `process ${holder.pid}`;
    throw new StoreError(
      "STORE_LOCKED",
      `the store ${path} is open for writing in ${who}. Close it there, or open a reader (openReader)`,
      { path, pid: holder.pid },
    );
  }
  const token = randomUUID();
  const sign = `${path}/writer-${token}`;
  signs.set(token, openSync(sign, "wx"));
  rmSync(sign);
  database.putMeta(
    "writer",
    packHolder({ pid: process.pid, started: startOf(process.pid), boot: bootId(), token }),
  );
  return token;
}

/** Whether the store is still held by the owner of `token`. */
export function holds(database: Database, token: string): boolean {
  const record = database.meta("writer");
  return record !== undefined && unpackHolder(record).token === token;
}

/** Gives the store free; one that was removed is. */
export function release(database: Database, token: string): void {
  try {
    if (!database.isInPlace) return;
    database.transaction(() => {
      if (holds(database, token)) database.putMeta("writer", null);
    });
  } finally {
    const sign = signs.get(token);
    if (sign !== undefined) closeSync(sign);
    signs.delete(token);
  }
}

function isAlive({ pid, started, boot, token }: Holder): boolean {
  if (boot !== bootId()) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // There is one, of another user.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  return started === startOf(pid) && hasOpen(pid, token);
}

/** Whether a thread of the process still has the holder's file open; true where that cannot be seen. */
function hasOpen(pid: number, token: string): boolean {
  const directory = `/proc/${pid}/fd`;
  try {
    return readdirSync(directory).some((name) => linkOf(`${directory}/${name}`).includes(token));
  } catch {
    return true;
  }
}

/** What a link leads to, "" if it is gone. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** When the process started, "" if the system does not say. */
function startOf(pid: number): string {
  try {
    // The name, in parentheses, may hold anything; the start is the 20th field after it.
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    // One that has ended and waits for its parent to notice holds nothing.
    return fields[0] === "Z" ? "ended" : (fields[19] ?? "");
  } catch {
    return "";
  }
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}
