/** Builds, admits and runs programs of one function. */

import { admitEntryProgram } from "../../runtime/program/admit.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import { entry, type Spec } from "./build.ts";
import { Machine, PLENTY } from "./harness.ts";

export function machineOf(bytes: Uint8Array): Machine {
  return new Machine(admitEntryProgram(bytes));
}

export function run(
  code: (code: Code) => void,
  locals: readonly number[] = [],
  rest: Spec = {},
  argument = 0n,
): Machine & { outcome: ReturnType<Machine["run"]> } {
  const machine = machineOf(entry(code, locals, rest));
  return Object.assign(machine, { outcome: machine.run("main", argument) });
}

export const gasOf = (machine: { outcome: { gas: bigint } }) => Number(PLENTY - machine.outcome.gas);
