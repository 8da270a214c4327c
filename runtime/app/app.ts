/**
 * An App without the option `authenticate` trusts `from`: the submitter of a transaction names its sender, so
 * submit only what you have authenticated, and never what came from a port as it came. With `signed()` it
 * takes signed transactions, and nothing else.
 *
 * It is a runtime with a ready-made root (guest/root.ts), one process of a typed program and, if it
 * authenticates, one of the program that does (authentication.ts). Transactions wait in a pool; a block takes
 * them as one batch, in order and in parallel. What becomes of one is data of the block: it never fails a
 * block, whatever its bytes are.
 */

import { badArgument, badOption, checkNames } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import type { Block, Candidate, ForkOptions, Runtime } from "../index.ts";
import { prefixedHex } from "../text.ts";
import type { AddressLike, Call, Contracts, Outcome, Query, Transaction } from "../typed/client.ts";
import { fixedBytes } from "../typed/codec.ts";
import { nonceOf } from "./authentication.ts";
import { type Input, makeBlock, readMessage, readResults } from "./blocks.ts";
import { checkLength, inputOf, NOBODY, runAsView, wrong } from "./calls.ts";
import { appEvents } from "./events.ts";
import { AUTHENTICATION_GAS } from "./guest/messages.ts";
import { Intake } from "./intake.ts";
import { TRANSACTION_GAS } from "./limits.ts";
import { openRuntime } from "./open.ts";
import type {
  AppEvent,
  ApplyOptions,
  AppOptions,
  AppReorg,
  AppReorgOptions,
  BlockOptions,
  Produced,
  Proposal,
  ProposeOptions,
  QueryOptions,
  SubmitOptions,
  Upgrade,
} from "./options.ts";
import { Pool, type Waiting } from "./pool.ts";
import { APP, type AppProgram, CONTEXT_BYTES, Programs } from "./programs.ts";
import type { Hex } from "./signer.ts";
import type { StateView } from "./state.ts";
import { type AppTrace, traceBlock } from "./trace.ts";
import { inputsOf, migrationError, planUpgrade, type Received } from "./upgrade.ts";

const ESTIMATE_MARGIN = 1.25;
/** Blocks for which a transaction that is signed here is good. */
const GOOD_FOR = 256;

/** Trusts `from`: submit what you have authenticated. A runtime that is ready for contracts with types. */
export class App<Typed extends object = Contracts> {
  /** The runtime below, for everything that an App has no method for. Make blocks only through the App. */
  readonly runtime: Runtime;
  /** What signatures are for: 32 bytes. */
  readonly chain: Hex;
  /** @internal */
  readonly options: AppOptions;
  readonly #programs: Programs;
  readonly #pool: Pool;
  readonly #gas: number;
  /** Null: callers are trusted. */
  readonly #intake: Intake | null;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(runtime: Runtime, chain: Hex, options: AppOptions) {
    this.runtime = runtime;
    this.chain = chain;
    this.options = options;
    this.#gas = options.gas ?? TRANSACTION_GAS;
    this.#programs = new Programs(runtime);
    this.#pool = new Pool(options.authenticate !== undefined);
    const isOpen = options.authenticate === undefined;
    this.#intake = isOpen ? null : new Intake(runtime, this.#programs, this.#pool);
  }

  /**
   * Opens an app, on a store where it stood.
   *
   * @throws UsageError (BAD_OPTION, NO_INTERFACE, E_GUEST_COMPILE, SETUP_FAILED…), UsageError UPGRADE or
   *   STATE_MOVED if the app of the store has another program; StoreError STORE_GENESIS if it has another
   *   authenticator, or began with other rules; and as `Runtime.open`
   * @example
   * ```ts
   * const app = await App.open<Client>({ contract: "bank.ts", store: "state" });
   * const minted = app.submit(app.client.Bank.mint({ to: alice, amount: 100n }), { from: alice });
   * await app.produce();
   * console.log((await minted).ok); // true
   * ```
   */
  static async open<Typed extends object = Contracts>(options: AppOptions): Promise<App<Typed>> {
    const { runtime, chain } = await openRuntime(options);
    return new App<Typed>(runtime, chain, options);
  }

  /**
   * The program's functions by contract, which make calls for `submit`. `stillpoint build` writes its type.
   * After an upgrade there are those of the new program.
   */
  get client(): Typed {
    return this.#program.client.contracts as unknown as Typed;
  }

  /** The collections of the program's state by name, as they are after the latest block. */
  get state(): Readonly<Record<string, StateView>> {
    return this.#program.state;
  }

  /** That of the latest block. */
  get #program(): AppProgram {
    return this.#programs.latest;
  }

  /** The latest block. */
  get head(): Block {
    return this.runtime.head;
  }

  /** Transactions that no block has taken yet, in the order in which they were submitted. */
  get waiting(): readonly Waiting[] {
    return this.#pool.waiting;
  }

  // ---- transactions ---------------------------------------------------------------------------------------

  /**
   * Puts a transaction into the pool: a call that `from` makes or `by` signs, or its bytes, as `encode` and
   * `Signer` make them. The promise is resolved when a block has it, however it ended, or at once if the next
   * block would not let it in; it is rejected only if the app is closed before, or by `withdraw`.
   *
   * @throws UsageError BAD_ARGUMENT for a call that is no transaction, and for a sender that is no address
   */
  submit<Value, Failure extends string>(
    transaction: Transaction<Value, Failure> | Uint8Array,
    options: SubmitOptions = {},
  ): Promise<Outcome<Value, Failure>> {
    checkNames(options, ["from", "by", "gas", "nonce", "lastHeight"]);
    const outcome = (
      this.#intake === null
        ? this.#trust(transaction as Transaction | Uint8Array, options)
        : this.#intake.add(this.#signing(this.#intake, transaction as Transaction | Uint8Array, options))
    ) as Promise<Outcome<Value, Failure>>;
    outcome.catch(() => undefined); // closing the app is no error for callers that do not wait for it
    return outcome;
  }

  #trust(transaction: Transaction | Uint8Array, { from, by, gas = this.#gas }: SubmitOptions) {
    if (by !== undefined) throw wrong('this app trusts callers: give "from", or open it with "authenticate"');
    if (!Number.isSafeInteger(gas) || gas < 0) throw badOption("gas", gas, "an integer from 0 on");
    const bytes = checkLength(
      transaction instanceof Uint8Array ? transaction : this.#encode(transaction, from),
    );
    const call = transaction instanceof Uint8Array ? this.#program.client.callOf(bytes) : transaction;
    if (call?.kind !== "transaction")
      throw badArgument("transaction", transaction, "a call of a transaction of the program");
    const sender = prefixedHex(bytes.subarray(4, 24));
    return new Promise<Outcome>((resolve, reject) => {
      this.#pool.add({ call: call as Transaction, from: sender, bytes, gas, resolve, reject });
    });
  }

  #signing(intake: Intake, transaction: Transaction | Uint8Array, options: SubmitOptions) {
    if (transaction instanceof Uint8Array) {
      const bytes = new Uint8Array(checkLength(transaction));
      return async () => bytes;
    }
    const { by, nonce } = options;
    if (by === undefined) throw wrong('this app authenticates: give "by", a Signer, or signed bytes');
    this.#encode(transaction, NOBODY);
    return async () =>
      checkLength(
        this.encode(transaction, { ...options, nonce: nonce ?? (await intake.nextNonce(by.address)) }),
      );
  }

  /**
   * The bytes of a transaction, to be submitted here or elsewhere: signed if the app authenticates, and then
   * `nonce` must be given.
   *
   * @throws as `submit`
   */
  encode(call: Transaction, options: SubmitOptions): Uint8Array {
    const { from, by, gas = this.#gas, nonce, lastHeight = this.head.height + GOOD_FOR } = options;
    if (this.#intake === null) return this.#encode(call, from);
    if (by === undefined || nonce === undefined) throw wrong('give "by", a Signer, and "nonce"');
    const input = this.#encode(call, NOBODY);
    const bytes = Buffer.concat([input.subarray(0, 4), call.bytes]);
    return by.sign({ chain: this.chain, nonce, gas, lastHeight, call: bytes });
  }

  /**
   * A nonce that the sender has not used: the lowest above all that it has, for those who sign elsewhere.
   *
   * @throws as `Runtime.call`; UsageError BAD_ARGUMENT if the app trusts callers
   */
  async nonceOf(sender: Hex | Uint8Array): Promise<bigint> {
    if (this.#intake === null) throw wrong("this app trusts callers: there are no nonces");
    return nonceOf(this.runtime, fixedBytes(20, sender, "sender"));
  }

  // ---- blocks ---------------------------------------------------------------------------------------------

  /**
   * Makes a block of the transactions that wait, as many as go into one. Those that there was no gas for wait
   * on.
   *
   * @throws as `Runtime.produce`; the transactions then wait for the next try
   */
  produce({ time, ...options }: BlockOptions = {}): Promise<Produced> {
    return this.#inOrder(async () => {
      await this.#intake?.idle();
      const run = (metadata: Uint8Array): Promise<Block> => this.#produce({ metadata }, options);
      const [block, message] = await this.#make(this.#timeOf(time), options, run);
      return this.#settled(block, message);
    });
  }

  /**
   * Makes the block that another replica made of the same message. One of an upgrade is taken with
   * `allowUpgrade` only: it changes the program.
   *
   * @throws as `Runtime.produce`; UsageError BAD_ARGUMENT if it is not a block's message, UPGRADE
   */
  apply(message: Uint8Array, { allowUpgrade = false, ...options }: ApplyOptions = {}): Promise<Produced> {
    const bytes = message.slice();
    return this.#inOrder(async () => {
      const [input] = this.#inputs(this.head, { message: bytes, mayUpgrade: allowUpgrade }) as [Input];
      return this.#settled(await this.#produce(input, options), bytes);
    });
  }

  /**
   * Makes a block without transactions that gives the app another program, which continues with the state of
   * the old one, or that changes other rules. Migrations that the new program has and the old one has not run
   * before. What waits, waits on: a call that the new program does not have fails with "no such function".
   *
   * @throws UsageError (BAD_ARGUMENT, E_GUEST_…, NO_INTERFACE, STATE_MOVED, MIGRATION_FAULT); as `produce`
   * @example
   * ```ts
   * await app.upgrade({ contract: "bank.ts" }); // edited: its state stays where it is
   * ```
   */
  upgrade(to: Upgrade, { time, ...options }: BlockOptions = {}): Promise<Produced> {
    return this.#inOrder(async () => {
      const run = (input: Input) => this.#produce(input, options);
      const [block, message] = await this.#upgradeTo(to, time, undefined, run);
      return this.#settled(block, message);
    });
  }

  #produce({ metadata, ...rules }: Input, options: Omit<BlockOptions, "time">): Promise<Block> {
    return this.runtime.produce(metadata, { ...options, ...rules });
  }

  async #upgradeTo<B extends Block>(
    to: Upgrade,
    time: number | undefined,
    on: number | Block | undefined,
    run: (input: Input) => Promise<B>,
  ): Promise<[block: B, message: Uint8Array]> {
    const before = this.#programs.at(on ?? this.head);
    const module = this.runtime.programBytes(before.name);
    const planned = await planUpgrade(before, module, to, this.#timeOf(time, on));
    try {
      return [await run(planned.input), planned.message];
    } catch (error) {
      throw migrationError(error, planned.after);
    }
  }

  /** What messages make blocks of, the first on top of `on`. */
  #inputs(on: number | Block, ...received: Received[]): Input[] {
    const { name } = this.#programs.at(on);
    return inputsOf(received, () => this.runtime.programBytes(name));
  }

  /**
   * Runs a block that is a candidate then: of the transactions that wait, or of another replica's message.
   * The transactions wait on until a block of the chain has them.
   *
   * @throws as `Runtime.execute`
   * @example
   * ```ts
   * const proposal = await app.execute();
   * console.log(proposal.outcomes.length, app.head.height < proposal.block.height); // 1 true
   * await app.commit(proposal);
   * ```
   */
  async execute(proposed: ProposeOptions = {}): Promise<Proposal> {
    const { time, on, message, upgrade, allowUpgrade = false, ...options } = proposed;
    const place = { ...options, ...(on === undefined ? {} : { on }) };
    const run = ({ metadata, ...rules }: Input) => this.runtime.execute(metadata, { ...place, ...rules });
    if (on !== undefined) await this.runtime.recompute(on);
    if (message !== undefined) {
      const received = { message: message.slice(), mayUpgrade: allowUpgrade };
      const [input] = this.#inputs(on ?? this.head, received) as [Input];
      return this.#proposal(await run(input), received.message);
    }
    if (upgrade !== undefined) return this.#proposal(...(await this.#upgradeTo(upgrade, time, on, run)));
    await this.#intake?.idle();
    const made = this.#make(this.#timeOf(time, on), options, (metadata) => run({ metadata }));
    return this.#proposal(...(await made));
  }

  #proposal(block: Candidate, message: Uint8Array): Proposal {
    return { block, outcomes: this.#outcomes(block).filter((outcome) => outcome !== null), message };
  }

  /**
   * Makes a proposal the latest block, without running it again.
   *
   * @throws as `Runtime.commit`
   */
  commit({ block, message }: Proposal): Promise<Produced> {
    return this.#inOrder(async () => this.#settled(await this.runtime.commit(block), message));
  }

  /** Lets go of a proposal, and of those that stand on it. */
  release({ block }: Proposal): Promise<void> {
    return this.runtime.release(block);
  }

  /**
   * Goes back to a retained block, as `Runtime.revert`. Transactions of blocks that are gone do not wait
   * again; signed ones can be submitted again.
   */
  async revert(to: number | Block): Promise<void> {
    await this.#inOrder(() => this.runtime.revert(to));
  }

  /**
   * Goes back to a retained block and makes others on top of it, all or nothing.
   *
   * @throws as `Runtime.reorg`
   */
  reorg({ to, blocks, allowUpgrade = false }: AppReorgOptions): Promise<AppReorg> {
    return this.#inOrder(async () => {
      const received = blocks.map((block) =>
        block instanceof Uint8Array
          ? { message: block.slice(), mayUpgrade: allowUpgrade }
          : { message: block.message, mayUpgrade: true },
      );
      await this.runtime.recompute(to);
      const read = this.#inputs(to, ...received);
      const inputs = blocks.map((block, i) =>
        block instanceof Uint8Array ? (read[i] as Input) : block.block,
      );
      const { removed, added } = await this.runtime.reorg({ to, blocks: inputs });
      const news = received.slice(received.length - added.length); // those before were of the chain already
      return {
        removed,
        added: added.map((block, i) => this.#settled(block, (news[i] as Received).message)),
      };
    });
  }

  /**
   * An independent app that stands at the same block, or at another, with an empty pool. Close both.
   *
   * @throws as `Runtime.fork`
   */
  async fork(options: ForkOptions = {}): Promise<App<Typed>> {
    const runtime = await this.#inOrder(() => this.runtime.fork(options));
    return new App<Typed>(runtime, this.chain, this.options);
  }

  /**
   * The events of transactions in blocks that come from now on, in order, and reverts. Ends when the app is
   * closed.
   *
   * @example
   * ```ts
   * const next = app.events().next(); // or: for await (const event of app.events())
   * await app.produce();
   * console.log((await next).value?.kind); // event
   * ```
   */
  events(): AsyncGenerator<AppEvent, void, undefined> {
    return appEvents(this.runtime.events(), (block) => this.#outcomes(block));
  }

  /** Makes a block of what waits. */
  #make<B extends Block>(
    time: number,
    { gasLimit = this.runtime.rules().gasLimit }: BlockOptions,
    run: (message: Uint8Array) => Promise<B>,
  ): Promise<[block: B, message: Uint8Array]> {
    const order = this.options.order ?? ((waiting) => waiting);
    // Half of the gas is for what they do.
    const most = this.#intake === null ? Infinity : Math.ceil(gasLimit / 2 / AUTHENTICATION_GAS);
    return makeBlock(this.#pool.choose(order, most), time, run);
  }

  /** What a block of the chain means to those who wait. */
  #settled(block: Block, message: Uint8Array): Produced {
    const outcomes = this.#outcomes(block);
    this.#pool.settle(readMessage(message), outcomes);
    return { block, outcomes: outcomes.filter((outcome) => outcome !== null), message };
  }

  /** Of the transactions of a block; null of one that was not run. */
  #outcomes(block: Block): (Outcome | null)[] {
    const results = readResults(block.data);
    if (results.length === 0) return [];
    const { client } = this.#programs.of(block);
    return results.map((result) => result && client.outcome(result.selector, result));
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const made = this.#queue.then(work);
    this.#queue = made.catch(() => undefined);
    return made;
  }

  /** The time of a block on another: as it is given, or now; not before what that one says. */
  #timeOf(time?: number, on?: number | Block): number {
    const bytes = this.runtime.read(APP, 0, CONTEXT_BYTES, on);
    const before = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8, true));
    if (time === undefined) return Math.max(Date.now(), before);
    if (Number.isSafeInteger(time) && time >= before) return time;
    throw badOption("time", time, `an integer of at least ${before}, the time of the block before`);
  }

  /** Empties the pool: no block here takes the waiting transactions, and their promises reject. */
  withdraw(reason: Error): void {
    this.#pool.reject(reason);
  }

  // ---- looking --------------------------------------------------------------------------------------------

  /**
   * Runs a view on a block and keeps nothing. It runs beside blocks, on a thread that they do not need.
   *
   * @throws UsageError BAD_ARGUMENT for a call that is no view; NOT_RETAINED; and as `Runtime.call`
   */
  query<Value, Failure extends string>(
    call: Query<Value, Failure>,
    options: QueryOptions = {},
  ): Promise<Outcome<Value, Failure>> {
    return this.#look(call, "view", options) as Promise<Outcome<Value, Failure>>;
  }

  /**
   * What would become of a transaction that stands first in the next block: it is run on a block as a view,
   * and nothing is kept. `block.height` and `block.time` are those of that block.
   *
   * @throws as `query`
   */
  check<Value, Failure extends string>(
    call: Transaction<Value, Failure>,
    options: QueryOptions & Required<Pick<QueryOptions, "from">>,
  ): Promise<Outcome<Value, Failure>> {
    return this.#look(call, "transaction", options) as Promise<Outcome<Value, Failure>>;
  }

  /**
   * Gas that suffices for a transaction as things stand: what `check` used, which pays for private pages too,
   * and a quarter more. What stands before it in a block can make it cost more.
   *
   * @throws as `query`
   */
  async estimate(
    call: Transaction,
    options: QueryOptions & Required<Pick<QueryOptions, "from">>,
  ): Promise<number> {
    const { gasUsed } = await this.check(call, options);
    return Math.ceil(gasUsed * ESTIMATE_MARGIN);
  }

  /**
   * Runs a retained block again, as `Runtime.trace` does, and lists what its transactions did and what
   * `debug` prints if the app was opened with the source of the program.
   */
  async trace(block: Block = this.head, options: { readonly signal?: AbortSignal } = {}): Promise<AppTrace> {
    return traceBlock(this.runtime, block, this.#programs.of(block), this.options.contract, options);
  }

  #look(call: Call, kind: "view" | "transaction", options: QueryOptions): Promise<Outcome> {
    return runAsView(this.runtime, this.#programs, call, kind, options);
  }

  /** Closes the runtime. Promises of transactions that are still waiting reject. */
  async close(): Promise<void> {
    await this.#intake?.idle();
    await this.#queue;
    this.withdraw(new UsageError("CLOSED", "the app is closed, and no block took the transaction"));
    await this.runtime.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #encode(call: Call, from: AddressLike | undefined): Uint8Array {
    return inputOf(this.#program.client, call, "transaction", from);
  }
}
