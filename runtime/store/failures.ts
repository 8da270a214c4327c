/** What the store's file and the system complain of, as errors of this runtime. */

import { StillpointError, StoreError } from "../errors.ts";

const MAP_FULL = -30792;
const PAGE_NOT_FOUND = -30797;
const DAMAGED = new Set([-30796, PAGE_NOT_FOUND, -30793, -30794]);
const ENOSPC = 28;
const EFBIG = 27;
const EDQUOT = 122;
const FULL = new Set([ENOSPC, EFBIG, EDQUOT]);
const EACCES = 13;
const EPERM = 1;
const EROFS = 30;
const FORBIDDEN = new Set([EACCES, EPERM, EROFS]);
const NAMES: Readonly<Record<string, number>> = { ENOSPC, EFBIG, EDQUOT, EACCES, EPERM, EROFS };

/** The error for what went wrong with the store in the directory `path`. */
export function storeFailure(error: unknown, path: string): StillpointError {
  if (error instanceof StillpointError) return error;
  const { code, message } = error as { code?: number | string; message?: string };
  const number = typeof code === "string" ? (NAMES[code] ?? 0) : (code ?? numberIn(message ?? ""));
  const facts = { path, reason: message ?? String(error) };
  const options = { cause: error };
  if (number === MAP_FULL) {
    return new StoreError(
      "STORE_FULL",
      `the store ${path} has reached its limit. Retain fewer blocks, or raise its option "limitBytes"`,
      facts,
      options,
    );
  }
  if (FULL.has(number)) {
    return new StoreError(
      "STORE_FULL",
      `there is no space for the store ${path}: ${facts.reason}. Nothing that was acknowledged is lost; ` +
        "make room and try again",
      facts,
      options,
    );
  }
  if (FORBIDDEN.has(number)) {
    return new StoreError(
      "STORE_READ_ONLY",
      `the store ${path} cannot be written: ${facts.reason}. Allow it, or open a reader`,
      facts,
      options,
    );
  }
  if (DAMAGED.has(number)) {
    return new StoreError(
      "STORE_CORRUPT",
      `the store ${path} is damaged: ${facts.reason}. "stillpoint store verify" says what is intact`,
      facts,
      options,
    );
  }
  return new StoreError("STORE_FAILED", `the store ${path} failed: ${facts.reason}`, facts, options);
}

/** The system's texts, where its number was lost. */
function numberIn(message: string): number {
  if (/No space left/i.test(message)) return ENOSPC;
  if (/File too large/i.test(message)) return EFBIG;
  if (/Permission denied/i.test(message)) return EACCES;
  if (/Read-only file system/i.test(message)) return EROFS;
  if (/MDB_MAP_FULL/.test(message)) return MAP_FULL;
  return /MDB_(CORRUPTED|PAGE_NOTFOUND|INVALID)/.test(message) ? PAGE_NOT_FOUND : 0;
}
