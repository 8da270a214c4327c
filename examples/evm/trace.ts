/**
 * A trace of one transaction as EIP-3155 describes it: a line for every opcode, then a summary. With it the
 * first opcode is found in which two machines differ.
 *
 * The EVM runs as a plain module here, compiled with a look at every opcode (guest/tracer.ts); the program
 * that the runtime executes does not have it. The transactions before are executed first, and not traced.
 */

import { UsageError } from "../../runtime/errors.ts";
import { type Guest, loadGuest } from "../guests.ts";
import type { EvmBlock, SignedTransaction } from "./block.ts";
import { encodeBlock } from "./encode.ts";
import { opcodeName } from "./opcodes.ts";
import { PlainEvm, PlainSenders } from "./plain.ts";

/** An opcode that is about to be executed. Numbers that may be large are in hex, as the EIP demands. */
export interface TraceStep {
  readonly pc: number;
  readonly op: number;
  readonly gas: string;
  /** What it is charged for, with what a call passes on. */
  readonly gasCost: string;
  /** In bytes. */
  readonly memSize: number;
  /** From the bottom to the top. */
  readonly stack: readonly string[];
  /** 1 for the transaction itself. */
  readonly depth: number;
  /** What the last call of this frame returned. */
  readonly returnData: string;
  /** What the transaction has been promised, this opcode included. */
  readonly refund: string;
  readonly opName: string;
  /** Why its frame fails here. */
  readonly error?: string;
}

export interface TraceSummary {
  /** What the transaction returns; of a creation, the code. */
  readonly output: string;
  /** Of the whole transaction, as its receipt has it: what it costs at least included, refunds subtracted. */
  readonly gasUsed: string;
  readonly pass: boolean;
}

/**
 * Calls `emit` for every opcode of transaction `index` of `block`, and returns the summary.
 *
 * @throws {UsageError} NO_TRANSACTION, INVALID_TRANSACTION
 */
export async function traceTransaction(
  block: EvmBlock,
  codes: ReadonlyMap<string, Uint8Array>,
  index: number,
  emit: (step: TraceStep) => void,
): Promise<TraceSummary> {
  const { number, transactions } = block;
  const traced = transactions[index];
  if (traced === undefined) {
    const message = `block ${number} has ${transactions.length} transactions, none with index ${index}`;
    throw new UsageError("NO_TRANSACTION", message, { number: String(number), index });
  }
  const [tracer, recovery] = await Promise.all([moduleOf("evm/tracer"), moduleOf("evm/senders")]);
  const senders = new PlainSenders(recovery);
  const recorder = new Recorder(emit);
  const imports = recorder.imports(() => evm.bytes);
  const evm = new PlainEvm(tracer, imports);
  const none = { evm: new Uint8Array(32), senders: new Uint8Array(32) };
  evm.begin(encodeBlock({ ...block, transactions: [] }, codes, none));
  const run = ({ bytes }: SignedTransaction, i: number) => {
    const sender = senders.recover(bytes);
    const receipt = typeof sender === "bigint" ? sender : evm.transact(sender, bytes);
    if (typeof receipt !== "bigint") return receipt;
    const message = `block ${number}: transaction ${i} is not valid, or not supported (code ${receipt})`;
    throw new UsageError("INVALID_TRANSACTION", message, { number: String(number), index: i });
  };
  for (const [i, one] of transactions.slice(0, index).entries()) run(one, i);
  recorder.begin();
  const { gasUsed, succeeded } = run(traced, index);
  return { output: recorder.output, gasUsed: hexOf(gasUsed), pass: succeeded };
}

const modules = new Map<Guest, Promise<WebAssembly.Module>>();

function moduleOf(guest: Guest): Promise<WebAssembly.Module> {
  const known = modules.get(guest);
  if (known !== undefined) return known;
  const made = loadGuest(guest).then((bytes) => new WebAssembly.Module(bytes as BufferSource));
  modules.set(guest, made);
  return made;
}

/** Makes lines of the tracer's calls. */
class Recorder {
  readonly #emit: (step: TraceStep) => void;
  #recording = false;
  /** The opcode that runs, until it is known what it costs. */
  #step: Omit<TraceStep, "gasCost" | "refund"> | undefined;
  #gas = 0n;
  output = "0x";

  constructor(emit: (step: TraceStep) => void) {
    this.#emit = emit;
  }

  begin(): void {
    this.#recording = true;
  }

  /** The imports of guest/trace.ts; `memory`: that of the instance, as it is. */
  imports(memory: () => Buffer): WebAssembly.ModuleImports {
    return {
      onStep: (
        pc: number,
        op: number,
        gas: bigint,
        depth: number,
        memSize: number,
        stack: number,
        words: number,
        returnData: number,
        returned: number,
      ): void => {
        if (!this.#recording) return;
        const bytes = memory();
        this.#gas = gas;
        this.#step = {
          pc,
          op,
          gas: hexOf(gas),
          memSize,
          stack: Array.from({ length: words }, (_, i) => wordAt(bytes, stack + 32 * i)),
          depth: depth + 1,
          returnData: `0x${bytes.toString("hex", returnData, returnData + returned)}`,
          opName: opcodeName(op),
        };
      },
      onPaid: (gas: bigint, refund: bigint, good: number): void => {
        if (this.#step === undefined) return;
        const failure = good ? {} : { error: gas < 0n ? "out of gas" : "exceptional halt" };
        const { pc, op, gas: before, opName, ...rest } = this.#step;
        const gasCost = hexOf(this.#gas - gas);
        this.#emit({ pc, op, gas: before, gasCost, ...rest, refund: hexOf(refund), opName, ...failure });
        this.#step = undefined;
      },
      onEnd: (output: number, length: number): void => {
        if (this.#recording) this.output = `0x${memory().toString("hex", output, output + length)}`;
      },
    };
  }
}

function wordAt(bytes: Buffer, at: number): string {
  let value = 0n;
  for (let limb = 24; limb >= 0; limb -= 8) value = (value << 64n) | bytes.readBigUInt64LE(at + limb);
  return hexOf(value);
}

function hexOf(value: bigint): string {
  return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}
