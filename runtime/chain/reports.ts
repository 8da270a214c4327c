/**
 * Reports of batches, each to the block that it belongs to.
 *
 * A block that runs has a number, which goes with its job and with those that descend from it
 * (worker/board.ts). Reports that arrive while it runs are held until its end, when its id is known; so they
 * are delivered before its promise resolves, and blocks that run side by side do not mix theirs. The report
 * of a batch in speculative work, whose block has ended, is delivered at once, under the name of that block
 * while it is remembered.
 */

import type { Touched } from "../batch/accesses.ts";
import type { BatchReport, BlockOfBatch, UnplacedReport } from "../batch/evidence.ts";
import type { Reported } from "../record/raw.ts";
import type { Events } from "./events.ts";

/** Maximum number of ended blocks that are remembered. */
const REMEMBERED = 256;
const LAST_NUMBER = 0x7fffffff;

/** A block that runs, or has run. */
interface Run {
  /** The id once it is known. */
  block: BlockOfBatch;
  readonly events: Events | null;
  /** Null: it has ended. */
  reports: { readonly report: UnplacedReport; readonly touched: Touched | null }[] | null;
}

export class Reports {
  readonly #onBatch: ((report: BatchReport) => void) | undefined;
  readonly #runs = new Map<number, Run>();
  /** Of those that have ended, the oldest first. */
  readonly #ended: number[] = [];
  /** 1: somebody wants reports (worker.ts). */
  readonly #wanted: Int32Array;
  readonly #always: boolean;
  #watching = 0;
  #last = 0;
  /** An error that `onBatch` threw for a batch in speculative work; the next block throws it. */
  #thrown: { readonly error: unknown } | null = null;

  /** `always`: reports are wanted even without a listener. `wanted` is shared with the threads. */
  constructor(onBatch: ((report: BatchReport) => void) | undefined, always: boolean, wanted: Int32Array) {
    this.#onBatch = onBatch;
    this.#always = always || onBatch !== undefined;
    this.#wanted = wanted;
    this.watch(0);
  }

  /** Changes the number of streams of events that are open. */
  watch(more: number): void {
    this.#watching += more;
    Atomics.store(this.#wanted, 0, this.#always || this.#watching > 0 ? 1 : 0);
  }

  /** A block begins to run; its number. */
  begin(block: Omit<BlockOfBatch, "id">, events: Events | null): number {
    this.#last = this.#last === LAST_NUMBER ? 1 : this.#last + 1;
    this.#runs.set(this.#last, { block: { ...block, id: null }, events, reports: [] });
    return this.#last;
  }

  /** A report of a batch has come, and for recordings what its items touched. */
  take(report: UnplacedReport, number: number, touched: Touched | null): void {
    const run = this.#runs.get(number);
    if (run?.reports) {
      run.reports.push({ report, touched });
      return;
    }
    try {
      this.#report(report, run);
    } catch (error) {
      this.#thrown ??= { error };
    }
  }

  /**
   * The block has ended, null: without a block. Delivers its reports and returns them; throws what `onBatch`
   * throws, also for a batch in speculative work.
   */
  end(number: number, id: string | null): readonly Reported[] {
    const run = this.#runs.get(number);
    if (run === undefined || run.reports === null) return [];
    const { reports } = run;
    run.reports = null;
    run.block = { ...run.block, id };
    this.#ended.push(number);
    if (this.#ended.length > REMEMBERED) this.#runs.delete(this.#ended.shift() as number);
    const thrown = this.#thrown;
    this.#thrown = null;
    if (thrown !== null) throw thrown.error;
    return reports.map(({ report, touched }) => ({ report: this.#report(report, run), touched }));
  }

  #report(unplaced: UnplacedReport, run: Run | undefined): BatchReport {
    const block = run?.block ?? null;
    const report: BatchReport = { ...unplaced, block };
    const name = block === null || block.id === null ? null : { id: block.id, height: block.height };
    run?.events?.emit("batch", name, { report });
    this.#onBatch?.(report);
    return report;
  }
}
