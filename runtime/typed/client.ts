/**
 * Calls of a typed program's functions, made of values, and what became of them. An input is u32 selector ·
 * [20] caller · arguments; an output u32 length of events · events · result; an event u32 selector of its
 * record · the record.
 */

import { unknownName } from "../arguments.ts";
import { Decoder, encode, fixedBytes } from "./codec.ts";
import { FAILURE_FLAG, type FunctionType, type Interface, isCalled, type RecordType } from "./interface.ts";
import { ARGUMENTS, FAILURES_OWN } from "./model.ts";

/** Twenty bytes: as a Uint8Array, or "0x…" in hex. */
export type AddressLike = `0x${string}` | Uint8Array;

declare const types: unique symbol;

/** A function with its arguments. `Value` is what it returns, `Failure` the names it may fail with. */
export interface Call<Value = unknown, Failure extends string = string, Kind extends string = string> {
  readonly contract: string;
  readonly name: string;
  readonly kind: Kind;
  /** By which the program knows the function: so a call stays that of the program that it was made for. */
  readonly selector: number;
  /** The encoded arguments. */
  readonly bytes: Uint8Array;
  readonly [types]?: [Value, Failure];
}

/** A call that a transaction makes. */
export type Transaction<Value = unknown, Failure extends string = string> = Call<
  Value,
  Failure,
  "transaction"
>;

/** A call that only looks. */
export type Query<Value = unknown, Failure extends string = string> = Call<Value, Failure, "view">;

/** Why a transaction was not run at all. */
export type Refusal =
  | "input"
  | "refused"
  | "bad signature"
  | "other chain"
  | "expired"
  | "used"
  | "too many senders"
  | "not authenticated";

/** What every program may fail with, besides its own failures. */
export type CommonFailure =
  | "full"
  | "no such entry"
  | "overflow"
  | "no such function"
  | "abort"
  | "out of gas"
  | `fault: ${string}`
  | Refusal;

/** An event that a transaction emitted: the name of its record, and its fields. */
export interface Event {
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A call that returned. */
export interface Success<Value> {
  readonly ok: true;
  readonly value: Value;
  readonly events: readonly Event[];
  readonly gasUsed: number;
}

/** A call that failed, and none of whose writes was kept. */
export interface Failed<Failure extends string> {
  readonly ok: false;
  /** The name that it failed with; nothing of what it did is left. */
  readonly error: Failure | CommonFailure;
  /** The author's line, as "bank.ts:42"; of traps and out of gas in tests and views only. */
  readonly at?: string;
  /** Which limit it met, in a sentence, if that is known: of gas always, of memory in tests and queries. */
  readonly reason?: string;
  readonly gasUsed: number;
}

/** What became of a call. */
export type Outcome<Value = unknown, Failure extends string = string> = Success<Value> | Failed<Failure>;

/** How an item or a view ended. */
export interface Ending {
  /** A fault's name, or "none". */
  readonly fault: string;
  /** Why it was not run, if it was not. */
  readonly refusal?: Refusal;
  /** Of an abort line and column, in the low and the high half. */
  readonly code: bigint;
  readonly gasUsed: number;
  readonly output: Uint8Array;
  /** Of a fault that is no abort, where they are known: the limit in a sentence, and the author's line. */
  readonly reason?: string | undefined;
  readonly at?: string | undefined;
}

/** Functions by contract and name. */
export type Contracts = Readonly<Record<string, Readonly<Record<string, (args?: object) => Call>>>>;

/** Failures of the SDK by number: guest/fail.ts. */
const SDK_FAILURES: Readonly<Record<number, CommonFailure>> = {
  1: "full",
  2: "no such entry",
  3: "overflow",
  4: "input",
  5: "no such function",
  6: "abort",
};
/** The number of an abort without a name. */
const ABORT = 6;

export class Client {
  readonly description: Interface;
  readonly contracts: Contracts;
  readonly #events: ReadonlyMap<number, RecordType>;
  readonly #functions: ReadonlyMap<number, FunctionType>;

  constructor(description: Interface) {
    this.description = description;
    this.#events = new Map(description.records.map((record) => [record.selector, record]));
    this.#functions = new Map(description.functions.map((each) => [each.selector, each]));
    const contracts: Record<string, Record<string, (args?: object) => Call>> = {};
    for (const each of description.functions.filter(isCalled)) {
      contracts[each.contract] ??= {};
      (contracts[each.contract] as Record<string, unknown>)[each.name] = (args: object = {}): Call =>
        this.#call(each, args);
    }
    this.contracts = contracts;
  }

  #call(of: FunctionType, args: object): Call {
    const { contract, name, kind, selector, parameters } = of;
    const bytes = encode(this.description, parameters, args, `${contract}.${name}`);
    return { contract, name, kind, selector, bytes };
  }

  /**
   * Calls of all setups of the program, with their arguments by contract.
   *
   * @throws UsageError BAD_ARGUMENT where arguments are missing, or of a contract without a setup
   */
  setups(given: Readonly<Record<string, object>>): Call[] {
    const setups = this.description.functions.filter(({ kind }) => kind === "setup");
    for (const name of Object.keys(given)) {
      if (setups.some(({ contract }) => contract === name)) continue;
      const known = setups.map(({ contract }) => contract);
      throw unknownName("contract with a setup called", name, known);
    }
    return setups.map((each) => this.#call(each, given[each.contract] ?? {}));
  }

  /** The input of a call that `from` makes. */
  input(call: Call, from: AddressLike): Uint8Array {
    const input = Buffer.alloc(ARGUMENTS + call.bytes.length);
    input.writeUInt32LE(call.selector, 0);
    input.set(fixedBytes(20, from, "from"), 4);
    input.set(call.bytes, ARGUMENTS);
    return new Uint8Array(input);
  }

  /** The call that an input makes; null if the program has no such function. */
  callOf(input: Uint8Array): Call | null {
    if (input.length < ARGUMENTS) return null;
    const selector = new DataView(input.buffer, input.byteOffset).getUint32(0, true);
    const found = this.#functions.get(selector);
    if (found === undefined) return null;
    const { contract, name, kind } = found;
    return { contract, name, kind, selector, bytes: input.slice(ARGUMENTS) };
  }

  /** What the ending of a call of that function means. */
  outcome(selector: number, ending: Ending): Outcome {
    const { fault, refusal, code, gasUsed, output } = ending;
    if (refusal !== undefined) return { ok: false, error: refusal, gasUsed };
    if (fault === "abort") return { ok: false, ...this.#failure(code, ending.at), gasUsed };
    if (fault !== "none") return { ok: false, ...faultOf(ending), gasUsed };
    const { returns } = this.#functions.get(selector) as FunctionType;
    const decoder = new Decoder(this.description, output);
    const length = decoder.u32();
    const end = decoder.remaining - length;
    const events: Event[] = [];
    while (decoder.remaining > end) events.push(this.#event(decoder));
    const value = returns === null ? undefined : decoder.value(returns);
    decoder.end();
    return { ok: true, value, events, gasUsed };
  }

  #event(decoder: Decoder): Event {
    const selector = decoder.u32();
    const record = this.#events.get(selector);
    if (record === undefined) throw new RangeError(`there is no record for an event of selector ${selector}`);
    const { name } = record;
    return { name, fields: decoder.value({ kind: "record", name }) as Event["fields"] };
  }

  /** `known`: where it was, if the code does not say. */
  #failure(code: bigint, known: string | undefined): { error: CommonFailure | string; at?: string } {
    const line = Number(code & 0xffffffffn);
    const column = Number((code >> 32n) & 0xffffffffn);
    const isNumbered = column >= FAILURE_FLAG;
    const number = isNumbered ? column & 0xffff : ABORT;
    const { files, failures } = this.description;
    const file = files[(column >>> 16) & 0x7fff];
    const at = isNumbered && line > 0 ? `${file}:${line}` : known;
    const error = SDK_FAILURES[number] ?? failures[number - FAILURES_OWN] ?? "abort";
    return { error, ...(at === undefined ? {} : { at }) };
  }
}

/** What a fault means that is no abort. */
function faultOf({
  fault,
  gasUsed,
  reason = "",
  at,
}: Ending): Pick<Failed<string>, "error" | "at" | "reason"> {
  const isGas = fault === "out-of-gas";
  const why = reason === "" && isGas ? `all of its ${gasUsed} gas was used` : reason;
  return {
    error: isGas ? "out of gas" : `fault: ${fault}`,
    ...(at === undefined ? {} : { at }),
    ...(why === "" ? {} : { reason: why }),
  };
}
