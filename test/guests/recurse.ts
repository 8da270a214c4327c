/**
 * Unbounded and bounded recursion. The depth reached stands in memory at `depthAddress(0)`, which a fault
 * takes back.
 *   run(0)       direct recursion without end
 *   mutual(0)    two functions that call each other
 *   indirect(0)  through a table
 *   wide(0)      with many locals alive across the call
 *   bounded(n)   n calls deep, returns n
 */

const depth: usize = memory.data(8, 8);

type Step = (n: i64) => i64;

export function depthAddress(argument: i64): i64 {
  return depth;
}

export function run(argument: i64): i64 {
  store<i64>(depth, argument);
  return run(argument + 1) + 1;
}

export function bounded(n: i64): i64 {
  return n <= 0 ? 0 : bounded(n - 1) + 1;
}

export function mutual(argument: i64): i64 {
  store<i64>(depth, argument);
  return other(argument + 1) ^ 5;
}

function other(argument: i64): i64 {
  return mutual(argument + 1) * 3;
}

export function indirect(argument: i64): i64 {
  store<i64>(depth, argument);
  return choose(argument)(argument + 1) + 1;
}

function choose(n: i64): Step {
  return n % 2 == 0 ? indirect : sideways;
}

function sideways(argument: i64): i64 {
  return choose(argument)(argument + 1) * 7;
}

export function wide(n: i64): i64 {
  const a = n + 1;
  const b = n * 3;
  const c = n ^ 0x55;
  const d = n << 3;
  const e = <f64>n * 0.5;
  const f = n - 9;
  const g = n | 0x100;
  const h = rotl<i64>(n, 7);
  const below = wide(n + 1);
  return (
    (below ^ a) + (below ^ b) + (below ^ c) + (below ^ d) + <i64>e + (below ^ f) + (below ^ g) + (below ^ h)
  );
}
