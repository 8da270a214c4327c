/** Random types with values of them, and a program whose functions give back what they get. */

import type { Interface, Type } from "../../runtime/typed/interface.ts";
import { random } from "../guest/harness.ts";

const SCALARS = ["bool", "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64"] as const;
const FIXED = { Address: 20, Bytes4: 4, Bytes8: 8, Bytes16: 16, Bytes32: 32, Bytes64: 64 } as const;
/** As far down as records, options and vectors go. */
const DEPTH = 4;
const TEXTS = ["", "a", "häh", "€", "\u{1f600}", "\u0000", "zwölf", "\ufeffx"];

export interface Schema {
  readonly type: Type;
  /** What it is called in the source. */
  readonly source: string;
  /** Maxima, the outermost first. */
  readonly limits: readonly number[];
}

/** Makes types and values, the same for a seed. */
export class Generator {
  readonly next: () => number;
  /** Source of the records that were made. */
  readonly records: string[] = [];
  /** How often each kind of type was made, and how deep. */
  readonly seen = new Map<string, number>();

  constructor(seed: number) {
    this.next = random(seed);
  }

  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  type(depth = 0): Schema {
    const simple = [...SCALARS, "u128", "u256", "fixed", "string", "bytes"];
    const composed = ["record", "option", "vector", "array"];
    const kinds = depth < DEPTH && this.below(5) < 2 ? composed : simple;
    const schema = this.#make(this.#rarest(kinds, depth), depth);
    const { kind } = schema.type;
    for (const name of [`depth ${depth}`, depth > 0 ? `${kind} inside` : kind])
      this.seen.set(name, (this.seen.get(name) ?? 0) + 1);
    return schema;
  }

  /** The kind that was made least often so far, at the top or inside. */
  #rarest(kinds: readonly string[], depth: number): string {
    const times = (kind: string): number => this.seen.get(depth > 0 ? `${kind} inside` : kind) ?? 0;
    return kinds.reduce((least, kind) => (times(kind) < times(least) ? kind : least));
  }

  #make(kind: string, depth: number): Schema {
    switch (kind) {
      case "u128":
      case "u256":
        return { type: { kind }, source: kind, limits: [] };
      case "fixed": {
        const name = this.pick(Object.keys(FIXED) as (keyof typeof FIXED)[]);
        return { type: { kind, name, bytes: FIXED[name] }, source: name, limits: [] };
      }
      case "string":
      case "bytes": {
        const max = 1 + this.below(40);
        return { type: { kind, max }, source: kind === "string" ? "string" : "Uint8Array", limits: [max] };
      }
      case "option": {
        const inner = this.type(depth + 1);
        return { type: { kind, of: inner.type }, source: `Option<${inner.source}>`, limits: inner.limits };
      }
      case "vector": {
        const inner = this.type(depth + 1);
        const max = 1 + this.below(5);
        const source = this.below(2) === 0 ? `Array<${inner.source}>` : `${inner.source}[]`;
        return { type: { kind, of: inner.type, max }, source, limits: [max, ...inner.limits] };
      }
      case "array": {
        const inner = this.type(depth + 1);
        const length = 1 + this.below(4);
        const type = { kind, of: inner.type, length } as const;
        return { type, source: `StaticArray<${inner.source}>`, limits: [length, ...inner.limits] };
      }
      case "record":
        return this.#record(depth);
      default:
        return { type: { kind: kind as (typeof SCALARS)[number] }, source: kind, limits: [] };
    }
  }

  #record(depth: number): Schema {
    const fields = Array.from({ length: 1 + this.below(4) }, () => this.type(depth + 1));
    const name = `R${this.records.length}`;
    const lines = fields.map(({ source, limits }, i) => {
      const max = limits.length > 0 ? `@max(${limits.join(", ")}) ` : "";
      return `  ${max}f${i}: ${source};`;
    });
    this.records.push(`@record class ${name} {\n${lines.join("\n")}\n}`);
    return { type: { kind: "record", name }, source: name, limits: [] };
  }

  /** A value of the type, as `Decoder` gives it. */
  value(description: Interface, type: Type): unknown {
    switch (type.kind) {
      case "bool":
        return this.below(2) === 1;
      case "fixed":
        return `0x${Buffer.from(this.#bytes(type.bytes)).toString("hex")}`;
      case "string": {
        let text = "";
        while (this.below(4) > 0) {
          const longer = text + this.pick(TEXTS);
          if (Buffer.byteLength(longer) > type.max) break;
          text = longer;
        }
        return text;
      }
      case "bytes":
        return this.#bytes(this.below(type.max + 1));
      case "record": {
        const record = description.records.find(({ name }) => name === type.name);
        return Object.fromEntries(
          (record?.fields ?? []).map((field) => [field.name, this.value(description, field.type)]),
        );
      }
      case "option":
        return this.below(2) === 0 ? null : this.value(description, type.of);
      case "vector":
        return Array.from({ length: this.below(type.max + 1) }, () => this.value(description, type.of));
      case "array":
        return Array.from({ length: type.length }, () => this.value(description, type.of));
      default: {
        const bits = Number(type.kind.slice(1));
        const edges = [0n, 1n, 2n ** BigInt(bits) - 1n, 2n ** BigInt(bits - 1), 2n ** BigInt(bits - 1) - 1n];
        const raw =
          this.below(3) === 0
            ? this.pick(edges)
            : BigInt(`0x${Buffer.from(this.#bytes(bits / 8)).toString("hex")}`);
        const value = type.kind.startsWith("i") ? BigInt.asIntN(bits, raw) : raw;
        return bits < 64 ? Number(value) : value;
      }
    }
  }

  #bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.next() & 255);
  }
}

/**
 * A program with a function for each schema that returns its argument, and one more for each record, by way
 * of state.
 */
export function echoProgram(schemas: readonly Schema[], records: readonly string[]): string {
  const functions = schemas.flatMap(({ type, source, limits }, i) => {
    const max = limits.length === 0 ? "" : `({ x: [${limits}], returns: [${limits}] })`;
    const echo = `  @view${max} echo${i}(x: ${source}): ${source} { return x; }`;
    if (type.kind !== "record") return [echo];
    const store = `  @view keep${i}(x: ${source}): ${source} { cell${i}.value = x; return cell${i}.value; }`;
    return [echo, store];
  });
  const cells = schemas.flatMap(({ type, source }, i) =>
    type.kind === "record" ? [`const cell${i} = new StateCell<${source}>();`] : [],
  );
  return [
    `import { Address, Bytes16, Bytes32, Bytes4, Bytes64, Bytes8 } from "stillpoint/guest";`,
    `import { Option, StateCell, contract, max, record, u128, u256, view } from "stillpoint/guest";`,
    ...records,
    ...cells,
    "@contract class Echo {",
    ...functions,
    "}",
    "",
  ].join("\n");
}
