/** What the node counts, as the text that Prometheus reads. */

import type { Produced } from "../../runtime/app/index.ts";
import type { Listener } from "../../runtime/http/listener.ts";
import type { Bank } from "./bank.ts";
import type { Mempool } from "./mempool.ts";
import type { Turn } from "./turn.ts";

/** Upper bounds of the histogram of block times, in seconds. */
const BOUNDS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** What is looked at when somebody asks. */
export interface Watched {
  readonly bank: Bank;
  readonly mempool: Mempool;
  readonly turn: Turn;
  readonly listener: () => Pick<Listener, "openRequests">;
}

export class Metrics {
  readonly #watched: Watched;
  readonly #times = BOUNDS.map(() => 0);
  #blocks = 0;
  #seconds = 0;
  #paid = 0;
  #failed = 0;
  #errors = 0;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  block({ outcomes }: Produced, ms: number): void {
    this.#blocks++;
    this.#seconds += ms / 1000;
    for (const [i, bound] of BOUNDS.entries()) if (ms / 1000 <= bound) (this.#times[i] as number)++;
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
    const { views, collections, heapUsedBytes, heapLimitBytes, workersDied, batches } =
      bank.runtime.metrics();
    const lines: string[] = [];
    const metric = (type: "counter" | "gauge", name: string, help: string, value: number): void => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, `${name} ${value}`);
    };
    metric("gauge", "producer_height", "Height of the latest block.", bank.head.height);
    metric("gauge", "producer_writes", "1 if this node makes the blocks, 0 if it follows.", Number(writes));
    metric("gauge", "producer_term", "Term of the log's writer; 0 without a log.", term);
    metric("gauge", "producer_lag", "Blocks of the log that are not here yet.", lag);
    metric("gauge", "producer_waiting", "Payments that are checked or wait for a block.", mempool.size);
    metric("gauge", "producer_open_requests", "Requests that are not answered.", listener().openRequests);
    metric("counter", "producer_paid_total", "Payments made.", this.#paid);
    metric("counter", "producer_failed_total", "Payments that failed in their block.", this.#failed);
    metric("counter", "producer_errors_total", "Blocks that could not be made.", this.#errors);
    metric("counter", "producer_views_total", "Views that have ended.", views);
    metric("counter", "producer_collections_total", "Collections of the heap.", collections);
    metric("counter", "producer_workers_died_total", "Threads that died and were replaced.", workersDied);
    metric("counter", "producer_items_total", "Items of batches.", batches.items);
    metric("gauge", "producer_heap_used_bytes", "Heap in use.", heapUsedBytes);
    metric("gauge", "producer_heap_limit_bytes", "Capacity of the heap.", heapLimitBytes);
    const name = "producer_block_seconds";
    lines.push(`# HELP ${name} Time to make a block and write it.`, `# TYPE ${name} histogram`);
    for (const [i, bound] of BOUNDS.entries()) lines.push(`${name}_bucket{le="${bound}"} ${this.#times[i]}`);
    lines.push(`${name}_bucket{le="+Inf"} ${this.#blocks}`);
    lines.push(`${name}_sum ${this.#seconds}`, `${name}_count ${this.#blocks}`);
    return `${lines.join("\n")}\n`;
  }
}
