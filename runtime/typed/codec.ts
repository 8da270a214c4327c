/**
 * Values of JavaScript as the bytes of typed programs, and back: the encoding that guest/typed/wire.ts
 * describes, of which there is one for each value. A value that has none is refused with its path and what
 * was expected.
 *
 *   bool                  boolean             u8 to u32, i8 to i32  number
 *   u64, i64, u128, u256  bigint              string, Uint8Array    the same
 *   Address and Bytes…    "0x…" in hex, taken as a Uint8Array as well
 *   Option<T>             T or null           T[], StaticArray<T>   arrays
 *   records               objects
 */

import { badArgument, unknownName } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { prefixedHex } from "../text.ts";
import type { Field, Interface, Parameter, Type } from "./interface.ts";

const INTEGERS: Readonly<Record<string, readonly [bytes: number, signed: boolean]>> = {
  u8: [1, false],
  i8: [1, true],
  u16: [2, false],
  i16: [2, true],
  u32: [4, false],
  i32: [4, true],
  u64: [8, false],
  i64: [8, true],
  u128: [16, false],
  u256: [32, false],
};
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The encoding of named values, one after the other; `what` names them in errors. */
export function encode(
  description: Interface,
  parameters: readonly Parameter[],
  values: unknown,
  what: string,
): Uint8Array {
  const bytes: number[] = [];
  new Encoder(description, bytes).object(parameters, values, what);
  return Uint8Array.from(bytes);
}

class Encoder {
  readonly #records: ReadonlyMap<string, readonly Field[]>;
  readonly #bytes: number[];

  constructor({ records }: Interface, bytes: number[]) {
    this.#records = new Map(records.map(({ name, fields }) => [name, fields]));
    this.#bytes = bytes;
  }

  object(fields: readonly Parameter[], values: unknown, path: string): void {
    if (typeof values !== "object" || values === null) throw badArgument(path, values, "an object");
    for (const name of Object.keys(values)) {
      if (fields.some((field) => field.name === name)) continue;
      const known = fields.map((field) => field.name);
      throw unknownName(`"${name}" in`, path, known);
    }
    for (const { name, type } of fields) {
      const value = (values as Record<string, unknown>)[name];
      if (value === undefined) throw missing(path, name, fields);
      this.value(type, value, `${path}.${name}`);
    }
  }

  value(type: Type, value: unknown, path: string): void {
    switch (type.kind) {
      case "bool":
        if (typeof value !== "boolean") throw badArgument(path, value, "true or false");
        this.#bytes.push(value ? 1 : 0);
        return;
      case "fixed":
        this.#push(fixedBytes(type.bytes, value, path));
        return;
      case "string": {
        if (typeof value !== "string" || !value.isWellFormed())
          throw badArgument(path, value, "well-formed text");
        this.#text(encoder.encode(value), type.max, path);
        return;
      }
      case "bytes":
        if (!(value instanceof Uint8Array)) throw badArgument(path, value, "a Uint8Array");
        this.#text(value, type.max, path);
        return;
      case "record":
        this.object(this.#records.get(type.name) as readonly Field[], value, path);
        return;
      case "option":
        this.#bytes.push(value === null ? 0 : 1);
        if (value !== null) this.value(type.of, value, path);
        return;
      case "vector":
        if (!Array.isArray(value) || value.length > type.max)
          throw badArgument(path, value, `an array of at most ${type.max} elements`);
        this.#integer(4, false, BigInt(value.length));
        this.#elements(type.of, value, path);
        return;
      case "array":
        if (!Array.isArray(value) || value.length !== type.length)
          throw badArgument(path, value, `an array of ${type.length} elements`);
        this.#elements(type.of, value, path);
        return;
      default: {
        const [bytes, signed] = INTEGERS[type.kind] as readonly [number, boolean];
        this.#integer(bytes, signed, integerOf(bytes, signed, value, path));
      }
    }
  }

  #elements(type: Type, values: readonly unknown[], path: string): void {
    for (let i = 0; i < values.length; i++) this.value(type, values[i], `${path}[${i}]`); // holes too
  }

  #text(bytes: Uint8Array, max: number, path: string): void {
    if (bytes.length > max) throw badArgument(path, bytes, `at most ${max} bytes`);
    this.#integer(4, false, BigInt(bytes.length));
    this.#push(bytes);
  }

  #push(bytes: Uint8Array): void {
    for (const byte of bytes) this.#bytes.push(byte);
  }

  #integer(bytes: number, signed: boolean, value: bigint): void {
    let rest = signed ? BigInt.asUintN(bytes * 8, value) : value;
    for (let i = 0; i < bytes; i++, rest >>= 8n) this.#bytes.push(Number(rest & 255n));
  }
}

function integerOf(bytes: number, signed: boolean, value: unknown, path: string): bigint {
  const low = signed ? -(2n ** BigInt(bytes * 8 - 1)) : 0n;
  const high = low + 2n ** BigInt(bytes * 8) - 1n;
  const isBig = bytes >= 8;
  const isNumber = Number.isSafeInteger(value) && !Object.is(value, -0);
  if (isBig && isNumber) throw badArgument(path, value, `a bigint, as ${value}n`);
  const isInteger = isBig ? typeof value === "bigint" : isNumber;
  const integer = isInteger ? BigInt(value as number | bigint) : null;
  if (integer !== null && integer >= low && integer <= high) return integer;
  throw badArgument(path, value, `an integer from ${low} to ${high}`);
}

/** The bytes of a value that is given in hex or as they are. */
export function fixedBytes(length: number, value: unknown, path: string): Uint8Array {
  if (value instanceof Uint8Array && value.length === length) return value;
  const isHex =
    typeof value === "string" && /^0x([\da-f]{2})*$/i.test(value) && value.length === 2 + 2 * length;
  if (!isHex) throw badArgument(path, value, `${length} bytes, as a Uint8Array or "0x…" in hex`);
  return Uint8Array.from(Buffer.from((value as string).slice(2), "hex"));
}

function missing(path: string, name: string, fields: readonly Parameter[]): UsageError {
  const all = fields.map((field) => field.name).join(", ");
  return new UsageError("BAD_ARGUMENT", `${path}.${name} is missing; ${path} has: ${all}`);
}

// ---- back -------------------------------------------------------------------------------------------------

/**
 * Reads values off bytes, each checked.
 *
 * @throws RangeError where the bytes are not an encoding
 */
export class Decoder {
  readonly #records: ReadonlyMap<string, readonly Field[]>;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor({ records }: Pick<Interface, "records">, bytes: Uint8Array) {
    this.#records = new Map(records.map(({ name, fields }) => [name, fields]));
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next `length` bytes. */
  take(length: number): Uint8Array {
    if (length > this.remaining) throw new RangeError(`${length} bytes wanted, ${this.remaining} left`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  u32(): number {
    return Number(this.#integer(4));
  }

  end(): void {
    if (this.remaining > 0) throw new RangeError(`${this.remaining} bytes left over`);
  }

  value(type: Type): unknown {
    switch (type.kind) {
      case "bool":
        return this.#bool();
      case "fixed":
        return prefixedHex(this.take(type.bytes));
      case "string":
        return decoder.decode(this.take(this.#count(type.max)));
      case "bytes":
        return this.take(this.#count(type.max)).slice();
      case "record": {
        const fields = this.#records.get(type.name) as readonly Field[];
        return Object.fromEntries(fields.map((field) => [field.name, this.value(field.type)]));
      }
      case "option":
        return this.#bool() ? this.value(type.of) : null;
      case "vector":
        return Array.from({ length: this.#count(type.max) }, () => this.value(type.of));
      case "array":
        return Array.from({ length: type.length }, () => this.value(type.of));
      default: {
        const [bytes, signed] = INTEGERS[type.kind] as readonly [number, boolean];
        const unsigned = this.#integer(bytes);
        const value = signed ? BigInt.asIntN(bytes * 8, unsigned) : unsigned;
        return bytes < 8 ? Number(value) : value;
      }
    }
  }

  #bool(): boolean {
    const [byte] = this.take(1) as unknown as [number];
    if (byte > 1) throw new RangeError(`a bool is 0 or 1, not ${byte}`);
    return byte === 1;
  }

  #count(max: number): number {
    const count = this.u32();
    if (count > max) throw new RangeError(`at most ${max}, not ${count}`);
    return count;
  }

  #integer(bytes: number): bigint {
    return this.take(bytes).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }
}
