/**
 * Compares the batch variant of a generated program with its sequential variant.
 *
 * The state is kept outside of the guest's memory, which holds garbage below the bound: a line comes in when
 * it is touched, and what was written is taken out at the end. So a load that was not touched reads garbage,
 * a store that was not touched leaves a trace, and one that is not tagged as written is lost.
 */

import { admit, instrumentForBatch, type Program } from "../../runtime/program/admit.ts";
import type { Defect } from "../../runtime/program/instrument/defects.ts";
import {
  AUX_TAGS,
  FAULT_INTERNAL_SEQUENTIAL,
  LINE_BYTES,
  TAG_PRESENT,
  TAG_WRITTEN,
} from "../../runtime/program/layout.ts";
import { answer, digest, gasLimits, MarkOracle, type Observed, paysExactly } from "./differential.ts";
import { generate } from "./generate.ts";
import { Machine, PLENTY } from "./harness.ts";
import { Random } from "./random.ts";

const PAGE_BYTES = 4096;
const GARBAGE = 0xa5;
const REFUSAL = -9n;

/** A machine for the batch variant, with its state outside. */
export class StateMachine {
  readonly machine: Machine;
  readonly bound: number;
  /** What touch was called with. */
  readonly touches: { address: number; length: number; write: boolean }[] = [];
  /** The first breach of the contract that was seen. */
  problem: string | null = null;
  readonly #state: Uint8Array;

  /** Some lines are there from the beginning: which, `random` says. */
  constructor(program: Program, module: WebAssembly.Module, bound: number, random: Random) {
    this.bound = bound;
    const touch = (_: Machine, address: number, length: number, write: boolean) =>
      this.#touch(address, length, write);
    this.machine = new Machine(program, module, undefined, { bound, touch });
    this.#state = this.machine.bytes().slice(0, bound);
    this.machine.bytes().fill(GARBAGE, 0, bound);
    const share = random.below(100);
    for (let line = 0; line < bound / LINE_BYTES; line++) {
      if (random.chance(share)) this.#bring(line, random.chance(80));
    }
  }

  get #tags(): Uint8Array {
    return new Uint8Array(this.machine.aux.buffer).subarray(AUX_TAGS, AUX_TAGS + this.bound / LINE_BYTES);
  }

  tag(line: number): number {
    return this.#tags[line] as number;
  }

  #touch(address: number, length: number, write: boolean): void {
    this.touches.push({ address, length, write });
    if (address >= this.bound || length === 0) this.problem ??= `touched ${length} bytes at ${address}`;
    const end = Math.min(address + length, this.bound);
    for (let line = Math.floor(address / LINE_BYTES); line * LINE_BYTES < end; line++) {
      this.#bring(line, write);
    }
  }

  #bring(line: number, write: boolean): void {
    const tags = this.#tags;
    const at = line * LINE_BYTES;
    if (tags[line] === 0) this.machine.bytes().set(this.#state.subarray(at, at + LINE_BYTES), at);
    tags[line] = write ? TAG_PRESENT | TAG_WRITTEN : (tags[line] as number) | TAG_PRESENT;
  }

  /** Memory as the guest sees it; notes what was written without a tag. */
  view(): Uint8Array {
    const bytes = this.machine.bytes().slice();
    this.#tags.forEach((tag, line) => {
      const at = line * LINE_BYTES;
      const end = at + LINE_BYTES;
      if (tag > 1) return;
      const expected = tag === 0 ? GARBAGE_LINE : this.#state.subarray(at, end);
      if (Buffer.compare(bytes.subarray(at, end), expected) !== 0)
        this.problem ??= `line ${line} was written with tag ${tag}`;
      bytes.set(this.#state.subarray(at, end), at);
    });
    return bytes;
  }
}

const GARBAGE_LINE = new Uint8Array(LINE_BYTES).fill(GARBAGE);

/**
 * Runs both variants of program `seed` with a state of random size. A `suspending` one may not suspend, as
 * items may not.
 */
export function compareBatch(seed: number, defect?: Defect, suspending = false): Observed {
  const { program: bytes } = generate(seed, suspending);
  const random = new Random(seed ^ 0x5eed);
  const bound = PAGE_BYTES * random.below(17);
  const argument = BigInt.asIntN(64, BigInt(seed) * 0x9e3779b97f4a7c15n);
  const options = defect === undefined ? {} : { defect };
  const program = admit(bytes);
  const code = instrumentForBatch(bytes, bound, options);
  if (code === null) throw new Error(`seed ${seed}: the batch variant is too large`);

  const module = new WebAssembly.Module(code as BufferSource);
  const runBoth = (gas: bigint) => ({
    wanted: runSequential(program, argument, bound, gas),
    batch: runBatch(program, module, argument, bound, random, gas),
  });
  const { wanted, batch } = runBoth(PLENTY);
  const { state, marks, outcome } = batch;
  const { machine } = state;
  const production = wanted.machine;
  const memory = state.view();
  const paid = paysExactly(outcome.fault) ? PLENTY - outcome.gas : "-";
  const touches = state.touches.length;
  const summary = `${bound} ${outcome.fault} ${outcome.result} ${paid} ${digest(memory)} ${touches}`;
  const fail = (difference: string) => ({ difference, summary });
  // The sequential variant would run it.
  if (outcome.fault === FAULT_INTERNAL_SEQUENTIAL) return { difference: null, summary };
  const { fault, result, gas } = wanted.outcome;
  if (outcome.fault !== fault) return fail(`fault ${outcome.fault}, in production ${fault}`);
  if (outcome.result !== result) return fail(`result ${outcome.result}, in production ${result}`);
  if (outcome.gas !== gas) return fail(`gas left ${outcome.gas}, in production ${gas}`);
  if (machine.log.join() !== production.log.join()) return fail("other calls of the kernel");
  if (Buffer.compare(machine.globals(), production.globals()) !== 0) return fail("other globals");
  if (Buffer.compare(memory, production.bytes()) !== 0) {
    const at = memory.findIndex((byte, index) => byte !== production.bytes()[index]);
    return fail(`byte ${at} is ${memory[at]}, in production ${production.bytes()[at]}`);
  }
  if (state.problem !== null) return fail(state.problem);
  if (marks.problem !== null) return fail(marks.problem);
  if (!paysExactly(fault)) return { difference: null, summary };
  const limited = (gas: bigint) => runBatch(program, module, argument, bound, random, gas).outcome;
  const limits = gasLimits(limited, outcome, seed);
  if (limits !== null) return fail(limits);
  // Out of gas somewhere: where, memory and calls tell.
  const limit = (BigInt(random.next()) * (PLENTY - gas)) >> 32n;
  const short = runBoth(limit);
  if (short.batch.outcome.fault !== short.wanted.outcome.fault)
    return fail(
      `fault ${short.batch.outcome.fault} with ${limit} gas, in production ${short.wanted.outcome.fault}`,
    );
  if (short.batch.state.machine.log.join() !== short.wanted.machine.log.join())
    return fail(`other calls of the kernel with ${limit} gas`);
  if (Buffer.compare(short.batch.state.view(), short.wanted.machine.bytes()) !== 0)
    return fail(`other memory with ${limit} gas`);
  return { difference: null, summary };
}

/** The sequential variant, which may not suspend. */
function runSequential(program: Program, argument: bigint, bound: number, gas: bigint) {
  const machine = new Machine(program);
  machine.onCall = (name, a, b) => {
    // Without state the marks that the batch variant's oracle takes away are those of pages that were paid.
    if (bound === 0) machine.scan();
    return answer(name, a, b, machine.bytes());
  };
  machine.atOnce = () => REFUSAL;
  return { machine, outcome: machine.run("main", argument, gas) };
}

/** The batch variant, likewise, with its marks checked. */
function runBatch(
  program: Program,
  module: WebAssembly.Module,
  argument: bigint,
  bound: number,
  random: Random,
  gas: bigint,
) {
  const state = new StateMachine(program, module, bound, random);
  const { machine } = state;
  const marks = new MarkOracle(machine, bound);
  machine.onCall = (name, a, b) => {
    marks.check();
    return answer(name, a, b, state.view());
  };
  machine.atOnce = () => REFUSAL;
  const outcome = machine.run("main", argument, gas);
  marks.check();
  return { state, marks, outcome };
}
