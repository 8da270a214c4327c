/** What a process of `stillpoint/testing` uses of Node, for a page: Buffer, SHA-256, and names of nothing. */

import { sha256 } from "@noble/hashes/sha2.js";

type Encoding = "utf8" | "latin1" | "hex" | "base64" | "utf16le" | "buffer";

/** A Uint8Array with methods of Node's Buffer. */
class Bytes extends Uint8Array {
  override toString(encoding: Encoding = "utf8", from = 0, to = this.length): string {
    // Browsers decode no shared memory.
    const own = Uint8Array.from(this.subarray(from, to));
    if (encoding === "hex") return [...own].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (encoding === "latin1") return [...own].map((byte) => String.fromCharCode(byte)).join("");
    if (encoding === "utf8" || encoding === "utf16le") {
      return new TextDecoder(encoding === "utf8" ? "utf-8" : "utf-16le", { ignoreBOM: true }).decode(own);
    }
    throw new Error(`no text in ${encoding}`);
  }

  readUInt32LE(at = 0): number {
    return new DataView(this.buffer, this.byteOffset + at, 4).getUint32(0, true);
  }

  writeUInt32LE(value: number, at = 0): void {
    new DataView(this.buffer, this.byteOffset + at, 4).setUint32(0, value, true);
  }

  write(text: string, at: number, length: number, encoding: Encoding): number {
    const bytes = fromText(text, encoding).subarray(0, length);
    this.set(bytes, at);
    return bytes.length;
  }

  equals(other: Uint8Array): boolean {
    return compare(this, other) === 0;
  }
}

function fromText(text: string, encoding: Encoding = "utf8"): Bytes {
  const codes = (binary: string): Bytes => new Bytes([...binary].map((one) => one.charCodeAt(0)));
  if (encoding === "utf8") return new Bytes(new TextEncoder().encode(text));
  if (encoding === "latin1") return codes(text);
  if (encoding === "base64") return codes(atob(text));
  if (encoding === "hex")
    return new Bytes((text.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16)));
  throw new Error(`no bytes from ${encoding}`);
}

function from(
  source: string | ArrayBufferLike | ArrayLike<number>,
  a?: number | Encoding,
  b?: number,
): Bytes {
  if (typeof source === "string") return fromText(source, a as Encoding);
  if ("byteLength" in source && !ArrayBuffer.isView(source))
    return new Bytes(source as ArrayBuffer, a as number, b);
  return new Bytes(source as ArrayLike<number>);
}

function concat(list: readonly Uint8Array[]): Bytes {
  const all = new Bytes(list.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const one of list) {
    all.set(one, at);
    at += one.length;
  }
  return all;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) if (a[i] !== b[i]) return (a[i] as number) < (b[i] as number) ? -1 : 1;
  return Math.sign(a.length - b.length);
}

const alloc = (length: number): Bytes => new Bytes(length);

/** Node's global. */
export const Buffer = Object.assign(Bytes, { from, concat, compare, alloc, allocUnsafe: alloc });

/** Node's global. */
export const process = { env: {}, versions: {} };

/** Of node:crypto. */
export function createHash(name: string) {
  if (name !== "sha256") throw new Error(`no hash ${name}`);
  const state = sha256.create();
  const hash = {
    update(data: string | Uint8Array) {
      // A view of shared memory is copied: the library takes none.
      state.update(typeof data === "string" ? fromText(data) : Uint8Array.from(data));
      return hash;
    },
    digest(encoding: Encoding = "buffer"): string | Bytes {
      const bytes = new Bytes(state.digest());
      return encoding === "buffer" ? bytes : bytes.toString(encoding);
    },
  };
  return hash;
}

/** Of node:crypto. */
export function hash(name: string, data: string | Uint8Array, encoding: Encoding = "hex"): string | Bytes {
  return createHash(name).update(data).digest(encoding);
}

/** Of node:module; there are no sources of programs in the page. */
export class SourceMap {}
