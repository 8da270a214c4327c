/**
 * A trace as a tree for people: each activation below the one that joined it, with its entry, argument, gas
 * and result; items of batches; calls that were refused; faults with their stacks.
 */

import * as abi from "../../syscalls/abi.ts";
import { badArgument, checkNames, flag } from "../arguments.ts";
import { grouped } from "../text.ts";
import type { ChangedLine, Trace, TraceEvent } from "./results.ts";
import { formatStack } from "./stack.ts";

type Begin = Extract<TraceEvent, { what: "begin" }>;
type End = Extract<TraceEvent, { what: "end" }>;
type Item = Extract<TraceEvent, { what: "item" }>;

/** What somebody who knows more of an item says of it. */
export interface ItemText {
  /** Instead of "item 3": what it was, and how it ended. */
  readonly title: string;
  /** Whether it failed. */
  readonly isFault: boolean;
  /** What it did, a line each. */
  readonly lines: readonly string[];
}

/** Options of `formatTrace`. */
export interface FormatTraceOptions {
  /** Whether faults are red, and gas is dim, as on a terminal. Default false. */
  readonly colors?: boolean;
  /** Whether calls are listed that went well, and growths of memory. Default false. */
  readonly calls?: boolean;
}

/** Options of `formatTree`. */
export interface TreeOptions extends FormatTraceOptions {
  /** What is said of an item; null: the same as of any. */
  readonly item?: (event: Item) => ItemText | null;
}

/** Names of error codes. */
const CODES: ReadonlyMap<number, string> = new Map(
  Object.entries(abi).flatMap(([name, value]) => (/^E_/.test(name) ? [[value as number, name]] : [])),
);

/** A line, and those that belong to it. */
interface Node {
  readonly text: string;
  readonly below: Node[];
}

/**
 * A trace, or its events, as a tree: activations with entry, argument, gas and result, items, faults with
 * source lines, and the lines of state that each of them changed.
 *
 * @example
 * ```ts
 * console.log(formatTrace(await runtime.trace()));
 * // / resumes: snapshot, 1,204,511 gas
 * // └─ /1 pay(5): faulted: unreachable, 1,000,000 gas
 * //       at guest/bank/pay (guest/bank.ts:17:10)
 * ```
 */
export function formatTrace(
  of: Pick<Trace, "events"> | readonly TraceEvent[],
  options: FormatTraceOptions = {},
): string {
  checkNames(options, ["colors", "calls"]);
  const chosen = { colors: flag(options, "colors"), calls: flag(options, "calls") };
  const events = Array.isArray(of) ? of : (of as Trace | null)?.events;
  if (!Array.isArray(events)) throw badArgument("of", of, "a trace, or its events");
  return formatTree(events, chosen);
}

/**
 * As `formatTrace`, for those who know what items are.
 *
 * @example
 * ```ts
 * const { events } = await app.runtime.trace();
 * const item = ({ item }) => ({ title: `payment ${item}`, isFault: false, lines: [] });
 * console.log(formatTree(events, { item }).includes("payment 0")); // true
 * ```
 */
export function formatTree(events: readonly TraceEvent[], options: TreeOptions): string {
  return treeOf(events, new Words(options))
    .flatMap((node) => linesOf(node, "", ""))
    .join("\n");
}

/** Activations nest: what happens between a begin and its end is below it. */
function treeOf(events: readonly TraceEvent[], words: Words): readonly Node[] {
  const top: Node[] = [];
  const open: { readonly begin: Begin; readonly below: Node[] }[] = [];
  for (const event of events) {
    const below = open.at(-1)?.below ?? top;
    if (event.what === "begin") open.push({ begin: event, below: [] });
    else if (event.what === "end") {
      const ended = open.pop();
      if (ended === undefined) continue;
      (open.at(-1)?.below ?? top).push(words.activation(ended.begin, event, ended.below));
    } else below.push(...words.other(event));
  }
  // What an error of the host ended.
  for (let ended = open.pop(); ended !== undefined; ended = open.pop())
    (open.at(-1)?.below ?? top).push({ text: words.begun(ended.begin), below: ended.below });
  return top;
}

/** The texts of nodes. */
class Words {
  readonly #options: TreeOptions;

  constructor(options: TreeOptions) {
    this.#options = options;
  }

  activation(begin: Begin, end: End, inside: readonly Node[]): Node {
    const isFault = end.fault !== "none";
    const result = isFault
      ? this.#red(`${end.status}: ${faultOf(end)}`)
      : end.status === "returned" || end.status === "ret"
        ? `${end.status} ${end.code}`
        : end.status;
    const stack = isFault ? formatStack(end.stack).map(leaf) : [];
    const changed = (end.changed === null ? [TOO_MANY] : placesOf(end.changed)).map(leaf);
    const text = `${this.begun(begin)}: ${result}${this.#gas(end.gasUsed)}`;
    return { text, below: [...inside, ...changed, ...stack] };
  }

  begun({ path, entry, argument, isBatch }: Begin): string {
    const process = `/${path.join("/")}`;
    if (entry === "") return `${process} resumes`;
    return isBatch ? `${process} ${entry}, a batch` : `${process} ${entry}(${argument})`;
  }

  other(event: Exclude<TraceEvent, Begin | End>): Node[] {
    if (event.what === "item") return [this.#item(event)];
    const isWell = event.result >= 0;
    if (isWell && !this.#options.calls) return [];
    if (event.what === "grow") return [leaf(`grows from ${event.result} pages of 64 KiB`)];
    const call = `${event.what} ${event.child}: ${CODES.get(event.result) ?? event.result}`;
    const unknown = event.unknownProgram === undefined ? "" : `, no program is ${event.unknownProgram}`;
    const quota = event.quota === undefined ? "" : `, ${event.quota.text}`;
    return [leaf(isWell ? call : this.#red(call + unknown + quota))];
  }

  #item(event: Item): Node {
    const known = this.#options.item?.(event) ?? itemText(event);
    const title = known.isFault ? this.#red(known.title) : known.title;
    const below = [...known.lines, ...formatStack(event.stack)].map(leaf);
    return { text: `${title}${this.#gas(event.gasUsed)}`, below };
  }

  #gas(gasUsed: number): string {
    const text = `, ${grouped(gasUsed)} gas`;
    return this.#options.colors ? `\x1b[2m${text}\x1b[22m` : text;
  }

  #red(text: string): string {
    return this.#options.colors ? `\x1b[31m${text}\x1b[39m` : text;
  }
}

/** What is known of an item whose program has no types. */
function itemText(event: Item): ItemText {
  const isFault = event.fault !== "none";
  const title = `item ${event.item}: ${isFault ? faultOf(event) : "returned"}`;
  return { title, isFault, lines: event.changed === null ? [TOO_MANY] : placesOf(event.changed) };
}

const TOO_MANY = "changed more lines of state than are listed";

/** Names of what lies in lines, each once. */
function placesOf(changed: readonly ChangedLine[]): string[] {
  const names = changed.map(({ name, address }) => name ?? `line 0x${address.toString(16)}`);
  return names.length === 0 ? [] : [`changed ${[...new Set(names)].join(", ")}`];
}

function faultOf({ fault, text }: { readonly fault: string; readonly text: string }): string {
  return text === "" ? fault : `${fault}: ${text}`;
}

function leaf(text: string): Node {
  return { text, below: [] };
}

function linesOf({ text, below }: Node, before: string, indent: string): string[] {
  // A stack belongs to its fault, and is no branch.
  const isFrame = (node: Node): boolean => node.text.startsWith("    ");
  const branches = below.filter((node) => !isFrame(node));
  return [
    before + text,
    ...branches.flatMap((node, i) => {
      const isLast = i === branches.length - 1;
      return linesOf(node, `${indent}${isLast ? "└─ " : "├─ "}`, `${indent}${isLast ? "   " : "│  "}`);
    }),
    ...below.filter(isFrame).map((node) => `${indent}${node.text}`),
  ];
}
