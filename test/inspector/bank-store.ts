/** A store of the bank of typed/project.ts: with a side branch, pins, and a failure in each block. */

import { join } from "node:path";
import { App, type Contracts } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { Listener } from "../../runtime/http/listener.ts";
import type { StoreOptions } from "../../runtime/index.ts";
import {
  inspectorRoutes,
  Recorded,
  recordOfStore,
  Source,
  traceOfStore,
} from "../../runtime/inspector/index.ts";
import { openReader, type Reader } from "../../runtime/store.ts";
import { everyState } from "../store/directory.ts";
import { BANK, project } from "../typed/project.ts";

export const PEOPLE = Array.from({ length: 8 }, (_, i) => `0x${(0xa0 + i).toString(16).repeat(20)}` as const);
export const [ALICE, BOB] = PEOPLE as unknown as [`0x${string}`, `0x${string}`];
/** Height of the head. Block 1 makes the app, block 2 the money. */
export const TOP = 7;
/** Where the side branch begins, and how long it is. */
export const FORK = 4;
export const SIDE = 2;
/** Where a difference is planted. */
export const PLANTED = 6;
/** Transactions of each block from the third on; the last fails. */
export const TRANSACTIONS = 6;

let program: Promise<Uint8Array> | null = null;

/** An App of the bank in this store, or in memory; its sources are known to this process. */
export async function openBank(store?: string | StoreOptions): Promise<App> {
  program ??= compileGuest(join(project({ "bank.ts": BANK }), "bank.ts"));
  return App.open({
    program: await program,
    workers: 2,
    ...(store === undefined ? {} : { store: typeof store === "string" ? everyState(store) : store }),
  });
}

/** Submits what a block has: payments to the next but one, of `amount`, and one that cannot be paid. */
export function submit(app: App, amount: bigint): void {
  const bank = app.client.Bank as Contracts[string] & Record<string, (args?: object) => never>;
  for (let i = 0; i < TRANSACTIONS; i++) {
    const from = PEOPLE[i % 4] as `0x${string}`;
    const to = PEOPLE[(i * 2 + 1) % PEOPLE.length];
    const much = i === TRANSACTIONS - 1 ? 1_000_000n : amount;
    app.submit(bank.pay?.({ from, to, amount: much }) as never, { from });
  }
}

/** Makes the store; `planted` is added to the payments of one block. */
export async function makeStore(path: string, planted = 0n): Promise<void> {
  const app = await openBank(path);
  await fill(app, planted);
  await app.close();
}

/** Makes the blocks of the store. */
export async function fill(app: App, planted = 0n): Promise<void> {
  const bank = app.client.Bank as Contracts[string] & Record<string, (args?: object) => never>;
  for (const to of PEOPLE) app.submit(bank.mint?.({ to, amount: 1000n }) as never, { from: ALICE });
  await app.produce({ time: 1000 });
  const produce = (amount: bigint): Promise<unknown> => {
    submit(app, amount);
    return app.produce({ time: 1000 * (app.head.height + 1) });
  };
  while (app.head.height < FORK + SIDE) await produce(2n);
  await app.runtime.pin(app.head);
  await app.revert(FORK);
  await app.runtime.pin(app.head);
  while (app.head.height < TOP) await produce(app.head.height + 1 === PLANTED ? 3n + planted : 3n);
}

/** What the inspector shows of a store, and the reader that it reads through. */
export async function sourceOf(
  path: string,
  others: Readonly<Record<string, Reader>> = {},
  name = path,
): Promise<{ readonly source: Source; readonly reader: Reader }> {
  const reader = await openReader(path);
  const recordings = new Recorded(path);
  const source = new Source({
    ...{ name, kind: "store", chain: reader, others },
    trace: (block, signal) => traceOfStore(reader, block, signal),
    recorded: (block) => recordings.of(block),
    record: (block, signal) => recordOfStore(reader, block, signal),
  });
  return { source, reader };
}

/** The inspector on a port of its own. */
export async function serve(source: Source): Promise<Listener> {
  return Listener.open(await inspectorRoutes(source));
}
