/**
 * An App trusts `from`: whoever submits a transaction says who makes it, so submit only what you have
 * authenticated, and never what came from a port as it came.
 *
 * It is a runtime with a ready-made root (guest/root.ts) and one process, child 1, of a typed program.
 * Transactions wait in a pool; a block takes them as one batch, in order and in parallel. What becomes of one
 * is data of the block: it never fails a block, whatever its bytes are.
 */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { StoreError, UsageError } from "../errors.ts";
import { type Block, type BlockFault, programHash, Runtime, type RuntimeOptions } from "../index.ts";
import { readState } from "../program/decode/state.ts";
import {
  type AddressLike,
  type Call,
  Client,
  type Contracts,
  failureCode,
  type Outcome,
  type Query,
  type Transaction,
} from "../typed/client.ts";
import { fixedBytes } from "../typed/codec.ts";
import { TRANSACTION_ENTRY, VIEW_ENTRY } from "../typed/entry.ts";
import { readInterface } from "../typed/interface.ts";
import { blockMessage, genesisMessage, readResults } from "./blocks.ts";
import { Pool, type Waiting } from "./pool.ts";
import { rootProgram } from "./root.ts";
import { knownViews, type StateView, stateViews } from "./state.ts";

/** Options of `App.open`: those of `Runtime.open` but for root and programs, and these. */
export interface AppOptions extends Omit<RuntimeOptions, "root" | "programs" | "entry"> {
  /**
   * The file with the contracts, AssemblyScript: compiled under the layout beside it, `app.layout.json` for
   * `app.ts`, or as a first build if there is none. Or `program`.
   */
  readonly contract?: string;
  /** The program that `stillpoint build` made, instead of its source. */
  readonly program?: Uint8Array;
  /**
   * Which of the waiting transactions go into the next block, and in which order. Those that it leaves out
   * wait on. Default: all, as they were submitted.
   */
  readonly order?: (waiting: readonly Waiting[]) => readonly Waiting[];
  /** Gas of a transaction that does not say. Default 10,000,000. */
  readonly gas?: number;
}

/** Who makes a call, and what it may use. */
export interface SubmitOptions {
  readonly from: AddressLike;
  /** Gas that it may use. Default: the option `gas` of the app. */
  readonly gas?: number;
}

/** Where a call looks, and who it is. */
export interface QueryOptions {
  /** What `caller()` gives. Default: twenty zero bytes. */
  readonly from?: AddressLike;
  /** The block that it looks at, of this chain by height, or any retained one. Default: the latest. */
  readonly on?: number | Block;
  /** Gas that it may use. Default: that of `Runtime.call`. */
  readonly gas?: number;
}

/** A block of an app. */
export interface Produced {
  readonly block: Block;
  /** What became of its transactions, in their order. */
  readonly outcomes: readonly Outcome[];
}

const GAS = 10_000_000;
const ESTIMATE_MARGIN = 1.25;
const NOBODY = new Uint8Array(20);
const APP: readonly number[] = [1];
/** u64 height · u64 time, in the first line of state. */
const CONTEXT_BYTES = 16;

/** Trusts `from`: submit what you have authenticated. A runtime that is ready for contracts with types. */
export class App<Typed extends object = Contracts> {
  /** The runtime below, for all that an App has no word for. Blocks are to be made here alone. */
  readonly runtime: Runtime;
  /**
   * The program's functions by contract, which make calls for `submit`. `stillpoint build` writes its type.
   */
  readonly client: Typed;
  /** The collections of the program's state by name, as they are after the latest block. */
  readonly state: Readonly<Record<string, StateView>>;
  readonly #client: Client;
  readonly #order: (waiting: readonly Waiting[]) => readonly Waiting[];
  readonly #gas: number;
  readonly #pool = new Pool();
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(runtime: Runtime, client: Client, options: AppOptions) {
    this.runtime = runtime;
    this.#client = client;
    this.client = client.contracts as unknown as Typed;
    this.#order = options.order ?? ((waiting) => waiting);
    this.#gas = options.gas ?? GAS;
    const read = (address: number, length: number): Uint8Array => runtime.read(APP, address, length);
    this.state = knownViews(stateViews(client.description, read));
  }

  /**
   * Opens an app, on a store where it stood.
   *
   * @throws UsageError (BAD_OPTION, NO_INTERFACE, E_GUEST_COMPILE…); StoreError STORE_GENESIS if the store
   * was made
   *   with another program or other rules; and as `Runtime.open`
   * @example
   * ```ts
   * const app = await App.open<Client>({ contract: "bank.ts", store: "state" });
   * const paid = app.submit(app.client.Bank.pay({ from, to, amount: 40n }), { from });
   * await app.produce();
   * console.log(await paid); // { ok: true, value: 59n, … }, or { ok: false, error: "overdraft", … }
   * ```
   */
  static async open<Typed extends object = Contracts>(options: AppOptions): Promise<App<Typed>> {
    const { contract, program: given, order, gas, ...rest } = options;
    if ((contract === undefined) === (given === undefined))
      throw new UsageError("BAD_OPTION", 'give "contract", a source file, or "program", a compiled module');
    const program = given ?? (await compile(contract as string));
    const client = new Client(readInterface(program));
    const runtime = await open({ ...rest, root: await rootProgram(), programs: [program] });
    try {
      if (runtime.head.height === 0) {
        const { stateBytes, memoryPages } = readState(program);
        await runtime.produce(genesisMessage(programHash(program), stateBytes, memoryPages));
      }
      return new App<Typed>(runtime, client, options);
    } catch (error) {
      await runtime.close();
      throw error;
    }
  }

  /** The latest block. */
  get head(): Block {
    return this.runtime.head;
  }

  /** Transactions that no block has taken yet, in the order in which they were submitted. */
  get waiting(): readonly Waiting[] {
    return this.#pool.waiting;
  }

  /**
   * Puts a transaction into the pool. The promise is resolved when a block has it, however it ended; it is
   * rejected only if the app is closed before.
   *
   * @throws UsageError BAD_ARGUMENT for a call that is no transaction, and for a sender that is no address
   */
  submit<Value, Failure extends string>(
    call: Transaction<Value, Failure>,
    { from, gas = this.#gas }: SubmitOptions,
  ): Promise<Outcome<Value, Failure>> {
    const input = this.#input(call, "transaction", from);
    if (!Number.isSafeInteger(gas) || gas < 0)
      throw new UsageError("BAD_ARGUMENT", `gas: an integer, got ${gas}`);
    const sender = `0x${Buffer.from(fixedBytes(20, from, "from")).toString("hex")}`;
    const outcome = new Promise<Outcome<Value, Failure>>((resolve, reject) => {
      const done = resolve as (outcome: Outcome) => void;
      this.#pool.add({ call: call as Transaction, from: sender, input, gas, resolve: done, reject });
    });
    outcome.catch(() => undefined); // whoever does not wait for it need not hear that the app was closed
    return outcome;
  }

  /**
   * Makes a block of the transactions that wait, as many as go into one. Those that there was no gas for wait
   * on.
   *
   * @throws as `Runtime.produce`; the transactions then wait for the next try
   */
  produce(options: { readonly time?: number } = {}): Promise<Produced> {
    const made = this.#queue.then(() => this.#produce(options.time));
    this.#queue = made.catch(() => undefined);
    return made;
  }

  async #produce(wanted: number | undefined): Promise<Produced> {
    const time = wanted ?? Math.max(Date.now(), this.#time());
    let chosen = this.#pool.choose(this.#order);
    let block: Block;
    for (;;) {
      try {
        block = await this.runtime.produce(blockMessage(chosen, time));
        break;
      } catch (error) {
        // More than a block takes: of outcomes, gas or memory.
        if (chosen.length <= 1 || (error as BlockFault).code !== "BLOCK_FAULT") throw error;
        chosen = chosen.slice(0, Math.ceil(chosen.length / 2));
      }
    }
    const results = readResults(block.data);
    const done = new Set<Waiting>();
    const outcomes = chosen.flatMap((pending, i) => {
      const result = results[i] ?? null;
      if (result === null) return [];
      done.add(pending);
      const outcome = this.#client.outcome(pending.call, result);
      pending.resolve(outcome);
      return [outcome];
    });
    this.#pool.remove(done);
    return { block, outcomes };
  }

  /**
   * Runs a view on a block and keeps nothing. It runs beside blocks, on a thread that they do not need.
   *
   * @throws UsageError BAD_ARGUMENT for a call that is no view; NOT_RETAINED; and as `Runtime.call`
   */
  query<Value, Failure extends string>(
    call: Query<Value, Failure>,
    options: QueryOptions = {},
  ): Promise<Outcome<Value, Failure>> {
    return this.#look(call, "view", VIEW_ENTRY, options) as Promise<Outcome<Value, Failure>>;
  }

  /**
   * What would become of a transaction that stands first in the next block: it is run on a block as a view,
   * and nothing is kept. `block.height` and `block.time` are those of that block.
   *
   * @throws as `query`
   */
  check<Value, Failure extends string>(
    call: Transaction<Value, Failure>,
    options: QueryOptions & Pick<SubmitOptions, "from">,
  ): Promise<Outcome<Value, Failure>> {
    return this.#look(call, "transaction", TRANSACTION_ENTRY, options) as Promise<Outcome<Value, Failure>>;
  }

  /**
   * Gas that suffices for a transaction as things stand: what `check` used, which pays for private pages too,
   * and a quarter more. What stands before it in a block can make it cost more.
   *
   * @throws as `query`
   */
  async estimate(call: Transaction, options: QueryOptions & Pick<SubmitOptions, "from">): Promise<number> {
    const { gasUsed } = await this.check(call, options);
    return Math.ceil(gasUsed * ESTIMATE_MARGIN);
  }

  async #look(call: Call, kind: string, entry: string, options: QueryOptions): Promise<Outcome> {
    const { from = NOBODY, on, gas } = options;
    const { stack, ...view } = await this.runtime.call(APP, entry, {
      input: this.#input(call, kind, from),
      ...(on === undefined ? {} : { block: on }),
      ...(gas === undefined ? {} : { gas }),
    });
    // The first frame of an abort is the place that it names itself: where a failure has its number.
    const { line = 0, column = 0 } = stack[0]?.source ?? {};
    return this.#client.outcome(call, { ...view, code: failureCode(line, column >>> 0, view.text) });
  }

  /** Milliseconds since 1970 that the latest block says. */
  #time(): number {
    const bytes = this.runtime.read(APP, 0, CONTEXT_BYTES);
    return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8, true));
  }

  /**
   * Goes back to a retained block, as `Runtime.revert`. Transactions of blocks that are gone do not wait
   * again.
   */
  async revert(to: number | Block): Promise<void> {
    await this.runtime.revert(to);
  }

  /** Closes the runtime. Whoever still waits for a transaction is told. */
  async close(): Promise<void> {
    await this.#queue;
    this.#pool.reject(new UsageError("CLOSED", "the app is closed, and no block took the transaction"));
    await this.runtime.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #input(call: Call, kind: string, from: AddressLike): Uint8Array {
    if (call?.kind !== kind) {
      const text =
        call?.kind === undefined ? "not a call of this app's client" : `a ${call.kind}, not a ${kind}`;
      throw new UsageError("BAD_ARGUMENT", `${call?.contract}.${call?.name} is ${text}`);
    }
    return this.#client.input(call, from);
  }
}

async function open(options: RuntimeOptions): Promise<Runtime> {
  try {
    return await Runtime.open(options);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "STORE_GENESIS") throw error;
    const text =
      "the store was made with another program, or with other rules than these options give: " +
      "open it with the program it has, or give the new one a store of its own";
    throw new StoreError("STORE_GENESIS", text, error.facts, { cause: error });
  }
}

async function compile(file: string): Promise<Uint8Array> {
  const path = resolve(file);
  if (!existsSync(path))
    throw new UsageError("E_GUEST_MISSING", `no contract ${path}: give the path of a file`, { path });
  const { compileGuest } = await import("../compile.ts");
  return compileGuest(path);
}
