/**
 * Processes for the tests of guests: on the calling thread, at once, without workers, blocks or a store. A
 * test takes milliseconds, and a fault is an exception that names lines of the source.
 *
 * The test is the parent. This is the kernel itself, so gas, quotas, faults and hashes are the real ones;
 * children run where they are joined. States are values, whose cost follows what changed.
 */

import "./check-node.ts";
import * as abi from "../syscalls/abi.ts";
import { badArgument, integer } from "./arguments.ts";
import { Bench, checkBytes, checkOptions, type Held, type TestOptions } from "./chain/bench.ts";
import {
  type ChildRange,
  inspectProcess,
  listChildren,
  type ProcessView,
  readProcess,
} from "./chain/inspect.ts";
import { type Profile, type ProfileOptions, sampleProfile, samplingOf } from "./chain/profile.ts";
import { formatFaults } from "./chain/stack.ts";
import { type CallOptions, checkCall } from "./chain/views.ts";
import { coverageOfProcess } from "./coverage/process.ts";
import { type Facts, StillpointError, UsageError } from "./errors.ts";
import type { Heap, Ref } from "./heap/heap.ts";
import { MemoryEdit } from "./image/memory.ts";
import { ENTRY_CONTINUE, loadProcess, type Process, publishProcess } from "./image/process.ts";
import { canKeepBatch } from "./kernel/calls/start.ts";
import { FAULT_NAMES } from "./kernel/faults.ts";
import { clearOutcome, freshProcess, keptChild } from "./kernel/images.ts";
import { inputBytes, Outcomes, writeInputs } from "./kernel/items/objects.ts";
import type { ByteRange, Frame, Lost, TraceEvent } from "./kernel/trace.ts";
import { entryNumber, runView } from "./kernel/view.ts";
import { GAS_LIMIT, WASM_PAGE_BYTES } from "./limits.ts";
import { halvesOf, highOf, lowOf } from "./u64.ts";

export { flameGraph } from "./chain/flame-graph.ts";
export {
  type FormatProfileOptions,
  formatProfile,
  type Profile,
  type ProfileFrame,
  type ProfileOptions,
  type ProfileRow,
  type ProfileSample,
  profileFunctions,
  profileLines,
  speedscope,
} from "./chain/profile.ts";
export { Coverage, type FileCoverage, type FunctionCoverage } from "./coverage/coverage.ts";
export type { ByteRange, ChildRange, Frame, Lost, ProcessView, TestOptions, TraceEvent };

/** What became of an item. */
export interface TestOutcome {
  readonly status: "returned" | "faulted" | "refused" | "not run";
  /** The fault's name; "none" if it did not fault. */
  readonly fault: string;
  /** What the entry returned; of an abort its line in the low half, its column in the high half. */
  readonly code: bigint;
  readonly gasUsed: number;
  readonly output: Uint8Array;
  /** The text of an abort, or the limit that it met in a sentence. */
  readonly text: string;
  /** The numbers of that limit. */
  readonly facts: Facts;
  readonly stack: readonly Frame[];
  /** What it changed in vain, outside of the state: what must persist belongs there. */
  readonly lost: readonly Lost[];
}

/** What a view gave. */
export interface TestView {
  /** What the entry returned. */
  readonly code: bigint;
  readonly output: Uint8Array;
  readonly gasUsed: number;
}

/** A state of a process and all below it: a value, good for its process and all forks of it. */
export interface TestState {
  /** SHA-256 root of the subtree, in hex. */
  readonly hash: string;
}

/**
 * The guest faulted. The message has the stacks of its fault, and of those of its children; `facts` has
 * entry, fault and text, and the numbers of the limit that it met.
 */
export class GuestFault extends StillpointError {
  /** Functions that were running, the innermost first. */
  readonly frames: readonly Frame[];
  /** Of an abort its line in the low half, its column in the high half; else 0. */
  readonly abortCode: bigint;

  constructor(entry: string, fault: string, events: readonly TraceEvent[], abortCode: bigint) {
    const last = events.at(-1);
    const { text, facts, stack } = last?.what === "end" ? last : { text: "", facts: {}, stack: [] };
    super("GUEST_FAULT", `"${entry}" faulted\n${formatFaults(events)}`, { ...facts, entry, fault, text });
    this.frames = stack;
    this.abortCode = abortCode;
  }
}

const ITEM_STATUSES: Readonly<Record<number, TestOutcome["status"]>> = {
  [abi.ITEM_RETURNED]: "returned",
  [abi.ITEM_FAULTED]: "faulted",
  [abi.ITEM_REFUSED]: "refused",
  [abi.ITEM_NOT_RUN]: "not run",
};
/** What the usual inbox takes, and the usual outbox. */
const BOX_BYTES = abi.MAIL_BYTES / 2;
/** As a child of a root that is not there: it may call RET, but not SNAPSHOT. */
const DEPTH = 1;

/**
 * A process that a test calls.
 *
 * @example
 * ```ts
 * const bank = await TestProcess.open(await compileGuest("bank.ts"));
 * bank.write(64, Uint8Array.of(100));
 * const before = bank.state;
 * console.log(bank.call("balance", 1n)); // 100n
 * bank.call("deposit", 1n);
 * console.log(bank.call("balance", 1n)); // 101n
 * bank.state = before; // any number of times
 * console.log(bank.call("balance", 1n)); // 100n
 * ```
 */
export class TestProcess {
  readonly #bench: Bench;
  readonly #held: Held;
  #events: readonly TraceEvent[] = [];

  private constructor(bench: Bench, process: Process) {
    this.#bench = bench;
    this.#held = { process };
    bench.keep(this, this.#held);
  }

  /**
   * A fresh process of `program`. Its start function runs with the first call.
   *
   * @throws UsageError (BAD_OPTION, BAD_ARGUMENT, QUOTA), AdmissionError (E_BAD_PROGRAM)
   */
  static async open(program: Uint8Array, options: TestOptions = {}): Promise<TestProcess> {
    checkBytes("program", program);
    const checked = { ...coverageOfProcess(), ...checkOptions(options) };
    const bench = await Bench.open(program, checked);
    const { memoryQuotaPages, processQuota, heldGasQuota } = checked;
    return new TestProcess(bench, freshProcess(bench.program, memoryQuotaPages, processQuota, heldGasQuota));
  }

  /**
   * Runs an entry to its return or to RET; returns the code.
   *
   * @throws GuestFault; the process is then where it was before. UsageError NO_ENTRY, BAD_ARGUMENT,
   *   BAD_OPTION (gas), or STATE if the process stands in RET. LimitError HEAP_FULL
   */
  call(entry: string, argument: bigint | number = 0n, gas: number = this.#bench.gas): bigint {
    if (this.#process.continuation !== 0)
      throw new UsageError("STATE", `the process stands in RET: "resume" it before "${entry}" is called`);
    return this.#run(entry, this.#entry(entry), argument, gas);
  }

  /**
   * Continues where the process stands in RET, which returns `argument` there; returns the next code.
   *
   * @throws as `call`; UsageError STATE if it does not stand in RET
   */
  resume(argument: bigint | number = 0n, gas: number = this.#bench.gas): bigint {
    if (this.#process.continuation === 0)
      throw new UsageError("STATE", 'the process does not stand in RET: "call" an entry');
    return this.#run("RET", ENTRY_CONTINUE, argument, gas);
  }

  /**
   * Runs an entry as a batch: one item for each input, in their order, with the usual inbox and outbox of
   * `compileGuest`. Items that fault leave nothing behind.
   *
   * @throws UsageError NO_ENTRY, BAD_ARGUMENT; STATE if the program exports no STATE_BYTES, the process is
   *   not at rest or an input is too long; GuestFault if the start function faults
   */
  batch(entry: string, inputs: readonly Uint8Array[], gas: number = this.#bench.gas): TestOutcome[] {
    if (!Array.isArray(inputs)) throw badArgument("inputs", inputs, "an array of Uint8Arrays");
    inputs.forEach((input, i) => {
      checkBytes(`inputs[${i}]`, input);
    });
    const { heap, program } = this.#bench;
    integer({ gas }, "gas", gas, 0, GAS_LIMIT);
    const { stateBytes } = program.handle;
    const number = this.#entry(entry);
    const { status, memoryPages } = this.#process;
    const refuse = (why: string): never => {
      throw new UsageError("STATE", `no batch of "${entry}": ${why}`, { entry });
    };
    if (stateBytes === 0) refuse("the program exports no constant STATE_BYTES");
    if (stateBytes + abi.MAIL_BYTES > memoryPages * WASM_PAGE_BYTES)
      refuse("the memory has no space for inbox and outbox");
    if (status !== abi.STATUS_FRESH && status !== abi.STATUS_RETURNED) refuse("the process is not at rest");
    const long = inputs.findIndex(({ length }) => length > BOX_BYTES);
    if (long >= 0) refuse(`input ${long} is longer than the inbox of ${BOX_BYTES} bytes`);
    this.#bench.collectIfDue();
    const most = gas * inputs.length + this.#bench.gas;
    const start = this.#starting(number, Math.min(most, GAS_LIMIT));
    const [list, source] = listOf(inputs, stateBytes, gas);
    if (!canKeepBatch(start, program, list)) refuse('it does not fit into what "memoryQuotaPages" has left');
    start.inputs = writeInputs(heap, list, source);
    this.#activate(start);
    if (this.#process.status === abi.STATUS_FAULTED) throw this.#fault("start function");
    return this.#outcomes();
  }

  /**
   * Where a call of an entry spends its gas, by function and line; nothing of it is kept. It is run again and
   * again for that, with less gas than it needs (chain/profile.ts). What its children use counts where it
   * starts them.
   *
   * @throws as `call`
   * @example
   * ```ts
   * const counter = await TestProcess.open(await compileGuest("counter.ts"));
   * const { gasUsed, samples } = counter.profile("preview", 1n);
   * console.log(gasUsed > 0, samples.length > 0); // true true
   * ```
   */
  profile(entry: string, argument: bigint | number = 0n, options: ProfileOptions = {}): Profile {
    const sampling = samplingOf(options);
    const endsAt = (gas: number) => this.andBack(() => this.#stackOf(entry, argument, gas));
    return this.#bench.uncounted(() => {
      const gasUsed = this.andBack(() => {
        this.call(entry, argument);
        return this.gasUsed;
      });
      return sampleProfile(gasUsed, sampling, endsAt);
    });
  }

  /** Where a call with this much gas ends; nowhere if it returns. */
  #stackOf(entry: string, argument: bigint | number, gas: number): readonly Frame[] {
    try {
      this.call(entry, argument, gas);
      return [];
    } catch (error) {
      if (error instanceof GuestFault) return error.frames;
      throw error;
    }
  }

  /**
   * The same of an item of a batch with that input.
   *
   * @throws as `batch`
   */
  profileItem(entry: string, input: Uint8Array, options: ProfileOptions = {}): Profile {
    const sampling = samplingOf(options);
    const run = (gas: number) => this.andBack(() => this.batch(entry, [input], gas)[0] as TestOutcome);
    return this.#bench.uncounted(() => {
      const { gasUsed } = run(this.#bench.gas);
      return sampleProfile(gasUsed, sampling, (gas) => run(gas).stack);
    });
  }

  /**
   * Runs an entry as a view, as `Runtime.call` does: with input and output, and nothing of it is kept. It has
   * the gas of the other calls unless another is given.
   *
   * @throws GuestFault, UsageError (NO_ENTRY, RANGE, BAD_OPTION)
   */
  view(entry: string, options: Omit<CallOptions, "block" | "signal"> = {}): TestView {
    const { heap, kernel, programs } = this.#bench;
    const { request, gas } = checkCall([], entry, { gas: this.#bench.gas, ...options });
    this.#bench.collectIfDue();
    const { end, output } = this.#observed(() =>
      runView(heap, programs, kernel, this.#process, [], { ...request, gas }),
    );
    if (end.status === abi.STATUS_FAULTED) throw this.#fault(entry, end);
    return { code: codeOf(end), output: new Uint8Array(output), gasUsed: end.gasUsed };
  }

  /** What it holds now. Set it to go back, or forth; a state stays good. */
  get state(): TestState {
    const { heap } = this.#bench;
    const ref = this.#ref;
    const { hash } = inspectProcess(heap, ref, []) as ProcessView;
    const state = { hash };
    states.set(state, { heap, ref });
    this.#bench.keep(state, { process: loadProcess(heap, ref) });
    return state;
  }

  set state(state: TestState) {
    const known = states.get(state);
    if (known?.heap !== this.#bench.heap)
      throw badArgument("state", state, "one of this process or of its forks");
    this.#process = loadProcess(known.heap, known.ref);
    this.#events = [];
  }

  /** Another process in the same state, which goes its own way. */
  fork(): TestProcess {
    return new TestProcess(this.#bench, loadProcess(this.#bench.heap, this.#ref));
  }

  /** The process at `path`, child numbers from this one; null if there is none. */
  inspect(path: readonly number[] = []): ProcessView | null {
    return inspectProcess(this.#bench.heap, this.#ref, path);
  }

  /**
   * Numbers of its children, or of those of the process at `path`, ascending, as `Runtime.children`.
   *
   * @throws UsageError (NO_PROCESS, BAD_OPTION)
   */
  children(path: readonly number[] = [], range: ChildRange = {}): number[] {
    return listChildren(this.#bench.heap, this.#ref, path, range);
  }

  /**
   * Bytes of its memory, or of that of the process at `path`.
   *
   * @throws UsageError (NO_PROCESS, RANGE)
   */
  read(address: number, length: number, path: readonly number[] = []): Uint8Array {
    const { heap } = this.#bench;
    return readProcess(heap, this.#ref, path, address, length);
  }

  /**
   * Writes into its memory, as a parent does.
   *
   * @throws UsageError (BAD_ARGUMENT, RANGE)
   */
  write(address: number, bytes: Uint8Array): void {
    checkBytes("bytes", bytes);
    const { heap } = this.#bench;
    const { length } = bytes;
    const size = this.#process.memoryPages * WASM_PAGE_BYTES;
    if (!Number.isInteger(address) || address < 0 || address + length > size) {
      const text = `${length} bytes at ${address} are not inside the memory of ${size} bytes`;
      throw new UsageError("RANGE", text, { address, length, size });
    }
    this.#bench.collectIfDue();
    const edit = new MemoryEdit(heap, this.#process.memory);
    edit.write(address, Buffer.from(bytes), 0, length);
    this.#process = this.#process.copy();
    this.#process.memory = edit.commit();
    this.#process.presentPages += edit.morePresent;
  }

  /** Gas that the last call used. */
  get gasUsed(): number {
    return this.#process.gasUsed;
  }

  /** Activations, calls and items of the last call. */
  get trace(): readonly TraceEvent[] {
    return this.#events;
  }

  /** Bytes of its heap that are in use, for it and its forks, states and garbage until it is collected. */
  get heapBytesUsed(): number {
    return this.#bench.heap.usedBytes;
  }

  /**
   * Runs something and puts the process back to where it was.
   *
   * @internal
   */
  andBack<T>(run: () => T): T {
    const before = { process: this.#process };
    try {
      return this.#bench.during(before, run);
    } finally {
      this.#process = before.process;
    }
  }

  // ---- inside ---------------------------------------------------------------------------------------------

  get #process(): Process {
    return this.#held.process;
  }

  set #process(process: Process) {
    this.#held.process = process;
  }

  get #ref(): Ref {
    return publishProcess(this.#bench.heap, this.#process);
  }

  #entry(name: string): number {
    const { program } = this.#bench;
    if (typeof name !== "string") throw badArgument("entry", name, "the name of an exported function");
    return entryNumber(program, name);
  }

  /** What START makes of the process. */
  #starting(entry: number, gas: number): Process {
    const start = this.#process.copy();
    start.reference = this.#process;
    start.referenceRef = 0;
    clearOutcome(start);
    start.status = abi.STATUS_RUNNABLE;
    start.entry = entry;
    start.gas = gas;
    return start;
  }

  #run(name: string, entry: number, argument: bigint | number, gas: number): bigint {
    if (typeof argument !== "bigint" && !Number.isSafeInteger(argument))
      throw badArgument("argument", argument, "a bigint or an integer");
    this.#bench.collectIfDue();
    const start = this.#starting(entry, integer({ gas }, "gas", gas, 0, GAS_LIMIT));
    const { low, high } = halvesOf(BigInt(argument));
    start.argumentLow = low;
    start.argumentHigh = high;
    const before = this.#process;
    this.#activate(start);
    if (this.#process.status !== abi.STATUS_FAULTED) return codeOf(this.#process);
    const fault = this.#fault(name);
    this.#process = before;
    throw fault;
  }

  #activate(start: Process): void {
    const result = this.#observed(() => this.#bench.kernel.activate(start, DEPTH));
    // As a child that its parent has joined before it ended.
    this.#process = keptChild(result, false);
  }

  #observed<T>(run: () => T): T {
    try {
      return this.#bench.observed(run);
    } finally {
      this.#events = this.#bench.events();
    }
  }

  #fault(entry: string, { fault, line, column } = this.#process): GuestFault {
    const code = (BigInt(column) << 32n) | BigInt(line);
    return new GuestFault(entry, FAULT_NAMES[fault] as string, this.#events, code);
  }

  #outcomes(): TestOutcome[] {
    const outcomes = new Outcomes(this.#bench.heap, this.#process.outcomes);
    const ran = this.#events.filter((event) => event.what === "item" && event.path.length === 0);
    const events = new Map(ran.map((event) => [(event as ItemEvent).item, event as ItemEvent]));
    return Array.from({ length: outcomes.count }, (_, i) => {
      const { status, fault, codeLow, codeHigh, gasUsed } = outcomes.item(i);
      const { text = "", facts = {}, stack = [], lost = [] } = events.get(i) ?? {};
      return {
        status: ITEM_STATUSES[status] as TestOutcome["status"],
        fault: FAULT_NAMES[fault] as string,
        code: (BigInt(codeHigh) << 32n) | BigInt(codeLow >>> 0),
        gasUsed,
        output: new Uint8Array(outcomes.outputs(i, i + 1)),
        text,
        facts,
        stack,
        lost,
      };
    });
  }
}

function codeOf({ codeLow, codeHigh }: Process): bigint {
  return (BigInt(codeHigh) << 32n) | BigInt(codeLow >>> 0);
}

type ItemEvent = Extract<TraceEvent, { what: "item" }>;

/** Behind the states that were handed out. */
const states = new WeakMap<TestState, { readonly heap: Heap; readonly ref: Ref }>();

/** Inputs as the kernel takes them, and the bytes that hold them. */
function listOf(inputs: readonly Uint8Array[], stateBytes: number, gas: number) {
  const source = Buffer.concat(inputs);
  const list = new Uint32Array((inputs.length * abi.INPUT_SIZE) / 4);
  let pointer = 0;
  inputs.forEach(({ length }, i) => {
    const at = (i * abi.INPUT_SIZE) / 4;
    list[at + abi.INPUT_POINTER / 4] = pointer;
    list[at + abi.INPUT_LENGTH / 4] = length;
    list[at + abi.INPUT_GAS / 4] = lowOf(gas);
    list[at + abi.INPUT_GAS / 4 + 1] = highOf(gas);
    pointer += length;
  });
  const mail = {
    inbox: stateBytes,
    inboxCapacity: BOX_BYTES,
    outbox: stateBytes + BOX_BYTES,
    outboxCapacity: BOX_BYTES,
  };
  const bytes = inputs.reduce((sum, { length }) => sum + inputBytes(length), 0);
  return [{ ...mail, count: inputs.length, list, bytes }, source] as const;
}
