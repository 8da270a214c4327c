/** Dependencies that batches report, for replicas that make the same blocks after this runtime. */

import { setImmediate as turn } from "node:timers/promises";
import type { Block, EventStream, Hints, Runtime } from "../index.ts";

/** Blocks of which nobody has asked yet. */
const KEPT = 64;

/** Dependencies that the batches of candidates have reported, by block. */
export class LearntHints {
  readonly #hints = new Map<string, Hints[]>();
  readonly #events: EventStream;

  constructor(runtime: Runtime) {
    this.#events = runtime.events();
    void this.#listen();
  }

  /** Hears no more. */
  close(): void {
    void this.#events.return();
  }

  async #listen(): Promise<void> {
    for await (const event of this.#events) {
      if (event.kind !== "batch" || event.block === null || event.report.dependencies === null) continue;
      const list = this.#hints.get(event.block) ?? [];
      list.push(event.report);
      this.#hints.set(event.block, list);
      for (const [oldest] of this.#hints) if (this.#hints.size > KEPT) this.#hints.delete(oldest);
    }
  }

  /** Those of a block that has just been made. */
  async take({ id }: Block): Promise<readonly Hints[]> {
    await turn(); // the event was emitted, and is read in this turn
    const hints = this.#hints.get(id) ?? [];
    this.#hints.delete(id);
    return hints;
  }
}
