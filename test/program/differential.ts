/** Compares one generated program, instrumented, with its reference, plain; says what differs. */

import { createHash } from "node:crypto";
import { admit, admitEntryProgram, type Program } from "../../runtime/program/admit.ts";
import { faultOf } from "../../runtime/program/faults.ts";
import type { Defect } from "../../runtime/program/instrument/defects.ts";
import { PAGE_TOUCH_GAS } from "../../runtime/program/instrument/gas.ts";
import { FAULT_ABORT, FAULT_NONE, FAULT_OUT_OF_GAS } from "../../syscalls/abi.ts";
import { generate } from "./generate.ts";
import { type Image, Machine, type Outcome, PLENTY } from "./harness.ts";
import { Random } from "./random.ts";

const ABORTED = { message: "abort" };
const NO_AUX = new Int32Array(16);

export interface Difference {
  readonly seed: number;
  readonly what: string;
}

/** What a run gave, for comparison between tiers: gas included. */
export interface Observed {
  readonly difference: string | null;
  readonly summary: string;
}

/** The host's side of put and get: a function of its arguments and of the bytes around an address. */
export function answer(name: string, a: number, b: number, bytes: Uint8Array): number {
  const at = (a >>> 0) % (bytes.length - 8);
  let hash = (name === "put" ? 17 : 31) ^ (b | 0);
  for (let index = 0; index < 8; index++) hash = (Math.imul(hash, 31) + (bytes[at + index] as number)) | 0;
  return hash;
}

/** The parent's side of ret. */
export const answerRet = (code: bigint) => BigInt.asIntN(64, code * 0x2545f4914f6cdd1dn + 1n);

interface Reference {
  fault: number;
  result: bigint;
  count: bigint;
  memory: Uint8Array;
  log: string[];
}

function runReference(bytes: Uint8Array, argument: bigint): Reference {
  const log: string[] = [];
  let memory: WebAssembly.Memory | undefined;
  const call = (name: string) => (a: number, b: number) => {
    log.push(`${name} ${a} ${b}`);
    return answer(name, a, b, new Uint8Array((memory as WebAssembly.Memory).buffer));
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), {
    stillpoint: {
      put: call("put"),
      get: call("get"),
      ret: (code: bigint) => {
        log.push(`ret ${code}`);
        return answerRet(code);
      },
    },
    env: {
      abort: (message: number, file: number, line: number, column: number) => {
        log.push(`abort ${message} ${file} ${line} ${column}`);
        throw ABORTED;
      },
    },
  });
  memory = instance.exports.memory as WebAssembly.Memory;
  let fault = 0;
  let result = 0n;
  try {
    result = (instance.exports.main as (argument: bigint) => bigint)(argument);
  } catch (error) {
    const code = error === ABORTED ? FAULT_ABORT : faultOf(error, NO_AUX);
    if (code === null) throw error;
    fault = code;
  }
  const count = (instance.exports.count as WebAssembly.Global).value as bigint;
  return { fault, result, count, memory: new Uint8Array(memory.buffer), log };
}

/** Keeps what memory was at the last scan, and checks that marks cover what changed since. */
export class MarkOracle {
  readonly #machine: Machine;
  readonly #from: number;
  #before: Uint8Array;
  problem: string | null = null;
  /** Marks found in all scans. */
  marks = 0;

  /** Below the address `from` nothing may be marked, and the 64 bytes from there on need no mark. */
  constructor(machine: Machine, from = 0) {
    this.#machine = machine;
    this.#from = from;
    this.#before = machine.bytes().slice();
  }

  check(): void {
    const size = this.#machine.blockBytes;
    const first = this.#from / size;
    const marked = new Set(this.#machine.scan());
    this.marks += marked.size;
    for (const block of marked) if (block < first) this.problem ??= `block ${block} was marked`;
    const now = this.#machine.bytes();
    for (let block = first; block < now.length / size; block++) {
      if (marked.has(block)) continue;
      const reach = block > 0 && (marked.has(block - 1) || block === first) ? 64 : 0;
      const part = (bytes: Uint8Array) => bytes.subarray(block * size + reach, (block + 1) * size);
      const before = block * size < this.#before.length ? part(this.#before) : new Uint8Array(size - reach);
      if (Buffer.compare(part(now), before) !== 0) this.problem ??= `block ${block} changed without a mark`;
    }
    this.#before = now.slice();
  }
}

export function compare(seed: number, defect?: Defect): Observed {
  const { program: bytes, reference: plain } = generate(seed);
  const argument = BigInt(seed) * 0x9e3779b97f4a7c15n;
  const reference = runReference(plain, BigInt.asIntN(64, argument));
  const program = admitEntryProgram(bytes, defect === undefined ? {} : { defect });
  const module = new WebAssembly.Module(program.code as BufferSource);
  const machine = new Machine(program, module);
  const oracle = new MarkOracle(machine);
  machine.onCall = (name, a, b) => {
    oracle.check();
    return answer(name, a, b, machine.bytes());
  };
  const outcome = machine.run("main", BigInt.asIntN(64, argument));
  oracle.check();
  const used = PLENTY - outcome.gas;
  const paid = paysExactly(outcome.fault) ? used : "-";
  const summary = `${outcome.fault} ${outcome.result} ${paid} ${digest(machine.bytes())}`;
  const fail = (difference: string) => ({ difference, summary });
  if (outcome.fault !== reference.fault) return fail(`fault ${outcome.fault}, plain ${reference.fault}`);
  if (outcome.result !== reference.result) return fail(`result ${outcome.result}, plain ${reference.result}`);
  if (machine.log.join() !== reference.log.join()) return fail("other calls of the kernel");
  const memory = machine.bytes();
  if (memory.length !== reference.memory.length) return fail("another memory size");
  if (Buffer.compare(memory, reference.memory) !== 0) {
    const at = memory.findIndex((byte, index) => byte !== reference.memory[index]);
    return fail(`byte ${at} is ${memory[at]}, plain ${reference.memory[at]}`);
  }
  if (oracle.problem !== null) return fail(oracle.problem);
  if (!paysExactly(outcome.fault)) return { difference: null, summary };
  if (used < reference.count) return fail(`${used} gas for ${reference.count} entries and loop turns`);
  const touches = BigInt(oracle.marks * PAGE_TOUCH_GAS);
  const rest = usedBut(bytes, BigInt.asIntN(64, argument), "pay");
  if (used - rest !== touches) return fail(`${used - rest} gas for ${oracle.marks} pages touched`);
  const again = (gas: bigint) => {
    const other = new Machine(program, module);
    other.onCall = (name, a, b) => {
      other.scan();
      return answer(name, a, b, other.bytes());
    };
    return other.run("main", BigInt.asIntN(64, argument), gas);
  };
  const limits = gasLimits(again, outcome, seed);
  return limits === null ? { difference: null, summary } : fail(limits);
}

/** What the program uses with a defect. */
function usedBut(bytes: Uint8Array, argument: bigint, defect: Defect): bigint {
  const machine = new Machine(admitEntryProgram(bytes, { defect }));
  machine.onCall = (name, a, b) => answer(name, a, b, machine.bytes());
  return PLENTY - machine.run("main", argument).gas;
}

/** Whether an activation that ends so pays for what it did, and keeps the rest: a trap takes all. */
export const paysExactly = (fault: number) => fault === FAULT_NONE || fault === FAULT_ABORT;

/** How a program that calls ret ended, and what it did until then. */
interface Course {
  readonly outcome: Outcome;
  readonly log: readonly string[];
  readonly memory: Uint8Array;
  /** A page that changed without a mark. */
  readonly problem: string | null;
  readonly stops: number;
  /** Of all stacks that were saved. */
  readonly stacks: string;
}

/** Runs `main`; suspended at each call of ret, and resumed in a new instance, or answered at once. */
function courseOf(program: Program, argument: bigint, suspends: boolean): Course {
  const module = new WebAssembly.Module(program.code as BufferSource);
  const log: string[] = [];
  const stacks = createHash("sha256");
  let problem: string | null = null;
  const prepare = (image?: Image) => {
    const machine = new Machine(program, module, image);
    const oracle = new MarkOracle(machine);
    machine.onCall = (name, a, b) => {
      oracle.check();
      return answer(name, a, b, machine.bytes());
    };
    if (!suspends) {
      machine.atOnce = (code) => {
        machine.log.push(`ret ${code}`);
        // As a new instance begins: nothing is marked.
        oracle.check();
        return answerRet(code);
      };
    }
    const close = () => {
      oracle.check();
      log.push(...machine.log);
      problem ??= oracle.problem;
    };
    return { machine, close };
  };
  let { machine, close } = prepare();
  let outcome = machine.run("main", argument);
  close();
  let stops = 0;
  for (; outcome.standing; stops++) {
    log.push(`ret ${outcome.result}`);
    const image = machine.image();
    stacks.update(image.stack);
    ({ machine, close } = prepare(image));
    outcome = machine.resume(image, answerRet(outcome.result));
    close();
  }
  const memory = machine.bytes();
  return { outcome, log, memory, problem, stops, stacks: stacks.digest("hex").slice(0, 16) };
}

/**
 * A program that is suspended at each call of ret and resumed in a new instance, against the plain reference,
 * whose ret answers at once, and against itself, answered at once: that costs the same gas to the unit.
 */
export function compareSuspending(seed: number, defect?: Defect): Observed & { readonly stops: number } {
  const { program: bytes, reference: plain } = generate(seed, true);
  const argument = BigInt.asIntN(64, BigInt(seed) * 0x9e3779b97f4a7c15n);
  const reference = runReference(plain, argument);
  const program = admit(bytes, defect === undefined ? {} : { defect });
  const { outcome, log, memory, problem, stops, stacks } = courseOf(program, argument, true);
  const paid = paysExactly(outcome.fault) ? PLENTY - outcome.gas : "-";
  const summary = `${outcome.fault} ${outcome.result} ${paid} ${digest(memory)} ${stacks}`;
  const fail = (difference: string) => ({ difference, summary, stops });
  if (outcome.fault !== reference.fault) return fail(`fault ${outcome.fault}, plain ${reference.fault}`);
  if (outcome.fault === 0 && outcome.result !== reference.result)
    return fail(`result ${outcome.result}, plain ${reference.result}`);
  if (log.join() !== reference.log.join()) return fail("other calls of the kernel");
  if (Buffer.compare(memory, reference.memory) !== 0) return fail("other memory");
  if (problem !== null) return fail(problem);
  const direct = courseOf(program, argument, false);
  if (direct.outcome.fault !== outcome.fault) return fail("another fault when answered at once");
  if (direct.outcome.gas !== outcome.gas)
    return fail(`${outcome.gas} gas is left, ${direct.outcome.gas} when answered at once`);
  if (direct.problem !== null) return fail(direct.problem);
  return { difference: null, summary, stops };
}

/**
 * With exactly what it used a program ends as it did, with nothing left. With less, by one or by any amount,
 * it is out of gas.
 */
export function gasLimits(
  run: (gas: bigint) => Outcome,
  { fault, gas: left }: Outcome,
  seed: number,
): string | null {
  const used = PLENTY - left;
  const enough = run(used);
  if (enough.fault !== fault || enough.gas !== 0n) return `the gas it used is not enough: ${used}`;
  const some = BigInt(new Random(seed).below(Number(used)));
  for (const gas of [used - 1n, some]) {
    if (run(gas).fault !== FAULT_OUT_OF_GAS) return `less gas than it used is enough: ${gas} of ${used}`;
  }
  return null;
}

export function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}
