/** What the store's file and the system report, as errors of this runtime. */

import { closeSync, fsyncSync, ftruncateSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { StillpointError, StoreError } from "../errors.ts";

const MAP_FULL = -30792;
const EIO = 5;
const PAGE_NOT_FOUND = -30797;
const PROBLEM = -30779;
const DAMAGED = new Set([-30796, PAGE_NOT_FOUND, -30793, -30794, PROBLEM]);
const ENOSPC = 28;
const EFBIG = 27;
const EDQUOT = 122;
const FULL = new Set([ENOSPC, EFBIG, EDQUOT]);
const EACCES = 13;
const EPERM = 1;
const EROFS = 30;
const FORBIDDEN = new Set([EACCES, EPERM, EROFS]);
const PROBE_BYTES = 1 << 20;
const NAMES: Readonly<Record<string, number>> = { ENOSPC, EFBIG, EDQUOT, EACCES, EPERM, EROFS };

/** The error for what went wrong with the store in the directory `path`. */
export function storeFailure(error: unknown, path: string): StillpointError {
  if (error instanceof StillpointError) return error;
  const { code, message } = error as { code?: number | string; message?: string };
  let number = typeof code === "string" ? (NAMES[code] ?? 0) : (code ?? numberIn(message ?? ""));
  // What lmdb says of a write that was cut short, for whatever reason.
  if (number === EIO) number = probe(path);
  // Bytes that end before they should.
  if (error instanceof RangeError) number = PAGE_NOT_FOUND;
  const facts = { path, reason: message ?? String(error) };
  const options = { cause: error };
  if (number === MAP_FULL) {
    return new StoreError(
      "STORE_FULL",
      `the store ${path} has reached its limit of 256 GiB. Retain fewer blocks`,
      facts,
      options,
    );
  }
  if (FULL.has(number)) {
    return new StoreError(
      "STORE_FULL",
      `there is no space for the store ${path}: ${facts.reason}. What it holds is whole; make room and ` +
        "try again",
      facts,
      options,
    );
  }
  if (FORBIDDEN.has(number)) {
    return new StoreError(
      "STORE_READ_ONLY",
      `the store ${path} may not be used: ${facts.reason}. Allow it; to look at it, reading is enough`,
      facts,
      options,
    );
  }
  if (DAMAGED.has(number)) {
    return new StoreError(
      "STORE_CORRUPT",
      `the store ${path} is damaged: ${facts.reason}. "stillpoint inspect DIR verify" says what is intact`,
      facts,
      options,
    );
  }
  return new StoreError("STORE_FAILED", `the store ${path} failed: ${facts.reason}`, facts, options);
}

/** Whether there is space for what a commit writes: what a file beside says, EIO if nothing. */
function probe(path: string): number {
  const name = `${path}/probe`;
  try {
    const descriptor = openSync(name, "w");
    try {
      ftruncateSync(descriptor, statSync(`${path}/data.mdb`).size + PROBE_BYTES);
      writeSync(descriptor, Buffer.alloc(PROBE_BYTES, 1));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    return EIO;
  } catch (error) {
    return Math.abs((error as { errno?: number }).errno ?? EIO);
  } finally {
    rmSync(name, { force: true });
  }
}

/** The system's texts, where its number was lost. */
function numberIn(message: string): number {
  if (/No space left/i.test(message)) return ENOSPC;
  if (/File too large/i.test(message)) return EFBIG;
  if (/Permission denied/i.test(message)) return EACCES;
  if (/Read-only file system/i.test(message)) return EROFS;
  if (/Input\/output error/i.test(message)) return EIO;
  if (/MDB_MAP_FULL/.test(message)) return MAP_FULL;
  return /MDB_(CORRUPTED|PAGE_NOTFOUND|INVALID)/.test(message) ? PAGE_NOT_FOUND : 0;
}
