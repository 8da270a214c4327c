/**
 * Runs test scripts of WebAssembly against programs as this runtime makes them: every module is admitted and
 * instrumented, and assertions are made of the instrumented form. One check is a module that must be admitted
 * or refused, a call, or an assertion; it passes, fails, or is skipped for a reason that is named.
 */

import {
  type AdmissionError,
  INVALID_REASONS,
  LIMIT_REASONS,
} from "../../runtime/program/admission-error.ts";
import { admitEntryProgram, check } from "../../runtime/program/admit.ts";
import { littleEndian } from "../../runtime/program/decode/constant.ts";
import { F64, I64, V128 } from "../../runtime/program/decode/opcodes.ts";
import * as abi from "../../syscalls/abi.ts";
import { Machine } from "../program/harness.ts";
import { type Extended, extend } from "./extend.ts";
import { type Action, type Command, readScript, type Source } from "./script.ts";
import type { List } from "./syntax.ts";
import { assemble } from "./text.ts";
import { argument, Inexpressible, pattern, type Value } from "./values.ts";

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
  /** How many were skipped, by reason. */
  readonly reasons: Record<string, number>;
}

/** Faults that a script's text of a trap may mean. Conversions out of range are "integer overflow" there. */
const FAULTS: readonly [text: RegExp, faults: readonly number[]][] = [
  [/^unreachable/, [abi.FAULT_UNREACHABLE]],
  [/^out of bounds memory access/, [abi.FAULT_MEMORY_BOUNDS]],
  [/^out of bounds table access/, [abi.FAULT_TABLE_BOUNDS]],
  [/^out of bounds$/, [abi.FAULT_MEMORY_BOUNDS, abi.FAULT_TABLE_BOUNDS]],
  [/^integer divide by zero/, [abi.FAULT_DIVISION_BY_ZERO]],
  [/^integer overflow/, [abi.FAULT_INTEGER_OVERFLOW, abi.FAULT_BAD_CONVERSION]],
  [/^invalid conversion to integer/, [abi.FAULT_BAD_CONVERSION]],
  [/^(indirect call|uninitialized|undefined)/, [abi.FAULT_BAD_INDIRECT_CALL]],
  [/^call stack exhausted/, [abi.FAULT_CALL_DEPTH]],
];
const INVALID: ReadonlySet<string> = new Set(INVALID_REASONS);
/** Limits of size are stricter here than those of the format, which they stand for. */
const REFUSED: ReadonlySet<string> = new Set([...INVALID_REASONS, ...LIMIT_REASONS]);
/** A module that traps when it is instantiated, because a segment lies outside, is not admitted here. */
const OUTSIDE = new Set(["data-out-of-bounds", "elements-out-of-bounds"]);

/** Text of features that wabt does not read, or does not write as engines read it. */
const UNKNOWN_TEXT = "text that wabt does not know";

/** A check that cannot be made, and why. */
class Skip extends Error {}
class Failure extends Error {}

interface Instance {
  readonly machine: Machine;
  readonly fields: Extended["fields"];
  /** A module that was not admitted would have changed its memory or table. */
  changed: Skip | null;
}

/** Runs one script; `report` hears of each failure. */
export async function runScript(path: string, report: (line: number, text: string) => void): Promise<Totals> {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0, reasons: {} };
  const runner = new Runner();
  for (const command of readScript(path)) {
    try {
      if (command.kind === "register") {
        runner.register(command.instance, command.as);
        continue;
      }
      await runner.run(command);
      totals.passed++;
    } catch (error) {
      if (error instanceof Skip) {
        totals.skipped++;
        totals.reasons[error.message] = (totals.reasons[error.message] ?? 0) + 1;
      } else {
        totals.failed++;
        report(command.line, error instanceof Failure ? error.message : `${(error as Error).stack}`);
      }
    }
  }
  return totals;
}

class Runner {
  /** By name; null is the last one. What could not be made is there with the reason. */
  readonly #instances = new Map<string | null, Instance | Skip>();
  readonly #definitions = new Map<string | null, Source>();
  /** By the name under which later modules import it. */
  readonly #registered = new Map<string, Instance | Skip>();

  register(name: string | null, as: string): void {
    const instance = this.#instances.get(name);
    if (instance !== undefined) this.#registered.set(as, instance);
  }

  async run(command: Exclude<Command, { kind: "register" }>): Promise<void> {
    switch (command.kind) {
      case "module": {
        if (!command.definition) return this.#instantiate(command.source, command.name);
        this.#definitions.set(command.name, command.source);
        this.#definitions.set(null, command.source);
        admitted(await bytesOf(command.source), command.source);
        return;
      }
      case "instance":
        return this.#instantiate(this.#definitions.get(command.of) as Source, command.name);
      case "action": {
        const { fault } = this.#perform(command.action);
        if (fault !== 0) throw new Failure(`fault ${fault}`);
        return;
      }
      case "assert_return":
        return this.#assertReturn(command.action, command.results);
      case "assert_exhaustion":
      case "assert_trap":
        if ("action" in command) return expectFault(this.#perform(command.action).fault, command.text);
        return this.#assertTrapping(command.source, command.text);
      case "assert_malformed":
      case "assert_invalid":
        return this.#assertRefused(command.source, command.text);
      case "assert_unlinkable": {
        admitted(await bytesOf(command.source), command.source);
        throw new Failure("was admitted, but must not be linked");
      }
      case "other":
        throw new Skip(`command ${command.word}`);
    }
  }

  async #instantiate(source: Source, name: string | null): Promise<void> {
    try {
      const instance = await this.#make(source);
      for (const key of [name, null]) this.#instances.set(key, instance);
      const { fault } = instance.machine.start();
      if (fault !== 0) throw new Failure(`the start function ended with fault ${fault}`);
    } catch (error) {
      const reason = error instanceof Skip ? error : new Skip("module that failed");
      if (!(error instanceof Failure)) for (const key of [name, null]) this.#instances.set(key, reason);
      throw error;
    }
  }

  async #make(source: Source): Promise<Instance> {
    try {
      return make(await bytesOf(source), source);
    } catch (error) {
      if (error instanceof Skip) {
        for (const [name, instance] of this.#registered) {
          if (!(instance instanceof Skip) && mayImport(source, name)) instance.changed = error;
        }
      }
      throw error;
    }
  }

  #perform({ kind, instance: name, field: fieldName, parameters }: Action): {
    fault: number;
    values: Value[];
  } {
    const instance = this.#instances.get(name);
    if (instance === undefined) throw new Failure(`there is no module ${name ?? "here"}`);
    if (instance instanceof Skip) throw new Skip(instance.message);
    const { machine, fields, changed } = instance;
    if (changed !== null) throw new Skip(changed.message);
    const field = fields.get(fieldName);
    if (field === undefined || field.kind !== (kind === "get" ? "global" : "function")) {
      throw new Failure(`nothing to ${kind} is exported as "${fieldName}"`);
    }
    const area = machine.globals();
    parameters.forEach((form, index) => {
      const { type, bits } = express(() => argument(form));
      const slot = field.parameters[index];
      if (slot?.type !== type) throw new Failure(`parameter ${index} of "${fieldName}" has another type`);
      if (slot.place >= 0) write(area, slot.place, type, bits);
    });
    machine.setGlobals(area);
    const { fault } = machine.run(field.entry);
    const after = machine.globals();
    const values = field.results.map(({ type, place }) => ({ type, bits: read(after, place, type) }));
    return { fault, values };
  }

  #assertReturn(action: Action, results: readonly List[]): void {
    const patterns = results.map((form) => express(() => pattern(form)));
    const { fault, values } = this.#perform(action);
    if (fault !== 0) throw new Failure(`fault ${fault} where a result was expected`);
    const found = values.map(({ bits }) => `0x${bits.toString(16)}`).join(" ");
    if (values.length !== patterns.length || !patterns.every((fits, index) => fits(values[index] as Value))) {
      throw new Failure(`"${action.field}" returned ${found || "nothing"}`);
    }
  }

  async #assertTrapping(source: Source, text: string): Promise<void> {
    const refusal = refusalOf(await bytesOf(source));
    if (refusal !== null && OUTSIDE.has(refusal.reason)) return;
    const { machine } = await this.#make(source);
    expectFault(machine.start().fault, text);
  }

  async #assertRefused(source: Source, text: string): Promise<void> {
    if (source.kind === "text" && source.quoted) throw new Skip("parser of the text format");
    const bytes = await bytesOf(source);
    const refusal = refusalOf(bytes);
    if (refusal === null) {
      // Validation has become more permissive here and there; the engine knows the rules of today.
      if (WebAssembly.validate(bytes as BufferSource)) throw new Skip("valid by the rules of today");
      throw new Failure(`was admitted, but: ${text}`);
    }
    const expected = text === "multiple memories" && refusal.reason === "multiple-memories";
    if (!expected && !REFUSED.has(refusal.reason)) throw new Skip(refusal.reason);
  }
}

async function bytesOf(source: Source): Promise<Uint8Array> {
  if (source.kind === "binary") return source.bytes;
  const bytes = await assemble(source.text);
  if (typeof bytes === "string") throw new Skip(UNKNOWN_TEXT);
  return bytes;
}

function refusalOf(bytes: Uint8Array): AdmissionError | null {
  try {
    admitEntryProgram(bytes);
    return null;
  } catch (error) {
    if ((error as AdmissionError).code === "E_BAD_PROGRAM") return error as AdmissionError;
    throw error;
  }
}

/** Checks that a valid module is admitted, or refused for a feature or limit. */
function admitted(bytes: Uint8Array, source: Source): void {
  const refusal = refusalOf(bytes);
  if (refusal === null) return;
  if (!INVALID.has(refusal.reason)) throw new Skip(refusal.reason);
  if (!WebAssembly.validate(bytes as BufferSource)) {
    throw new Skip(source.kind === "text" ? UNKNOWN_TEXT : "bytes that the engine does not know");
  }
  throw new Failure(`was refused: ${refusal.message}`);
}

function make(bytes: Uint8Array, source: Source): Instance {
  admitted(bytes, source);
  const { bytes: extended, fields } = extend(bytes, check(bytes).module);
  return { machine: new Machine(admitEntryProgram(extended)), fields, changed: null };
}

function mayImport(source: Source, name: string): boolean {
  const content = source.kind === "text" ? source.text : Buffer.from(source.bytes).toString("latin1");
  return content.includes(name);
}

function express<T>(convert: () => T): T {
  try {
    return convert();
  } catch (error) {
    throw error instanceof Inexpressible ? new Skip(`value ${error.message}`) : error;
  }
}

function expectFault(fault: number, text: string): void {
  const faults = FAULTS.find(([known]) => known.test(text))?.[1];
  if (faults === undefined) throw new Failure(`"${text}" is no known trap`);
  if (!faults.includes(fault)) throw new Failure(`fault ${fault} where "${text}" was expected`);
}

/** Bytes of a value in the area of globals. */
function width(type: number | "reference"): number {
  return type === V128 ? 16 : type === I64 || type === F64 ? 8 : 4;
}

function write(area: Uint8Array, place: number, type: number | "reference", bits: bigint): void {
  area.set(littleEndian(bits, width(type)), place);
}

function read(area: Uint8Array, place: number, type: number | "reference"): bigint {
  let bits = 0n;
  for (let index = width(type) - 1; index >= 0; index--)
    bits = (bits << 8n) | BigInt(area[place + index] ?? 0);
  return bits;
}
