/**
 * Endless work: `run` never returns, `writing` touches a page after the other, `calling` calls all the time.
 */

const area: usize = memory.data(64, 8);
let rounds: u64 = 0;

export function run(argument: i64): i64 {
  while (true) rounds += 1;
}

export function writing(argument: i64): i64 {
  const end = (<usize>memory.size()) << 16;
  while (true) {
    for (let at = (area + 4095) & ~4095; at < end; at += 4096) store<u64>(at, load<u64>(at) + 1);
    rounds += 1;
  }
}

export function calling(argument: i64): i64 {
  while (true) rounds = step(rounds, 3);
}

function step(value: u64, depth: i32): u64 {
  return depth ? step(value + 1, depth - 1) : value;
}
