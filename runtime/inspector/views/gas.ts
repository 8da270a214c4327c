/**
 * Gas and faults of a block, from executing it again on one thread. Gas of a process is what it used itself:
 * that of children which ran while it waited for them is theirs.
 */

import type { AppTrace } from "../../app/index.ts";
import { placeText } from "../../chain/stack.ts";
import type { TraceEvent } from "../../debug.ts";
import type { Query } from "../query.ts";
import type { Source } from "../source.ts";
import { argumentsText } from "./text.ts";

const PROCESSES = 100;
const FUNCTIONS = 60;
const FAULTS = 40;
const FRAMES = 24;
const TEXT_MAX = 400;

/** What a process used in a block. */
export interface ProcessGas {
  readonly path: readonly number[];
  readonly program: string;
  readonly activations: number;
  readonly items: number;
  readonly gas: number;
}

/** What calls of a function used. */
export interface FunctionGas {
  readonly call: string;
  readonly count: number;
  readonly failed: number;
  readonly gas: number;
  readonly most: number;
}

export interface GasView {
  readonly block: string;
  readonly height: number;
  /** Whether executing it again gave the same root. */
  readonly sameRoot: boolean;
  readonly total: number;
  readonly processes: readonly ProcessGas[];
  /** Processes that are not listed, and their gas. */
  readonly others: { readonly count: number; readonly gas: number };
  /** Of transactions of an App; empty of others. */
  readonly functions: readonly FunctionGas[];
}

export async function gasView(
  source: Source,
  query: Query,
  signal: AbortSignal | null = null,
): Promise<GasView> {
  const block = source.block(query.id());
  const trace = await source.traces.of(block, signal);
  const all = [...byProcess(trace.events).values()].sort((a, b) => b.gas - a.gas);
  const rest = all.slice(PROCESSES);
  const sum = (of: readonly ProcessGas[]): number => of.reduce((total, { gas }) => total + gas, 0);
  return {
    ...{ block: block.id, height: block.height, sameRoot: trace.root === block.root },
    total: sum(all),
    processes: all.slice(0, PROCESSES),
    others: { count: rest.length, gas: sum(rest) },
    functions: byFunction(trace),
  };
}

interface Running {
  readonly key: string;
  /** What activations within it used. */
  within: number;
}

/** Events nest as activations do: a child runs when it is joined. */
function byProcess(events: readonly TraceEvent[]): Map<string, ProcessGas> {
  const found = new Map<string, ProcessGas>();
  const running: Running[] = [];
  const add = (key: string, more: Partial<ProcessGas>): void => {
    const known = found.get(key) as ProcessGas;
    const { activations = 0, items = 0, gas = 0 } = more;
    found.set(key, {
      ...known,
      activations: known.activations + activations,
      items: known.items + items,
      gas: known.gas + gas,
    });
  };
  for (const event of events) {
    const key = event.path.join("/");
    if (event.what === "begin") {
      const { path, program } = event;
      if (!found.has(key)) found.set(key, { path, program, activations: 0, items: 0, gas: 0 });
      running.push({ key, within: 0 });
    } else if (event.what === "end") {
      const own = running.pop();
      const outer = running.at(-1);
      if (outer !== undefined) outer.within += event.gasUsed;
      add(key, { activations: 1, gas: Math.max(0, event.gasUsed - (own?.within ?? 0)) });
    } else if (event.what === "item" && found.has(key)) add(key, { items: 1 });
  }
  return found;
}

function byFunction({ transactions }: AppTrace): FunctionGas[] {
  const found = new Map<string, FunctionGas>();
  for (const { call, outcome } of transactions) {
    const name = call ?? "an unknown function";
    const known = found.get(name) ?? { call: name, count: 0, failed: 0, gas: 0, most: 0 };
    found.set(name, {
      call: name,
      count: known.count + 1,
      failed: known.failed + Number(!outcome.ok),
      gas: known.gas + outcome.gasUsed,
      most: Math.max(known.most, outcome.gasUsed),
    });
  }
  return [...found.values()].sort((a, b) => b.gas - a.gas).slice(0, FUNCTIONS);
}

/** A function that was running when a fault came. */
export interface FrameView {
  readonly name: string;
  /** "bank.ts:20:7" if the sources are known, else a byte offset. */
  readonly place: string;
  /** Of library code: where it was called from. */
  readonly from: string | null;
}

export interface FaultView {
  readonly path: readonly number[];
  /** Null: an activation and no item. */
  readonly item: number | null;
  readonly fault: string;
  readonly text: string;
  readonly gasUsed: number;
  readonly stack: readonly FrameView[];
  readonly moreFrames: number;
  /** "Bank.pay(to: …)", of an App. */
  readonly call: string | null;
}

export interface FaultsView {
  readonly block: string;
  readonly height: number;
  readonly count: number;
  readonly from: number;
  readonly next: number | null;
  readonly faults: readonly FaultView[];
}

type Faulted = Extract<TraceEvent, { what: "end" | "item" }>;

export async function faultsView(
  source: Source,
  query: Query,
  signal: AbortSignal | null = null,
): Promise<FaultsView> {
  const block = source.block(query.id());
  const from = query.integer("from", 0, 0, 2 ** 32);
  const trace = await source.traces.of(block, signal);
  const all = trace.events.filter(
    (event): event is Faulted => (event.what === "end" || event.what === "item") && event.fault !== "none",
  );
  const end = Math.min(all.length, from + FAULTS);
  return {
    ...{ block: block.id, height: block.height, count: all.length, from },
    next: end < all.length ? end : null,
    faults: all.slice(from, end).map((event) => faultOf(event, trace)),
  };
}

function faultOf(event: Faulted, { transactions, events }: AppTrace): FaultView {
  const { path, fault, gasUsed } = event;
  const item = event.what === "item" ? event.item : null;
  const ran = item === null || path.join() !== "1" ? undefined : transactionOf(event, events, transactions);
  return {
    ...{ path, item, fault, gasUsed, text: event.text.slice(0, TEXT_MAX) },
    stack: event.stack.slice(0, FRAMES).map(({ name, source, callSite, offset }) => ({
      name: name.slice(0, 200),
      place: source === null ? `0x${offset.toString(16)}` : placeText(source),
      from: callSite === undefined ? null : placeText(callSite),
    })),
    moreFrames: Math.max(0, event.stack.length - FRAMES),
    call: ran === undefined ? null : `${ran.call}(${argumentsText(ran.args)})`,
  };
}

/** Items of the app's process are its transactions that ran, in their order. */
function transactionOf(
  event: Faulted,
  events: readonly TraceEvent[],
  transactions: AppTrace["transactions"],
) {
  const ran = transactions.filter(({ outcome }) => outcome.ok || !REFUSALS.has(outcome.error));
  const items = events.filter((each) => each.what === "item" && each.path.join() === "1");
  return ran[items.indexOf(event)];
}

/** Failures of transactions that did not run. */
const REFUSALS: ReadonlySet<string> = new Set([
  "input",
  "refused",
  "bad signature",
  "other chain",
  "expired",
  "used",
  "too many senders",
  "not authenticated",
]);
