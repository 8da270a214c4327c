/**
 * An entry for each kind of fault. Each first writes 1 to the word at `markAddress(0)`, which the fault takes
 * back. The faulting operands come from the argument, so that no compiler finds out: pass 0. The two
 * conversions only fault when compiled with `{ disable: ["nontrapping-f2i"] }`; else they saturate.
 */

const mark: usize = memory.data(8, 8);
const holder: usize = memory.data(16, 8);

export function markAddress(argument: i64): i64 {
  return mark;
}

/** Returns the mark: 0 unless somebody set it and returned. */
export function markValue(argument: i64): i64 {
  return load<i64>(mark);
}

export function setMark(argument: i64): i64 {
  store<i64>(mark, argument);
  return argument;
}

function begin(): void {
  store<i64>(mark, 1);
}

export function unreachableCode(argument: i64): i64 {
  begin();
  unreachable();
  return argument;
}

export function abortWithMessage(argument: i64): i64 {
  begin();
  throw new Error("the guest's message: äöü €");
}

export function abortWithoutMessage(argument: i64): i64 {
  begin();
  abort();
  return 0;
}

export function assertion(argument: i64): i64 {
  begin();
  assert(argument != 0, "argument is zero");
  return argument;
}

export function loadOutside(argument: i64): i64 {
  begin();
  return load<i64>(<usize>(argument - 4));
}

export function storeOutside(argument: i64): i64 {
  begin();
  store<i64>(((<usize>memory.size()) << 16) - 4 + <usize>argument, -1);
  return 0;
}

export function fillOutside(argument: i64): i64 {
  begin();
  memory.fill(((<usize>memory.size()) << 16) - 100 + <usize>argument, 1, 101);
  return 0;
}

export function copyOutside(argument: i64): i64 {
  begin();
  memory.copy(mark, <usize>(argument - 1), 8);
  return 0;
}

export function divideByZero(argument: i64): i64 {
  begin();
  return 7 / argument;
}

export function divideByZero32(argument: i64): i64 {
  begin();
  return 7 / <i32>argument;
}

export function remainderByZero(argument: i64): i64 {
  begin();
  return <i64>(7 % <u64>argument);
}

export function divisionOverflow(argument: i64): i64 {
  begin();
  return i64.MIN_VALUE / (argument - 1);
}

export function divisionOverflow32(argument: i64): i64 {
  begin();
  return i32.MIN_VALUE / (<i32>argument - 1);
}

export function badConversion(argument: i64): i64 {
  begin();
  return <i64>(1e300 + <f64>argument);
}

export function notANumberConversion(argument: i64): i64 {
  begin();
  return <i32>(<f32>NaN + <f32>argument);
}

type Unary = (a: i64) => i64;
type Binary = (a: i64, b: i64) => i64;

function unary(a: i64): i64 {
  return a + 1;
}

function binary(a: i64, b: i64): i64 {
  return a - b;
}

/**
 * A function reference in AssemblyScript points to a table index in memory; this makes one with any index.
 */
function reference(index: u32): usize {
  store<u32>(holder, index);
  return holder;
}

export function callOutsideTable(argument: i64): i64 {
  begin();
  return changetype<Unary>(reference(1000 + <u32>argument))(argument);
}

export function wrongType(argument: i64): i64 {
  begin();
  const f: Binary = argument ? changetype<Binary>(reference(1)) : binary;
  return changetype<Unary>(reference(load<u32>(changetype<usize>(f))))(argument);
}

/** Index 0 of an AssemblyScript table is empty. */
export function emptyElement(argument: i64): i64 {
  begin();
  const f: Unary = unary;
  return changetype<Unary>(reference(load<u32>(changetype<usize>(f)) * <u32>argument))(argument);
}

export function right(argument: i64): i64 {
  const f: Unary = argument == -1 ? reverse : unary;
  return changetype<Unary>(reference(load<u32>(changetype<usize>(f))))(argument);
}

function reverse(a: i64): i64 {
  return -a;
}
