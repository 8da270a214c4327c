/**
 * The pool: the worker threads of a runtime, and what the main thread does for them.
 *
 * The main thread posts jobs, waits for their ends without blocking its event loop, replaces threads that
 * died, and puts the board right after them. It never runs guest code.
 */

import { Piscina } from "piscina";
import type { Touched } from "../batch/accesses.ts";
import { type BatchCounters, createCounters, readCounters, type UnplacedReport } from "../batch/evidence.ts";
import { type Hints, writeHints } from "../batch/hints.ts";
import type { BatchOptions } from "../batch/runner.ts";
import { type BatchMemory, recoverBatches } from "../batch/shared.ts";
import {
  assert,
  type Facts,
  KernelPanic,
  LimitError,
  type StillpointError,
  StoreError,
  UsageError,
} from "../errors.ts";
import { Heap, type HeapHandle, type Ref } from "../heap/heap.ts";
import { RequestLoader } from "../heap/stub.ts";
import { FIRST_COSTS } from "../kernel/gas.ts";
import type { FirstRules, ProgramHandle } from "../kernel/program.ts";
import { SLOTS_MOST, type SlotLimits } from "../kernel/slots/slot-pool.ts";
import { WORKER_STACK_BYTES } from "../limits.ts";
import { threadEnvironment } from "../thread-env.ts";
import { Alive } from "./alive.ts";
import { Board, createBoard, MAIN_THREAD } from "./board.ts";
import { type Memo, type NewJob, NO_ENTRY } from "./job.ts";
import { NO_RECORD } from "./timeline.ts";
import { Views } from "./views.ts";
import type { WorkerTask } from "./worker.ts";

/** Thread ids of a heap's main thread: never 0, which means "no owner" there. */
const MAIN_HEAP_OWNER = 0x7fffffff;
/** Deaths of threads during one job after which it is given up: something kills each thread that runs it. */
const DEATHS_LIMIT = 100;
/** How long closing waits for threads that start. */
const START_PATIENCE_MS = 10_000;
/** Threads that may die before they have started until the next one is started with a delay. */
const START_FAILURES_LIMIT = 10;

// Below node_modules Node strips no types: the packed package is JavaScript.
const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
const workerFile = new URL(`./worker.${extension}`, import.meta.url).href;

/** Turns of the event loop that a report may take to come. */
const REPORT_TURNS = 100;

export interface PoolOptions {
  readonly heap: HeapHandle;
  readonly workers: number;
  /** Threads besides, which serve views and nothing else. */
  readonly views: number;
  /** Number of threads that start at once; the others start when a job wants help or has been done. */
  readonly atOnce: number;
  /** Where the threads write down when they did what (timeline.ts). */
  readonly timeline: SharedArrayBuffer | null;
  readonly batchOptions: Omit<BatchOptions, "counters" | "slots">;
}

/** What the threads need to begin. */
export interface PoolWork {
  /** Those of the first rules. */
  readonly programs: readonly ProgramHandle[];
  readonly rules: FirstRules;
  /** For batches in parallel. */
  readonly batches: BatchMemory | null;
  /** How many instances each pool of a thread keeps. */
  readonly slots: SlotLimits;
}

const NO_WORK = { programs: [], batches: null, slots: SLOTS_MOST };

export class Pool {
  readonly heap: Heap;
  readonly views: Views;
  readonly #options: PoolOptions;
  /** Keeps the process alive while somebody waits for something. */
  readonly alive = new Alive();
  readonly #memory = createBoard();
  readonly #board: Board;
  readonly #piscina: Piscina;
  /** Unreferences the ports of piscina's threads, by thread. */
  readonly #ports = new Map<number, () => void>();
  /** The threads' long tasks, by our own id: settled when the thread has died and all is put right. */
  readonly #running = new Map<number, Promise<void>>();
  /** The threads that run their long task: thread id and our own id. */
  readonly #started = new Map<number, number>();
  /** Our own ids of those that do not run it yet. */
  readonly #starting = new Set<number>();
  /** Of those that are to end because nobody wants what they do. */
  readonly #unwanted = new Set<number>();
  #lastId = 0;
  /** Number of threads that were started, without those that replace others. */
  #count = 0;
  #viewsStarted = false;
  #deaths = 0;
  #lastDeath: unknown;
  #startedCount = 0;
  readonly #counters = createCounters();
  /** Called after the death of threads, with their number. */
  onDeath: (deaths: number) => void = () => {};
  /** Called with the report of every batch, the number of its block, and what its items touched. */
  onReport: (report: UnplacedReport, run: number, touched: Touched | null) => void = () => {};
  /** Reports of batches: how many threads have sent; 1: they are wanted; 1: batches run in the loop. */
  readonly #sent = new SharedArrayBuffer(12);
  /** How many have come. */
  #reports = 0;
  /** Hints of the blocks in progress, by their numbers. */
  readonly #hints = new Map<number, readonly Hints[]>();
  #work: PoolWork | null = null;
  #closed = false;

  /** The first threads load their code until `start` gives them work. */
  constructor(options: PoolOptions) {
    const { workers, views, atOnce } = options;
    this.#options = options;
    this.heap = mainHeap(options.heap);
    this.#board = new Board(this.#memory, MAIN_THREAD);
    this.views = new Views(this.heap, this.#board, {
      count: views,
      deaths: () => this.#deaths,
      start: () => this.#startViews(),
      end: (id) => this.#end(id),
      revive,
    });
    this.#piscina = new Piscina({
      filename: workerFile,
      env: threadEnvironment(),
      minThreads: Math.min(workers, atOnce),
      maxThreads: workers + views,
      concurrentTasksPerWorker: 1,
      resourceLimits: { stackSizeMb: WORKER_STACK_BYTES / (1 << 20) },
    });
    this.#piscina.on("workerCreate", (worker: PiscinaThread) => this.#ports.set(worker.id, portOf(worker)));
    this.#piscina.on("message", ({ started, id, report, touched, run, help }) => {
      if (help !== undefined) {
        this.#startUpTo(workers);
        return;
      }
      if (report !== undefined) {
        this.#reports++;
        this.onReport(report, run, touched);
        return;
      }
      this.#started.set(started, id);
      this.#hasStarted(id);
      // Its task has no end, for which piscina would keep the process alive.
      this.#ports.get(started)?.();
      this.#startedCount++;
      if (this.#unwanted.has(id)) this.#terminate(id);
    });
  }

  #hasStarted(id: number): void {
    if (this.#starting.delete(id)) this.alive.release();
  }

  /** Lets the threads begin. */
  start(work: PoolWork): void {
    this.#work = work;
    this.#startUpTo(this.#piscina.minThreads);
  }

  #startUpTo(count: number): void {
    // One thread does no speculative work.
    while (this.#count < count && !this.#closed) this.#start(this.#count++ > 0 ? "advance" : "blocks");
  }

  #startViews(): void {
    if (this.#viewsStarted) return;
    this.#viewsStarted = true;
    for (let i = 0; i < this.#options.views; i++) this.#start("views");
  }

  /** Where the threads write down when they did what. */
  get timeline(): SharedArrayBuffer | null {
    return this.#options.timeline;
  }

  /**
   * Runs a job on some thread; the reference of its result. When `abort` is aborted meanwhile, the job is
   * given up, and the threads that work for it are ended.
   */
  async run(job: NewJob, abort: AbortSignal | null = null): Promise<Ref> {
    if (abort?.aborted) throw cancelled(abort);
    const wake = (): void => this.#board.signals.raiseMain();
    abort?.addEventListener("abort", wake);
    try {
      return await this.#run(job, abort);
    } finally {
      abort?.removeEventListener("abort", wake);
    }
  }

  async #run(job: NewJob, abort: AbortSignal | null): Promise<Ref> {
    const board = this.#board;
    const deathsBefore = this.#deaths;
    const entry = await this.#post(job);
    for (;;) {
      const signal = board.signals.readMain();
      const outcome = board.take(entry, job.start, false);
      if (outcome.state === "done") {
        this.#startUpTo(this.#options.workers);
        await this.#reported();
        return outcome.result;
      }
      if (outcome.state === "failed") throw revive(outcome.error);
      if (abort?.aborted === true) {
        await this.#giveUp(entry);
        throw cancelled(abort);
      }
      if (this.#deaths - deathsBefore > DEATHS_LIMIT) {
        await this.#giveUp(entry);
        throw new LimitError(
          "WORKERS_DIED",
          `${DEATHS_LIMIT} worker threads died while this block ran, of what the cause says; it was given up`,
          { deaths: this.#deaths - deathsBefore },
          { cause: this.#lastDeath },
        );
      }
      await board.signals.sleepMain(signal);
    }
  }

  /** Nobody wants the job any more: ends the thread that runs it, if one does, and all that work for it. */
  async #giveUp(entry: number): Promise<void> {
    const id = this.#board.withdraw(entry);
    if (id !== 0) await this.#end(id);
  }

  /** Ends a thread, and those that continued for nobody because it did. */
  async #end(id: number): Promise<void> {
    this.#unwanted.add(id);
    this.#terminate(id);
    await this.#running.get(id);
  }

  /** Ends a thread that has reported that it runs; otherwise that is done when it does. */
  #terminate(id: number): void {
    this.#piscina.threads.find(({ threadId }) => this.#started.get(threadId) === id)?.terminate();
  }

  /** Reports that were sent have come: in a later turn at the latest, unless their thread has died. */
  async #reported(): Promise<void> {
    const sent = Atomics.load(new Int32Array(this.#sent), 0);
    for (let turn = 0; turn < REPORT_TURNS && this.#reports < sent; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#reports = Math.max(this.#reports, sent);
  }

  /** Where 1 says that reports are wanted. */
  get reportsWanted(): Int32Array {
    return new Int32Array(this.#sent, 4);
  }

  /** Whether batches run their items one after the other, which makes less of the heap. */
  set loops(value: boolean) {
    Atomics.store(new Int32Array(this.#sent), 2, value ? 1 : 0);
  }

  /** What the batches come to that ran so far. */
  get batchCounters(): BatchCounters {
    return readCounters(this.#counters);
  }

  /** Leaves hints for the batches of a block that begins, beside those of others; none: it has ended. */
  hint(run: number, hints: readonly Hints[]): void {
    const { batches } = this.#work as PoolWork;
    const had = this.#hints.delete(run);
    if (hints.length > 0) this.#hints.set(run, hints);
    else if (!had) return;
    if (batches !== null) writeHints(batches.hints, [...this.#hints.values()].flat());
  }

  /** Waits while there are as many blocks in progress as the board holds. */
  async #post(job: NewJob): Promise<number> {
    for (;;) {
      const signal = this.#board.signals.readMain();
      const own = { path: [], parent: NO_ENTRY, origin: NO_RECORD };
      const entry = this.#board.post({ run: 0, rules: 0, upgrade: 0, ...job, ...own });
      if (entry !== NO_ENTRY) return entry;
      await this.#board.signals.sleepMain(signal);
    }
  }

  /** How many threads are at work but on views; between blocks: speculatively, or for nobody. */
  get threadsAtWork(): number {
    return this.#board.working(false).size;
  }

  /** How many threads run views. */
  get viewsAtWork(): number {
    return this.#board.working().size - this.threadsAtWork;
  }

  /** Threads that died so far. */
  get deaths(): number {
    return this.#deaths;
  }

  /** How many results of speculative work were used so far. */
  get speculativeUsed(): number {
    return this.#board.used;
  }

  /** How many results of speculative work wait to be used. */
  get speculativeReady(): number {
    return this.#board.memos().filter((memo) => memo.result !== 0).length;
  }

  /** The speculative jobs that no thread is at work on, with what they name in the heap. */
  memos(): Memo[] {
    return this.#board.memos();
  }

  /** Stops or allows the beginning of speculative work. */
  pauseAdvance(paused: boolean): void {
    this.#board.pause(paused);
  }

  /** Ends the threads at work, while no block is in progress; speculative work starts again later. */
  async stopWork(): Promise<void> {
    for (let ids = this.#board.working(); ids.size > 0; ids = this.#board.working()) {
      const threads = this.#piscina.threads.filter((thread) =>
        ids.has(this.#started.get(thread.threadId) ?? 0),
      );
      await Promise.all(threads.map((thread) => thread.terminate()));
      // The board is repaired when piscina reports the deaths, in a later turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /**
   * Kills one of the worker threads, as an out-of-memory condition might; for tests of recovery. Threads that
   * are still starting are spared: piscina replaces none after one of those died.
   */
  async kill(index: number): Promise<void> {
    const threads = this.#piscina.threads.filter((thread) => this.#started.has(thread.threadId));
    const thread = threads[index % threads.length];
    if (thread === undefined) return;
    this.#started.delete(thread.threadId);
    await this.alive.until(thread.terminate());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#board.signals.stop();
    // Node aborts the whole process when a thread is ended while it loads its first module.
    if (this.#work === null) this.start({ ...NO_WORK, rules: { kit: 0, costs: FIRST_COSTS } });
    for (let i = 0; i < START_PATIENCE_MS && this.#starting.size > 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await this.#piscina.destroy();
    await Promise.all(this.#running.values());
  }

  /** Gives a thread its long task; when the thread dies, does so again. */
  #start(serves: WorkerTask["serves"]): void {
    const id = ++this.#lastId;
    const { heap, timeline, workers } = this.#options;
    const { programs, rules, batches, slots } = this.#work as PoolWork;
    const task: WorkerTask = {
      id,
      heap,
      board: this.#memory,
      timeline,
      programs,
      rules,
      alone: workers === 1,
      slots,
      serves,
      batches,
      reports: this.#sent,
      batchOptions: { ...this.#options.batchOptions, slots, counters: this.#counters },
    };
    this.#starting.add(id);
    // Node aborts when it ends while a thread loads its first module.
    this.alive.hold();
    const running = this.#piscina.run(task).then(
      () => {},
      async (error: unknown) => {
        this.#hasStarted(id);
        if (this.#closed) return;
        this.#deaths++;
        this.#lastDeath = error;
        this.onDeath(this.#deaths);
        // A thread that cannot even start will not start the next time: callers give up by DEATHS_LIMIT.
        const delayMs = this.#deaths - this.#startedCount > START_FAILURES_LIMIT ? 100 : 0;
        this.heap.releaseLockOf(id);
        if (batches !== null) recoverBatches(batches, id);
        const orphaned = this.#board.recover(id);
        this.#board.signals.raiseMain();
        if (delayMs === 0) this.#start(serves);
        else setTimeout(() => this.#closed || this.#start(serves), delayMs).unref();
        if (this.#unwanted.delete(id)) await Promise.all(orphaned.map((other) => this.#end(other)));
      },
    );
    this.#running.set(id, running);
    running.finally(() => this.#running.delete(id));
  }
}

/** A thread as piscina's events show it. */
interface PiscinaThread {
  readonly id: number;
}

/** Piscina's own record of the thread, in which it references the port whose messages end a task. */
function portOf(worker: PiscinaThread): () => void {
  const name = Object.getOwnPropertySymbols(worker).find(
    ({ description }) => description === "Piscina.kWorkerData",
  );
  const record = name && (worker as never as Record<symbol, { unref?(): void }>)[name];
  assert(typeof record?.unref === "function", "pool: piscina's threads are other than in its version 5.3.2");
  return () => record.unref?.();
}

/** The error of a block that was given up because of this signal. */
export function cancelled({ reason }: AbortSignal): UsageError {
  const text = "the block was cancelled: the runtime stands where it stood before";
  return new UsageError("CANCELLED", text, {}, { cause: reason });
}

/** The main thread's view of a heap. */
export function mainHeap(handle: HeapHandle): Heap {
  const heap = new Heap(handle, MAIN_HEAP_OWNER);
  heap.loader = new RequestLoader(heap, true);
  return heap;
}

/** The error that a worker described (worker.ts, `describe`). */
function revive(text: string): StillpointError {
  let described: { name: string; code: string; message: string; facts: Facts; stack: string };
  try {
    described = JSON.parse(text);
  } catch {
    return new KernelPanic("a worker thread failed, and so did its description of why", { text });
  }
  const { name, code, message, facts, stack } = described;
  const options = { cause: `on a worker thread: ${stack}` };
  if (name === "UsageError") return new UsageError(code, message, facts, options);
  if (name === "LimitError") return new LimitError(code, message, facts, options);
  if (name === "StoreError") return new StoreError(code, message, facts, options);
  return new KernelPanic(message, facts, options);
}
