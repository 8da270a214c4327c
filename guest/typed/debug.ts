/**
 * What `debug` becomes in the programs of tests, and in no other: texts of values, which the host prints. The
 * compiler of guests writes the calls.
 */

import { u128, u256 } from "../integers";
import { U256 } from "../u256";

/** The file's name is the module name of the import. */
export declare function print(file: string, line: u32, text: string): void;

const number: usize = memory.data(32, 8);

/** A value as people read it. */
export function printed<T>(value: T): string {
  if (isString<T>()) return changetype<string>(changetype<usize>(value));
  if (isBoolean<T>()) return value ? "true" : "false";
  // @ts-ignore: an integer has it
  if (isInteger<T>() || isFloat<T>()) return value.toString();
  if (value instanceof u128) return decimal(changetype<usize>(value), 16);
  if (value instanceof u256) return decimal(changetype<usize>(value), 32);
  if (isArrayLike<T>(value)) return list<T>(value);
  // @ts-ignore: the compiler of guests adds it to records
  if (isDefined(value.__text)) return value.__text();
  // @ts-ignore: an option has it
  if (isDefined(value.isSome)) return value.isSome ? printed(value.value) : "none";
  // @ts-ignore: fixed bytes have it
  if (isDefined(value.byteSize)) return hex(changetype<usize>(value), value.byteSize);
  return nameof<T>();
}

function list<T>(value: T): string {
  let text = "[";
  // @ts-ignore: it is like an array
  for (let i = 0; i < value.length; i++) text += (i > 0 ? ", " : "") + printed(value[i]);
  return text + "]";
}

function hex(address: usize, bytes: u32): string {
  let text = "0x";
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = <u32>load<u8>(address + i);
    // @ts-ignore: an integer has it
    text += (byte < 16 ? "0" : "") + byte.toString(16);
  }
  return text;
}

function decimal(address: usize, bytes: usize): string {
  memory.fill(number, 0, 32);
  memory.copy(number, address, bytes);
  let text = "";
  do {
    // @ts-ignore: an integer has it
    text = U256.divideU64(number, number, 10).toString() + text;
  } while (!U256.isZero(number));
  return text;
}
