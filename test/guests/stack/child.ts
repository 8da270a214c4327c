/** Faults of every kind, each in a function below the entry; the test finds its line by the comment. */

const words: usize = memory.data(64, 8);

function twice(value: i32): i32 {
  return value * 2;
}

function divide(a: i32, b: i32): i32 {
  return a / b; // divide
}

function reach(address: usize): i32 {
  return load<i32>(address); // reach
}

function refuse(amount: i32): i32 {
  if (amount > 3) throw new Error("too much"); // refuse
  return amount;
}

function spin(turns: i32): i32 {
  let sum = 0;
  for (let i = 0; i != turns; i++) sum += twice(load<i32>(words) + i); // spin
  return sum;
}

function descend(depth: i32): i32 {
  return descend(depth + 1) + depth; // descend
}

function copy(length: i32): i32 {
  memory.copy(words, words + 1, length); // copy
  return 0;
}

export function go(which: i64): i64 {
  store<i32>(words, 1);
  if (which == 0) return divide(7, <i32>which); // go divide
  if (which == 1) return reach(<usize>0x7fffff00); // go reach
  if (which == 2) return refuse(4); // go refuse
  if (which == 3) return spin(-1); // go spin
  if (which == 4) return descend(0); // go descend
  return copy(0x200000); // go copy
}
