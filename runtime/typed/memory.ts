/**
 * Values as they lie in the memory of a typed program: fields at their offsets, texts behind their length.
 */

import { type Interface, type RecordType, SCALAR_BYTES, type Type } from "./interface.ts";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function recordOf({ records }: Interface, name: string): RecordType {
  return records.find((record) => record.name === name) as RecordType;
}

/** Bytes of a type in memory. */
export function memoryBytes(description: Interface, type: Type): number {
  switch (type.kind) {
    case "u128":
      return 16;
    case "u256":
      return 32;
    case "fixed":
      return type.bytes;
    case "string":
    case "bytes":
      return Math.ceil((4 + type.max) / 4) * 4;
    case "record":
      return recordOf(description, type.name).bytes;
    case "option":
    case "vector":
      throw new TypeError(`${type.kind} has no place in memory`);
    default:
      return SCALAR_BYTES[type.kind];
  }
}

export function readMemory(description: Interface, type: Type, bytes: Uint8Array, at: number): unknown {
  const length = memoryBytes(description, type);
  const own = bytes.subarray(at, at + length);
  switch (type.kind) {
    case "fixed":
      return `0x${Buffer.from(own).toString("hex")}`;
    case "string":
    case "bytes": {
      const text = own.subarray(4, 4 + new DataView(own.buffer, own.byteOffset).getUint32(0, true));
      return type.kind === "string" ? decoder.decode(text) : text.slice();
    }
    case "record": {
      const { fields } = recordOf(description, type.name);
      return Object.fromEntries(
        fields.map((field) => [field.name, readMemory(description, field.type, own, field.offset)]),
      );
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
