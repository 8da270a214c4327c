/** Stacks of guests: the functions that were running when a fault came, with names and source lines. */

import type { Frame, RawFrame, TraceEvent } from "../kernel/trace.ts";
import { Positions } from "../program/positions.ts";
import { sourceOf } from "../program/sources.ts";

/** The events with their stacks in terms of the originals; `programs` has their bytes by hash. */
export async function withPlaces(
  events: readonly TraceEvent<RawFrame>[],
  programs: ReadonlyMap<string, Uint8Array>,
): Promise<readonly TraceEvent[]> {
  const positions = new Map<string, Positions>();
  const running: string[] = [];
  const placed: TraceEvent[] = [];
  for (const event of events) {
    if (event.what === "begin") running.push(event.program);
    if (event.what === "end" || event.what === "item") {
      const program = running.at(-1) as string;
      const stack = await framesOf(event.stack, program, programs.get(program), positions);
      placed.push({ ...event, stack });
    } else {
      placed.push(event);
    }
    if (event.what === "end") running.pop();
  }
  return placed;
}

async function framesOf(
  stack: readonly RawFrame[],
  program: string,
  bytes: Uint8Array | undefined,
  known: Map<string, Positions>,
): Promise<readonly Frame[]> {
  if (stack.length === 0 || bytes === undefined) return [];
  const positions = known.get(program) ?? (await Positions.of(bytes));
  known.set(program, positions);
  return stack.flatMap(([functionIndex, offset]) => {
    const position = positions.locate(functionIndex, offset);
    if (position === null) return [];
    return [{ ...position, ...sourceOf(bytes, position.functionIndex, position.offset) }];
  });
}

/**
 * The faults of a trace as text: for each the process, what happened, and the stack with source lines.
 *
 * @example
 * ```ts
 * console.log(formatFaults(await runtime.trace()));
 * // /1 faulted: memory-bounds
 * //     at guest/bank/pay (guest/bank.ts:17:10)
 * ```
 */
export function formatFaults(events: readonly TraceEvent[]): string {
  return events
    .flatMap((event) => {
      if ((event.what !== "end" && event.what !== "item") || event.fault === "none") return [];
      const process = `/${event.path.join("/")}`;
      const who = event.what === "item" ? `${process} item ${event.item}` : process;
      const fault = event.text === "" ? event.fault : `${event.fault}: ${event.text}`;
      return [`${who} faulted: ${fault}`, ...event.stack.map(formatFrame)];
    })
    .join("\n");
}

function formatFrame({ name, source, offset }: Frame): string {
  const place =
    source === null ? `0x${offset.toString(16)}` : `${source.file}:${source.line}:${source.column}`;
  return `    at ${name} (${place})`;
}
