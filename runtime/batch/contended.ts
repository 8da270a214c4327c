/**
 * The places over which the items of a batch met, in words of those who wrote the programs: a process and an
 * address, with the name of what lies there if the program tells it (program/decode/state.ts), or a child.
 */

import { CHILD_LIMIT } from "../../syscalls/abi.ts";
import type { Variable } from "../program/decode/state.ts";
import { LINE_BYTES } from "./layout.ts";

/** A place, and how often something that was read there was found changed. */
export type Contended = Place & { readonly count: number };

/** What a line of a process is. */
export type Place =
  /** 64 bytes of state, from `address` on. `name` is null if the program says nothing of them. */
  | {
      readonly kind: "memory";
      readonly process: readonly number[];
      readonly address: number;
      readonly name: string | null;
    }
  /** A child, which is versioned as a whole: `process` is the child. */
  | { readonly kind: "child"; readonly process: readonly number[] }
  /** What `process` may still give to children: items that make or drop some depend on each other. */
  | { readonly kind: "quotas"; readonly process: readonly number[] };

/** Places that a report names. */
const REPORTED = 16;

/**
 * Of lines and how often each was met, the most contended places of `process`, whose state ends at `bound`.
 */
export function contendedPlaces(
  lines: ReadonlyMap<number, number>,
  process: readonly number[],
  bound: number,
  variables: readonly Variable[],
): Contended[] {
  const most = [...lines].sort(([a, x], [b, y]) => y - x || a - b).slice(0, REPORTED);
  return most.map(([line, count]) => ({ ...placeOf(line, process, bound, variables), count }));
}

/** What a line is. */
export function placeOf(
  line: number,
  process: readonly number[],
  bound: number,
  variables: readonly Variable[],
): Place {
  const address = line * LINE_BYTES;
  const child = line - bound / LINE_BYTES;
  if (child === CHILD_LIMIT) return { kind: "quotas", process };
  if (child >= 0) return { kind: "child", process: [...process, child] };
  return { kind: "memory", process, address, name: namesBetween(address, address + LINE_BYTES, variables) };
}

/** What lies from `address` up to `end`: by the variables that begin there, and the one before. */
export function namesBetween(address: number, end: number, variables: readonly Variable[]): string | null {
  const names = variables.flatMap((variable, i) => {
    const from = Math.max(variable.address, address);
    const to = Math.min(variables[i + 1]?.address ?? end, end);
    return from < to ? [part(variable, from - variable.address, to - variable.address)] : [];
  });
  return names.length === 0 ? null : names.join(", ");
}

/** The bytes `from` … `to` - 1 of a variable: "fees", "table + 128", "accounts[17]", "slots[4..7]". */
function part({ name, stride }: Variable, from: number, to: number): string {
  const behind = (offset: number): string => (offset === 0 ? "" : ` + ${offset}`);
  if (stride === 0) return name + behind(from);
  const first = Math.floor(from / stride);
  const last = Math.floor((to - 1) / stride);
  return first === last ? `${name}[${first}]${behind(from % stride)}` : `${name}[${first}..${last}]`;
}
