/**
 * What transactions change in the state, by its names: read from the lines that they leave other than they
 * were, by the interface of their program. Nothing of the guest runs.
 */

import { isDeepStrictEqual } from "node:util";
import type { Interface, Region } from "../typed/interface.ts";
import { LINE_BYTES } from "../units.ts";
import { type Element, Elements, type Read } from "./elements.ts";

/** Something in state that a transaction has changed. */
export interface StateChange {
  /** "accounts[0xa1…].balance", "fees", "journal[3]". */
  readonly name: string;
  /** Undefined: there was none. */
  readonly before: unknown;
  /** Undefined: there is none any more. */
  readonly after: unknown;
}

/** Lines of 64 bytes by their addresses. */
type Lines = ReadonlyMap<number, Uint8Array>;

/** A state to which the changes of one transaction after the other are applied. */
export class ChangingState {
  readonly #description: Interface;
  readonly #base: Read;
  readonly #lines = new Map<number, Uint8Array>();

  /** `base` reads the state before the first of them. */
  constructor(description: Interface, base: Read) {
    this.#description = description;
    this.#base = base;
  }

  /** Applies what a transaction left in lines, and says what that means. */
  apply(changed: readonly { readonly address: number; readonly bytes: string }[]): StateChange[] {
    const lines = new Map(changed.map(({ address, bytes }) => [address, Buffer.from(bytes, "hex")]));
    const before: Read = (address, length) => this.#read(address, length, null);
    const after: Read = (address, length) => this.#read(address, length, lines);
    const changes = this.#description.state.flatMap((region) => {
      const own = [...lines.keys()].filter(
        (at) => at + LINE_BYTES > region.at && at < region.at + region.bytes,
      );
      return own.length === 0 ? [] : changesOf(this.#description, region, own, before, after);
    });
    for (const [address, bytes] of lines) this.#lines.set(address, bytes);
    return changes;
  }

  #read(address: number, length: number, news: Lines | null): Uint8Array {
    const bytes = this.#base(address, length).slice();
    const first = address - (address % LINE_BYTES);
    for (let at = first; at < address + length; at += LINE_BYTES) {
      const line = news?.get(at) ?? this.#lines.get(at);
      if (line === undefined) continue;
      const from = Math.max(at, address);
      const to = Math.min(at + LINE_BYTES, address + length);
      bytes.set(line.subarray(from - at, to - at), from - address);
    }
    return bytes;
  }
}

function changesOf(
  description: Interface,
  region: Region,
  lines: readonly number[],
  before: Read,
  after: Read,
): StateChange[] {
  const { name, kind } = region;
  const elements = new Elements(description, region);
  const lengths = [elements.length(before), elements.length(after)] as const;
  const { stride, count } = elements;
  return touched(lines, elements.addressOf(0), stride, count).flatMap((i) => {
    const was = elements.read(before, i, lengths[0]);
    const is = elements.read(after, i, lengths[1]);
    const entry = is ?? was;
    if (entry === null) return [];
    const place =
      elements.shape === null ? (kind === "StateCell" ? "" : `[${i}]`) : `[${keyText(entry.key)}]`;
    const value = (of: Element | null): unknown => (of !== null && kind === "StateSet" ? true : of?.value);
    return differences(`${name}${place}`, value(was), value(is));
  });
}

/** Elements of `stride` bytes from `from` on that lie in these lines, ascending. */
function touched(lines: readonly number[], from: number, stride: number, count: number): number[] {
  const found = new Set<number>();
  for (const line of lines) {
    const first = Math.max(0, Math.floor((line - from) / stride));
    const last = Math.min(count - 1, Math.floor((line + LINE_BYTES - 1 - from) / stride));
    for (let i = first; i <= last; i++) found.add(i);
  }
  return [...found].sort((a, b) => a - b);
}

/** Of records, those of their fields. */
function differences(name: string, before: unknown, after: unknown): StateChange[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isRecord(before) || !isRecord(after)) return [{ name, before, after }];
  return Object.keys(after).flatMap((field) => differences(`${name}.${field}`, before[field], after[field]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

/** A key between brackets. */
function keyText(key: unknown): string {
  if (typeof key === "string") return /^0x[\da-f]*$/.test(key) ? key : JSON.stringify(key);
  if (!isRecord(key)) return String(key);
  return Object.entries(key)
    .map(([name, value]) => `${name}: ${keyText(value)}`)
    .join(", ");
}
