/**
 * Marks: before each statement of the author's that calls something, the program notes its file and line
 * (guest/typed/mark.ts). So an outcome names the author's line also where the SDK or the standard library has
 * failed, at two gas for each statement.
 *
 * A mark stands in front of the statement, on its line. A body without braces gets them. What is a failure
 * with a name, or prints, needs none: it names its own line, or is not there.
 */

import { type AuthorFile, lineOf, type Node, type Syntax, textOf } from "./syntax.ts";

/** What is written into a source, and where. */
export interface Insertion {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What guest/typed/mark.ts has room for. */
const LINES_MAX = 2 ** 20;
export const MARKED_FILES_MAX = 2 ** 12;
/** Calls of the SDK that name their own line, or are taken out. */
const OWN = ["fail", "debug"];

/** Statements inside of a statement: some in a list, others alone. */
interface Inner {
  readonly statements?: readonly Node[];
  readonly cases?: readonly { readonly statements: readonly Node[] }[];
  readonly ifTrue?: Node | null;
  readonly ifFalse?: Node | null;
  readonly body?: Node | null;
}

/**
 * The marks of a file, whose number in the program's interface is `index`. `properties`: those that may fail
 * when they are read or written.
 */
export function marksOf(
  syntax: Syntax,
  file: AuthorFile,
  index: number,
  properties: ReadonlySet<string>,
): Insertion[] {
  const marks: Insertion[] = [];
  /** Whether the statement itself, without those inside of it, does anything that may fail. */
  const mayFail = (node: Node, nested: ReadonlySet<unknown>): boolean => {
    const call = syntax.callIn(node);
    if (call !== null && OWN.includes(file.sdk.get(textOf(call.expression)) ?? "")) return false;
    return [...syntax.walk(node, nested)].some((each) => syntax.runs(each, properties));
  };
  const visit = (node: Node, isAlone: boolean, marked: number): void => {
    const inner = node as Inner;
    const alone = [inner.ifTrue, inner.ifFalse, inner.body].filter((each) => each != null);
    const lists = [inner.statements, ...(inner.cases ?? []).map(({ statements }) => statements)];
    const nested = new Set([...alone, ...lists.flatMap((list) => list ?? []), ...(inner.cases ?? [])]);
    const line = lineOf(node);
    const isMarked = line !== marked && line < LINES_MAX && mayFail(node, nested);
    if (isMarked) {
      const mark = `__mark(${line}, ${index}); `;
      const { start, end } = node.range;
      marks.push({ start, end: start, text: isAlone ? `{ ${mark}` : mark });
      if (isAlone) {
        const after = end + (/^\s*;/.exec(file.text.slice(end))?.[0].length ?? 0);
        marks.push({ start: after, end: after, text: " }" });
      }
    }
    const inForce = isMarked ? line : marked;
    for (const each of alone) visit(each, true, inForce);
    for (const list of lists) for (const each of list ?? []) visit(each, false, 0);
  };
  for (const each of syntax.functions(file)) {
    const { body } = each as unknown as Inner;
    if (body != null) visit(body, false, 0);
  }
  return marks;
}
