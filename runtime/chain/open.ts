/** Opening a runtime: a new one runs the root to block 0, one with a store continues where it stood. */

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createBatchMemory } from "../batch/shared.ts";
import { StoreError, UsageError } from "../errors.ts";
import { createHeap, HEADER_STORED, type Heap, type Ref, UNIT_WORDS } from "../heap/heap.ts";
import { lookAt, makeStub } from "../heap/stub.ts";
import { decodeGenesis } from "../image/rules.ts";
import { installedBytesOf } from "../kernel/program.ts";
import { ProgramCache } from "../program/cache.ts";
import type { StoreChange } from "../store/change.ts";
import type { BlockRecord } from "../store/record.ts";
import { type Store, Stores } from "../store/store.ts";
import { mainHeap, Pool } from "../worker/pool.ts";
import { createTimeline } from "../worker/timeline.ts";
import { Archive } from "./archive.ts";
import { inputOf, makeBlock, type Retained } from "./block.ts";
import { checkHeap } from "./bounds.ts";
import { type Held, headOf, nameOf, newBlock, wholly, withState } from "./changes.ts";
import { type Writing, writeSliced } from "./checkpoint.ts";
import { Engine } from "./engine.ts";
import { firstRules, type Genesis, genesisOf } from "./genesis.ts";
import { History } from "./history.ts";
import { checkHost } from "./host.ts";
import { checkHostBytes, slotLimits } from "./host-bounds.ts";
import { Journal } from "./journal.ts";
import type { Settings, StoreSettings } from "./options.ts";
import { NOTHING, openJournal } from "./replay.ts";
import { type KnownRules, Rulebook } from "./rulebook.ts";
import { blockOf, checkBlock } from "./stored.ts";
import { unchanged } from "./upgrade.ts";
import { checkCarried } from "./versions.ts";

/** Spans that a recording of a block has at most. */
const RECORDED_SPANS = 2 ** 17;

/** What a runtime is made of. */
export interface Parts {
  readonly engine: Engine;
  readonly journal: Journal;
}

/** Starts the threads, and makes or finds the blocks. */
export async function openParts(settings: Settings): Promise<Parts> {
  checkHost();
  const handle = createHeap(settings.heapBytes);
  const heap = mainHeap(handle);
  const { workers, views, runner, from } = settings;
  const place = from?.store ?? settings.store;
  const home = settings.store ?? place;
  const { force, paranoid, steps, timing } = settings.debug;
  const recording = settings.record !== null;
  const dependencies = settings.dependencies || recording;
  const cache = settings.programCache ?? (home === null ? undefined : join(home.path, "programs"));
  const stores = new Stores(handle, heap);
  const book = new Rulebook(heap, new ProgramCache(cache), runner === "parallel");
  const described = describedGenesis(book, settings);
  described.catch(() => {});
  // Its thread starts meanwhile.
  const { archiveBlocks: archive } = settings;
  const opening = place === null ? null : stores.open({ ...place, archive }, bytesOf(described));
  opening?.catch(() => {});
  let pool: Pool | null = null;
  let store: Store | null = null;
  try {
    // So do those that run blocks; the first block comes sooner if they leave a core to the store's.
    pool = new Pool({
      heap: handle,
      workers,
      views,
      atOnce: place === null ? workers : Math.max(1, availableParallelism() - 1),
      timeline: timelineOf(settings),
      batchOptions: { force, paranoid, steps, timing, recording, dependencies },
    });
    pool.alive.hold();
    const given = await described;
    const batches = workers > 1 && runner === "parallel" ? await createBatchMemory(workers) : null;
    store = await opening;
    const found = restore(heap, given, store, book);
    const base = from === null ? null : baseOf(found, from.block);
    const genesis = base === null ? found.genesis : begunAt(base, found.genesis);
    const { retained } = found;
    const rules = (base ?? retained?.head)?.rules ?? (await book.know(genesis.rules));
    checkHeap(rules.rules, settings, heap.usedBytes);
    checkHostBytes(rules.rules, settings);
    const { programs, kit } = await book.compiled(rules);
    const engine = new Engine(pool, genesis, book, settings, stores);
    if (retained === null) await engine.startOf(rules);
    const { costs, memoryQuotaPages } = rules.rules;
    const first = { kit, costs, installedBytes: installedBytesOf(memoryQuotaPages) };
    pool.start({ programs, rules: first, batches, slots: slotLimits(rules.rules, settings) });
    if (base !== null) return { engine, journal: await branchOff(engine, found, base, store as Store) };
    const isNew = retained === null;
    const history = (retained ?? (await firstBlock(engine, rules))).withArchive(
      archiveOf(engine, store !== null),
    );
    if (store !== null && isNew) await copyHistory(engine, history, store);
    if (store === null || place === null)
      return { engine, journal: new Journal(engine, wholly(history), null) };
    const held = { history, supports: supportsIn(store) };
    return { engine, journal: await openJournal(engine, held, store, place) };
  } catch (error) {
    store ??= (await opening?.catch(() => null)) ?? null;
    await store?.close();
    await pool?.close();
    throw error;
  } finally {
    pool?.alive.release();
  }
}

/** Where the threads note down what they do; with "record" a ring that holds more than a block needs. */
function timelineOf({ record, debug: { timelineRecords } }: Settings): SharedArrayBuffer | null {
  if (record === null) return createTimeline(timelineRecords);
  return createTimeline(2 ** Math.ceil(Math.log2(Math.max(timelineRecords, RECORDED_SPANS))), true);
}

/** A chain: what it begins with, and its blocks, null: none yet. */
interface Found {
  readonly genesis: Genesis;
  readonly retained: History | null;
}

/**
 * The block of another chain with whose state a new one begins.
 *
 * @throws UsageError (NOT_RETAINED), StoreError (STORE_EMPTY)
 */
function baseOf({ retained }: Found, block: number | string | null): Retained {
  if (retained === null) throw new StoreError("STORE_EMPTY", "the store to begin from holds no block", {});
  const base =
    typeof block === "string"
      ? retained.all().find(({ block: { id } }) => id === block)
      : retained.find(block ?? retained.head.block);
  if (base !== undefined) return base;
  const text = `the store to begin from does not hold block ${block}`;
  throw new UsageError("NOT_RETAINED", text, { target: block });
}

/** What a chain begins with that begins with the state and the rules of a block of another. */
function begunAt({ block, rules }: Retained, { entry }: Genesis): Genesis {
  return genesisOf({ origin: block.id, entry, rules: rules.rules });
}

/**
 * The journal of a chain that begins with the state of `base`, a block of another in `source`: that is its
 * block 0, which ran nothing. The source is kept open as long as it is needed.
 */
async function branchOff(engine: Engine, found: Found, base: Retained, source: Store): Promise<Journal> {
  const { heap, genesis, settings } = engine;
  const held = { history: found.retained as History, supports: supportsIn(source) };
  const other = new Journal(engine, held, source, null, found.genesis);
  await engine.holding(other, () => other.recompute(base, null));
  const { rules } = base;
  const run = { result: held.history.stateOf(base), metadata: 0, change: 0, rules, reports: () => [] };
  const parent = genesis.id.toString("hex");
  const first = lookAt(heap, () => makeBlock(heap, genesis.id, run, 0, parent, rules.rules.gasLimit));
  const history = History.of([first], first.block).withArchive(archiveOf(engine, true));
  engine.borrow(source);
  if (settings.store === null) return new Journal(engine, wholly(history), null);
  const journal = await copyToStore(engine, history, settings.store);
  await engine.giveBack();
  return journal;
}

/** A runtime on the same engine that stands at the head of `history`, which `journal` has or had. */
export async function forked(
  engine: Engine,
  journal: Journal,
  history: History,
  place: StoreSettings | null,
): Promise<Parts> {
  if (place === null) {
    // What is in a store's archive stays there.
    const own = journal.store === null ? history : history.withArchive(archiveOf(engine, false));
    return { engine, journal: new Journal(engine, wholly(own), null) };
  }
  return journal.holding(history, async () => {
    return { engine, journal: await copyToStore(engine, history, place) };
  });
}

/** An empty archive: in memory, or one that the store keeps. */
function archiveOf({ heap, settings }: Engine, isStored: boolean): Archive {
  const { archiveBlocks: limit } = settings;
  if (limit === 0 || isStored) return Archive.empty(limit, null);
  return Archive.empty(limit, (entry) => ({ block: entry.block, ...inputOf(heap, entry) }));
}

/** What the options describe; null: nothing, the store says it. */
async function describedGenesis(book: Rulebook, settings: Settings): Promise<Genesis | null> {
  const { root, entry } = settings;
  if (root === null) return null;
  const { rules } = await firstRules(book, settings, root);
  return genesisOf({ origin: null, entry, rules });
}

async function bytesOf(genesis: Promise<Genesis | null>): Promise<Uint8Array | null> {
  return (await genesis)?.bytes ?? null;
}

async function firstBlock(engine: Engine, rules: KnownRules): Promise<History> {
  const { genesis, heap } = engine;
  const { gasLimit } = rules.rules;
  const parent = genesis.id.toString("hex");
  const block = { height: 0, parent };
  const plan = { block, hints: [], signal: null, events: null, rules: unchanged(rules), again: null };
  const first = await engine.run(await engine.startOf(rules), null, gasLimit, plan, (run) => {
    const made = makeBlock(heap, genesis.id, run, 0, parent, gasLimit);
    run.reports(made.block);
    return made;
  });
  return History.of([first], first.block);
}

/** The genesis, and the history that a store holds, null: none. Nothing of the states is read. */
function restore(heap: Heap, given: Genesis | null, store: Store | null, book: Rulebook): Found {
  const stored = store?.state.genesis ?? null;
  const genesis = stored === null ? given : genesisOf(decodeGenesis(stored));
  if (genesis === null || (given === null && store?.state.head === null)) {
    const text =
      'the store holds no block yet, and no root was given: name the programs of a new chain ("root")';
    throw new StoreError("STORE_EMPTY", text, {});
  }
  if (store === null || store.state.head === null) return { genesis, retained: null };
  const { head, blocks, supports } = store.state;
  const retained = blocks.map((record) => restoreBlock(heap, genesis.id, store, record, book));
  const supporting = supports.map((record) => restoreBlock(heap, genesis.id, store, record, book));
  linkRestored([...retained, ...supporting], [...blocks, ...supports]);
  for (const { rules } of new Set(retained.map(({ rules }) => rules))) checkCarried(rules);
  const at = retained.findLast(({ block }) => block.id === head.toString("hex"));
  if (at === undefined) {
    throw new StoreError(
      "STORE_CORRUPT",
      `the store ${store.path} is damaged: the block it stands at is not there. ` +
        '"stillpoint store DIR repair" goes back to the newest intact one',
      { path: store.path, head: head.toString("hex") },
    );
  }
  const pinned = retained.flatMap(({ block }, i) => (blocks[i]?.pinned ? [block] : []));
  return { genesis, retained: History.of(retained, at.block, pinned) };
}

function restoreBlock(
  heap: Heap,
  genesis: Buffer,
  store: Store,
  record: BlockRecord,
  book: Rulebook,
): Retained {
  const { metadata, budget, change, rules } = record;
  checkBlock(genesis, record);
  const fetch = (hash: Buffer): Ref => storedAs(heap, store, hash);
  return {
    block: blockOf(record),
    ref: record.stored ? fetch(record.root) : 0,
    before: null,
    metadata: metadata === null ? 0 : fetch(metadata),
    budget,
    rules: book.stored(rules, fetch),
    change: change === null ? 0 : fetch(change),
  };
}

/** A block whose state is not stored is made again from the one before; what is missing, is found then. */
function linkRestored(entries: readonly Retained[], records: readonly BlockRecord[]): void {
  const byId = new Map(entries.map((entry) => [entry.block.id, entry]));
  for (const [i, entry] of entries.entries()) {
    if (records[i]?.stored === false) entry.before = byId.get(entry.block.parent) ?? null;
  }
}

function supportsIn({ state }: Store): Held["supports"] {
  const names = state.supports.map(({ id, height }) => ({ id: id.toString("hex"), height }));
  return new Map(names.map((name) => [name.id, name]));
}

function storedAs(heap: Heap, store: Store, hash: Buffer): Ref {
  const stub = makeStub(heap, hash, 0);
  heap.words[stub * UNIT_WORDS + HEADER_STORED] = store.bit;
  return stub;
}

/**
 * A new store on the same engine that holds all that `history` does, which the caller keeps from being
 * collected. If it cannot be made, its directory is as it was before.
 */
async function copyToStore(engine: Engine, history: History, place: StoreSettings): Promise<Journal> {
  const store = await engine.openStore(place);
  if (store.state.head !== null) {
    await store.close();
    const text = `the store ${place.path} holds blocks already: a fork or new chain takes an empty directory`;
    throw new UsageError("STORE_NOT_EMPTY", text, { path: place.path });
  }
  try {
    const held = await copyHistory(engine, history, store);
    return await openJournal(engine, held, store, place);
  } catch (error) {
    await store.discard();
    throw error;
  }
}

/** Blocks of a copy that are written in one transaction: each costs a wait for the disk. */
const COPIED_AT_ONCE = 64;

/**
 * Writes a history into a store that has no head, with the states that are there: a store without a head
 * counts as empty, so it gets its head last. Blocks that are there are left over from a copy that was killed.
 * What the store holds then has entries of its own, for other states lie in it.
 */
async function copyHistory(engine: Engine, history: History, store: Store): Promise<Held> {
  const writing: Writing = (write) => engine.marking(write);
  const change = (some: Partial<StoreChange>) => writeSliced(store, { ...NOTHING, ...some }, writing);
  const left = [...store.state.blocks, ...store.state.supports];
  if (left.length > 0) await change({ removed: left.map(({ id, height }) => ({ id, height })) });
  const end = { chain: history.chain().map(({ block }) => nameOf(block)), head: headOf(history) };
  const stored = new Set(history.all().filter(({ ref }) => ref !== 0));
  const supporting = [...history.supports(stored)];
  const all = [...supporting, ...history.all()];
  for (let from = 0; from < all.length; from += COPIED_AT_ONCE) {
    const some = all.slice(from, from + COPIED_AT_ONCE);
    const blocks = some.map((entry) =>
      withState(newBlock(engine.heap, entry), entry, history, entry.ref !== 0),
    );
    await change({ blocks, ...(all.length === 1 ? end : {}) });
  }
  if (all.length > 1) await change(end);
  return {
    history: history.copy(archiveOf(engine, true)),
    supports: new Map(supporting.map(({ block }) => [block.id, block])),
  };
}
