/**
 * The thread of the stores of a heap: it writes (writer.ts) what the main thread asks for, and loads
 * objects that other threads need (heap/stub.ts says how they ask). One thing after the other; it sleeps in
 * between, and loads nothing while a collection runs.
 *
 * Threads that run guests do not read stores themselves: they may be killed at any moment, and lmdb is not
 * made for that.
 */

import { parentPort, workerData } from "node:worker_threads";
import { CONTROL_REQUEST_LIST, Heap, KIND_STUB, REQUESTS_LIMIT, UNIT_WORDS } from "../heap/heap.ts";
import {
  LOADER_BUSY,
  LOADER_PAUSED,
  LOADER_READY,
  LOADER_SIGNAL,
  LOADER_STATE,
  STUB_TARGET,
} from "../heap/stub.ts";
import type { Step } from "./change.ts";
import { storeFailure } from "./failures.ts";
import { DirectLoader } from "./load.ts";
import { type Answer, buffers, type Call, type StorePlace, type ThreadData } from "./message.ts";
import { Writer } from "./writer.ts";

/** Looks for requests before it sleeps: a thread that got one object often needs the next at once. */
const SPINS = 2000;

const port = parentPort as NonNullable<typeof parentPort>;
const { heap: handle, owner } = workerData as ThreadData;
const heap = new Heap(handle, owner);
const { control } = heap;
const ints = new Int32Array(handle.memory, 0, handle.memory.byteLength / 4);
const loader = new DirectLoader(heap, []);
heap.loader = loader;
const writers = new Map<number, Writer>();

// ---- writing ----------------------------------------------------------------------------------------------

async function perform({ number, bit, method, args }: Call): Promise<unknown> {
  if (method === "open") {
    const [place, genesis] = buffers(args) as [StorePlace, Buffer | null];
    const step: Step = place.steps === undefined ? () => {} : (await import(place.steps)).step;
    const opened = new Writer(place, genesis, heap, bit, step, loader.sources);
    writers.set(bit, opened);
    loader.sources.push({ database: opened.database, bit });
    return opened.state;
  }
  const writer = writers.get(bit);
  // Closing one that could not be opened.
  if (writer === undefined) return undefined;
  if (method === "close" || method === "discard") {
    writers.delete(bit);
    loader.sources.splice(
      loader.sources.findIndex((source) => source.bit === bit),
      1,
    );
  }
  writer.hasRead = () => port.postMessage({ number, hasRead: true } satisfies Answer);
  return (writer[method as "change"] as (...all: unknown[]) => unknown)(...(buffers(args) as unknown[]));
}

/** Calls are done in the order in which they came. */
let calls: Promise<void> = Promise.resolve();
port.on("message", (call: Call) => {
  calls = calls.then(async () => {
    const { number, method, args } = call;
    if (method === "end") {
      port.close();
      return;
    }
    try {
      port.postMessage({ number, result: await perform(call) } satisfies Answer);
    } catch (error) {
      const path = method === "open" ? (args[0] as StorePlace).path : (writers.get(call.bit)?.path ?? "");
      const { code, message, facts } = storeFailure(error, path);
      port.postMessage({ number, error: { code, message, facts } } satisfies Answer);
    }
  });
});

// ---- loading ------------------------------------------------------------------------------------------

/** Loads what was asked for; whether there was anything. */
function serve(): boolean {
  let served = false;
  for (let place = CONTROL_REQUEST_LIST; place < CONTROL_REQUEST_LIST + REQUESTS_LIMIT; place++) {
    const stub = (control[place] as number) >>> 0;
    if (stub === 0) continue;
    Atomics.store(control, LOADER_STATE, LOADER_BUSY);
    // A collection says that it begins, and looks at our state then; we look the other way round.
    const paused = Atomics.load(control, LOADER_PAUSED) === 1;
    if (!paused && Atomics.load(control, place) >>> 0 === stub && heap.kind(stub) === KIND_STUB) {
      loader.bring(stub);
      Atomics.notify(ints, stub * UNIT_WORDS + STUB_TARGET);
      Atomics.store(control, place, 0);
      served = true;
    }
    Atomics.store(control, LOADER_STATE, LOADER_READY);
    Atomics.notify(control, LOADER_STATE);
    if (paused) return false;
  }
  return served;
}

async function serveAlways(): Promise<void> {
  for (;;) {
    let signal = Atomics.load(control, LOADER_SIGNAL);
    // Before the first store is open nothing can be loaded.
    while (writers.size > 0 && serve()) {
      for (let spins = 0; spins < SPINS && signal === Atomics.load(control, LOADER_SIGNAL); spins++);
      signal = Atomics.load(control, LOADER_SIGNAL);
    }
    // What it has read is not held while it sleeps.
    for (const { database } of loader.sources) database.refresh();
    const waiting = Atomics.waitAsync(control, LOADER_SIGNAL, signal);
    if (waiting.async) await waiting.value;
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

void serveAlways();
