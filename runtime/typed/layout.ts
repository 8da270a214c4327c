/**
 * Where the collections of a typed program lie. State begins with a line for the block; each collection has
 * lines of its own behind it. A first build lays them out by name. Later ones follow the lock file: what
 * exists never moves, new collections are appended, and what is gone keeps its place.
 *
 *   { "version": 1, "state": { "accounts": { "kind", "types", "capacity", "at", "bytes" } } }
 *
 * With "end" no new collection lies below that address, whatever "state" says.
 */

import { UsageError } from "../errors.ts";
import { WASM_PAGE_BYTES } from "../limits.ts";
import {
  isReference,
  LINE_BYTES,
  roundUp,
  tableShape,
  VECTOR_ENTRIES_AT,
  vectorStride,
} from "./collections.ts";
import type { GuestLayout, Lock, Locked } from "./guest.ts";
import type { Interface, RecordType, Region, Type } from "./interface.ts";
import type { Model, StateModel } from "./model.ts";
import { errorAt } from "./syntax.ts";

export const LOCK_VERSION = 1;
/** u64 height · u64 time of the block, on a line of its own. */
const CONTEXT_BYTES = LINE_BYTES;
const STATE_MAX = 2 ** 31;

/** Where state lies, with what declares it. */
export interface Layout extends GuestLayout {
  readonly regions: readonly (Region & { readonly node: StateModel["node"] })[];
}

/**
 * Lays out the state of `model`, under `lock` if there is one.
 *
 * @throws UsageError E_GUEST_COMPILE where a collection is not what the lock file says
 */
export function layOut(model: Model, placeOf: (type: Type) => number, lock: Lock | null): Layout {
  const before = lock?.state ?? {};
  const reserved = lock?.end ?? 0;
  let end = Math.max(CONTEXT_BYTES, reserved, endOf(before));
  const state: Record<string, Locked> = { ...before };
  const regions = model.state.map((each) => {
    const { name, kind, types, capacity, node } = each;
    const shapes = types.map((type) => shapeOf(type, model.records));
    const bytes = sizeOf(each, placeOf);
    const known = before[name];
    if (known !== undefined)
      checkUnchanged(each, known, { kind, types: shapes, capacity, at: known.at, bytes });
    const at = known?.at ?? end;
    if (known === undefined) end += bytes;
    if (end > STATE_MAX)
      throw errorAt(node, `state ${name} ends at ${end}: there is room for ${STATE_MAX} bytes`);
    state[name] = { kind, types: shapes, capacity, at, bytes };
    return { name, kind, types, capacity, at, bytes, node };
  });
  const gone = Object.keys(before).filter((name) => !regions.some((region) => region.name === name));
  const sorted = Object.entries(state).sort(([, a], [, b]) => a.at - b.at);
  const next = { version: LOCK_VERSION, state: Object.fromEntries(sorted) };
  return {
    regions,
    stateBytes: roundUp(end, WASM_PAGE_BYTES),
    lock: reserved > endOf(state) ? { ...next, end: reserved } : next,
    gone,
  };
}

function endOf(state: Lock["state"]): number {
  return Math.max(0, ...Object.values(state).map(({ at, bytes }) => at + bytes));
}

/** The lock that a program follows which is to stand in place of one with this interface. */
export function lockOf({ state, records, stateBytes }: Interface): Lock {
  const regions = state.map(({ name, kind, types, capacity, at, bytes }): [string, Locked] => [
    name,
    { kind, types: types.map((type) => shapeOf(type, records)), capacity, at, bytes },
  ]);
  // What the program has no name for may lie up to the end of its state.
  return { version: LOCK_VERSION, state: Object.fromEntries(regions), end: stateBytes };
}

/** What a collection is, in words. */
export function wordsOf({ kind, types, capacity }: Locked): string {
  return `${kind}<${types.join(", ")}>(${capacity})`;
}

function checkUnchanged({ name, node }: StateModel, known: Locked, now: Locked): void {
  if (wordsOf(known) === wordsOf(now) && known.bytes === now.bytes) return;
  const text =
    `state ${name} is ${wordsOf(known)} in the lock file and would be ${wordsOf(now)}: what lies ` +
    "there would be read wrongly. Keep it as it is, or give the new one another name and move the entries";
  throw errorAt(node, text);
}

/** What the collections of the SDK take: guest/state/. */
function sizeOf({ kind, types, capacity }: StateModel, placeOf: (type: Type) => number): number {
  const [first, second] = types.map(placeOf) as [number, number?];
  switch (kind) {
    case "StateMap":
    case "StateSet": {
      const { slotsAt, slots, stride } = tableShape(capacity, first, second);
      return slotsAt + slots * stride;
    }
    case "StateVector":
      return VECTOR_ENTRIES_AT + roundUp(capacity * vectorStride(types[0] as Type, first), LINE_BYTES);
    case "StateCell":
      return roundUp(first, LINE_BYTES);
  }
}

/** Where entries begin, and the bytes from one to the next, for reports of batches. */
export function entriesOf(
  { kind, types, capacity, at }: Region,
  placeOf: (type: Type) => number,
): [number, number] {
  const [first, second] = types.map(placeOf) as [number, number?];
  if (kind === "StateCell") return [at, 0];
  if (kind === "StateVector") {
    const type = types[0] as Type;
    return [at + VECTOR_ENTRIES_AT, isReference(type) ? vectorStride(type, first) : LINE_BYTES];
  }
  const { slotsAt, stride } = tableShape(capacity, first, second);
  return [at + slotsAt, stride];
}

function shapeOf(type: Type, records: readonly RecordType[]): string {
  if (type.kind === "fixed") return `bytes${type.bytes}`;
  if (type.kind === "string" || type.kind === "bytes") return `${type.kind}<=${type.max}`;
  if (type.kind === "option") return `${shapeOf(type.of, records)}?`;
  if (type.kind === "vector") return `${shapeOf(type.of, records)}[<=${type.max}]`;
  if (type.kind === "array") return `${shapeOf(type.of, records)}[${type.length}]`;
  if (type.kind !== "record") return type.kind;
  const { fields } = records.find(({ name }) => name === type.name) as RecordType;
  return `{ ${fields.map((field) => `${field.name}: ${shapeOf(field.type, records)}`).join(", ")} }`;
}

/**
 * Reads a lock file's text.
 *
 * @throws UsageError BAD_LAYOUT if it is none
 */
export function parseLock(text: string, path: string): Lock {
  let lock: Lock;
  try {
    lock = JSON.parse(text);
    if (lock.version !== LOCK_VERSION)
      throw new TypeError(`version ${lock.version}, expected ${LOCK_VERSION}`);
    for (const { at, bytes } of Object.values(lock.state))
      if (!Number.isSafeInteger(at) || !Number.isSafeInteger(bytes)) throw new TypeError("no addresses");
    if (lock.end !== undefined && !Number.isSafeInteger(lock.end))
      throw new TypeError("no address of the end");
  } catch (error) {
    const why = (error as Error).message;
    throw new UsageError("BAD_LAYOUT", `${path} is not a layout: ${why}; take it from version control`, {
      path,
    });
  }
  return lock;
}
