/** Pseudo-random numbers and a running digest, for guests that make up their own work. */

export class Random {
  private state: u64;

  constructor(seed: u64) {
    this.state = seed;
  }

  next(): u32 {
    this.state = this.state * 6364136223846793005 + 1442695040888963407;
    return <u32>(this.state >> 33);
  }

  /** 0 to limit - 1. */
  below(limit: i32): i32 {
    return <i32>(this.next() % <u32>limit);
  }

  /** What the parent says goes into the numbers that follow. */
  stir(value: i64): void {
    this.state ^= <u64>value * 0x9e3779b97f4a7c15;
  }

  word(): string {
    let text = "";
    const length = 1 + this.below(9);
    for (let i = 0; i < length; i++) text += String.fromCharCode(97 + this.below(26));
    return text;
  }
}

/** FNV-1a over the UTF-16 units of a text. */
export function digest(text: string, start: u64 = 0xcbf29ce484222325): u64 {
  let hash = start;
  for (let i = 0; i < text.length; i++) hash = (hash ^ text.charCodeAt(i)) * 0x100000001b3;
  return hash;
}
