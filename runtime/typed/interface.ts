/**
 * The interface of a typed program: its functions, records, state and failures, as tools and clients need
 * them. The compiler puts it into the module as a custom section. It has no comments of the author's, so that
 * those never change a program's bytes.
 *
 *   section "stillpoint.interface": u32 version · JSON, UTF-8
 */

import { UsageError } from "../errors.ts";
import { customSection } from "../program/source-map/names.ts";

/** Version of the section. */
export const INTERFACE_VERSION = 3;
const SECTION = "stillpoint.interface";
/** In the column of an abort: a numbered failure of the program, as guest/fail.ts packs it. */
export const FAILURE_FLAG = 0x80000000;

export const SCALAR_BYTES = {
  bool: 1,
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
} as const;

export type Scalar = keyof typeof SCALAR_BYTES;

/**
 * A type that has an encoding. `max`: bytes of a string or of bytes, elements of a vector. An array always
 * has `length` elements.
 */
export type Type =
  | { readonly kind: Scalar }
  | { readonly kind: "u128" | "u256" }
  | { readonly kind: "fixed"; readonly name: string; readonly bytes: number }
  | { readonly kind: "string" | "bytes"; readonly max: number }
  | { readonly kind: "record"; readonly name: string }
  | { readonly kind: "option"; readonly of: Type }
  | { readonly kind: "vector"; readonly of: Type; readonly max: number }
  | { readonly kind: "array"; readonly of: Type; readonly length: number };

/** A field of a record; `offset` is where it lies in memory, from the record's begin. */
export interface Field {
  readonly name: string;
  readonly type: Type;
  readonly offset: number;
}

export interface RecordType {
  readonly name: string;
  /** What it takes in memory. */
  readonly bytes: number;
  readonly fields: readonly Field[];
  /** First four bytes of the SHA-256 of name and types, little-endian: what an event begins with. */
  readonly selector: number;
}

export interface Parameter {
  readonly name: string;
  readonly type: Type;
}

export interface FunctionType {
  readonly contract: string;
  readonly name: string;
  readonly kind: "transaction" | "view" | "setup" | "migrate";
  readonly parameters: readonly Parameter[];
  readonly returns: Type | null;
  /** First four bytes of the SHA-256 of name and types, little-endian. */
  readonly selector: number;
}

/** Whether clients call it. */
export function isCalled({ kind }: FunctionType): boolean {
  return kind === "transaction" || kind === "view";
}

/** A collection in state. */
export interface Region {
  readonly name: string;
  readonly kind: "StateMap" | "StateSet" | "StateVector" | "StateCell";
  /** Of keys and values, as far as it has them. */
  readonly types: readonly Type[];
  /** Entries at most; 1 of a cell. */
  readonly capacity: number;
  readonly at: number;
  readonly bytes: number;
}

export interface Interface {
  readonly stateBytes: number;
  /** Sources that failures name, in the order of their numbers. */
  readonly files: readonly string[];
  /** Failures of the program, in the order of their numbers. */
  readonly failures: readonly string[];
  readonly records: readonly RecordType[];
  readonly functions: readonly FunctionType[];
  readonly state: readonly Region[];
}

/** The module with its interface. */
export function withInterface(module: Uint8Array, description: Interface): Uint8Array {
  const name = Buffer.from(SECTION);
  const version = Buffer.alloc(4);
  version.writeUInt32LE(INTERFACE_VERSION);
  const content = Buffer.concat([
    Buffer.from([name.length]),
    name,
    version,
    Buffer.from(JSON.stringify(description)),
  ]);
  return new Uint8Array(Buffer.concat([module, Buffer.from([0, ...leb(content.length)]), content]));
}

/**
 * The interface that a module carries.
 *
 * @throws UsageError NO_INTERFACE if it carries none, or one of another version
 */
export function readInterface(module: Uint8Array): Interface {
  const section = customSection(module, SECTION);
  if (section === null) {
    throw new UsageError("NO_INTERFACE", "the program has no interface: it has no class marked @contract");
  }
  const bytes = Buffer.from(section);
  const version = bytes.length < 4 ? 0 : bytes.readUInt32LE(0);
  if (version === INTERFACE_VERSION) return JSON.parse(bytes.toString("utf8", 4));
  const other = `the interface has version ${version}, not ${INTERFACE_VERSION}: build the program again`;
  throw new UsageError("NO_INTERFACE", other, { version });
}

function leb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest & 127) | 128);
  }
}

/** The type in words of the language, with maxima: what selectors are made of. */
export function canonical(type: Type, recordOf: (name: string) => Pick<RecordType, "fields">): string {
  const of = (inner: Type): string => canonical(inner, recordOf);
  switch (type.kind) {
    case "fixed":
      return `bytes${type.bytes}`;
    case "string":
    case "bytes":
      return `${type.kind}<=${type.max}`;
    case "record":
      return `(${recordOf(type.name)
        .fields.map((field) => of(field.type))
        .join(",")})`;
    case "option":
      return `${of(type.of)}?`;
    case "vector":
      return `${of(type.of)}[<=${type.max}]`;
    case "array":
      return `${of(type.of)}[${type.length}]`;
    default:
      return type.kind;
  }
}
