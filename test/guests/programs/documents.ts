/**
 * A store of JSON documents that is changed in steps: makes up documents, prints and parses them, changes
 * them through text, and suspends in RET between steps and in the middle of printing.
 *   run(steps)   RET gives the digest of all texts so far; what RET returns is stirred into the next numbers
 */

import { ret } from "../../../guest/index.ts";
import { BOOLEAN, LIST, NUMBER, Parser, RECORD, TEXT, Value, print } from "./json.ts";
import { Random, digest } from "./random.ts";

const documents = new Map<string, string>();
let random = new Random(1);

export function run(steps: i64): i64 {
  let sum = digest("documents");
  for (let step: i64 = 0; step < steps; step++) {
    const fresh = document(5);
    const text = print(fresh);
    const name = `${random.word()}-${step}`;
    documents.set(name, text);
    // The tree is held while the process is suspended, by this frame alone.
    random.stir(ret(<i64>digest(text, sum)));
    const again = new Parser(text).parse();
    if (again.size() != fresh.size() || print(again) != text) throw new Error(`documents: ${name} changed`);
    const names = documents.keys();
    const other = names[random.below(names.length)];
    documents.set(other, change(documents.get(other)));
    if (documents.size > 30) documents.delete(names[random.below(names.length)]);
    sum = digest(documents.get(documents.keys()[0]), sum);
  }
  return <i64>allTexts(sum);
}

function allTexts(start: u64): u64 {
  let sum = start;
  const names = documents.keys().sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  for (let i = 0; i < names.length; i++) {
    if (i % 8 == 0) random.stir(ret(i));
    sum = digest(documents.get(names[i]), digest(names[i], sum));
  }
  return sum;
}

function document(depth: i32): Value {
  const kind = depth == 5 ? RECORD : random.below(depth == 0 ? LIST : RECORD + 1);
  const value = Value.of(kind);
  if (kind == BOOLEAN) value.number = random.below(2);
  else if (kind == NUMBER) value.number = <f64>(random.below(2000) - 1000) / (random.below(2) ? 1 : 8);
  else if (kind == TEXT)
    value.text = random.below(4) ? random.word() : `a "quoted"\n\\ ${random.word()} \t ü€`;
  else if (kind == LIST) {
    for (let i = random.below(6); i > 0; i--) value.list.push(document(depth - 1));
  } else if (kind == RECORD) {
    for (let i = 2 + random.below(5); i > 0; i--) value.record.set(random.word(), document(depth - 1));
  }
  return value;
}

/** Parses, adds to every list and record, drops the first key of large records, prints. */
function change(text: string): string {
  const value = new Parser(text).parse();
  grow(value, 0);
  return print(value);
}

function grow(value: Value, depth: i32): void {
  for (let i = 0; i < value.list.length; i++) grow(value.list[i], depth + 1);
  const keys = value.record.keys();
  for (let i = 0; i < keys.length; i++) grow(value.record.get(keys[i]), depth + 1);
  if (value.kind == LIST && value.list.length < 8) value.list.push(Value.number(depth));
  if (value.kind == RECORD) {
    if (keys.length > 6) value.record.delete(keys[0]);
    value.record.set(`k${depth}`, Value.text(`${keys.length}`));
  }
}
