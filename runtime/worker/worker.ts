/**
 * A worker: one thread that takes jobs from the board for the life of the runtime.
 *
 * The thread is a piscina worker with one long task, `work`. While a job of its own waits for a child that
 * another thread runs, it helps: only with jobs that descend from the one it waits for. So each nested
 * activation is deeper in the tree than the one below it on the stack, which bounds the stack and rules out
 * that two threads wait for each other.
 */

import { parentPort, threadId } from "node:worker_threads";
import { STATUS_ENDED, STATUS_FAULTED, STATUS_RET, STATUS_RETURNED } from "../../syscalls/abi.ts";
import type { BatchOptions, Runner } from "../batch/runner.ts";
import type { BatchMemory } from "../batch/shared.ts";
import { assert, StillpointError } from "../errors.ts";
import { collect } from "../heap/collect.ts";
import { Heap, type HeapHandle, type Ref } from "../heap/heap.ts";
import { RequestLoader } from "../heap/stub.ts";
import { hashCaptured, SharedCaptures } from "../image/captures.ts";
import { hashBackwards, hashObject, hashOf } from "../image/hash.ts";
import { loadProcess, type Process, publishProcess } from "../image/process.ts";
import { withStacks } from "../kernel/exit.ts";
import type { BatchRunner } from "../kernel/items/batch.ts";
import { type Jobs, NO_TICKET, NOBODY_ELSE, type Taken, type Ticket } from "../kernel/jobs.ts";
import { Kernel } from "../kernel/kernel.ts";
import { type FirstRules, type ProgramHandle, Programs } from "../kernel/program.ts";
import { placeOf, type SlotLimits } from "../kernel/slots/slot-pool.ts";
import { BlockTracer } from "../kernel/trace.ts";
import { lazy } from "../lazy.ts";
import { hexOf } from "../text.ts";
import { Board } from "./board.ts";
import {
  JOB_ACTIVATE,
  JOB_ASSIST,
  JOB_COLLECT,
  JOB_HASH,
  JOB_TRACE,
  JOB_VIEW,
  type Job,
  NO_ENTRY,
  type Outcome,
} from "./job.ts";
import {
  Lane,
  NO_RECORD,
  SPAN_ASSIST,
  SPAN_COLLECTION,
  SPAN_HASH,
  SPAN_TRACE,
  SPAN_VIEW,
  SPAN_WAIT,
} from "./timeline.ts";
import { checkCapacity, upgrade, type Workshop } from "./upgrade.ts";
import { ViewServer } from "./view.ts";

const batches = lazy<typeof import("../batch/runner.ts")>(import.meta.url, "../batch/runner.ts");

/** What a worker is started with. */
export interface WorkerTask {
  readonly id: number;
  readonly heap: HeapHandle;
  readonly board: SharedArrayBuffer;
  readonly timeline: SharedArrayBuffer | null;
  readonly programs: readonly ProgramHandle[];
  /** The rules that these are of. */
  readonly rules: FirstRules;
  /** Whether started children are offered to other threads at all. */
  readonly alone: boolean;
  /** How many instances each of its pools keeps. */
  readonly slots: SlotLimits;
  /** Which jobs this thread takes: those of blocks, speculative work as well, or views and nothing else. */
  readonly serves: "blocks" | "advance" | "views";
  /** For batches in parallel; null: there are none. */
  readonly batches: BatchMemory | null;
  readonly batchOptions: BatchOptions;
  /**
   * How many reports of batches were sent to the main thread, whether (1) it wants them, and whether (1)
   * batches are to run in the loop.
   */
  readonly reports: SharedArrayBuffer;
}

/** Another thread failed to run a child; the message is its description of why. */
class FailedElsewhere extends Error {}

/** Looks at the board before it sleeps: a child's result is often a few microseconds away. */
const SPINS = 200;

class Worker implements Jobs {
  readonly #heap: Heap;
  readonly #board: Board;
  readonly #programs: Programs;
  readonly #kernel: Kernel;
  readonly #alone: boolean;
  readonly #lane: Lane | null;
  readonly #task: WorkerTask;
  #runner: Runner | null = null;
  /** What is left to do before the first batch in parallel, a step each; done while there are no jobs. */
  readonly #preparations: (() => void)[] = [];
  readonly #views: ViewServer | null;
  /** Children that were offered to other threads. */
  #offered = 0;
  /** Jobs by which other threads were asked to help with the batch that this one leads. */
  #called: number[] = [];
  #entry = NO_ENTRY;
  /** Jobs that are in progress here, one inside of the other. */
  #nested = 0;
  /** The block that the job descends from which runs here. */
  #run = 0;
  /** Of the activation that runs here now: the numbers of children from the root on. */
  #path: number[] = [];

  constructor(task: WorkerTask) {
    this.#heap = new Heap(task.heap, task.id);
    this.#heap.loader = new RequestLoader(this.#heap, false);
    this.#board = new Board(task.board, task.id);
    this.#alone = task.alone;
    this.#programs = new Programs(this.#heap, task.programs, task.rules);
    this.#board.rules = this.#programs.kit;
    this.#lane = task.timeline === null ? null : new Lane(task.timeline, task.id);
    this.#task = task;
    this.#views = task.serves === "views" ? new ViewServer(this.#heap, this.#programs, task.slots) : null;
    if (!task.alone && this.#views === null) this.#heap.captures = this.#sharedCaptures();
    // Where batches are to be run in parallel whatever they cost, all threads are ready for them.
    const servesBlocks = this.#views === null;
    if (task.batchOptions.force && servesBlocks) this.#needRunner();
    const hasState = task.programs.some(({ batchModule, stateBytes }) => batchModule && stateBytes > 0);
    if (task.batches !== null && hasState && servesBlocks) {
      this.#preparations.push(
        () => void this.#needRunner(),
        () => this.#needRunner().prepare(),
      );
    }
    const runner: BatchRunner = {
      plan: (batch) => this.#needRunner().plan(batch),
      run: (batch) => this.#needRunner().run(batch),
      end: (batch) => this.#needRunner().end(batch),
    };
    this.#kernel = new Kernel(this.#heap, this.#programs, this, this.#lane, runner, task.slots);
  }

  /** Works until the board is stopped. */
  loop(): void {
    const board = this.#board;
    const { serves } = this.#task;
    for (;;) {
      const signal = serves === "views" ? board.signals.readViews() : board.signals.read();
      if (board.signals.stopped) return;
      let entry = serves === "views" ? board.claimView() : board.claimAny();
      if (entry === NO_ENTRY && serves === "advance") entry = board.claimAdvance();
      if (entry !== NO_ENTRY) this.#begin(entry);
      else if (this.#preparations.length > 0) this.#preparations.shift()?.();
      else if (serves === "views") board.signals.sleepViews(signal);
      else board.signals.sleep(signal, board.patience.milliseconds);
    }
  }

  // ---- Jobs, for the kernel -------------------------------------------------------------------------------

  post(publish: () => Ref, child: number): Ticket {
    if (this.#alone) return NO_TICKET;
    // One child alone is most likely run here.
    if (this.#offered++ === 1) this.#wantHelp();
    const entry = this.#board.post({
      kind: JOB_ACTIVATE,
      start: publish(),
      path: [...this.#path, child],
      metadata: 0,
      gas: 0,
      parent: this.#entry,
      run: this.#run,
      rules: this.#programs.kit,
      upgrade: 0,
      origin: this.#lane?.post(child) ?? NO_RECORD,
    });
    return entry === NO_ENTRY ? NO_TICKET : entry;
  }

  take(ticket: Ticket, start: Ref): Taken {
    const outcome = this.#board.take(ticket, start);
    if (outcome.state !== "pending") return orThrow(outcome);
    this.#lane?.open(SPAN_WAIT, this.#board.job(ticket).origin);
    const ended = this.#wait(ticket, start);
    this.#lane?.close();
    return orThrow(ended);
  }

  /** Helps with what descends from the job, or sleeps, until it has ended or is this thread's to run. */
  #wait(ticket: Ticket, start: Ref): Ended {
    const board = this.#board;
    for (let spins = 0; ; spins++) {
      const signal = board.signals.read();
      const outcome = board.take(ticket, start);
      if (outcome.state !== "pending") return outcome;
      const entry = board.claimAny(ticket);
      if (entry !== NO_ENTRY) this.#work(entry);
      else if (spins > SPINS) board.signals.sleep(signal, board.patience.milliseconds);
    }
  }

  keep(ticket: Ticket): void {
    this.#board.keep(ticket);
  }

  find(start: Ref): Ticket {
    return this.#alone ? NO_TICKET : this.#board.find(start);
  }

  finish(ticket: Ticket): void {
    this.#board.free(ticket);
  }

  withdraw(ticket: Ticket): void {
    this.#board.withdraw(ticket);
  }

  hash(image: Ref): void {
    let helper = NO_ENTRY;
    const ask = (): void => {
      helper = this.#postHash(image);
    };
    // Who helps begins from the other end.
    hashObject(this.#heap, image, this.#alone ? undefined : ask);
    this.#endHash(helper, image);
  }

  enter(ticket: Ticket, child: number): Ticket {
    const outer = this.#entry;
    this.#path.push(child);
    if (!this.#alone) this.#board.runs(this.#path);
    // An activation without a job of its own posts for the nearest one that has one.
    if (ticket !== NO_TICKET) this.#entry = ticket;
    return outer;
  }

  leave(outer: Ticket): void {
    this.#path.pop();
    this.#entry = outer;
  }

  // ---- batches --------------------------------------------------------------------------------------------

  #needRunner(): Runner {
    const { batches: memory, batchOptions, reports, id } = this.#task;
    const reported = new Int32Array(reports);
    this.#runner ??= new (batches().Runner)(this.#heap, this.#programs, memory, id, batchOptions, {
      call: (batch) => this.#call(batch, (memory?.workers ?? 1) - 1),
      dismiss: () => this.#dismiss(),
      process: () => [...this.#path],
      wanted: () => Atomics.load(reported, 1) === 1,
      loops: () => Atomics.load(reported, 2) === 1,
      report: (report, touched) => {
        Atomics.add(reported, 0, 1);
        parentPort?.postMessage({ report, touched, run: this.#run });
      },
      span: () => this.#lane?.current ?? NO_RECORD,
      log: this.#lane,
    });
    return this.#runner;
  }

  /** Some threads may not have been started (pool.ts). */
  #wantHelp(): void {
    parentPort?.postMessage({ help: true });
  }

  #call(batch: number, threads: number): void {
    if (this.#offered++ < 2) this.#wantHelp();
    this.#board.unreserve();
    const rules = this.#programs.kit;
    const of = { rules, upgrade: 0, run: this.#run };
    const job = { kind: JOB_ASSIST, start: 0, path: [], metadata: batch, gas: 0, ...of };
    for (let i = 0; i < threads; i++) {
      const origin = this.#lane?.current ?? NO_RECORD;
      const entry = this.#board.post({ ...job, parent: this.#entry, origin });
      if (entry !== NO_ENTRY) this.#called.push(entry);
    }
  }

  #dismiss(): void {
    for (const entry of this.#called.splice(0)) this.#board.withdraw(entry);
  }

  // ---- jobs -----------------------------------------------------------------------------------------------

  /**
   * A job at the bottom of the stack: nothing else is in progress here, so a collection may have happened.
   */
  #begin(entry: number): void {
    const generation = this.#heap.generation;
    this.#heap.refresh();
    if (this.#heap.generation !== generation) this.#forget();
    this.#work(entry);
  }

  #forget(): void {
    this.#kernel.forget();
    this.#runner?.forget();
    this.#views?.forget();
  }

  #work(entry: number): void {
    const outer = this.#entry;
    const path = this.#path;
    const block = this.#run;
    this.#nested++;
    this.#entry = entry;
    const depth = this.#lane?.depth ?? 0;
    try {
      this.#board.finish(entry, this.#do(entry));
    } catch (error) {
      this.#lane?.unwind(depth);
      this.#board.fail(entry, error instanceof FailedElsewhere ? error.message : describe(error));
    } finally {
      this.#nested--;
      this.#entry = outer;
      this.#path = path;
      this.#enter(block);
    }
  }

  /** What runs from here on is for this block. */
  #enter(run: number): void {
    this.#run = run;
    if (this.#lane !== null) this.#lane.run = run;
  }

  #do(entry: number): Ref {
    const job = this.#board.job(entry);
    this.#enter(job.run);
    const heap = this.#heap;
    if (job.kind === JOB_COLLECT) {
      this.#lane?.open(SPAN_COLLECTION);
      const memos = this.#board.memos();
      const alive = collect(heap, memos, job.metadata);
      memos.forEach(({ entry }, i) => {
        if (!alive[i]) this.#board.forget(entry);
      });
      this.#forget();
      this.#lane?.close();
      return 0;
    }
    if (job.rules !== 0) this.#use(job.rules);
    if (job.kind === JOB_ASSIST) {
      this.#lane?.open(SPAN_ASSIST, job.origin);
      this.#needRunner().assist(job.metadata);
      this.#lane?.close();
      return 0;
    }
    if (job.kind === JOB_HASH) {
      this.#lane?.open(SPAN_HASH, job.origin);
      if (job.start === 0) hashCaptured(heap);
      else hashBackwards(heap, job.start);
      this.#lane?.close();
      return 0;
    }
    if (job.kind === JOB_VIEW) {
      this.#lane?.open(SPAN_VIEW);
      const answer = (this.#views as ViewServer).run(job);
      this.#lane?.close();
      return answer;
    }
    this.#lane?.job(job.origin);
    const process = loadProcess(heap, job.start);
    this.#path = [...job.path];
    if (job.kind === JOB_ACTIVATE) {
      this.#board.runs(job.path);
      return publishProcess(heap, this.#kernel.activate(process, job.path.length, placeOf(job.path)));
    }
    if (job.kind === JOB_TRACE) return this.#trace(process, job);
    const at = (path: readonly number[], run: () => Process): Process => {
      this.#path = [...path];
      const end = run();
      this.#path = [];
      return end;
    };
    const ref = runRoot({ heap, programs: this.#programs, kernel: this.#kernel, at }, process, job);
    // The main thread does not wait for hashes.
    if (job.metadata !== 0) hashObject(heap, job.metadata);
    this.#lane?.open(SPAN_HASH);
    this.hash(ref);
    this.#lane?.close();
    return ref;
  }

  /**
   * Rules come into force. A job that is done while another one waits descends from that, so it has the same:
   * only at the bottom of the stack they change.
   */
  #use(rules: Ref): void {
    if (rules === this.#programs.kit) return;
    assert(this.#nested === 1, "worker: a job of other rules inside of another");
    this.#programs.use(rules);
    this.#board.rules = rules;
  }

  /** Pages that are captured here are hashed by another thread meanwhile. */
  #sharedCaptures(): SharedCaptures {
    let helper = NO_ENTRY;
    const ask = (): void => {
      helper = this.#postHash(0);
    };
    return new SharedCaptures(this.#heap, this.#task.id, { ask, end: () => this.#endHash(helper, 0) });
  }

  /** Asks for help to hash what `start` names; 0: pages as they are captured. */
  #postHash(start: Ref): number {
    const of = { parent: this.#entry, rules: 0, upgrade: 0, run: this.#run };
    const job = { kind: JOB_HASH, start, path: [], metadata: 0, gas: 0, ...of };
    return this.#board.post({ ...job, origin: this.#lane?.current ?? NO_RECORD });
  }

  /** Nothing is missing. But who helps must have ended as well before a collection may begin. */
  #endHash(helper: number, start: Ref): void {
    if (helper !== NO_ENTRY && this.#wait(helper, start).state === "claimed") this.#board.free(helper);
  }

  /** Runs a block once more, from the same image, for its trace. */
  #trace(process: Process, job: Job): Ref {
    const tracer = new BlockTracer();
    this.#lane?.open(SPAN_TRACE);
    this.#kernel.giveUpSlots();
    const kernel = new Kernel(this.#heap, this.#programs, NOBODY_ELSE, tracer, undefined, this.#task.slots);
    const at = (path: readonly number[], run: () => Process): Process => {
      for (const number of path) tracer.descend(number);
      const end = run();
      for (const _ of path) tracer.ascend();
      return end;
    };
    const ref = withStacks(
      (stack, reason, place) => tracer.fault(stack, reason, place),
      () => runRoot({ heap: this.#heap, programs: this.#programs, kernel, at }, process, job),
    );
    const faulted = loadProcess(this.#heap, ref).status === STATUS_FAULTED;
    const root = faulted ? null : hexOf(hashOf(this.#heap, ref));
    const data = faulted ? 0 : loadProcess(this.#heap, ref).text;
    this.#lane?.close();
    const { events } = tracer;
    const hashes = new Set(events.flatMap((event) => (event.what === "begin" ? [event.program] : [])));
    const programs = [...hashes].map((hash) => [hash, this.#programs.withHash(hash)?.ref ?? 0]);
    return this.#heap.blob(Buffer.from(JSON.stringify({ root, data, events, programs })));
  }
}

type Ended = Exclude<Outcome, { readonly state: "pending" }>;

function orThrow(outcome: Ended): Taken {
  if (outcome.state === "failed") throw new FailedElsewhere(outcome.error);
  return outcome;
}

/**
 * A block: the root from its SNAPSHOT, or for block 0 from its entry, to the next one. What an upgrade has
 * used before counts as the root's.
 */
function runRoot(shop: Workshop, process: Process, job: Job): Ref {
  const { heap, kernel } = shop;
  if (job.metadata === 0) return publishRoot(heap, kernel.activate(process, 0));
  const metadata = heap.payload(job.metadata);
  if (job.upgrade === 0) return publishRoot(heap, kernel.resume(process, metadata, job.gas));
  const { root, gas } = upgrade(shop, process, job.upgrade, job.gas);
  checkCapacity(metadata, root.regionCapacity);
  const result = kernel.resume(root, metadata, gas);
  result.gasUsed += job.gas - gas;
  return publishRoot(heap, result);
}

function publishRoot(heap: Heap, result: Process): Ref {
  if (result.status === STATUS_RETURNED || result.status === STATUS_RET) {
    result.status = STATUS_ENDED;
    result.continuation = 0;
  }
  return publishProcess(heap, result);
}

/** An error as text that crosses threads; `revive` in pool.ts is its other half. */
function describe(error: unknown): string {
  const known = error instanceof StillpointError;
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return JSON.stringify({
    name: known ? name : "KernelPanic",
    code: known ? error.code : "KERNEL_PANIC",
    message: known ? message : `the kernel met an error it does not know: ${name}: ${message}`,
    facts: known ? error.facts : {},
    stack: (stack ?? "").slice(0, 800),
  });
}

/** The long task of a worker thread. */
export default function work(task: WorkerTask): void {
  parentPort?.postMessage({ started: threadId, id: task.id });
  new Worker(task).loop();
}
