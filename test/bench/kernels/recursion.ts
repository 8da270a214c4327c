/** Fibonacci numbers by recursion: nothing but calls. */
function fib(n: i32): i32 {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

export function main(n: i64): i64 {
  return fib(<i32>n);
}
