/**
 * Values of typed programs as JSON, and back: integers of 64 bits and more are strings, bytes are "0x…" in
 * hex, and all else is as it is. On the way back an integer may be a string or a number.
 */

import { badArgument, unknownName } from "../arguments.ts";
import { prefixedHex } from "../text.ts";
import type { Call, Contracts } from "../typed/client.ts";
import type { Interface, Parameter, RecordType, Type } from "../typed/interface.ts";

/** A value with what JSON has no form for as strings. */
export function jsonOf(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return prefixedHex(value);
  if (Array.isArray(value)) return value.map(jsonOf);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, jsonOf(each)]));
}

const BIG: ReadonlySet<string> = new Set(["u64", "i64", "u128", "u256"]);
const SMALL: ReadonlySet<string> = new Set(["u8", "i8", "u16", "i16", "u32", "i32"]);
const DECIMAL = /^-?\d{1,80}$/;

/** A value of that type from JSON. One that does not fit is left as it is, and its encoding fails. */
export function valueFromJson(description: Interface, type: Type, json: unknown): unknown {
  const of = (inner: Type) => (each: unknown) => valueFromJson(description, inner, each);
  switch (type.kind) {
    case "bytes": {
      const isHex = typeof json === "string" && /^0x([\da-f]{2})*$/i.test(json);
      return isHex ? new Uint8Array(Buffer.from(json.slice(2), "hex")) : json;
    }
    case "option":
      return json === null ? null : of(type.of)(json);
    case "vector":
    case "array":
      return Array.isArray(json) ? json.map(of(type.of)) : json;
    case "record":
      return fieldsOf(description, recordNamed(description, type.name).fields, json);
    default:
      return integerOf(type.kind, json);
  }
}

function integerOf(kind: string, json: unknown): unknown {
  const isInteger = Number.isSafeInteger(json) || (typeof json === "string" && DECIMAL.test(json));
  if (!isInteger) return json;
  if (BIG.has(kind)) return BigInt(json as string | number);
  return SMALL.has(kind) ? Number(json) : json;
}

/** Named values from JSON: the fields of a record, or the arguments of a function. */
export function fieldsOf(description: Interface, fields: readonly Parameter[], json: unknown): unknown {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return json;
  const types = new Map(fields.map(({ name, type }) => [name, type]));
  return Object.fromEntries(
    Object.entries(json).map(([name, each]) => {
      const type = types.get(name);
      return [name, type === undefined ? each : valueFromJson(description, type, each)];
    }),
  );
}

export function recordNamed({ records }: Interface, name: string): RecordType {
  const found = records.find((record) => record.name === name);
  if (found !== undefined) return found;
  const known = records.map((record) => record.name);
  throw unknownName("record", name, known);
}

/**
 * The call of the function with a name, as "Bank.pay", and arguments of JSON.
 *
 * @throws UsageError BAD_ARGUMENT
 */
export function callNamed(description: Interface, contracts: Contracts, name: string, json: unknown): Call {
  const { functions } = description;
  const found = functions.find((each) => `${each.contract}.${each.name}` === name && each.kind !== "setup");
  const make = found && contracts[found.contract]?.[found.name];
  if (make !== undefined) return make(fieldsOf(description, found?.parameters ?? [], json ?? {}) as object);
  const known = functions.filter(({ kind }) => kind === "transaction" || kind === "view");
  const names = known.map((each) => `${each.contract}.${each.name}`);
  throw unknownName("function", name, names);
}

/** The arguments of setups, by contract, from JSON. */
export function setupsOf(description: Interface, json: unknown): Record<string, object> {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw badArgument("setup", json, 'an object by contract, as { "Bank": { "owner": "0x…" } }');
  return Object.fromEntries(
    Object.entries(json).map(([contract, args]) => {
      const setup = description.functions.find((each) => each.contract === contract && each.kind === "setup");
      return [contract, (setup ? fieldsOf(description, setup.parameters, args) : args) as object];
    }),
  );
}
