/** The SDK's names of codes: an entry for each kind gives the length of the text, which stands at `text`. */

import { errorName, faultName, reasonName } from "../../guest/index";

const CAPACITY = 64;
const buffer: usize = memory.data(CAPACITY);

export function text(argument: i64): i64 {
  return buffer;
}

export function error(code: i64): i64 {
  return write(errorName(<i32>code));
}

export function fault(code: i64): i64 {
  return write(faultName(<u32>code));
}

export function reason(code: i64): i64 {
  return write(reasonName(<u32>code));
}

function write(name: string): i64 {
  return String.UTF8.encodeUnsafe(changetype<usize>(name), name.length, buffer);
}
