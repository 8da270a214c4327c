/**
 * A lending library in steps: classes with inheritance, maps and sets of objects, sorting by several keys,
 * text tables. Suspends in RET between steps, and inside of a callback of a sort.
 *   run(steps)   RET gives the digest of the report of the step; what RET returns is stirred in
 */

import { ret } from "../../../guest/index.ts";
import { Random, digest } from "./random.ts";

class Item {
  readers: Set<i32> = new Set();

  constructor(
    readonly id: i32,
    readonly title: string,
    readonly year: i32,
  ) {}

  label(): string {
    return `${`${this.id}`.padStart(5, "0")} ${this.title}`;
  }
}

class Book extends Item {
  constructor(
    id: i32,
    title: string,
    year: i32,
    readonly authors: string[],
  ) {
    super(id, title, year);
  }

  label(): string {
    return `${super.label()} by ${this.authors.join(" and ")} (${this.year})`;
  }
}

class Record extends Item {
  constructor(
    id: i32,
    title: string,
    year: i32,
    readonly minutes: f32,
  ) {
    super(id, title, year);
  }

  label(): string {
    return `${super.label()}, ${this.minutes} min`;
  }
}

class Reader {
  items: Map<i32, Item> = new Map();
  /** The reader that brought this one, so that the objects form a graph. */
  friend: Reader | null = null;

  constructor(
    readonly id: i32,
    readonly name: string,
  ) {}
}

const items = new Map<i32, Item>();
const byWord = new Map<string, Set<i32>>();
const readers: Reader[] = [];
let random = new Random(2);
let comparisons = 0;

export function run(steps: i64): i64 {
  let sum = digest("library");
  for (let i: i64 = 0; i < steps; i++) {
    for (let k = 0; k < 12; k++) acquire();
    for (let k = 0; k < 40; k++) lend();
    if (items.size > 150) discard();
    const table = report();
    sum = digest(table, sum);
    random.stir(ret(<i64>sum));
  }
  return <i64>digest(oldest(), sum);
}

function acquire(): void {
  const id = items.size == 0 ? 1 : 1 + items.keys()[items.size - 1];
  const words = [random.word(), random.word(), random.word()];
  const title = words.join(" ");
  const year = 1500 + random.below(500);
  let item: Item;
  if (random.below(3)) {
    const authors = [random.word().toUpperCase()];
    if (random.below(4) == 0) authors.push(random.word().toUpperCase());
    item = new Book(id, title, year, authors);
  } else {
    item = new Record(id, title, year, <f32>random.below(1000) / 10);
  }
  items.set(id, item);
  for (let i = 0; i < words.length; i++) {
    const key = words[i].substring(0, 2);
    if (!byWord.has(key)) byWord.set(key, new Set());
    byWord.get(key).add(id);
  }
  if (random.below(2)) {
    const reader = new Reader(readers.length, random.word());
    if (readers.length) reader.friend = readers[random.below(readers.length)];
    readers.push(reader);
  }
}

function lend(): void {
  if (readers.length == 0) return;
  const reader = readers[random.below(readers.length)];
  const words = byWord.keys();
  const ids = byWord.get(words[random.below(words.length)]).values();
  if (ids.length == 0) return;
  const item = items.get(ids[random.below(ids.length)]);
  if (reader.items.has(item.id)) {
    reader.items.delete(item.id);
    item.readers.delete(reader.id);
  } else {
    reader.items.set(item.id, item);
    item.readers.add(reader.id);
  }
}

/** Takes a third of the items out of everything that refers to them. */
function discard(): void {
  const ids = items.keys();
  for (let i = 0; i < ids.length; i += 3) {
    const item = items.get(ids[i]);
    const holders = item.readers.values();
    for (let k = 0; k < holders.length; k++) readers[holders[k]].items.delete(item.id);
    const words = item.title.split(" ");
    for (let k = 0; k < words.length; k++) byWord.get(words[k].substring(0, 2)).delete(item.id);
    items.delete(item.id);
  }
}

/** Items by number of readers, year, and title, as text. */
function report(): string {
  const sorted = items.values();
  sorted.sort((a, b) => {
    if (++comparisons % 997 == 0) random.stir(ret(comparisons));
    if (a.readers.size != b.readers.size) return b.readers.size - a.readers.size;
    if (a.year != b.year) return a.year - b.year;
    return a.title < b.title ? -1 : a.title > b.title ? 1 : 0;
  });
  const lines: string[] = [];
  for (let i = 0; i < sorted.length; i++) {
    lines.push(`${sorted[i].label()}: ${sorted[i].readers.values().join(" ")}`);
  }
  return lines.join("\n").replaceAll("and", "&");
}

/** The chain of friends of the last reader. */
function oldest(): string {
  let text = "";
  let reader: Reader | null = readers.length ? readers[readers.length - 1] : null;
  while (reader) {
    text += `${reader.name} ${reader.items.size};`;
    reader = reader.friend;
  }
  return text;
}
