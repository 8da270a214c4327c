/** What a source file has that can run: its functions, and their statements by lines. */

import { type AuthorFile, type Branch, lineOf, type Node, Syntax } from "../typed/syntax.ts";

/** Lines from a first to a last one. */
interface Lines {
  readonly line: number;
  readonly endLine: number;
}

export interface SourceStatement extends Lines {
  /** Statements that follow one another have the same. */
  readonly list: number;
}

/** From a place to another; lines and columns count from 1. */
export interface SourceRange {
  readonly from: SourcePlace;
  readonly to: SourcePlace;
}

export interface SourcePlace {
  readonly line: number;
  readonly column: number;
}

/** An if, or a value with "?": what runs if its condition holds, and if not. */
export interface SourceBranch {
  /** Where it begins: the compiler gives this place to the instruction that takes a way. */
  readonly at: SourcePlace;
  readonly then: SourceRange;
  /** Null: nothing. */
  readonly otherwise: SourceRange | null;
}

export interface SourceFunction extends Lines {
  /** As the compiler calls it in its module: "pay", "Bank#pay", "Bank.pay" if it is static. */
  readonly name: string;
  /** In the order of the source, those inside of others as well. */
  readonly statements: readonly SourceStatement[];
  readonly branches: readonly SourceBranch[];
}

/** Functions in the order of the source. @throws UsageError E_GUEST_COMPILE if it cannot be parsed */
export async function outlineOf(path: string, text: string): Promise<SourceFunction[]> {
  const sources = { read: async (asked: string) => (asked === path ? text : null), isSdk: () => false };
  const syntax = await Syntax.parse(path, sources);
  const file = syntax.files.find((each) => each.path === path) as AuthorFile;
  return syntax.allFunctions(file).map(({ name, node }) => {
    const statements: SourceStatement[] = [];
    const branches: SourceBranch[] = [];
    let lists = 0;
    const visit = (inner: Node, list: number): void => {
      const branch = syntax.branchOf(inner);
      if (branch !== null) branches.push(branchAt(inner, branch));
      if (syntax.isRunning(inner)) statements.push({ ...linesOf(inner), list });
      const own = ++lists;
      for (const child of syntax.childrenOf(inner)) visit(child, own);
    };
    const { body } = node as Node & { readonly body: Node | null };
    if (body !== null) visit(body, lists);
    return { name, ...linesOf(node), statements, branches };
  });
}

function branchAt(node: Node, { then, otherwise }: Branch): SourceBranch {
  return {
    at: rangeOf(node).from,
    then: rangeOf(then),
    otherwise: otherwise && rangeOf(otherwise),
  };
}

function rangeOf({ range: { source, start, end } }: Node): SourceRange {
  return { from: placeOf(source.text, start), to: placeOf(source.text, end - 1) };
}

function placeOf(text: string, offset: number): SourcePlace {
  const lines = text.slice(0, offset).split("\n");
  return { line: lines.length, column: (lines.at(-1) as string).length + 1 };
}

function linesOf(node: Node): Lines {
  const line = lineOf(node);
  const { text } = node.range.source;
  const more = text.slice(node.range.start, node.range.end).trimEnd().split("\n").length - 1;
  return { line, endLine: line + more };
}
