/**
 * A log in a directory: a file for each entry, named by its number, a thousand in a folder. An entry is
 * written beside its place, synced, and linked there: the file system lets only one of several writers do
 * that, also in other processes and on other machines that have the directory mounted. So there is no lock
 * that a killed process could leave. Old entries are deleted by deleting the oldest folders.
 */

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { link, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeDirectories } from "../directories.ts";
import { closed, LogError, lost, notNext } from "./errors.ts";
import type { LogStorage } from "./storage.ts";

const FOLDER_ENTRIES = 1000;
const DIGITS = 15;
const NAME = /^\d{15}$/;
/** How often those who follow look for the next entry. */
const LOOK_MS = 20;

export class DirectoryStorage implements LogStorage {
  readonly #path: string;
  #closed = false;

  constructor(path: string) {
    this.#path = path;
  }

  async bounds(): Promise<{ first: number; last: number }> {
    const folders = await names(this.#path);
    for (let i = folders.length - 1; i >= 0; i--) {
      const last = (await names(join(this.#path, folders[i] as string))).at(-1);
      if (last === undefined) continue; // made for an entry that was not written
      const [first] = await names(join(this.#path, folders[0] as string));
      return { first: Number(first ?? last), last: Number(last) };
    }
    return { first: 1, last: 0 };
  }

  get(number: number): Promise<Uint8Array> {
    return readFile(this.#placeOf(number));
  }

  async put(number: number, bytes: Uint8Array): Promise<void> {
    if (this.#closed) throw closed();
    if (number > 1 && !existsSync(this.#placeOf(number - 1))) throw lost(this.#path, number - 1);
    const place = this.#placeOf(number);
    const folder = join(place, "..");
    const beside = `${place}.${randomUUID()}`;
    try {
      if (makeDirectories(folder)) await sync(this.#path);
      await writeSynced(beside, bytes);
      await link(beside, place);
      await sync(folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST") {
        if (Buffer.compare(await readFile(place), bytes) !== 0) throw notNext(number);
        return await sync(folder);
      }
      if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
      const text = `no room in ${this.#path} for entry ${number} of the log: make some, and try again`;
      throw new LogError("LOG_FULL", text, { path: this.#path, entry: number, bytes: bytes.length });
    } finally {
      await rm(beside, { force: true });
    }
  }

  async *follow(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let number = from; !signal.aborted; ) {
      if (this.#closed) throw closed();
      const bytes = await readFile(this.#placeOf(number)).catch(absent);
      if (bytes === null) await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
      else {
        number++;
        yield bytes;
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #placeOf(number: number): string {
    return join(this.#path, digits(Math.floor(number / FOLDER_ENTRIES)), digits(number));
  }
}

function digits(number: number): string {
  return String(number).padStart(DIGITS, "0");
}

/** Names that are numbers, in order; none in a directory that is not there. */
async function names(directory: string): Promise<string[]> {
  const all = await readdir(directory).catch(absent);
  return (all ?? []).filter((name) => NAME.test(name)).sort();
}

function absent(error: NodeJS.ErrnoException): null {
  if (error.code !== "ENOENT") throw error;
  return null;
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, "wx");
  await file.writeFile(bytes);
  await file.datasync();
}

/** Makes the names in a directory durable, where the file system takes that. */
async function sync(directory: string): Promise<void> {
  await using folder = await open(directory, "r");
  await folder.sync().catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EINVAL") throw error;
  });
}
