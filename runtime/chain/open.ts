/** Opening a runtime: a new one runs the root to block 0, one with a store goes on where it stood. */

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createBatchMemory } from "../batch/shared.ts";
import { StoreError, UsageError } from "../errors.ts";
import { createHeap, HEADER_STORED, type Heap, type Ref, UNIT_WORDS } from "../heap/heap.ts";
import { makeStub } from "../heap/stub.ts";
import { publishProcess } from "../image/process.ts";
import { REWRITER_VERSION } from "../program/admit.ts";
import { ProgramCache } from "../program/cache.ts";
import type { BlockRecord } from "../store/record.ts";
import { type Store, Stores } from "../store/store.ts";
import type { StoreChange, Written } from "../store/writer.ts";
import { mainHeap, Pool } from "../worker/pool.ts";
import { createTimeline } from "../worker/timeline.ts";
import { Archive } from "./archive.ts";
import { inputOf, makeBlock, type Retained } from "./block.ts";
import { headOf, nameOf, newBlock } from "./changes.ts";
import { writeSliced } from "./checkpoint.ts";
import { Engine } from "./engine.ts";
import { makeGenesis } from "./genesis.ts";
import { History } from "./history.ts";
import { Journal } from "./journal.ts";
import type { Settings, StoreSettings } from "./options.ts";
import { NOTHING, openJournal } from "./replay.ts";
import { blockOf, checkBlock } from "./stored.ts";

/** What a runtime is made of. */
export interface Parts {
  readonly engine: Engine;
  readonly journal: Journal;
}

/** Starts the threads, and makes or finds the blocks. */
export async function openParts(settings: Settings): Promise<Parts> {
  const handle = createHeap(settings.heapBytes);
  const heap = mainHeap(handle);
  const { workers, views, runner, store: place } = settings;
  const { force, paranoid, steps, timing, timelineRecords } = settings.debug;
  const cache = settings.programCache ?? (place === null ? undefined : join(place.path, "programs"));
  const stores = new Stores(handle, heap);
  const loading = makeGenesis(heap, settings, new ProgramCache(cache));
  const id = loading.then((genesis) => genesis.id);
  id.catch(() => {});
  // Its thread starts meanwhile.
  const { archiveBlocks: archive } = settings;
  const opening = place === null ? null : stores.open({ ...place, archive }, id, REWRITER_VERSION);
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
      timeline: createTimeline(timelineRecords),
      batchOptions: { force, paranoid, steps, dependencies: settings.dependencies, timing },
    });
    pool.alive.hold();
    const genesis = await loading;
    publishProcess(heap, genesis.start);
    const batches = workers > 1 && runner === "parallel" ? await createBatchMemory(workers) : null;
    pool.start({ programs: genesis.programs, batches });
    store = await opening;
    const engine = new Engine(pool, genesis, settings, stores);
    const archive = archiveOf(engine, store !== null);
    const isNew = store === null || store.state.head === null;
    const held = isNew ? await firstBlock(engine) : restore(pool.heap, genesis.id, store as Store);
    const history = held.withArchive(archive);
    if (store !== null && isNew) await copyHistory(engine, history, store);
    if (store === null || place === null)
      return { engine, journal: new Journal(engine, history, null, "block") };
    return { engine, journal: await openJournal(engine, history, store, place) };
  } catch (error) {
    store ??= (await opening?.catch(() => null)) ?? null;
    await store?.close();
    await pool?.close();
    throw error;
  } finally {
    pool?.alive.release();
  }
}

/** An empty archive: in memory, or one that the store keeps. */
export function archiveOf({ heap, settings }: Engine, isStored: boolean): Archive {
  const { archiveBlocks: limit } = settings;
  if (limit === 0 || isStored) return Archive.empty(limit, null);
  return Archive.empty(limit, (entry) => ({ block: entry.block, ...inputOf(heap, entry) }));
}

async function firstBlock(engine: Engine): Promise<History> {
  const { genesis, settings, heap } = engine;
  const parent = genesis.id.toString("hex");
  const plan = { block: { height: 0, parent }, hints: [], signal: null, events: null };
  const first = await engine.run(genesis.start.ref, null, settings.gasLimit, plan, (run) => {
    const made = makeBlock(heap, genesis.id, run, 0, parent, settings.gasLimit);
    run.reports(made.block.id);
    return made;
  });
  return History.of([first], first.block);
}

/** The history that a store holds; nothing of the states is read. */
function restore(heap: Heap, genesis: Buffer, store: Store): History {
  const { head, blocks } = store.state;
  const retained = blocks.map((record) => restoreBlock(heap, genesis, store, record));
  const at = retained.findLast(({ block }) => block.id === head?.toString("hex"));
  if (at === undefined) {
    throw new StoreError(
      "STORE_CORRUPT",
      `the store ${store.path} is damaged: the block it stands at is not there. ` +
        '"stillpoint store repair" goes back to the newest intact one',
      { path: store.path, head: head?.toString("hex") ?? null },
    );
  }
  const pinned = retained.flatMap(({ block }, i) => (blocks[i]?.pinned ? [block] : []));
  return History.of(retained, at.block, pinned);
}

function restoreBlock(heap: Heap, genesis: Buffer, store: Store, record: BlockRecord): Retained {
  const { metadata, budget } = record;
  checkBlock(genesis, record);
  return {
    block: blockOf(record),
    ref: storedAs(heap, store, record.root),
    metadata: metadata === null ? 0 : storedAs(heap, store, metadata),
    budget,
  };
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
export async function copyToStore(engine: Engine, history: History, place: StoreSettings): Promise<Journal> {
  const store = await engine.openStore(place);
  if (store.state.head !== null) {
    await store.close();
    const text = `the store ${place.path} holds blocks already: a fork takes an empty directory`;
    throw new UsageError("STORE_NOT_EMPTY", text, { path: place.path });
  }
  try {
    await copyHistory(engine, history, store);
    return await openJournal(engine, history.withArchive(archiveOf(engine, true)), store, place);
  } catch (error) {
    await store.discard();
    throw error;
  }
}

/**
 * Writes a history into a store that has no head, block by block: a store without a head is empty to whoever
 * opens it, so it gets one last. Blocks that are there are left over from a copy that was killed.
 */
async function copyHistory(engine: Engine, history: History, store: Store): Promise<void> {
  const writing = (write: () => Promise<Written>) => engine.inTurn(write);
  const change = (some: Partial<StoreChange>) => writeSliced(store, { ...NOTHING, ...some }, writing);
  const { blocks } = store.state;
  if (blocks.length > 0) await change({ removed: blocks.map(({ id, height }) => ({ id, height })) });
  const end = { chain: history.chain().map(({ block }) => nameOf(block)), head: headOf(history) };
  for (const entry of history.all()) {
    const block = newBlock(engine.heap, entry, history.isPinned(entry.block));
    await change({ blocks: [block], ...(history.size === 1 ? end : {}) });
  }
  if (history.size > 1) await change(end);
}
