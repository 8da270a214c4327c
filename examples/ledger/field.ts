/**
 * Reading JSON from outside: a value that knows the file and the place it stands in, and takes nothing for
 * granted.
 *
 * Every reader returns a value of the type it promises or throws UsageError BAD_BLOCK_FILE with the file, the
 * path inside it, what was expected, what was found and what to do.
 */

import { readFileSync } from "node:fs";
import { UsageError } from "../../runtime/errors.ts";

export const U256_LIMIT = 1n << 256n;

/** The text of a file, or UsageError BAD_BLOCK_FILE. */
export function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const message = `${file}: cannot be read: ${(cause as Error).message}`;
    throw new UsageError("BAD_BLOCK_FILE", message, { file, path: "" }, { cause });
  }
}

/** A value inside a parsed JSON file. */
export class Field {
  readonly value: unknown;
  readonly #file: string;
  readonly #path: string;

  constructor(value: unknown, file: string, path: string) {
    this.value = value;
    this.#file = file;
    this.#path = path;
  }

  static ofText(text: string, file: string): Field {
    try {
      return new Field(JSON.parse(text), file, "");
    } catch (cause) {
      const message = `${file}: is not JSON: ${(cause as Error).message}; replace the file by an intact copy`;
      throw new UsageError("BAD_BLOCK_FILE", message, { file, path: "" }, { cause });
    }
  }

  member(name: string): Field {
    const object = this.#object();
    const path = this.#path === "" ? name : `${this.#path}.${name}`;
    const field = new Field(Object.hasOwn(object, name) ? object[name] : undefined, this.#file, path);
    if (field.value === undefined) field.reject("a value", "add the field", "no such field");
    return field;
  }

  members(): [string, Field][] {
    return Object.entries(this.#object()).map(([key, value]) => [
      key,
      new Field(value, this.#file, `${this.#path}["${cut(key)}"]`),
    ]);
  }

  elements(): Field[] {
    if (!Array.isArray(this.value)) this.reject("a list", "write it in square brackets");
    return this.value.map((value, i) => new Field(value, this.#file, `${this.#path}[${i}]`));
  }

  /** The same place with another value: a key instead of what stands under it. */
  named(key: string): Field {
    return new Field(key, this.#file, this.#path);
  }

  /** A whole number from 0 to `maximum`, written as a JSON number. */
  integer(maximum = Number.MAX_SAFE_INTEGER): number {
    const { value } = this;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > maximum) {
      this.reject(`a whole number from 0 to ${maximum}`, "write it without quotes, sign or fraction");
    }
    return value;
  }

  /** An amount below 2^256, written as a decimal string. */
  amount(): bigint {
    const { value } = this;
    if (typeof value !== "string" || !/^(0|[1-9][0-9]{0,77})$/.test(value) || BigInt(value) >= U256_LIMIT) {
      this.reject("an amount below 2^256", "write it as a decimal string, without sign or leading zeros");
    }
    return BigInt(value);
  }

  boolean(): boolean {
    if (typeof this.value !== "boolean") this.reject("true or false", "write one of the two without quotes");
    return this.value;
  }

  /** `bytes` bytes as hexadecimal digits with the prefix 0x; returned in lower case. */
  hex(bytes: number): string {
    const { value } = this;
    if (typeof value !== "string" || !/^0x[0-9a-fA-F]*$/.test(value) || value.length !== 2 + 2 * bytes) {
      this.reject(`${bytes} bytes`, `write them as a string of 0x and ${2 * bytes} hexadecimal digits`);
    }
    return value.toLowerCase();
  }

  /** A SHA-256 as lower-case hexadecimal digits without a prefix. */
  digest(): string {
    const { value } = this;
    if (typeof value !== "string" || !/^[0-9a-f]{64}$/.test(value)) {
      this.reject("32 bytes", "write them as a string of 64 lower-case hexadecimal digits");
    }
    return value;
  }

  reject(expected: string, remedy: string, found = describe(this.value)): never {
    const path = this.#path === "" ? "the whole file" : this.#path;
    const message = `${this.#file}: ${path}: expected ${expected}, found ${found}; ${remedy}`;
    throw new UsageError("BAD_BLOCK_FILE", message, { file: this.#file, path: this.#path, found });
  }

  #object(): Record<string, unknown> {
    if (typeof this.value !== "object" || this.value === null || Array.isArray(this.value)) {
      this.reject("an object", "write it in braces");
    }
    return this.value as Record<string, unknown>;
  }
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  return cut(JSON.stringify(value));
}

function cut(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 80)}… (${text.length} characters)`;
}
