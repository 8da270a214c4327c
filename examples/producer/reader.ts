/**
 * A reader: another process on the producer's machine, which reads the same store. It runs nothing and
 * cannot slow the producer down. It answers reads with proofs, so that these cost the producer no time, and
 * reports what becomes of the head.
 */

import { Listener, type ListenOptions } from "../../runtime/http/listener.ts";
import type { Block } from "../../runtime/index.ts";
import { type FollowEvent, openReader, type Reader } from "../../runtime/store.ts";
import { bankProgram } from "./bank.ts";
import { readRoutes } from "./routes.ts";

/** What is read, and the callbacks. */
export interface ReaderOptions extends ListenOptions {
  readonly store: string;
  readonly onEvent?: (event: FollowEvent) => void;
}

export class ReadingNode {
  readonly #reader: Reader;
  readonly #listener: Listener;
  readonly #following: Promise<void>;

  private constructor(reader: Reader, listener: Listener, following: Promise<void>) {
    this.#reader = reader;
    this.#listener = listener;
    this.#following = following;
  }

  static async open({ store, onEvent, ...listen }: ReaderOptions): Promise<ReadingNode> {
    const reader = await openReader(store);
    try {
      // Reads use one block until the next one was reported.
      let head: Block = reader.head;
      const listener = await Listener.open(
        readRoutes(await bankProgram(), reader, () => head),
        listen,
      );
      const following = (async () => {
        for await (const event of reader.follow({ from: head })) {
          // Not every block has its state in the store; the latest there has.
          head = reader.head;
          onEvent?.(event);
        }
      })();
      return new ReadingNode(reader, listener, following);
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  get url(): string {
    return this.#listener.url;
  }

  /** Rejects if the store cannot be followed any longer. */
  get following(): Promise<void> {
    return this.#following;
  }

  async stop(): Promise<void> {
    await this.#listener.close();
    await this.#reader.close();
    await this.#following;
  }
}
