/**
 * Values as they lie in the memory of a typed program (places.ts), read and written from outside.
 */

import { prefixedHex } from "../text.ts";
import type { Interface, RecordType, Type } from "./interface.ts";
import { type Place, placeOf } from "./places.ts";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function recordOf({ records }: Interface, name: string): RecordType {
  return records.find((record) => record.name === name) as RecordType;
}

function placeIn(description: Interface, type: Type): Place {
  return placeOf(type, (name) => recordOf(description, name));
}

/** Bytes of a type in memory. */
export function memoryBytes(description: Interface, type: Type): number {
  return placeIn(description, type).bytes;
}

export function readMemory(description: Interface, type: Type, bytes: Uint8Array, at: number): unknown {
  const length = memoryBytes(description, type);
  const own = bytes.subarray(at, at + length);
  switch (type.kind) {
    case "fixed":
      return prefixedHex(own);
    case "string":
    case "bytes": {
      const text = own.subarray(4, 4 + u32(own));
      return type.kind === "string" ? decoder.decode(text) : text.slice();
    }
    case "record": {
      const { fields } = recordOf(description, type.name);
      return Object.fromEntries(
        fields.map((field) => [field.name, readMemory(description, field.type, own, field.offset)]),
      );
    }
    case "option":
    case "vector":
    case "array": {
      const { first, stride } = placeIn(description, type);
      const count = type.kind === "array" ? type.length : type.kind === "option" ? own[0] : u32(own);
      const values = Array.from({ length: count as number }, (_, i) =>
        readMemory(description, type.of, own, first + i * stride),
      );
      return type.kind === "option" ? (values[0] ?? null) : values;
    }
    case "bool":
      return own[0] !== 0;
    default: {
      const unsigned = own.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
      const value = type.kind.startsWith("i") ? BigInt.asIntN(length * 8, unsigned) : unsigned;
      return length < 8 ? Number(value) : value;
    }
  }
}

/** The bytes of a value that `Decoder` gave. */
export function writeMemory(description: Interface, type: Type, value: unknown): Uint8Array {
  const bytes = Buffer.alloc(memoryBytes(description, type));
  switch (type.kind) {
    case "fixed":
      bytes.write((value as string).slice(2), "hex");
      break;
    case "string":
    case "bytes": {
      const text = type.kind === "string" ? Buffer.from(value as string) : (value as Uint8Array);
      bytes.writeUInt32LE(text.length, 0);
      bytes.set(text, 4);
      break;
    }
    case "record":
      for (const field of recordOf(description, type.name).fields)
        bytes.set(
          writeMemory(description, field.type, (value as Record<string, unknown>)[field.name]),
          field.offset,
        );
      break;
    case "option":
    case "vector":
    case "array": {
      const { first, stride } = placeIn(description, type);
      const values = (type.kind !== "option" ? value : value === null ? [] : [value]) as unknown[];
      if (type.kind === "vector") bytes.writeUInt32LE(values.length, 0);
      else if (type.kind === "option") bytes[0] = values.length;
      for (const [i, each] of values.entries())
        bytes.set(writeMemory(description, type.of, each), first + i * stride);
      break;
    }
    case "bool":
      bytes[0] = value === true ? 1 : 0;
      break;
    default: {
      let rest = BigInt.asUintN(bytes.length * 8, BigInt(value as number | bigint));
      for (let i = 0; i < bytes.length; i++, rest >>= 8n) bytes[i] = Number(rest & 255n);
    }
  }
  return bytes;
}

function u32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}
