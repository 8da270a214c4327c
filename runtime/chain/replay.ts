/**
 * Recovery: opens the journal of a store, and runs the blocks again that its log of inputs has and it has
 * not.
 *
 * A block is a function of its parent and of what the log keeps, and its id covers what comes out. So either
 * the same blocks are there as before, or nothing is built on what differs. A process that is killed
 * meanwhile begins again, behind a checkpoint that was made on the way, if there was one: that releases the
 * frames up to the last that had been made again, and no more.
 */

import type { Step, StoreChange } from "../store/change.ts";
import { InputLog, type LogMark } from "../store/log.ts";
import type { Store } from "../store/store.ts";
import type { Retained } from "./block.ts";
import type { Held } from "./changes.ts";
import type { Engine } from "./engine.ts";
import type { Change, History } from "./history.ts";
import { Journal } from "./journal.ts";
import { decodeLogged, type LoggedPush } from "./logged.ts";
import type { StoreSettings } from "./options.ts";
import { diverged, runAgain } from "./recompute.ts";

/** The journal of a store that holds `held`, and what its log has beyond that. */
export async function openJournal(
  engine: Engine,
  held: Held,
  store: Store,
  place: StoreSettings,
): Promise<Journal> {
  const { path, durability, checkpointMs } = place;
  const isLogged = durability === "logged";
  const known = engine.settings.recover === "checkpoint" ? null : store.state.log;
  if (known === null && !isLogged) {
    if (store.state.log !== null) await removeLog(engine, store);
    const journal = new Journal(engine, held, store);
    // A repair may have left it at a block without its state.
    await engine.holding(journal, () => journal.recompute(journal.history.head, null));
    return journal;
  }
  const begin = known ?? (await makeLog(engine, store, place));
  const step: Step | undefined = place.steps === undefined ? undefined : (await import(place.steps)).step;
  const { log, frames } = InputLog.read(path, begin, step);
  const journal = new Journal(engine, held, store, { log, checkpointMs });
  await engine.holding(journal, async () => {
    await journal.recompute(journal.history.head, null);
    for (const { body, end } of frames) {
      step?.("replay");
      await replay(engine, journal, body, end, path);
    }
    journal.draft = null;
    // The last of them may have been a revert to a block whose state is made again.
    await journal.recompute(journal.history.head, null);
    if (!isLogged) await journal.checkpoint();
  });
  if (isLogged) return journal;
  await journal.close();
  await removeLog(engine, store);
  return new Journal(engine, journal.held, store);
}

/** Makes an empty log, and the store know it. */
async function makeLog(engine: Engine, store: Store, { path, logBytes }: StoreSettings) {
  const log = await InputLog.create(path, logBytes);
  try {
    await engine.inTurn(() => store.change({ ...NOTHING, log }));
  } catch (error) {
    // The store does not know it.
    await InputLog.remove(path);
    throw error;
  }
  return log;
}

async function removeLog(engine: Engine, store: Store): Promise<void> {
  await engine.inTurn(() => store.change({ ...NOTHING, log: null }));
  await InputLog.remove(store.path);
}

/** A change that changes nothing. */
export const NOTHING: StoreChange = {
  blocks: [],
  supports: [],
  removed: [],
  archived: [],
  pinned: [],
  unpinned: [],
  chain: [],
  head: null,
};

/**
 * Makes the changes of a frame again, which ends at `end`. A block that is to be forgotten or pinned may be
 * gone already, by a repair; not one that is gone to, because there a repair ends the log.
 */
async function replay(
  engine: Engine,
  journal: Journal,
  body: Buffer,
  end: LogMark,
  path: string,
): Promise<void> {
  const { build, changes } = decodeLogged(body);
  const made: Change[] = [];
  journal.draft = journal.history;
  for (const change of changes) {
    const draft = journal.draft as History;
    if (change.kind === "push") {
      made.push({ kind: "push", entry: await runLogged(engine, journal, change, build, path) });
    } else if (change.kind === "goTo" || draft.get(change.block) !== undefined) {
      made.push(change);
      journal.draft = draft.apply([change]);
    }
  }
  await journal.replayed(made, end);
}

/**
 * Runs a logged block on the head of the draft.
 *
 * @throws StoreError (STORE_DIVERGED)
 */
async function runLogged(
  engine: Engine,
  journal: Journal,
  { block, parent, metadata, gasLimit, rules: change }: LoggedPush,
  build: string,
  path: string,
): Promise<Retained> {
  const draft = journal.draft as History;
  const { head } = draft;
  const again = { block, metadata, gasLimit, change, build, path };
  if (head.block.id !== parent) throw diverged(again, `a block on ${head.block.id}, not on ${parent}`);
  const makeRoom = async (): Promise<number> => ((await journal.checkpoint()) ? 1 : 0);
  await journal.recompute(head, null);
  return runAgain({ engine, genesis: engine.genesis, signal: null, makeRoom }, head, again, (entry) => {
    journal.draft = draft.apply([{ kind: "push", entry }]);
  });
}
