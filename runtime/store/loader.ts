/**
 * The loader: the thread that reads objects from the stores of a heap when other threads need them
 * (heap/stub.ts says how they ask). It sleeps in between, and does nothing while a collection runs.
 *
 * Threads that run guests do not read stores themselves: they may be killed at any moment, and lmdb is not
 * made for that.
 */

import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import {
  CONTROL_REQUEST_LIST,
  Heap,
  type HeapHandle,
  KIND_STUB,
  REQUESTS_LIMIT,
  UNIT_WORDS,
} from "../heap/heap.ts";
import {
  LOADER_BUSY,
  LOADER_PAUSED,
  LOADER_READY,
  LOADER_SIGNAL,
  LOADER_STATE,
  STUB_TARGET,
} from "../heap/stub.ts";
import { Database } from "./database.ts";
import { DirectLoader } from "./load.ts";

/** What the loader is started with. */
export interface LoaderData {
  readonly heap: HeapHandle;
  readonly owner: number;
}

/** What it is told: to read from one more store, or from one less, or to end. */
export type LoaderMessage =
  | {
      readonly what: "add";
      readonly path: string;
      readonly bit: number;
    }
  | { readonly what: "remove"; readonly bit: number }
  | { readonly what: "end" };

const port = parentPort as NonNullable<typeof parentPort>;
const { heap: handle, owner } = workerData as LoaderData;
const heap = new Heap(handle, owner);
const { control } = heap;
const loader = new DirectLoader(heap, []);
heap.loader = loader;

/** Reads messages; whether to go on. */
async function obey(): Promise<boolean> {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    const message = next.message as LoaderMessage;
    if (message.what === "add") {
      const { path, bit } = message;
      const database = new Database(path);
      loader.sources.push({ database, bit });
    } else {
      const leaving = loader.sources.filter(({ bit }) => message.what === "end" || bit === message.bit);
      for (const source of leaving) {
        loader.sources.splice(loader.sources.indexOf(source), 1);
        await source.database.close();
      }
    }
    port.postMessage("done");
    if (message.what === "end") return false;
  }
  return true;
}

/** Brings in what was asked for; whether there was anything. */
function serve(): boolean {
  let served = 0;
  for (let place = CONTROL_REQUEST_LIST; place < CONTROL_REQUEST_LIST + REQUESTS_LIMIT; place++) {
    const stub = (control[place] as number) >>> 0;
    if (stub === 0) continue;
    Atomics.store(control, LOADER_STATE, LOADER_BUSY);
    // A collection says that it begins, and looks at our state then; we look the other way round.
    const paused = Atomics.load(control, LOADER_PAUSED) === 1;
    if (!paused && Atomics.load(control, place) >>> 0 === stub && heap.kind(stub) === KIND_STUB) {
      loader.bring(stub);
      wake(stub);
      Atomics.store(control, place, 0);
      served++;
    }
    Atomics.store(control, LOADER_STATE, LOADER_READY);
    Atomics.notify(control, LOADER_STATE);
    if (paused) return false;
  }
  return served > 0;
}

const ints = new Int32Array(handle.memory, 0, handle.memory.byteLength / 4);

function wake(stub: number): void {
  Atomics.notify(ints, stub * UNIT_WORDS + STUB_TARGET);
}

/** How long objects of an old state stay readable for nothing. */
const IDLE_MS = 1000;

Atomics.store(control, LOADER_STATE, LOADER_READY);
for (;;) {
  const signal = Atomics.load(control, LOADER_SIGNAL);
  if (!(await obey())) break;
  if (serve()) continue;
  for (const { database } of loader.sources) database.refresh();
  Atomics.wait(control, LOADER_SIGNAL, signal, IDLE_MS);
}
