/**
 * How values lie in state. Three kinds: integers and bool, as `load` and `store` see them; values (Address,
 * Bytes32 and the like, which have a `byteSize`), which are copied when they are read, as numbers are; and
 * records, unmanaged classes, which are used where they lie.
 */

/** Unit of conflicts in a batch. */
export const LINE_BYTES: u32 = 64;

/** Bytes that a T takes. Anything that is not one of the three kinds does not compile. */
export function bytesOf<T>(): u32 {
  if (isManaged<T>()) ERROR("state holds integers, bool, fixed bytes and records (unmanaged classes)");
  if (isFloat<T>()) ERROR("state holds no floating-point numbers");
  if (isReference<T>()) {
    // @ts-ignore: not every class has it
    if (isDefined(changetype<T>(0).byteSize)) return changetype<T>(0).byteSize;
    return <u32>offsetof<T>();
  }
  return <u32>sizeof<T>();
}

/** The T at `address`: its value, or the record itself. */
export function loadValue<T>(address: usize): T {
  if (isReference<T>()) {
    // @ts-ignore: only values have it
    if (isDefined(changetype<T>(0).clone())) return changetype<T>(address).clone();
    return changetype<T>(address);
  }
  return load<T>(address);
}

/** Copies `value` to `address`. */
export function storeValue<T>(address: usize, value: T): void {
  if (isReference<T>()) memory.copy(address, changetype<usize>(value), bytesOf<T>());
  else store<T>(address, value);
}

/** Is the T at `address` equal to `value`, byte by byte? */
export function sameValue<T>(address: usize, value: T): bool {
  if (isReference<T>()) return sameBytes(address, changetype<usize>(value), bytesOf<T>());
  return load<T>(address) == value;
}

export function sameBytes(a: usize, b: usize, length: u32): bool {
  let at: u32 = 0;
  for (; at + 8 <= length; at += 8) if (load<u64>(a + at) != load<u64>(b + at)) return false;
  if (at + 4 <= length) {
    if (load<u32>(a + at) != load<u32>(b + at)) return false;
    at += 4;
  }
  for (; at < length; at++) if (load<u8>(a + at) != load<u8>(b + at)) return false;
  return true;
}

/** The next multiple of `unit`, a power of two. */
export function roundUp(bytes: u32, unit: u32): u32 {
  return (bytes + unit - 1) & ~(unit - 1);
}

/** Checks where a collection lies: on lines of its own, and in declared state if it begins there. */
export function checkPlace(at: usize, bytes: u64): void {
  if (at % LINE_BYTES != 0) throw new Error("state: the address of a collection is a multiple of 64");
  if (<u64>at + bytes > <u64>u32.MAX_VALUE)
    throw new Error("state: the collection is larger than memory can be");
}
