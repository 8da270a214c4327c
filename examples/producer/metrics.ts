/** What the node counts, as the text that Prometheus reads, before what the runtime does. */

import type { Produced } from "../../runtime/app/index.ts";
import type { Listener } from "../../runtime/http/listener.ts";
import { Times } from "../../runtime/index.ts";
import { Exposition, metricsText } from "../../runtime/observe/index.ts";
import type { Bank } from "./bank.ts";
import type { Mempool } from "./mempool.ts";
import type { Turn } from "./turn.ts";

/** What is looked at when somebody asks. */
export interface Watched {
  readonly bank: Bank;
  readonly mempool: Mempool;
  readonly turn: Turn;
  readonly listener: () => Pick<Listener, "openRequests">;
}

export class Metrics {
  readonly #watched: Watched;
  readonly #times = new Times();
  #paid = 0;
  #failed = 0;
  #errors = 0;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  block({ outcomes }: Produced, ms: number): void {
    this.#times.add(ms / 1000);
    const paid = outcomes.filter(({ ok }) => ok).length;
    this.#paid += paid;
    this.#failed += outcomes.length - paid;
  }

  /** A block could not be made. */
  error(): void {
    this.#errors++;
  }

  async text(): Promise<string> {
    const { bank, mempool, turn, listener } = this.#watched;
    const { writes, term, lag } = await turn.standing();
    const page = new Exposition("producer");
    page.gauge("writes", "1 if this node makes the blocks, 0 if it follows.", Number(writes));
    page.gauge("term", "Term of the log's writer; 0 without a log.", term);
    page.gauge("lag", "Blocks of the log that are not here yet.", lag);
    page.gauge("waiting", "Payments that are checked or wait for a block.", mempool.size);
    page.gauge("open_requests", "Requests that are not answered.", listener().openRequests);
    page.counter("paid_total", "Payments made.", this.#paid);
    page.counter("failed_total", "Payments that failed in their block.", this.#failed);
    page.counter("errors_total", "Blocks that could not be made.", this.#errors);
    page.histogram("block_seconds", "Time to make a block and write it.", this.#times.histogram);
    return page.text() + metricsText(bank.runtime);
  }
}
