/**
 * A block of an app, run once more: what each transaction was, what became of it and where, what it changed
 * in vain, and what its `debug` prints.
 *
 * What runs is the block, on one thread, as `Runtime.trace` runs it. The program of a block does not print,
 * so a second one in which `debug` does (prints.ts) runs the same transactions, one after the other.
 */

import { inspect } from "node:util";
import { buildGuest, printingGuest } from "../compile.ts";
import type { FormatTraceOptions, Trace, TraceEvent } from "../debug.ts";
import { formatTree, type ItemText } from "../debug.ts";
import { UsageError } from "../errors.ts";
import type { Block, BlockInput, Runtime } from "../index.ts";
import type { Lost } from "../testing.ts";
import { prefixedHex } from "../text.ts";
import { Client, type Outcome } from "../typed/client.ts";
import { Decoder } from "../typed/codec.ts";
import { TRANSACTION_ENTRY } from "../typed/entry.ts";
import { readInterface } from "../typed/interface.ts";
import { AUTHENTICATOR, admission } from "./authentication.ts";
import { type Entry, readBlock, readResults } from "./blocks.ts";
import { placeIn } from "./calls.ts";
import { Printer } from "./prints.ts";
import { APP, type AppProgram, programAt } from "./programs.ts";
import { ownProgram } from "./root.ts";
import type { Read } from "./state.ts";
import { ChangingState, type StateChange } from "./state-changes.ts";
import { programName } from "./upgrade.ts";

/** A transaction of a traced block. */
export interface TracedTransaction {
  /** Which one of the block's, from 0. */
  readonly number: number;
  /** The contract and its function, as "Bank.pay"; null if the block's program has no such function. */
  readonly call: string | null;
  readonly args: Readonly<Record<string, unknown>>;
  readonly from: string;
  /** As `submit` gives it, with the author's line of traps too. */
  readonly outcome: Outcome;
  /** What it changed outside of the state, which is not kept. */
  readonly lost: readonly Lost[];
  /** What its calls of `debug` print, as "bank.ts:12: text". */
  readonly printed: readonly string[];
  /** What it changed in state and was kept; null where that was more than a trace lists. */
  readonly changes: readonly StateChange[] | null;
  /** Its item in the batch of the block; null: it was not run. */
  readonly item: number | null;
}

/** What a block did. */
export interface AppTrace extends Trace {
  /** Transactions that ran, in their order. */
  readonly transactions: readonly TracedTransaction[];
}

/** A block to explain: its message, on which block it ran, and what `Runtime.trace` says of it. */
export interface TracedBlock {
  readonly message: Uint8Array;
  readonly parent: Block;
  readonly trace: Trace;
  /** The functions of the program that ran. */
  readonly client: Client;
  /** The program in which `debug` prints; null: nothing is printed. */
  readonly printing: Uint8Array | null;
}

/**
 * The program in which `debug` of a source prints; null if it does not call `debug`.
 *
 * @throws UsageError NOT_THE_SOURCE if it is not the source of the program with that name
 */
export async function printingOf(contract: string, name: string): Promise<Uint8Array | null> {
  const { program, typed } = await buildGuest(contract);
  if (programName(program) === name) return printingGuest(contract, typed);
  const text = `${contract} is not the source of the program that ran in this block, ${name}`;
  throw new UsageError("NOT_THE_SOURCE", text, { contract, program: name });
}

/**
 * Traces a block that a runtime has not, on top of its latest: none of its transactions, if it is not of an
 * app.
 *
 * @throws UsageError NOT_THE_SOURCE; and as `Runtime.trace`
 */
export async function traceTried(
  runtime: Runtime,
  block: BlockInput,
  contract: string | undefined,
): Promise<AppTrace> {
  const isApp = runtime.inspect([])?.program === programName(await ownProgram("root"));
  const name = isApp ? programAt(runtime) : null;
  if (name === null) return { ...(await runtime.trace(block)), transactions: [] };
  // First, for then this process knows where the sources stand.
  const printing = contract === undefined ? null : await printingOf(contract, name);
  const trace = await runtime.trace(block);
  const client = new Client(readInterface(runtime.programBytes(name)));
  const traced = { message: block.metadata, parent: runtime.head, trace, client, printing };
  return { ...trace, transactions: await transactionsOf(runtime, traced) };
}

/** Traces a retained block of an app that ran this program. */
export async function traceBlock(
  runtime: Runtime,
  block: Block,
  { name, client }: AppProgram,
  contract: string | undefined,
  options: { readonly signal?: AbortSignal },
): Promise<AppTrace> {
  const trace = await runtime.trace(block, options);
  const source = contract === undefined ? null : printingOf(contract, name);
  const printing = await source?.catch((error: UsageError) => {
    if (error.code !== "NOT_THE_SOURCE") throw error;
    return null; // it was edited since, or the app upgraded
  });
  const { metadata: message } = runtime.input(block);
  const parent = runtime.retained().find(({ id }) => id === block.parent);
  if (parent !== undefined) await runtime.recompute(parent);
  const traced = parent && { message, parent, trace, client, printing: printing ?? null };
  return { ...trace, transactions: traced === undefined ? [] : await transactionsOf(runtime, traced) };
}

/** What each transaction of a block did. None of a block that was not made by `produce` or `execute`. */
export async function transactionsOf(runtime: Runtime, block: TracedBlock): Promise<TracedTransaction[]> {
  const { message, parent, trace, client } = block;
  const { inputs, time, isOfTransactions } = await inputsOfBlock(runtime, message, parent);
  if (!isOfTransactions) return [];
  const items = trace.events.filter(isItemOfApp).values();
  const changes = new Changes(runtime, block);
  const print = block.printing && new Prints(runtime, block, block.printing, time);
  return readResults(trace.data).flatMap((result, number) => {
    if (result === null) return [];
    const isRun = result.refusal === undefined;
    const item = isRun ? items.next().value : undefined;
    const where = item === undefined ? {} : { reason: item.text, at: placeIn(item.stack) };
    const outcome = client.outcome(result.selector, { ...result, ...where });
    const input = inputs[number] as Uint8Array;
    const printed = isRun ? (print?.run(input, outcome) ?? []) : [];
    const { lost = [], item: place = null } = item ?? {};
    const did = { lost, printed, changes: changes.of(item), item: place };
    return [{ number, ...described(client, input), outcome, ...did }];
  });
}

/** Follows the state from one transaction to the next. */
class Changes {
  readonly #state: ChangingState;
  /** A transaction changed more than its trace lists: what follows cannot be known. */
  #isLost = false;

  constructor(runtime: Runtime, { parent, client }: TracedBlock) {
    const read: Read = (address, length) => runtime.read(APP, address, length, parent);
    this.#state = new ChangingState(client.description, read);
  }

  of(item: ItemEvent | undefined): StateChange[] | null {
    this.#isLost ||= item?.changed === null;
    return this.#isLost ? null : this.#state.apply(item?.changed ?? []);
  }
}

/** What the transactions of a block's message give to the program, and the block's time. */
export async function inputsOfBlock(
  runtime: Runtime,
  message: Uint8Array,
  parent: Block,
): Promise<{
  readonly inputs: readonly Uint8Array[];
  readonly time: bigint;
  readonly isOfTransactions: boolean;
}> {
  const read = readBlock(message);
  if (read === null) return { inputs: [], time: 0n, isOfTransactions: false };
  const isSigned = runtime.inspect(AUTHENTICATOR, parent) !== null;
  const inputs = await Promise.all(
    read.entries.map(async ({ bytes }: Entry) =>
      isSigned ? (await admission(runtime, bytes, parent)).input : bytes,
    ),
  );
  return { inputs, time: read.time, isOfTransactions: true };
}

type ItemEvent = Extract<TraceEvent, { what: "item" }>;

export function isItemOfApp(event: TraceEvent): event is ItemEvent {
  return event.what === "item" && event.path.length === 1 && event.path[0] === APP[0];
}

/** Runs transactions on a copy of the state, and collects what each prints. */
class Prints {
  readonly #printer: Printer;
  #state: Uint8Array;
  #printed: string[] = [];

  constructor(runtime: Runtime, { parent, client }: TracedBlock, printing: Uint8Array, time: bigint) {
    this.#printer = new Printer(printing, (text) => this.#printed.push(text));
    this.#state = runtime.read(APP, 0, client.description.stateBytes, parent).slice();
    const context = new DataView(this.#state.buffer);
    context.setBigUint64(0, context.getBigUint64(0, true) + 1n, true);
    context.setBigUint64(8, time, true);
  }

  /** What has no gas left could run for ever here: it prints nothing. */
  run(input: Uint8Array, outcome: Outcome): string[] {
    this.#printed = [];
    if (!outcome.ok && outcome.error === "out of gas") return [];
    const after = this.#printer.run(TRANSACTION_ENTRY, this.#state, input);
    if (outcome.ok) this.#state = after.slice();
    return this.#printed;
  }
}

/** The call that an input of a program makes, and who makes it. */
export function described(
  client: Client,
  input: Uint8Array,
): Pick<TracedTransaction, "call" | "args" | "from"> {
  const from = prefixedHex(input.subarray(4, 24));
  const call = client.callOf(input);
  if (call === null) return { call: null, args: {}, from };
  const { functions } = client.description;
  const parameters = functions.find(({ selector }) => selector === call.selector)?.parameters ?? [];
  const decoder = new Decoder(client.description, call.bytes);
  let args = {};
  try {
    args = Object.fromEntries(parameters.map(({ name, type }) => [name, decoder.value(type)]));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // it is refused as "input"
  }
  return { call: `${call.contract}.${call.name}`, args, from };
}

/**
 * The transactions of a traced block as text: a line for each, and behind it what it printed, and variables
 * that it changed in vain.
 *
 * @example
 * ```ts
 * console.log(formatTransactions(await app.trace()));
 * // 0 Bank.pay({ to: '0xb0…', amount: 90n }) from 0xa1…: overdraft at bank.ts:20, 2,401 gas
 * //     bank.ts:18: payer 0xa1… 90
 * ```
 */
export function formatTransactions({ transactions }: Pick<AppTrace, "transactions">): string {
  return transactions
    .flatMap((transaction) => [
      `${transaction.number} ${formatTransaction(transaction)}`,
      ...transaction.printed.map((text) => `    ${text}`),
      ...namesOf(transaction.lost).map((name) => `    changed in vain: ${name}`),
    ])
    .join("\n");
}

/**
 * The trace of a block of an app as a tree: activations and calls, and of each transaction its arguments and
 * outcome, what it printed, emitted and changed in state, by name, and of faults the stack.
 *
 * @example
 * ```ts
 * console.log(formatTrace(await app.trace()));
 * // / resumes: snapshot, 148,209 gas
 * // └─ /1 __transaction, a batch: returned 0, 12,001 gas
 * //    └─ 0 Bank.pay({ to: '0xb0…', amount: 40n }) from 0xa1…: 59n, 2,401 gas
 * //       ├─ emits Paid { amount: 40n }
 * //       └─ accounts[0xa1…].balance 100n → 59n
 * ```
 */
export function formatTrace(trace: AppTrace, options: FormatTraceOptions = {}): string {
  const byItem = new Map(trace.transactions.map((each) => [each.item, each]));
  const tree = formatTree(trace.events, {
    ...options,
    item: (event) => {
      const found = isItemOfApp(event) ? byItem.get(event.item) : undefined;
      return found === undefined ? null : itemText(found);
    },
  });
  const refused = trace.transactions.filter(({ item }) => item === null);
  return [tree, ...refused.map((each) => `${each.number} ${formatTransaction(each)}`)].join("\n");
}

function itemText(transaction: TracedTransaction): ItemText {
  const { number, call, args, from, outcome, printed, changes, lost } = transaction;
  const events = outcome.ok ? outcome.events : [];
  return {
    title: `${number} ${called(call, args)} from ${from}: ${ended(outcome)}`,
    isFault: !outcome.ok,
    lines: [
      ...printed,
      ...events.map(({ name, fields }) => `emits ${name} ${text(fields)}`),
      ...(changes === null ? ["changed more than is listed"] : changes.map(formatChange)),
      ...namesOf(lost).map((name) => `changed in vain: ${name}`),
    ],
  };
}

function formatChange({ name, before, after }: StateChange): string {
  if (before === undefined) return `${name} = ${text(after)}, new`;
  if (after === undefined) return `${name} is gone, was ${text(before)}`;
  return `${name} ${text(before)} → ${text(after)}`;
}

function called(call: string | null, args: object): string {
  return call === null ? "an unknown function" : `${call}(${text(args)})`;
}

/**
 * A transaction and its outcome, in a line.
 *
 * @example
 * ```ts
 * const { transactions } = await app.trace();
 * console.log(transactions.map(formatTransaction)[0]); // Bank.pay({ to: '0xb0…', amount: 40n }) from 0x…
 * ```
 */
export function formatTransaction({ call, args, from, outcome }: TracedTransaction): string {
  const gas = `${outcome.gasUsed.toLocaleString("en-US")} gas`;
  return `${called(call, args)} from ${from}: ${ended(outcome)}, ${gas}`;
}

function ended(outcome: Outcome): string {
  if (outcome.ok) return outcome.value === undefined ? "done" : text(outcome.value);
  const { error, at, reason } = outcome;
  return `${error}${at === undefined ? "" : ` at ${at}`}${reason === undefined ? "" : ` (${reason})`}`;
}

function text(value: unknown): string {
  return inspect(value, { breakLength: Number.POSITIVE_INFINITY, depth: 8 });
}

/** Variables that were changed; scratch of the library's has no name. */
function namesOf(lost: readonly Lost[]): string[] {
  const names = lost.flatMap((each) => ("global" in each ? [each.global] : []));
  return names.filter((name) => !/^global( \d+)?$/.test(name));
}
