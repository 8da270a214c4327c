/**
 * Opening the file of a store. It is looked at before lmdb sees it, and whatever goes wrong is an error of
 * this runtime.
 */

import { accessSync, constants } from "node:fs";
import { badArgument } from "../arguments.ts";
import { makeDirectories } from "../directories.ts";
import { StoreError } from "../errors.ts";
import { Database, type DatabaseOptions } from "./database.ts";
import { syncPath } from "./directory.ts";
import { storeFailure } from "./failures.ts";
import { checkFormat } from "./state.ts";
import { checkStructure, checkTables } from "./structure.ts";

/** The file of the store in `path`, or a new one; `whole`: all of its structure is checked. */
export function openToWrite(path: string, whole = false): Database {
  checkPath(path);
  try {
    makeDirectory(path);
    if (Database.exists(path)) return openChecked(path, whole, {});
    const database = new Database(path);
    syncPath(path);
    return database;
  } catch (error) {
    throw storeFailure(error, path);
  }
}

/**
 * The file of a store that somebody else may be writing to.
 *
 * @throws StoreError (STORE_MISSING, STORE_EMPTY, STORE_VERSION, STORE_CORRUPT)
 */
export async function openToRead(path: string, whole = false): Promise<Database> {
  requireStore(path);
  let database: Database | undefined;
  try {
    database = openChecked(path, whole, { create: false, readOnly: !mayWrite(path) });
    checkFormat(database, path);
    return database;
  } catch (error) {
    await database?.close();
    throw storeFailure(error, path);
  }
}

/**
 * First what lmdb looks at when it opens the file, then the rest: only an lmdb that is open keeps a writer
 * from using pages again that are looked at.
 */
function openChecked(path: string, whole: boolean, options: DatabaseOptions): Database {
  checkTables(path);
  const database = new Database(path, options);
  try {
    database.hold(() => checkStructure(path, whole));
    return database;
  } catch (error) {
    void database.close();
    throw error;
  }
}

/**
 * A process has one lmdb for a file, as its first user opened it: a reader that opened it for reading
 * alone would keep others of its process from writing.
 */
function mayWrite(path: string): boolean {
  try {
    for (const name of [path, `${path}/data.mdb`]) accessSync(name, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** @throws StoreError (STORE_MISSING) */
export function requireStore(path: string): void {
  checkPath(path);
  try {
    accessSync(`${path}/data.mdb`);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "" : `: ${message}`;
    throw new StoreError("STORE_MISSING", `there is no store in ${path}${reason}`, { path }, { cause });
  }
}

function makeDirectory(path: string): void {
  try {
    makeDirectories(path);
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code !== "EEXIST" && code !== "ENOTDIR") throw cause;
    const text = `a store is a directory, and ${path} cannot be one: a file stands in its way (${code})`;
    throw new StoreError("STORE_FAILED", text, { path }, { cause });
  }
}

function checkPath(path: string): void {
  if (typeof path === "string" && path !== "") return;
  throw badArgument("path", path, "the directory of a store");
}
