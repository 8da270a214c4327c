/**
 * What a tested process and its forks share: a heap, and a kernel on the calling thread. Between two calls of
 * the kernel nothing runs, so the heap can be collected there.
 *
 * What stays is what somebody can still ask for: what holders hold that JavaScript has not found to be
 * garbage, and the programs.
 */

import { badArgument, badOption, checkNames, integer } from "../arguments.ts";
import { LimitError } from "../errors.ts";
import { collect } from "../heap/collect.ts";
import { createHeap, HEAP_BYTES_EVERYWHERE, Heap, type Ref } from "../heap/heap.ts";
import { type Process, publishProcess } from "../image/process.ts";
import { withStacks } from "../kernel/exit.ts";
import { NOBODY_ELSE } from "../kernel/jobs.ts";
import { Kernel } from "../kernel/kernel.ts";
import { LoadedProgram, type ProgramHandle, Programs } from "../kernel/program.ts";
import { BlockTracer, type TraceEvent } from "../kernel/trace.ts";
import { GAS_LIMIT } from "../limits.ts";
import { readState, type Variable } from "../program/decode/state.ts";
import { type Counted, Counting } from "../program/source-map/counting.ts";
import { Positions } from "../program/source-map/positions.ts";
import { checkRootQuota, loadProgram } from "./genesis.ts";
import { placed } from "./stack.ts";

/** What a tested process has. */
export interface TestOptions {
  /** Programs that it, or a process below it, may make children of. */
  readonly programs?: readonly Uint8Array[];
  /** Gas of each call, and of each item of a batch. Default 10^10: seconds of work. */
  readonly gas?: number;
  /** Memory for it and all below it, in pages of 4 KiB. Default 262,144, which is 1 GiB. */
  readonly memoryQuotaPages?: number;
  /** Processes below it. Default 1024. */
  readonly processQuota?: number;
  /** Gas that may stay with processes that it started when a call ends. Default: `gas`. */
  readonly heldGasQuota?: number;
  /**
   * Space for the process, its forks and the states that the test holds, in bytes; used as it is needed.
   * Default 4 GiB less 1 MiB, which every engine has.
   */
  readonly heapBytes?: number;
  /**
   * Counts which lines of its programs run: a `Coverage`. Default: none, or that of `stillpoint test
   * --coverage`.
   */
  readonly coverage?: Counting;
}

/** A process that somebody holds: what it is now. */
export interface Held {
  process: Process;
}

/** Growth of the heap after which a collection is due; what the last one left, if that is more. */
const COLLECT_BYTES = 16 << 20;

/** What `Bench.open` takes, checked. */
export type BenchOptions = Required<Omit<TestOptions, "coverage">> & Pick<TestOptions, "coverage">;

export class Bench {
  readonly heap: Heap;
  readonly kernel: Kernel;
  readonly programs: Programs;
  readonly program: LoadedProgram;
  readonly gas: number;
  readonly #tracer = new BlockTracer();
  readonly #positions: ReadonlyMap<string, Positions>;
  readonly #variables: ReadonlyMap<string, readonly Variable[]>;
  /** References of programs. */
  readonly #fixed: readonly Ref[];
  readonly #held = new Set<Held>();
  readonly #garbage = new FinalizationRegistry<Held>((held) => this.#held.delete(held));
  readonly #coverage: Counting | null;
  #usedAfterwards: number;

  private constructor(
    heap: Heap,
    handles: readonly ProgramHandle[],
    positions: ReadonlyMap<string, Positions>,
    gas: number,
    coverage: Counting | null,
  ) {
    this.heap = heap;
    this.gas = gas;
    this.#coverage = coverage;
    this.programs = new Programs(heap, handles);
    this.kernel = new Kernel(heap, this.programs, NOBODY_ELSE, this.#tracer);
    this.program = new LoadedProgram(handles[0] as ProgramHandle);
    this.#positions = positions;
    this.#variables = new Map(
      [...positions].map(([hash, { program }]) => [hash, readState(program.bytes).variables]),
    );
    this.#fixed = handles.flatMap(({ ref, initialMemory, initialGlobals }) => [
      ref,
      initialMemory,
      initialGlobals,
    ]);
    this.#usedAfterwards = heap.usedBytes;
  }

  /** @throws AdmissionError (E_BAD_PROGRAM), UsageError QUOTA */
  static async open(program: Uint8Array, options: BenchOptions): Promise<Bench> {
    const heap = new Heap(createHeap(options.heapBytes), 1);
    const positions = new Map<string, Positions>();
    const handles: ProgramHandle[] = [];
    const { coverage } = options;
    for (const bytes of [program, ...options.programs]) {
      const { positions: known, counters } = coverage?.program(bytes) ?? uncounted(bytes);
      positions.set(Buffer.from(known.program.hash).toString("hex"), known);
      const handle = await loadProgram(heap, known.program);
      handles.push(counters === null ? handle : { ...handle, counters });
    }
    const bench = new Bench(heap, handles, positions, options.gas, coverage ?? null);
    checkRootQuota(bench.program, options.memoryQuotaPages);
    return bench;
  }

  /** Runs something in the kernel. @throws LimitError HEAP_FULL */
  observed<T>(run: () => T): T {
    try {
      return withStacks((stack, text, place) => this.#tracer.fault(stack, text, place), run);
    } catch (error) {
      throw error instanceof LimitError && error.code === "HEAP_FULL" ? full(error) : error;
    }
  }

  /** Runs something whose lines do not count. */
  uncounted<T>(run: () => T): T {
    return this.#coverage === null ? run() : this.#coverage.uncounted(run);
  }

  /** What it did. */
  events(): readonly TraceEvent[] {
    return placed(this.#tracer.take(), this.#positions, this.#variables);
  }

  /** Keeps what is `held` as long as `holder` is not garbage. */
  keep(holder: WeakKey, held: Held): void {
    this.#held.add(held);
    this.#garbage.register(holder, held);
  }

  /** Keeps it while `run` runs. */
  during<T>(held: Held, run: () => T): T {
    this.#held.add(held);
    try {
      return run();
    } finally {
      this.#held.delete(held);
    }
  }

  /** Frees what nobody holds, if the heap has grown enough since the last time. Between calls only. */
  collectIfDue(): void {
    const { heap } = this;
    const after = this.#usedAfterwards;
    const growth = Math.min(Math.max(COLLECT_BYTES, after), (heap.limitBytes - after) / 2);
    if (heap.usedBytes <= after + growth) return;
    const processes = [...this.#held].map(({ process }) => publishProcess(heap, process));
    heap.roots = new Set([...this.#fixed, ...processes].filter((ref) => ref !== 0));
    collect(heap);
    this.kernel.forget();
    this.#usedAfterwards = heap.usedBytes;
  }
}

function uncounted(bytes: Uint8Array): Counted {
  return { positions: new Positions(bytes), counters: null };
}

/** @throws UsageError BAD_OPTION, BAD_ARGUMENT */
export function checkOptions(options: TestOptions): BenchOptions {
  checkNames(options, [
    ...(["programs", "gas", "memoryQuotaPages", "processQuota", "heldGasQuota", "heapBytes"] as const),
    "coverage",
  ]);
  const { programs = [], coverage } = options;
  if (coverage !== undefined && !(coverage instanceof Counting))
    throw badOption("coverage", coverage, "a Coverage");
  if (!Array.isArray(programs))
    throw badOption("programs", programs, "an array of Uint8Arrays with Wasm bytes");
  programs.forEach((program, i) => {
    checkBytes(`programs[${i}]`, program);
  });
  const gas = integer(options, "gas", 1e10, 0, GAS_LIMIT);
  return {
    programs,
    gas,
    memoryQuotaPages: integer(options, "memoryQuotaPages", 1 << 18, 1, 1 << 28),
    processQuota: integer(options, "processQuota", 1024, 0, 1 << 30),
    heldGasQuota: integer(options, "heldGasQuota", gas, 0, GAS_LIMIT),
    heapBytes: integer(options, "heapBytes", HEAP_BYTES_EVERYWHERE, 1 << 20, 2 ** 37),
    ...(coverage === undefined ? {} : { coverage }),
  };
}

/** What a full heap means to a test. */
function full(cause: LimitError): LimitError {
  const text =
    "the process, its forks and the states that the test holds fill its heap: hold fewer of them, or give " +
    'it more (option "heapBytes")';
  return new LimitError("HEAP_FULL", text, cause.facts, { cause });
}

/** @throws UsageError BAD_ARGUMENT */
export function checkBytes(name: string, bytes: unknown): void {
  if (!(bytes instanceof Uint8Array)) throw badArgument(name, bytes, "a Uint8Array");
}
