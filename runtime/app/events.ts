/** What an app tells of what happens to it: events of transactions, as their blocks become the chain's. */

import type { Block, EventStream } from "../index.ts";
import type { Outcome } from "../typed/client.ts";
import type { AppEvent } from "./options.ts";

/** The events of a runtime, in an app's words. */
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
