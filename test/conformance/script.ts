/** A test script as commands: what to instantiate, what to call, and what is to come of it. */

import { readFileSync } from "node:fs";
import { type Atom, head, type List, type Node, parseForms } from "./syntax.ts";

/** A module as a script has it: binary, or text for wabt. */
export type Source =
  | { readonly kind: "binary"; readonly bytes: Uint8Array }
  /** `quoted`: the script gives it in strings, mostly to test parsers of the text format. */
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean };

/** A call of an exported function, or a look at an exported global. */
export interface Action {
  readonly kind: "invoke" | "get";
  readonly instance: string | null;
  readonly field: string;
  readonly parameters: readonly List[];
}

export type Command = { readonly line: number } & (
  | {
      readonly kind: "module";
      readonly source: Source;
      readonly name: string | null;
      /** Only declared; `instance` commands make instances of it. */
      readonly definition: boolean;
    }
  | { readonly kind: "instance"; readonly name: string | null; readonly of: string | null }
  | { readonly kind: "register"; readonly instance: string | null; readonly as: string }
  | { readonly kind: "action"; readonly action: Action }
  | { readonly kind: "assert_return"; readonly action: Action; readonly results: readonly List[] }
  | { readonly kind: "assert_trap" | "assert_exhaustion"; readonly action: Action; readonly text: string }
  /** The module must not come into being: it traps, is malformed, invalid, or cannot be linked. */
  | {
      readonly kind: "assert_trap" | "assert_malformed" | "assert_invalid" | "assert_unlinkable";
      readonly source: Source;
      readonly text: string;
    }
  | { readonly kind: "other"; readonly word: string }
);

const FIELDS = new Set("func memory table global export import type elem data start rec tag".split(" "));

/** The commands of a script file. */
export function readScript(path: string): Command[] {
  const source = readFileSync(path, "utf8");
  const forms = parseForms(source);
  const lines = lineNumbers(source);
  // A script may leave out the `(module …)` around the fields of its only module.
  if (forms.length === 0 || forms.some((form) => FIELDS.has(head(form)))) {
    const text = `(module ${source}\n)`;
    const module: Source = { kind: "text", text, quoted: false };
    return [{ line: 1, kind: "module", source: module, name: null, definition: false }];
  }
  return forms.map((form) => command(source, form as List, lines(form.start)));
}

function lineNumbers(source: string): (offset: number) => number {
  let at = 0;
  let line = 1;
  return (offset) => {
    for (; at < offset; at++) if (source[at] === "\n") line++;
    return line;
  };
}

function command(source: string, form: List, line: number): Command {
  const word = head(form);
  const [, first, second] = form.items;
  switch (word) {
    case "module": {
      if (isWord(first, "instance")) {
        return { line, kind: "instance", name: identifier(second), of: identifier(form.items[3]) };
      }
      const definition = isWord(first, "definition");
      const name = identifier(definition ? second : first);
      return { line, kind: "module", source: moduleSource(source, form), name, definition };
    }
    case "register":
      return { line, kind: "register", instance: identifier(second), as: textOf(first) };
    case "invoke":
    case "get":
      return { line, kind: "action", action: action(form) };
    case "assert_return":
      return { line, kind: word, action: action(first as List), results: form.items.slice(2) as List[] };
    case "assert_trap":
    case "assert_exhaustion":
    case "assert_malformed":
    case "assert_invalid":
    case "assert_unlinkable": {
      const text = textOf(second);
      const inner = head(first);
      if (inner === "module" && word !== "assert_exhaustion") {
        if (isWord((first as List).items[1], "instance")) return { line, kind: "other", word };
        return { line, kind: word, source: moduleSource(source, first as List), text };
      }
      if ((inner === "invoke" || inner === "get") && /trap|exhaustion/.test(word)) {
        return { line, kind: word as "assert_trap", action: action(first as List), text };
      }
    }
  }
  return { line, kind: "other", word };
}

function isWord(node: Node | undefined, word: string): boolean {
  return node?.kind === "atom" && node.text === word;
}

function textOf(node: Node | undefined): string {
  return node?.kind === "string" ? Buffer.from(node.bytes).toString() : "";
}

function identifier(node: Node | undefined): string | null {
  return node?.kind === "atom" && node.text.startsWith("$") ? node.text : null;
}

function action(form: List): Action {
  const items = form.items.slice(1);
  const instance = identifier(items[0]);
  if (instance !== null) items.shift();
  const [field, ...parameters] = items;
  return {
    kind: head(form) === "get" ? "get" : "invoke",
    instance,
    field: textOf(field),
    parameters: parameters as List[],
  };
}

function moduleSource(source: string, form: List): Source {
  const items = form.items.slice(1);
  const definition = isWord(items[0], "definition") ? (items.shift() as Atom) : null;
  if (identifier(items[0]) !== null) items.shift();
  const strings = () =>
    Buffer.concat(items.slice(1).map((item) => (item.kind === "string" ? item.bytes : Buffer.of())));
  if (isWord(items[0], "binary")) return { kind: "binary", bytes: new Uint8Array(strings()) };
  if (isWord(items[0], "quote")) {
    const text = strings().toString();
    const bare = !/^\s*\(module\b/.test(text);
    return { kind: "text", text: bare ? `(module ${text}\n)` : text, quoted: true };
  }
  const from = definition === null ? form.start : definition.start + definition.text.length;
  const text = `${definition === null ? "" : "(module"}${source.slice(from, form.end)}`;
  return { kind: "text", text, quoted: false };
}
