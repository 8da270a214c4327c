/**
 * Reads the S-expressions of WebAssembly's text format, as far as scripts (.wast) need it: the structure,
 * with the place of everything in the source. What is inside of modules is left to wabt.
 */

export interface Atom {
  readonly kind: "atom";
  readonly text: string;
  readonly start: number;
}

export interface Text {
  readonly kind: "string";
  readonly bytes: Uint8Array;
  readonly start: number;
}

export interface List {
  readonly kind: "list";
  readonly items: readonly Node[];
  readonly start: number;
  readonly end: number;
}

export type Node = Atom | Text | List;

const SIMPLE: Record<string, number> = { t: 9, n: 10, r: 13, '"': 34, "'": 39, "\\": 92 };
const DELIMITER = /[\s()";]/;

/** All forms of a source, in order. */
export function parseForms(source: string): Node[] {
  const top: Node[] = [];
  const open: { items: Node[]; start: number }[] = [];
  let at = 0;
  const add = (node: Node) => (open.at(-1)?.items ?? top).push(node);
  while (at < source.length) {
    const character = source[at] as string;
    if (/\s/.test(character)) {
      at++;
    } else if (source.startsWith(";;", at)) {
      while (at < source.length && source[at] !== "\n" && source[at] !== "\r") at++;
    } else if (source.startsWith("(;", at)) {
      at = blockComment(source, at);
    } else if (character === "(") {
      open.push({ items: [], start: at++ });
    } else if (character === ")") {
      const list = open.pop();
      if (list === undefined) throw new SyntaxError(`a closing parenthesis too many at ${at}`);
      at++;
      const made: List = { kind: "list", items: list.items, start: list.start, end: at };
      if (!head(made).startsWith("@")) add(made); // an annotation is a comment
    } else if (character === '"') {
      const start = at;
      const [bytes, end] = string(source, at);
      at = end;
      add({ kind: "string", bytes, start });
    } else {
      const start = at++;
      while (at < source.length && !DELIMITER.test(source[at] as string)) at++;
      add({ kind: "atom", text: source.slice(start, at), start });
    }
  }
  if (open.length > 0) throw new SyntaxError(`the parenthesis at ${open.at(-1)?.start} is never closed`);
  return top;
}

function blockComment(source: string, from: number): number {
  let depth = 0;
  for (let at = from; at < source.length; at++) {
    if (source.startsWith("(;", at)) {
      depth++;
      at++;
    } else if (source.startsWith(";)", at)) {
      at++;
      if (--depth === 0) return at + 1;
    }
  }
  throw new SyntaxError(`the comment at ${from} is never closed`);
}

function string(source: string, from: number): [Uint8Array, number] {
  const bytes: number[] = [];
  for (let at = from + 1; at < source.length; at++) {
    const character = source[at] as string;
    if (character === '"') return [Uint8Array.from(bytes), at + 1];
    if (character !== "\\") {
      const point = source.codePointAt(at) as number;
      bytes.push(...Buffer.from(String.fromCodePoint(point)));
      if (point > 0xffff) at++;
      continue;
    }
    const escaped = source[++at] as string;
    if (escaped in SIMPLE) {
      bytes.push(SIMPLE[escaped] as number);
    } else if (escaped === "u") {
      const end = source.indexOf("}", at);
      bytes.push(...Buffer.from(String.fromCodePoint(Number.parseInt(source.slice(at + 2, end), 16))));
      at = end;
    } else {
      bytes.push(Number.parseInt(source.slice(at, ++at + 1), 16));
    }
  }
  throw new SyntaxError(`the string at ${from} is never closed`);
}

/** The word a list begins with, else "". */
export function head(node: Node | undefined): string {
  const first = node?.kind === "list" ? node.items[0] : undefined;
  return first?.kind === "atom" ? first.text : "";
}
