/**
 * Calls of `debug`: in a program as if their lines were empty, in the program of a test calls that print
 * (guest/typed/debug.ts).
 */

import { type AuthorFile, type CallExpression, errorAt, lineOf, type Syntax, textOf } from "./syntax.ts";

/** The calls of `debug` in a file. @throws UsageError E_GUEST_COMPILE where one is part of something else */
export function printsOf(syntax: Syntax, file: AuthorFile): CallExpression[] {
  const isPrint = (call: CallExpression): boolean => file.sdk.get(textOf(call.expression)) === "debug";
  const statements: CallExpression[] = [];
  const calls: CallExpression[] = [];
  for (const statement of file.source.statements) {
    for (const node of syntax.walk(statement)) {
      const call = syntax.callIn(node);
      if (call !== null && isPrint(call)) statements.push(call);
      if (syntax.isCall(node) && isPrint(node)) calls.push(node);
    }
  }
  const part = calls.find((call) => !statements.includes(call));
  if (part !== undefined) throw errorAt(part, "debug is a statement of its own: it gives nothing");
  return statements;
}

/** What such a call becomes in the program of a test. */
export function printing(call: CallExpression, path: string): string {
  const values = call.args.map((argument) => `__text(${textOf(argument)})`);
  const text = values.join(' + " " + ') || '""';
  return `__print(${JSON.stringify(path)}, ${lineOf(call)}, ${text})`;
}
