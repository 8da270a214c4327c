/** JSON: values, a parser and a printer. Objects keep the order of their keys. */

export const NULL = 0;
export const BOOLEAN = 1;
export const NUMBER = 2;
export const TEXT = 3;
export const LIST = 4;
export const RECORD = 5;

export class Value {
  kind: i32 = NULL;
  number: f64 = 0;
  text: string = "";
  list: Value[] = [];
  record: Map<string, Value> = new Map();

  static of(kind: i32): Value {
    const value = new Value();
    value.kind = kind;
    return value;
  }

  static number(number: f64): Value {
    const value = Value.of(NUMBER);
    value.number = number;
    return value;
  }

  static text(text: string): Value {
    const value = Value.of(TEXT);
    value.text = text;
    return value;
  }

  /** Number of values inside, itself included. */
  size(): i32 {
    let size = 1;
    for (let i = 0; i < this.list.length; i++) size += this.list[i].size();
    const inner = this.record.values();
    for (let i = 0; i < inner.length; i++) size += inner[i].size();
    return size;
  }
}

// ---- printing ---------------------------------------------------------------------------------------------

export function print(value: Value): string {
  switch (value.kind) {
    case NULL:
      return "null";
    case BOOLEAN:
      return value.number != 0 ? "true" : "false";
    case NUMBER:
      return printNumber(value.number);
    case TEXT:
      return quote(value.text);
    case LIST: {
      const parts: string[] = [];
      for (let i = 0; i < value.list.length; i++) parts.push(print(value.list[i]));
      return `[${parts.join(",")}]`;
    }
  }
  const keys = value.record.keys();
  const parts: string[] = [];
  for (let i = 0; i < keys.length; i++) parts.push(`${quote(keys[i])}:${print(value.record.get(keys[i]))}`);
  return `{${parts.join(",")}}`;
}

function printNumber(number: f64): string {
  const whole = <i64>number;
  return <f64>whole == number ? `${whole}` : `${number}`;
}

const HEX = "0123456789abcdef";

function quote(text: string): string {
  let quoted = '"';
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit == 0x22 || unit == 0x5c) quoted += "\\" + String.fromCharCode(unit);
    else if (unit == 10) quoted += "\\n";
    else if (unit < 32) quoted += `\\u00${HEX.charAt(unit >> 4)}${HEX.charAt(unit & 15)}`;
    else quoted += String.fromCharCode(unit);
  }
  return `${quoted}"`;
}

// ---- parsing ----------------------------------------------------------------------------------------------

export class Parser {
  private at: i32 = 0;

  constructor(private readonly source: string) {}

  /** The one value of the text; aborts with the place of what is wrong. */
  parse(): Value {
    const value = this.value();
    this.space();
    if (this.at != this.source.length) this.fail("end of text");
    return value;
  }

  private fail(expected: string): void {
    throw new Error(`JSON: expected ${expected} at ${this.at}`);
  }

  private peek(): i32 {
    return this.at < this.source.length ? this.source.charCodeAt(this.at) : -1;
  }

  private space(): void {
    while (this.peek() == 32 || this.peek() == 10 || this.peek() == 9 || this.peek() == 13) this.at++;
  }

  private take(unit: i32): bool {
    this.space();
    if (this.peek() != unit) return false;
    this.at++;
    return true;
  }

  private word(word: string, value: Value): Value {
    if (this.source.substr(this.at, word.length) != word) this.fail(word);
    this.at += word.length;
    return value;
  }

  private value(): Value {
    this.space();
    const unit = this.peek();
    if (unit == 0x7b) return this.record();
    if (unit == 0x5b) return this.list();
    if (unit == 0x22) return Value.text(this.text());
    if (unit == 0x74) {
      const yes = Value.of(BOOLEAN);
      yes.number = 1;
      return this.word("true", yes);
    }
    if (unit == 0x66) return this.word("false", Value.of(BOOLEAN));
    if (unit == 0x6e) return this.word("null", Value.of(NULL));
    return this.number();
  }

  private number(): Value {
    const start = this.at;
    while (isNumberUnit(this.peek())) this.at++;
    if (this.at == start) this.fail("a value");
    return Value.number(F64.parseFloat(this.source.substring(start, this.at)));
  }

  private text(): string {
    if (!this.take(0x22)) this.fail('"');
    const parts: string[] = [];
    let start = this.at;
    while (this.peek() != 0x22) {
      const unit = this.peek();
      if (unit < 32) this.fail("a character of a string");
      this.at++;
      if (unit != 0x5c) continue;
      parts.push(this.source.substring(start, this.at - 1));
      const escape = this.peek();
      this.at++;
      if (escape == 0x6e) parts.push("\n");
      else if (escape == 0x75) {
        parts.push(String.fromCharCode(<i32>I32.parseInt(this.source.substr(this.at, 4), 16)));
        this.at += 4;
      } else parts.push(String.fromCharCode(escape));
      start = this.at;
    }
    parts.push(this.source.substring(start, this.at));
    this.at++;
    return parts.join("");
  }

  private list(): Value {
    const value = Value.of(LIST);
    this.at++;
    if (this.take(0x5d)) return value;
    do {
      value.list.push(this.value());
    } while (this.take(0x2c));
    if (!this.take(0x5d)) this.fail("]");
    return value;
  }

  private record(): Value {
    const value = Value.of(RECORD);
    this.at++;
    if (this.take(0x7d)) return value;
    do {
      this.space();
      const key = this.text();
      if (!this.take(0x3a)) this.fail(":");
      value.record.set(key, this.value());
    } while (this.take(0x2c));
    if (!this.take(0x7d)) this.fail("}");
    return value;
  }
}

function isNumberUnit(unit: i32): bool {
  return (unit >= 0x30 && unit <= 0x39) || unit == 0x2d || unit == 0x2b || unit == 0x2e || unit == 0x65;
}
