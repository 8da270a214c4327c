/** Where logs of tests lie. */

import { DirectoryStorage } from "../../runtime/log/directory.ts";
import { type LogStorage, MemoryStorage } from "../../runtime/log/storage.ts";

/** Where a log lies: each opening is another handle on the same entries. */
export interface Place {
  open(): Promise<LogStorage>;
}

/** In memory: one storage for all; closing a handle ends those who read by it. */
export function memoryPlace(): Place {
  const storage = new MemoryStorage();
  return { open: async () => handle(storage) };
}

export function directoryPlace(path: string): Place {
  return { open: async () => new DirectoryStorage(path) };
}

/** A storage that does otherwise where it is told to. */
export function changed(storage: LogStorage, change: Partial<LogStorage>): LogStorage {
  return {
    bounds: () => storage.bounds(),
    get: (number) => storage.get(number),
    put: (number, bytes) => storage.put(number, bytes),
    follow: (number, signal) => storage.follow(number, signal),
    close: () => storage.close(),
    ...change,
  };
}

/** A storage of others, of which only those who read are ended. */
function handle(storage: LogStorage): LogStorage {
  const ended = new AbortController();
  return changed(storage, {
    follow: (number, signal) => storage.follow(number, AbortSignal.any([signal, ended.signal])),
    close: async () => ended.abort(),
  });
}
