/**
 * Copies that use everything the language manages (strings, maps, objects that the collector moves about),
 * and give back numbers in arrays. To be compiled with each runtime of AssemblyScript.
 */

import { Parallel, memoryQuota } from "../../../guest/index.ts";

export { forked } from "../../../guest/index";

const COPIES: i32 = 6;
const WORDS: i32 = 600;

class Entry {
  constructor(
    readonly word: string,
    public count: i32,
  ) {}
}

const words: string[] = [];
const lengths: Array<i32> = new Array<i32>(COPIES);
let results: StaticArray<f64> = new StaticArray<f64>(COPIES);

/** Fills arrays of numbers from copies; a digest of them and of what this process holds itself. */
export function run(rounds: i64): i64 {
  for (let i = words.length; i < WORDS; i++) words.push(`${"abc".charAt(i % 3)}${(i * i) % 97}`);
  const held = new Map<string, Entry>();
  count(held, 0);
  for (let round: i64 = 0; round < rounds; round++) {
    Parallel.of(COPIES)
      .quota(memoryQuota(memory.size() + 32))
      .merge(changetype<usize>(results), COPIES * sizeof<f64>())
      .merge(lengths.dataStart, COPIES * sizeof<i32>())
      .run(work, round);
  }
  let digest: i64 = held.size;
  for (let i = 0; i < COPIES; i++) digest = digest * 31 + <i64>results[i] + lengths[i];
  const keys = held.keys();
  for (let i = 0; i < keys.length; i++) digest = digest * 31 + held.get(keys[i]).count;
  return digest;
}

function count(into: Map<string, Entry>, skip: i32): void {
  for (let i = skip; i < words.length; i++) {
    const word = words[i];
    if (!into.has(word)) into.set(word, new Entry(word, 0));
    into.get(word).count++;
  }
}

function work(index: i32, round: i64): void {
  const own = new Map<string, Entry>();
  let text = "";
  for (let pass = 0; pass < 4; pass++) {
    own.clear();
    count(own, index * 7 + pass);
    text = "";
    const entries = own.values().sort((a, b) => b.count - a.count || (a.word < b.word ? -1 : 1));
    for (let i = 0; i < entries.length; i++) text += `${entries[i].word}=${entries[i].count};`;
  }
  words.push(text); // in the copy only
  results[index] += <f64>text.length / 2 + <f64>round;
  lengths[index] = words.length + index;
}
