/** Where logs of tests lie. */

import { DirectoryStorage } from "../../runtime/log/directory.ts";
import { type LogStorage, MemoryStorage } from "../../runtime/log/storage.ts";
import type { Place } from "./chaos.ts";

/** In memory: one storage for all; closing a handle ends those who read by it. */
export function memoryPlace(): Place {
  const storage = new MemoryStorage();
  return { open: async () => new Handle(storage) };
}

export function directoryPlace(path: string): Place {
  return { open: async () => new DirectoryStorage(path) };
}

/** A storage of others, of which only those who read are ended. */
class Handle implements LogStorage {
  readonly #storage: LogStorage;
  readonly #ended = new AbortController();

  constructor(storage: LogStorage) {
    this.#storage = storage;
  }

  bounds(): ReturnType<LogStorage["bounds"]> {
    return this.#storage.bounds();
  }

  get(number: number): Promise<Uint8Array> {
    return this.#storage.get(number);
  }

  put(number: number, bytes: Uint8Array): Promise<void> {
    return this.#storage.put(number, bytes);
  }

  follow(number: number, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#storage.follow(number, AbortSignal.any([signal, this.#ended.signal]));
  }

  async close(): Promise<void> {
    this.#ended.abort();
  }
}
