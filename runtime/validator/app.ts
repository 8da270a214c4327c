/**
 * A chain over an App: its contracts are all that its author writes. What this adds are calls of the network
 * itself, which nobody has signed: one at genesis, and one before the transactions of each block.
 */

import { hash } from "node:crypto";
import type { Answer, RequestCheckTx, RequestInitChain, RequestQuery } from "../abci/index.ts";
import { admission } from "../app/authentication.ts";
import { type Entry, type Result, readResults, resultIn } from "../app/blocks.ts";
import { NOBODY } from "../app/calls.ts";
import { AUTHENTICATION_GAS, MESSAGE_GENESIS } from "../app/guest/messages.ts";
import type { App, StateView, Waiting } from "../app/index.ts";
import { type NetworkHead, networkMessage, readNetworkHead } from "../app/network.ts";
import { APP, Programs } from "../app/programs.ts";
import { changeTo, programName } from "../app/upgrade.ts";
import { badArgument, badOption } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import type { Block, Candidate, Runtime } from "../index.ts";
import { Client, type Contracts, type Event, type Transaction } from "../typed/client.ts";
import { VIEW_ENTRY } from "../typed/entry.ts";
import { readInterface } from "../typed/interface.ts";
import type { BlockInput, BlockResults, Machine } from "./machine.ts";
import { type BlockContext, blockMessage, genesisMessage, type Place } from "./message.ts";
import { type CheckLimits, Pending } from "./pending.ts";
import { isProper, outcomeOf, TRANSACTION_CODES, TRANSACTION_CODESPACE, txResult } from "./results.ts";

/**
 * What the author of a chain over an `App` may provide besides the contracts. What the hooks give must be a
 * function of what they get, on every node.
 */
export interface AppChain<Typed extends object = Contracts> {
  /**
   * A call for the chain's start, of the genesis file's validators and state. Its caller is the address of
   * twenty zeros, which has no key. If it fails, so does InitChain. Default: none.
   */
  genesis?(contracts: Typed, request: RequestInitChain): Transaction | null;
  /**
   * A call before the transactions of each block, with what the contracts are to know of it: misbehaviour and
   * the last commit, say. Its caller is the address of twenty zeros. Default: none.
   */
  begin?(contracts: Typed, context: BlockContext): Transaction | null;
  /** Changes of validators and consensus parameters, from the events of a block. Default: none. */
  updates?(events: readonly Event[]): Pick<BlockResults, "validatorUpdates" | "consensusParamUpdates">;
  /**
   * The program that the app has in the block of this height, by its name in hex (`programHash`), from
   * the state before that block. Null: the one that it has. Default: always null.
   */
  upgrade?(state: Readonly<Record<string, StateView>>, height: bigint): string | null;
  /** Programs for `upgrade`, which this node has installed. */
  readonly programs?: readonly Uint8Array[];
  /** Limits of CheckTx on this node. Default: 10^9 gas for those checked together, and 4,096 that wait. */
  readonly checks?: Partial<CheckLimits>;
}

const CHECK_GAS = 1_000_000_000;
const CHECKS_WAITING = 4096;
/** The share of a block's gas that the network's own call may use. */
const CALL_SHARE = 1 / 4;
/** Views for the hook "order" that run at once. */
const VIEWS_AT_ONCE = 64;

export class AppMachine implements Machine {
  readonly runtime: Runtime;
  readonly #app: App<object>;
  readonly #chain: AppChain<Contracts>;
  readonly #programs: Programs;
  readonly #installed: ReadonlyMap<string, Uint8Array>;
  readonly #pending: Pending;

  constructor(app: App<object>, chain: AppChain<Contracts>) {
    if (app.options.authenticate === undefined)
      throw badOption("app", app, 'an App with "authenticate": transactions come from anybody');
    this.#app = app;
    this.runtime = app.runtime;
    this.#chain = chain;
    this.#programs = new Programs(app.runtime);
    const { programs = [], checks = {} } = chain;
    this.#installed = new Map(programs.map((program) => [programName(program), program]));
    const limits = { gas: CHECK_GAS, waiting: CHECKS_WAITING, ...checks };
    this.#pending = new Pending(
      app.runtime,
      limits,
      (txs) => this.#checkMessage(txs),
      ({ data }) => readResults(data).filter((result) => result !== null).length,
    );
  }

  place(block: Block): Place | null {
    const metadata = block.height === 0 ? null : this.runtime.input(block).metadata;
    if (metadata === null || (metadata[0] === MESSAGE_GENESIS && block.height === 1)) return null;
    const said = readNetworkHead(metadata);
    if (said === null) throw badOption("app", metadata, "an app whose blocks are all made by its validator");
    const { height, isFirst } = said;
    return { height: isFirst ? 0n : height, nextHeight: height + 1n };
  }

  // ---- blocks ---------------------------------------------------------------------------------------------

  genesis(request: RequestInitChain): BlockInput {
    const { client } = this.#programs.latest;
    const first = request.initialHeight === 0n ? 1n : request.initialHeight;
    const metadata = networkMessage({
      height: first - 1n,
      time: milliseconds(request.time),
      isFirst: true,
      call: this.#call(client, this.#chain.genesis?.(client.contracts, request)),
      transactions: [],
      program: null,
      hash: hash("sha256", genesisMessage(request), "buffer"),
    });
    return { metadata };
  }

  checkGenesis(candidate: Candidate): void {
    const [call = null] = this.#read(candidate).own;
    if (call === null) return;
    const outcome = outcomeOf(this.#programs.of(candidate).client, call);
    if (outcome?.ok === true) return;
    const error = outcome?.error ?? "out of gas";
    const text = `the first call of the chain failed: ${error}; change the genesis file, or "genesis"`;
    throw new UsageError("SETUP_FAILED", text, { error });
  }

  block(context: BlockContext): BlockInput {
    const { height, time, txs } = context;
    const program = this.#programFor(height);
    const client = program === null ? this.#programs.latest.client : new Client(readInterface(program));
    const metadata = networkMessage({
      height,
      time: milliseconds(time),
      isFirst: false,
      call: this.#call(client, this.#chain.begin?.(client.contracts, context)),
      transactions: txs,
      program,
      hash: hash("sha256", blockMessage({ ...context, txs: [] }), "buffer"),
    });
    return program === null ? { metadata } : { metadata, rules: changeTo(this.#programs.latest, program) };
  }

  #call(client: Client, call: Transaction | null | undefined): Entry | null {
    if (call === null || call === undefined) return null;
    if (call.kind !== "transaction") throw badArgument("call", call.kind, "a transaction of the contracts");
    const gas = Math.floor(this.runtime.rules().gasLimit * CALL_SHARE);
    return { bytes: client.input(call, NOBODY), gas };
  }

  /** The program that a block on the head gives the app; null: it keeps its own. */
  #programFor(height: bigint): Uint8Array | null {
    const { latest } = this.#programs;
    const wanted = this.#chain.upgrade?.(latest.state, height) ?? null;
    const name = wanted?.replace(/^0x/, "") ?? latest.name;
    if (name === latest.name) return null;
    const program = this.#installed.get(name);
    if (program !== undefined) return program;
    const text =
      `block ${height} runs the program ${name}, which this node does not have: put it into the option ` +
      '"programs" and start the node again, which continues then';
    throw new UsageError("UPGRADE_MISSING", text, { height, program: name });
  }

  // ---- what became of them --------------------------------------------------------------------------------

  results(block: Block): BlockResults {
    const { client } = this.#programs.of(block);
    const { own, results } = this.#read(block);
    const events = [...own, ...results].flatMap((result) => {
      const outcome = outcomeOf(client, result);
      return outcome?.ok === true ? outcome.events : [];
    });
    const first = own.flatMap((result) => txResult(client, result).events ?? []);
    const updates = this.#chain.updates?.(events) ?? {};
    return { ...updates, events: first, txResults: results.map((result) => txResult(client, result)) };
  }

  proper(block: Block, txs: readonly Uint8Array[]): readonly Uint8Array[] {
    const { results } = this.#read(block);
    return txs.filter((_, i) => isProper(results[i] ?? null));
  }

  /** Results of a network's block: of its own call, and of transactions. */
  #read(block: Block): { readonly own: readonly Result[]; readonly results: readonly Result[] } {
    const all = readResults(block.data);
    const { hasCall } = readNetworkHead(this.runtime.input(block).metadata) as NetworkHead;
    return { own: all.slice(0, hasCall ? 1 : 0), results: all.slice(hasCall ? 1 : 0) };
  }

  // ---- transactions that wait -----------------------------------------------------------------------------

  async check({ tx }: RequestCheckTx): Promise<Awaited<Answer<"ResponseCheckTxSchema">>> {
    const [{ data }, index] = await this.#pending.check(tx);
    const result = readResults(data)[index] ?? null;
    const { events: _, data: __, ...checked } = txResult(this.#programs.latest.client, result);
    return checked;
  }

  /** A block of checks: what could be the next one. */
  #checkMessage(transactions: readonly Uint8Array[]): Uint8Array {
    const said = readNetworkHead(this.runtime.input().metadata) as NetworkHead;
    const height = said.height + 1n;
    const { time } = said;
    const rest = { isFirst: false, call: null, program: null, hash: new Uint8Array(32) };
    return networkMessage({ height, time, transactions, ...rest });
  }

  async order(txs: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const { order } = this.#app.options;
    // Half of the gas is for what they do.
    const most = Math.ceil(this.runtime.rules().gasLimit / 2 / AUTHENTICATION_GAS);
    if (order === undefined) return txs.slice(0, most);
    const waiting: Waiting[] = [];
    for (let from = 0; from < txs.length; from += VIEWS_AT_ONCE) {
      const part = txs.slice(from, from + VIEWS_AT_ONCE).map((tx) => this.#waitingOf(tx));
      for (const each of await Promise.all(part)) if (each !== null) waiting.push(each);
    }
    const known = new Set(waiting);
    return order(waiting.slice())
      .filter((each) => known.delete(each))
      .slice(0, most)
      .map(({ bytes }) => bytes);
  }

  /** A transaction as the hook "order" sees it; null: the next block would not let it in. */
  async #waitingOf(bytes: Uint8Array): Promise<Waiting | null> {
    const { refusal, sender, gas, input } = await admission(this.runtime, bytes);
    const call = refusal === null ? this.#programs.latest.client.callOf(input) : null;
    return call === null ? null : { bytes, gas, from: sender, call: call as Transaction };
  }

  // ---- queries --------------------------------------------------------------------------------------------

  query({ path, data }: RequestQuery, block: Block): Answer<"ResponseQuerySchema"> | undefined {
    if (path === "/nonce") return this.#nonce(data, block);
    return path === "/view" ? this.#view(data, block) : undefined;
  }

  /** The lowest nonce above all that a sender has used, u64. */
  async #nonce(sender: Uint8Array, block: Block): Promise<Awaited<Answer<"ResponseQuerySchema">>> {
    if (sender.length !== NOBODY.length) throw badArgument("data", sender, "an address, 20 bytes");
    const { code } = await this.runtime.call([], "nonceOf", { input: sender, block });
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(BigInt.asUintN(64, code));
    return { key: sender, value };
  }

  /** What a view returns, encoded. */
  async #view(input: Uint8Array, block: Block): Promise<Awaited<Answer<"ResponseQuerySchema">>> {
    const { client } = this.#programs.of(block);
    const call = client.callOf(input);
    if (call?.kind !== "view") throw badArgument("data", input, "the input of a view of the program");
    const view = await this.runtime.call(APP, VIEW_ENTRY, { input, block });
    if (view.fault === "none") return { key: input, value: resultIn(view) };
    const log = view.text === "" ? view.fault : view.text;
    return { code: TRANSACTION_CODES.failed, codespace: TRANSACTION_CODESPACE, log };
  }

  // ---- and what they hold ---------------------------------------------------------------------------------

  renew(): Promise<void> {
    return this.#pending.renew();
  }

  async close(): Promise<void> {
    await this.#pending.renew();
    await this.#app.close();
  }
}

function milliseconds(time: RequestInitChain["time"]): number {
  return Number(time?.seconds ?? 0n) * 1000 + Math.floor((time?.nanos ?? 0) / 1_000_000);
}
