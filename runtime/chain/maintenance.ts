/** Maintenance of a store: finding what is damaged, going back to what is whole, saving what can be read. */

import { badOption, checkNames } from "../arguments.ts";
import { StoreError, UsageError } from "../errors.ts";
import type { Database } from "../store/database.ts";
import { storeFailure } from "../store/failures.ts";
import { InputLog, type LogFrame, type LogPlace, type LogSurvey } from "../store/log.ts";
import type { Damage, LoggedBlock, Verification, VerifiedBlock, Verifier } from "../store/verify.ts";
import { decodeLogged } from "./logged.ts";
import { isBlock } from "./stored.ts";

export type { Damage, LoggedBlock, Verification, VerifiedBlock } from "../store/verify.ts";

/** Options of what goes through a whole store. */
export interface MaintenanceOptions {
  /**
   * Called now and then with how much is done, of how much: objects, or bytes of the file where a salvage
   * reads it. Default: nobody is told.
   */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Attempts at reading a log that another process writes to. */
const ATTEMPTS_LIMIT = 20;

/**
 * Walks everything that the retained blocks of a store reach and hashes it again, newest block first, then
 * its archive, and continues behind what is damaged. Does not hinder a writer.
 *
 * @throws UsageError BAD_OPTION, StoreError (STORE_MISSING, STORE_EMPTY, STORE_VERSION, STORE_CORRUPT)
 * @example
 * ```ts
 * const found = await verifyStore("state");
 * console.log(found.damages.length, found.newestIntact === runtime.head.id); // 0 true
 * ```
 */
export async function verifyStore(path: string, options: MaintenanceOptions = {}): Promise<Verification> {
  const tell = checkOptions(options);
  const { openToRead } = await import("../store/access.ts");
  const database = await openToRead(path, true);
  try {
    return (await verifyDatabase(database, path, tell)).result();
  } catch (error) {
    throw storeFailure(error, path);
  } finally {
    await database.close();
  }
}

/**
 * Forgets the blocks of a store that are damaged; where it stood at one, or nothing says where, the newest
 * intact block becomes its head. Of its log of inputs what lies behind a damage is dropped, or behind a
 * revert to a block that is damaged, and all of it if the block that it continues from is: `verifyStore` says
 * which blocks these are. Nobody may write to it meanwhile.
 *
 * @throws StoreError (STORE_MISSING, STORE_EMPTY, STORE_LOCKED, STORE_VERSION, STORE_READ_ONLY,
 *   STORE_CORRUPT: no block is intact)
 * @example
 * ```ts
 * await runtime.close();
 * const { blocks, newestIntact } = await repairStore("state");
 * console.log(blocks.length, newestIntact === runtime.head.id); // 1 true
 * ```
 */
export async function repairStore(path: string, options: MaintenanceOptions = {}): Promise<Verification> {
  return repair(path, path, checkOptions(options));
}

type Tell = (done: number, total: number) => void;

function checkOptions(options: MaintenanceOptions): Tell {
  checkNames(options, ["onProgress"]);
  const { onProgress = () => {} } = options;
  if (typeof onProgress === "function") return onProgress;
  throw badOption("onProgress", onProgress, "a function");
}

/** Repairs the store in `path`, which holds what is left of the one in `from`. */
async function repair(path: string, from: string, tell: Tell): Promise<Verification> {
  const { checkFormat, openToWrite, release, requireStore, takeHold } = await import("../store/access.ts");
  requireStore(path);
  const database = openToWrite(path, true);
  try {
    const token = database.transaction(() => {
      checkFormat(database, path);
      return takeHold(database, path);
    });
    try {
      return await goBack(database, path, from, tell);
    } finally {
      release(database, token);
    }
  } catch (error) {
    throw storeFailure(error, path);
  } finally {
    await database.close();
  }
}

async function goBack(database: Database, path: string, from: string, tell: Tell): Promise<Verification> {
  const access = await import("../store/access.ts");
  const { countTotals, findChain, findRun, packTotals, readable, readLog, readRecords } = access;
  const verifier = await verifyDatabase(database, path, tell);
  const result = verifier.result();
  const { newestIntact } = result;
  if (newestIntact === null) {
    const text = `no block of the store ${from} is intact: restore it from an export`;
    throw new StoreError("STORE_CORRUPT", text, { path: from });
  }
  const log = readable(() => readLog(database));
  const isKept = log !== null && (await cutLog(database, path, log, result));
  database.transaction(() => {
    if (!isKept) database.putMeta("log", null);
    for (const { id, intact } of result.blocks) if (!intact) database.removeBlock(Buffer.from(id, "hex"));
    for (const id of verifier.damagedSupports) database.removeBlock(id);
    // What is written again must not be taken for what is there.
    for (const key of verifier.damagedObjects) database.removeObject(Buffer.from(key, "hex"));
    for (const height of verifier.damagedArchived) database.removeArchived(height);
    const { at, totals } = readRecords(database);
    findChain(database, at ?? Buffer.from(newestIntact, "hex"));
    findRun(database);
    if (!totals) database.putMeta("totals", packTotals(countTotals(database)));
  });
  return result;
}

/** Makes the log end where it is damaged; whether anything of it can be kept. */
async function cutLog(
  database: Database,
  path: string,
  log: LogPlace,
  { blocks }: Verification,
): Promise<boolean> {
  const { readable, readHead } = await import("../store/access.ts");
  const head = readable(() => readHead(database))?.id.toString("hex");
  if (!blocks.some(({ id, intact }) => id === head && intact)) return false;
  const survey = readable(() => InputLog.survey(path, log));
  if (survey === null) return false;
  const { frames, behind } = survey;
  await InputLog.cut(path, log, [...frames.slice(countRunnable(frames, head, blocks)), ...behind]);
  return true;
}

/** How many frames can be run again from the head on, if only the blocks that are intact are left. */
function countRunnable(
  frames: readonly LogFrame[],
  head: string | undefined,
  blocks: readonly VerifiedBlock[],
): number {
  const left = new Set(blocks.filter(({ intact }) => intact).map(({ id }) => id));
  if (head === undefined || !left.has(head)) return 0;
  let count = 0;
  for (const { body } of frames) {
    for (const { kind, block } of decodeLogged(body).changes) {
      if (kind === "goTo" && !left.has(block.id)) return count;
      if (kind === "push") left.add(block.id);
    }
    count++;
  }
  return count;
}

/**
 * Makes a new store in the directory `to`, which holds none yet, of what can be read in a store whose file is
 * too damaged for `repairStore`, and leaves it at the newest block that is whole. Nothing is written to the
 * damaged one. Of blocks that are in its log of inputs alone nothing is carried over: `logged` names them,
 * and a damage of the part "log" says that there may be others.
 *
 * @throws StoreError (STORE_MISSING, STORE_READ_ONLY, STORE_FULL, STORE_CORRUPT: no block is whole),
 *   UsageError (STORE_NOT_EMPTY)
 * @example
 * ```ts
 * const saved = await salvageStore("state", "copy");
 * console.log(saved.newestIntact === runtime.head.id); // true
 * ```
 */
export async function salvageStore(
  path: string,
  to: string,
  options: MaintenanceOptions = {},
): Promise<Verification> {
  const tell = checkOptions(options);
  const { Database, openToWrite, requireStore, salvage } = await import("../store/access.ts");
  requireStore(path);
  if (Database.exists(to)) {
    const text = `there is a store in ${to} already: name another directory`;
    throw new UsageError("STORE_NOT_EMPTY", text, { to });
  }
  const target = openToWrite(to);
  let found: readonly LogPlace[] = [];
  try {
    try {
      const { blocks, logs } = salvage(path, target, isBlock, tell);
      found = logs;
      if (blocks === 0) {
        const text = `no block can be read in ${path}: restore it from an export`;
        throw new StoreError("STORE_CORRUPT", text, { path });
      }
    } finally {
      await target.close();
    }
    const saved = await repair(to, path, tell);
    return withDropped(path, found, saved);
  } catch (error) {
    // So that it can be tried again.
    Database.remove(to);
    throw storeFailure(error, to);
  }
}

/** With the blocks of a log, which began at one of these places, that were not saved. */
function withDropped(path: string, places: readonly LogPlace[], saved: Verification): Verification {
  const known = new Set(saved.blocks.filter(({ intact }) => intact).map(({ id }) => id));
  const logged: LoggedBlock[] = [];
  let reason: Damage["reason"] | null = null;
  // A log that started again where it stood has two places of one position; the same place may be found
  // twice.
  let newest = 0;
  for (const place of places) {
    if (place.position < newest) break;
    const { frames, behind, failure } = survey(path, place);
    if (behind.length > 0) reason = "damaged";
    // The file is the same for all places.
    if (failure !== null) reason = failure === "STORE_MISSING" ? "missing" : "damaged";
    if (failure !== null) continue;
    newest = place.position;
    for (const block of loggedBlocks([...frames, ...behind], false)) {
      if (!known.has(block.id)) logged.push(block);
      known.add(block.id);
    }
  }
  const ofNoBlock = { height: null, block: null, path: [], from: null, length: null, hash: null };
  const damages = reason === null ? [] : [{ ...ofNoBlock, part: "log", reason }];
  return { ...saved, logged, damages: [...saved.damages, ...damages] };
}

async function verifyDatabase(database: Database, path: string, tell: Tell): Promise<Verifier> {
  const { genesisOf, isArchived, readRecords, Verifier } = await import("../store/access.ts");
  const verifier = new Verifier(database);
  const total = database.objectCount;
  const genesis = genesisOf(database);
  const records = readRecords(database);
  for (const part of ["head", "totals"] as const) if (!records[part]) verifier.store(part);
  for (const id of records.damagedBlocks) {
    const child = records.blocks.find(({ parent }) => parent.equals(id));
    verifier.unreadable(id, child === undefined ? null : child.height - 1);
  }
  for (const record of records.blocks.toReversed()) {
    const steps = verifier.block(record, isBlock(genesis, record) ? null : "damaged");
    while (!steps.next().done) {
      tell(verifier.objects, Math.max(total, verifier.objects));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  await verifyLog(database, path, verifier);
  const steps = verifier.archive((record, height) =>
    isArchived(record, height, (block) => isBlock(genesis, block)),
  );
  while (!steps.next().done) await new Promise((resolve) => setImmediate(resolve));
  return verifier;
}

/** Looks which blocks the log has. A writer may make a checkpoint meanwhile: then it is looked at again. */
async function verifyLog(database: Database, path: string, verifier: Verifier): Promise<void> {
  const { readable, readHead, readLog } = await import("../store/access.ts");
  for (let attempt = 1; ; attempt++) {
    database.refresh();
    const log = readable(() => readLog(database));
    if (log === null && database.meta("log") === undefined) return;
    if (log === null) return verifier.store("log");
    const head = readable(() => readHead(database))?.id.toString("hex");
    const found = survey(path, log);
    const isWhole = found.failure === null && found.behind.length === 0;
    database.refresh();
    const isMoved = readLog(database)?.position !== log.position;
    if (!isWhole && isMoved && attempt < ATTEMPTS_LIMIT) continue;
    const runnable = countRunnable(found.frames, head, verifier.result().blocks);
    const dropped = [...found.frames.slice(runnable), ...found.behind];
    verifier.log([...loggedBlocks(found.frames.slice(0, runnable), true), ...loggedBlocks(dropped, false)]);
    if (!isWhole) verifier.store("log", found.failure === "STORE_MISSING" ? "missing" : "damaged");
    return;
  }
}

/** The blocks that these frames make. */
function loggedBlocks(frames: readonly LogFrame[], intact: boolean): LoggedBlock[] {
  const changes = frames.flatMap(({ body }) => decodeLogged(body).changes);
  return changes.flatMap((change) => (change.kind === "push" ? [{ ...change.block, intact }] : []));
}

/** What is in the log, and why nothing can be read. */
function survey(path: string, log: LogPlace): LogSurvey & { readonly failure: string | null } {
  try {
    return { ...InputLog.survey(path, log), failure: null };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return { frames: [], behind: [], failure: error.code };
  }
}
