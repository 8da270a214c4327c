/**
 * Copies and compares bytes of large memories. A memory is a Uint8Array here, never a Buffer: methods of
 * Buffer that take offsets (`fill`, `copy`, `compare`, `toString`) go wrong beyond 2^31 or 2^32 on some
 * engines, without an error. A Buffer is used only where its size is bounded.
 */

import { assert } from "../errors.ts";

/** The `length` bytes from `from` on, without a copy. */
export function part(bytes: Uint8Array, from: number, length: number): Buffer {
  return checked(Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + from, length), length);
}

/** Copies `length` bytes of `source` at `from` to `target` at `to`. */
export function copyBytes(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  to: number,
  length: number,
): void {
  target.set(view(source, from, length), to);
}

/** Whether the `length` bytes of `a` at `from` are those of `b` at `other`. */
export function equalBytes(
  a: Uint8Array,
  from: number,
  b: Uint8Array,
  other: number,
  length: number,
): boolean {
  return Buffer.compare(view(a, from, length), view(b, other, length)) === 0;
}

/** As `part`, in half the time: for what is done page by page. */
function view(bytes: Uint8Array, from: number, length: number): Uint8Array {
  return checked(new Uint8Array(bytes.buffer, bytes.byteOffset + from, length), length);
}

/** V8 15 once gave an empty view, above 2^31 bytes: a hash of nothing is a wrong root. */
function checked<T extends Uint8Array>(view: T, length: number): T {
  assert(view.length === length, "bytes: the engine gave another view than was asked for");
  return view;
}
