/**
 * Recovery: opens the journal of a store, and runs the blocks again that its log of inputs has and it has
 * not.
 *
 * A block is a function of its parent and of what the log keeps, and its id covers what comes out. So either
 * the same blocks are there as before, or nothing is built on what differs. Replaying writes nothing until
 * all is there: who is killed meanwhile begins again.
 */

import { LimitError, StoreError, UsageError } from "../errors.ts";
import { InputLog } from "../store/log.ts";
import type { Store } from "../store/store.ts";
import type { Step, StoreChange } from "../store/writer.ts";
import { type BlockRun, makeBlock, type Retained } from "./block.ts";
import { decodeChange } from "./change.ts";
import { BUILD } from "./checkpoint.ts";
import type { Engine } from "./engine.ts";
import type { Change, History } from "./history.ts";
import { Journal } from "./journal.ts";
import { decodeLogged, type LoggedPush } from "./logged.ts";
import type { StoreSettings } from "./options.ts";
import { rulesOf } from "./upgrade.ts";

/** The journal of a store that holds `history`, and what its log has beyond that. */
export async function openJournal(
  engine: Engine,
  history: History,
  store: Store,
  place: StoreSettings,
): Promise<Journal> {
  const { path, durability, checkpointMs } = place;
  const isLogged = durability === "logged";
  const known = engine.settings.recover === "checkpoint" ? null : store.state.log;
  if (known === null && !isLogged) {
    if (store.state.log !== null) await removeLog(engine, store);
    return new Journal(engine, history, store, durability);
  }
  const begin = known ?? (await makeLog(engine, store, place));
  const step: Step | undefined = place.steps === undefined ? undefined : (await import(place.steps)).step;
  const { log, bodies } = InputLog.read(path, begin, step);
  const journal = new Journal(engine, history, store, "logged", { log, checkpointMs });
  const { events } = journal;
  const held = { roots: () => journal.roots(), store, candidates: 0, watchers: events };
  await engine.holding(held, async () => {
    for (const body of bodies) {
      step?.("replay");
      await replay(engine, journal, body, path);
    }
    journal.draft = null;
    if (!isLogged) await journal.checkpoint();
  });
  if (isLogged) return journal;
  await journal.close();
  await removeLog(engine, store);
  return new Journal(engine, journal.history, store, durability);
}

/** Makes an empty log, and the store know it. */
async function makeLog(engine: Engine, store: Store, { path, logBytes }: StoreSettings) {
  const log = await InputLog.create(path, logBytes);
  await engine.inTurn(() => store.change({ ...NOTHING, log }));
  return log;
}

async function removeLog(engine: Engine, store: Store): Promise<void> {
  await engine.inTurn(() => store.change({ ...NOTHING, log: null }));
  await InputLog.remove(store.path);
}

/** A change that changes nothing. */
export const NOTHING: StoreChange = {
  blocks: [],
  removed: [],
  archived: [],
  pinned: [],
  unpinned: [],
  chain: [],
  head: null,
};

/** Makes the changes of a frame again. */
async function replay(engine: Engine, journal: Journal, body: Buffer, path: string): Promise<void> {
  const { build, changes } = decodeLogged(body);
  const made: Change[] = [];
  journal.draft = journal.history;
  for (const change of changes) {
    const again: Change =
      change.kind === "push"
        ? { kind: "push", entry: await runAgain(engine, journal, change, build, path) }
        : change;
    made.push(again);
    journal.draft = (journal.draft as History).apply([again]);
  }
  await journal.replayed(made);
}

/**
 * Runs a logged block on the head of the draft.
 *
 * @throws StoreError (STORE_DIVERGED)
 */
async function runAgain(
  engine: Engine,
  journal: Journal,
  { block, parent, metadata, gasLimit, rules: changed }: LoggedPush,
  build: string,
  path: string,
): Promise<Retained> {
  const { heap, genesis, settings, rulebook } = engine;
  const { head } = journal.draft as History;
  const change = changed === null ? null : decodeChange(changed);
  const makeRoom = async (): Promise<number> => ((await journal.checkpoint()) ? 1 : 0);
  const make = (run: BlockRun): Retained =>
    makeBlock(heap, genesis.id, run, block.height, head.block.id, gasLimit);
  let entry: Retained;
  try {
    const rules = await engine.inTurn(() => rulesOf(rulebook, head.rules, change, genesis.entry, settings));
    const plan = { block: { height: block.height, parent }, hints: [], signal: null, events: null, rules };
    entry = await engine.run(head.ref, metadata, gasLimit, plan, make, makeRoom);
  } catch (error) {
    // What this host lacks says nothing of the block.
    const isHost = error instanceof LimitError || error instanceof StoreError;
    if (isHost || (error instanceof UsageError && error.code === "RULES_UNKNOWN")) throw error;
    throw diverged(path, block, (error as Error).message, build);
  }
  if (entry.block.id === block.id && head.block.id === parent) return entry;
  throw diverged(path, block, entry.block.id, build);
}

function diverged(
  path: string,
  { id, height }: LoggedPush["block"],
  found: string,
  build: string,
): StoreError {
  return new StoreError(
    "STORE_DIVERGED",
    `block ${height} of the log of the store ${path} is ${id}, and running it again gives ${found}. It was ` +
      `written by ${build}, this is ${BUILD}. Nothing was changed: open it with the build that wrote it, ` +
      'or give up the blocks that are in the log alone, with the option "recover": "checkpoint"',
    { path, height, block: id, found, wroteBuild: build, build: BUILD },
  );
}
