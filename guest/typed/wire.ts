/**
 * The codec of typed programs, for code that the compiler of guests writes. One encoding for each value:
 * integers are little-endian and unpadded, bool is 0 or 1, strings and bytes are a u32 length and so many
 * bytes, strings are strict UTF-8, an option is a bool and perhaps its value, a vector is a u32 count and its
 * elements. Everything else fails with "input", and so does what is left over.
 *
 * An output is: u32 length of the events · events · result.
 */

import { Item, OUTPUT_LIMIT } from "../batch";
import { Option } from "./option";
import { FAILURE_FULL, FAILURE_INPUT, FAILURE_NO_FUNCTION, fail } from "../fail";

let at: usize = 0;
let end: usize = 0;
let out: usize = 0;
let events: u32 = 0;

export class Wire {
  // ---- input ----------------------------------------------------------------------------------------------

  /** Reads the bytes from `start` to `limit` from now on. */
  static begin(start: usize, limit: usize): void {
    if (limit < start) Wire.malformed();
    at = start;
    end = limit;
  }

  /** Must have read everything. */
  static end(): void {
    if (at != end) Wire.malformed();
  }

  /** The address of the next `length` bytes. */
  static take(length: usize): usize {
    const start = at;
    if (length > end - start) Wire.malformed();
    at = start + length;
    return start;
  }

  static scalar<T>(): T {
    return load<T>(Wire.take(sizeof<T>()));
  }

  static bool(): bool {
    return Wire.boolAt(Wire.take(1));
  }

  static boolAt(address: usize): bool {
    const byte = load<u8>(address);
    if (byte > 1) Wire.malformed();
    return byte == 1;
  }

  /** A view of the next `bytes` bytes. */
  static value<T>(bytes: usize): T {
    return changetype<T>(Wire.take(bytes));
  }

  static count(maximum: u32): u32 {
    const count = Wire.scalar<u32>();
    if (count > maximum) Wire.malformed();
    return count;
  }

  static string(maximum: u32): string {
    const length = Wire.count(maximum);
    const start = Wire.take(length);
    if (!isUtf8(start, start + length)) Wire.malformed();
    return String.UTF8.decodeUnsafe(start, length);
  }

  static bytes(maximum: u32): Uint8Array {
    const length = Wire.count(maximum);
    const start = Wire.take(length);
    const bytes = new Uint8Array(length);
    memory.copy(bytes.dataStart, start, length);
    return bytes;
  }

  static malformed(): void {
    fail("input", 0, FAILURE_INPUT);
  }

  static noSuchFunction(): void {
    fail("no such function", 0, FAILURE_NO_FUNCTION);
  }

  // ---- output ---------------------------------------------------------------------------------------------

  /** Begins an output without anything. */
  static start(): void {
    out = Item.output + 4;
    events = 0;
  }

  /** Room for `length` bytes more. */
  static room(length: usize): usize {
    const start = out;
    if (length > Item.output + OUTPUT_LIMIT - start) fail("full", 0, FAILURE_FULL);
    out = start + length;
    return start;
  }

  static put<T>(value: T): void {
    store<T>(Wire.room(sizeof<T>()), value);
  }

  static putValue(address: usize, length: usize): void {
    memory.copy(Wire.room(length), address, length);
  }

  static putString(value: string, maximum: u32): void {
    const length = <u32>String.UTF8.byteLength(value);
    if (length > maximum) fail("full", 0, FAILURE_FULL);
    Wire.put<u32>(length);
    String.UTF8.encodeUnsafe(changetype<usize>(value), value.length, Wire.room(length));
  }

  static putBytes(value: Uint8Array, maximum: u32): void {
    const length = <u32>value.length;
    if (length > maximum) fail("full", 0, FAILURE_FULL);
    Wire.put<u32>(length);
    memory.copy(Wire.room(length), value.dataStart, length);
  }

  /** A count of elements that follow. */
  static putCount(count: u32, maximum: u32): void {
    Wire.checkCount(count, maximum);
    Wire.put<u32>(count);
  }

  static checkCount(count: u32, maximum: u32): void {
    if (count > maximum) fail("full", 0, FAILURE_FULL);
  }

  /** Fails unless an array has as many elements as its type says. */
  static checkLength(length: u32, expected: u32): void {
    if (length != expected) fail("full", 0, FAILURE_FULL);
  }

  // ---- options --------------------------------------------------------------------------------------------

  static some<T>(value: T): Option<T> {
    return Option.some<T>(value);
  }

  static none<T>(): Option<T> {
    return Option.none<T>();
  }

  /** What was written so far are events. */
  static endOfEvents(): void {
    events = <u32>(out - Item.output) - 4;
  }

  /** The output is what was written. */
  static finish(): void {
    store<u32>(Item.output, events);
    Item.finish(<u32>(out - Item.output));
  }

  // ---- texts in state: u32 length · so many bytes · zeros
  // ---------------------------------------------------

  /** A copy of a record. */
  static copyOf(address: usize, bytes: usize): usize {
    const copy = heap.alloc(bytes);
    memory.copy(copy, address, bytes);
    return copy;
  }

  static loadString(address: usize): string {
    return String.UTF8.decodeUnsafe(address + 4, load<u32>(address));
  }

  static storeString(address: usize, maximum: u32, value: string): void {
    const length = <u32>String.UTF8.byteLength(value);
    if (length > maximum) fail("full", 0, FAILURE_FULL);
    memory.fill(address + 4, 0, maximum);
    store<u32>(address, length);
    String.UTF8.encodeUnsafe(changetype<usize>(value), value.length, address + 4);
  }

  static loadBytes(address: usize): Uint8Array {
    const length = load<u32>(address);
    const bytes = new Uint8Array(length);
    memory.copy(bytes.dataStart, address + 4, length);
    return bytes;
  }

  static storeBytes(address: usize, maximum: u32, value: Uint8Array): void {
    const length = <u32>value.length;
    if (length > maximum) fail("full", 0, FAILURE_FULL);
    memory.fill(address + 4, 0, maximum);
    store<u32>(address, length);
    memory.copy(address + 4, value.dataStart, length);
  }
}

/** No surrogates, no overlong forms, nothing beyond U+10FFFF. */
function isUtf8(start: usize, limit: usize): bool {
  let from = start;
  while (from < limit) {
    const first = <u32>load<u8>(from++);
    if (first < 0x80) continue;
    if (first < 0xc2 || first > 0xf4) return false;
    const more: usize = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (more > limit - from) return false;
    let low: u32 = 0x80;
    let high: u32 = 0xbf;
    if (first == 0xe0) low = 0xa0;
    else if (first == 0xed) high = 0x9f;
    else if (first == 0xf0) low = 0x90;
    else if (first == 0xf4) high = 0x8f;
    for (const next = from + more; from < next; from++) {
      const byte = <u32>load<u8>(from);
      if (byte < low || byte > high) return false;
      low = 0x80;
      high = 0xbf;
    }
  }
  return true;
}
