/**
 * Suspends in RET in every awkward place. Let r(c) be the argument of the START that follows RET(c).
 *   loop(n)     a = 1; f = 0.5; for i = 0 … n-1: { x = r(a + i); a = a × 31 + x; f = f × 0.75 + x };
 *               returns a xor bits(f)
 *   calls(n)    down(n), where down(0) = r(0) and
 *               down(k) = { x = r(k); y = down(k - 1); return x × 3 + y + k + r(-k) }
 *   closure(n)  a = 7; for i = 0 … n-1: a = table(i)(a, i), a call_indirect; table(i) is the i % 3rd of
 *               add(a, i) = a + r(i), multiply(a, i) = a × r(i) + i, twice(a, i) = table(i + 1)(r(a), i)
 *   immediate(n) returns r(n)
 * All arithmetic on i64 wraps.
 */

import { ret } from "../../guest/stillpoint.ts";

type Step = (a: i64, i: i64) => i64;

function table(i: i64): Step {
  const k = i % 3;
  return k == 0 ? add : k == 1 ? multiply : twice;
}

export function loop(n: i64): i64 {
  let a: i64 = 1;
  let f: f64 = 0.5;
  for (let i: i64 = 0; i < n; i++) {
    const x = ret(a + i);
    a = a * 31 + x;
    f = f * 0.75 + <f64>x;
  }
  return a ^ reinterpret<i64>(f);
}

export function calls(n: i64): i64 {
  return down(n);
}

function down(k: i64): i64 {
  if (k == 0) return ret(0);
  const x = ret(k);
  const y = down(k - 1);
  return x * 3 + y + k + ret(-k);
}

export function closure(n: i64): i64 {
  let a: i64 = 7;
  for (let i: i64 = 0; i < n; i++) a = table(i)(a, i);
  return a;
}

function add(a: i64, i: i64): i64 {
  return a + ret(i);
}

function multiply(a: i64, i: i64): i64 {
  return a * ret(i) + i;
}

function twice(a: i64, i: i64): i64 {
  return table(i + 1)(ret(a), i);
}

export function immediate(n: i64): i64 {
  return ret(n);
}
