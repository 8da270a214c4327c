/** The event stream of an app: events of transactions, once their blocks are on the chain, and reverts. */

import type { Block, EventStream } from "../index.ts";
import type { Outcome } from "../typed/client.ts";
import type { AppEvent } from "./options.ts";

/** The events of an app, from those of its runtime. */
export async function* appEvents(
  stream: EventStream,
  outcomesOf: (block: Block) => readonly (Outcome | null)[],
): AsyncGenerator<AppEvent, void, undefined> {
  for await (const event of stream) {
    if (event.kind === "revert") {
      yield { kind: "revert", height: event.height as number, block: event.block as string };
    } else if (event.kind === "lost") {
      yield { kind: "lost", count: event.count };
    } else if (event.kind === "commit") {
      const block = event.made;
      for (const [transaction, outcome] of outcomesOf(block).entries()) {
        if (outcome?.ok !== true) continue;
        for (const each of outcome.events) yield { kind: "event", block, transaction, ...each };
      }
    }
  }
}
