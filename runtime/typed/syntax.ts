/**
 * The sources of a guest as asc's own parser sees them, and questions about their nodes. Nothing is compiled,
 * and no node of this parse reaches the compiler: what is learnt here becomes edits of the texts (edits.ts).
 */

import type {
  CallExpression,
  ClassDeclaration,
  DeclarationStatement,
  DecoratorNode,
  FieldDeclaration,
  IfStatement,
  ImportStatement,
  MethodDeclaration,
  NamedTypeNode,
  NewExpression,
  Node,
  PropertyAccessExpression,
  Source,
  TernaryExpression,
  VariableStatement,
} from "assemblyscript";
import { UsageError } from "../errors.ts";
import { plainImports } from "./imports.ts";

export type {
  CallExpression,
  ClassDeclaration,
  DecoratorNode,
  FieldDeclaration,
  MethodDeclaration,
  NamedTypeNode,
  NewExpression,
  Node,
};

type Assemblyscript = typeof import("assemblyscript");
/** asc's enumerations are there when it runs, but not for TypeScript. */
interface Enumerations {
  readonly NodeKind: Readonly<Record<string, number>>;
  readonly CommonFlags: Readonly<Record<string, number>>;
  readonly DecoratorKind: Readonly<Record<string, number>>;
}

/** A file of the author's. */
export interface AuthorFile {
  /** Relative to the base directory, with its extension. */
  readonly path: string;
  readonly text: string;
  readonly source: Source;
  /** Whether it is a module of the SDK's, compiled as the author's own files are. */
  readonly isModule: boolean;
  /** Names that it imports from the SDK, and what they are called there. */
  readonly sdk: ReadonlyMap<string, string>;
}

/** What runs if a condition holds, and if not. */
export interface Branch {
  readonly then: Node;
  readonly otherwise: Node | null;
}

/** Gives the text of a source, null if there is none; and whether it is one of the SDK's. */
export interface Sources {
  read(path: string): Promise<string | null>;
  isSdk(path: string): boolean;
}

/** The SDK as its package, and its modules with state, which are compiled as the author's own files are. */
const SDK = "~lib/stillpoint/guest";
const MODULES = `${SDK}/modules/`;

export class Syntax {
  readonly #as: Assemblyscript;
  readonly #kinds: Enumerations["NodeKind"];
  readonly #flags: Enumerations["CommonFlags"];
  readonly #decorators: Enumerations["DecoratorKind"];
  readonly files: AuthorFile[] = [];
  /** The module that the author's files import the SDK from: a package, or a path without extension. */
  sdkModule = SDK;

  private constructor(as: Assemblyscript) {
    this.#as = as;
    const { NodeKind, CommonFlags, DecoratorKind } = as as unknown as Enumerations;
    this.#kinds = NodeKind;
    this.#flags = CommonFlags;
    this.#decorators = DecoratorKind;
  }

  /**
   * Parses the file and all of the author's that it imports.
   *
   * @throws UsageError E_GUEST_COMPILE with the parser's errors
   */
  static async parse(entry: string, sources: Sources): Promise<Syntax> {
    const as = await import("assemblyscript");
    const syntax = new Syntax(as);
    const program = as.newProgram(as.newOptions());
    const texts = new Map<string, string>();
    const parse = (path: string, text: string, isEntry: boolean): void => {
      texts.set(path, text);
      try {
        as.parse(program, text, path, isEntry);
      } catch (error) {
        throw compileError(path, `the parser failed: ${(error as Error).message}`);
      }
    };
    parse(entry, plainImports((await sources.read(entry)) ?? ""), true);
    for (let next = as.nextFile(program); next !== null; next = as.nextFile(program)) {
      if (next.startsWith("~lib/") && !next.startsWith(MODULES)) continue;
      for (const path of [`${next}.ts`, `${next}/index.ts`]) {
        const text = await sources.read(path);
        if (text === null) continue;
        if (!next.startsWith(MODULES) && sources.isSdk(path))
          syntax.sdkModule = path.replace(/(\/index)?\.ts$/, "");
        else parse(path, plainImports(text), false);
        break;
      }
    }
    const errors: string[] = [];
    for (let found = as.nextDiagnostic(program); found !== null; found = as.nextDiagnostic(program)) {
      if (as.isError(found)) errors.push(as.formatDiagnostic(found, false, true));
    }
    if (errors.length > 0) throw compileError(entry, errors.join("\n\n"));
    for (const [path, text] of texts) {
      const source = program.sources.find(({ normalizedPath }) => normalizedPath === path);
      const isModule = path !== entry && sources.isSdk(path);
      if (source === undefined) continue;
      syntax.files.push({ path, text, source, isModule, sdk: syntax.#sdkNames(source) });
    }
    syntax.files.sort((a, b) => (a.path < b.path ? -1 : 1));
    return syntax;
  }

  #sdkNames(source: Source): Map<string, string> {
    const names = new Map<string, string>();
    for (const statement of source.statements) {
      if (statement.kind !== this.#kinds.Import) continue;
      const { declarations, internalPath } = statement as ImportStatement;
      const isSdk = [SDK, this.sdkModule, `${this.sdkModule}/index`].includes(internalPath);
      for (const { name, foreignName } of isSdk ? (declarations ?? []) : []) {
        names.set(name.text, foreignName.text);
      }
    }
    return names;
  }

  // ---- questions ------------------------------------------------------------------------------------------

  classes(file: AuthorFile): ClassDeclaration[] {
    const kind = this.#kinds.ClassDeclaration;
    return file.source.statements.filter((node) => node.kind === kind) as ClassDeclaration[];
  }

  /** The names of decorators of a declaration that are none of asc's own. */
  ownDecorators(node: Node): Node[] {
    const { decorators } = node as { readonly decorators?: DecoratorNode[] | null };
    const own = (decorators ?? []).filter((each) => each.decoratorKind === this.#decorators.Custom);
    return own.map(({ name }) => name);
  }

  /** Variables of the module. */
  variables(file: AuthorFile): VariableStatement["declarations"] {
    const kind = this.#kinds.Variable;
    const statements = file.source.statements.filter((node) => node.kind === kind) as VariableStatement[];
    return statements.flatMap(({ declarations }) => declarations);
  }

  isField(node: Node): node is FieldDeclaration {
    return node.kind === this.#kinds.FieldDeclaration;
  }

  isMethod(node: Node): node is MethodDeclaration {
    return node.kind === this.#kinds.MethodDeclaration;
  }

  isNew(node: Node | null): node is NewExpression {
    return node !== null && node.kind === this.#kinds.New;
  }

  isCall(node: Node): node is CallExpression {
    return node.kind === this.#kinds.Call;
  }

  /** A statement that is a call and nothing else; null if it is none. */
  callIn(node: Node): CallExpression | null {
    if (node.kind !== this.#kinds.Expression) return null;
    const { expression } = node as Node & { readonly expression: Node };
    return this.isCall(expression) ? expression : null;
  }

  isNamedType(node: Node): node is NamedTypeNode {
    return node.kind === this.#kinds.NamedType;
  }

  isConstructor(node: DeclarationStatement): boolean {
    return node.is(this.#flags.Constructor as number);
  }

  isStatic(node: DeclarationStatement): boolean {
    return node.is(this.#flags.Static as number);
  }

  isExported(node: DeclarationStatement): boolean {
    return node.is(this.#flags.Export as number);
  }

  /** Functions and methods. */
  functions(file: AuthorFile): Node[] {
    const kind = this.#kinds.FunctionDeclaration;
    const functions = file.source.statements.filter((node) => node.kind === kind) as Node[];
    const methods = this.classes(file).flatMap(({ members }) =>
      members.filter((node) => this.isMethod(node)),
    );
    return [...functions, ...methods];
  }

  /** Functions and methods, wherever they are declared, with their names in what the compiler writes. */
  allFunctions(file: AuthorFile): { readonly name: string; readonly node: Node }[] {
    const { FunctionDeclaration, MethodDeclaration } = this.#kinds;
    const kinds = [FunctionDeclaration, MethodDeclaration];
    const found = [...this.walk(file.source)].filter(({ kind }) => kinds.includes(kind));
    return (found as MethodDeclaration[]).map((node) => {
      const { text } = node.name;
      if (!this.isMethod(node)) return { name: text, node };
      const owner = this.classes(file).find(({ members }) => members.includes(node))?.name.text ?? "";
      const accessor = node.is(this.#flags.Get as number)
        ? "get:"
        : node.is(this.#flags.Set as number)
          ? "set:"
          : "";
      return { name: `${owner}${this.isStatic(node) ? "." : "#"}${accessor}${text}`, node };
    });
  }

  /** Whether it is a statement that runs something itself: no block, and no variable without a value. */
  isRunning(node: Node): boolean {
    const { Break, Continue, Do, Expression, For, ForOf, If, Return, Switch, Throw, Variable, Void, While } =
      this.#kinds;
    const kinds = [Break, Continue, Do, Expression, For, ForOf, If, Return, Switch, Throw, Void, While];
    if (kinds.includes(node.kind)) return true;
    if (node.kind !== Variable) return false;
    return (node as VariableStatement).declarations.some(({ initializer }) => initializer !== null);
  }

  /** A statement or expression that takes one of two ways; null: it is another. */
  branchOf(node: Node): Branch | null {
    if (node.kind === this.#kinds.If) {
      const { ifTrue, ifFalse } = node as IfStatement;
      return { then: ifTrue, otherwise: ifFalse };
    }
    if (node.kind !== this.#kinds.Ternary) return null;
    const { ifThen, ifElse } = node as TernaryExpression;
    return { then: ifThen, otherwise: ifElse };
  }

  /** Names that are declared inside of a function: parameters and variables. */
  localNames(body: Node): Set<string> {
    const kinds = [this.#kinds.VariableDeclaration, this.#kinds.Parameter];
    const declared = [...this.walk(body)].filter(({ kind }) => kinds.includes(kind));
    return new Set(declared.map((node) => (node as Node & { name: { text: string } }).name.text));
  }

  /** What an element or a property is taken from; null for any other expression. */
  container(node: Node): Node | null {
    const { ElementAccess, PropertyAccess, Assertion, Parenthesized } = this.#kinds;
    const isPart = [ElementAccess, PropertyAccess, Assertion, Parenthesized].includes(node.kind);
    return isPart ? (node as Node & { expression: Node }).expression : null;
  }

  /** The text of a string literal, null of anything else. */
  literal(node: Node): string | null {
    const text = textOf(node);
    return /^(["']).*\1$/s.test(text) && node.kind === this.#kinds.Literal
      ? ((node as unknown as { value: string }).value ?? null)
      : null;
  }

  /** Whether it runs code, or reads or writes an element or one of these properties. */
  runs(node: Node, properties: ReadonlySet<string>): boolean {
    const { Call, New, ElementAccess, PropertyAccess } = this.#kinds;
    if ([Call, New, ElementAccess].includes(node.kind)) return true;
    return node.kind === PropertyAccess && properties.has((node as PropertyAccessExpression).property.text);
  }

  /** The node and all below it, in the order of the source, but for what is `left` out. */
  *walk(node: Node, left?: ReadonlySet<unknown>): Generator<Node> {
    yield node;
    for (const child of this.childrenOf(node)) if (!left?.has(child)) yield* this.walk(child, left);
  }

  /** The nodes right below it. */
  *childrenOf(node: Node): Generator<Node> {
    for (const [key, value] of Object.entries(node)) {
      if (key === "range" || key === "parent") continue;
      for (const child of Array.isArray(value) ? value : [value]) {
        if (child instanceof this.#as.Node) yield child as Node;
      }
    }
  }
}

/** The decorator of that name in the SDK. */
export function decorator(
  file: AuthorFile,
  node: { readonly decorators: DecoratorNode[] | null },
  name: string,
): DecoratorNode | undefined {
  // The range of a decorator's name includes its @.
  return node.decorators?.find((each) => file.sdk.get(textOf(each.name).replace(/^@/, "")) === name);
}

export function textOf(node: Node): string {
  return node.range.source.text.slice(node.range.start, node.range.end);
}

/** Where the declaration begins, its decorators included. */
export function startOf(node: Node & { readonly decorators?: DecoratorNode[] | null }): number {
  return Math.min(node.range.start, ...(node.decorators ?? []).map(({ range }) => range.start));
}

export function lineOf(node: Node): number {
  return node.range.source.text.slice(0, node.range.start).split("\n").length;
}

/** An error at a node of the author's, as `file:line:column: text`. */
export function errorAt(node: Node, text: string): UsageError {
  const { source, start } = node.range;
  const before = source.text.slice(0, start).split("\n");
  const column = (before.at(-1) as string).length + 1;
  const place = `${source.normalizedPath}:${before.length}:${column}`;
  return compileError(source.normalizedPath, `ERROR ${place}: ${text}`);
}

export function compileError(entry: string, diagnostics: string): UsageError {
  const text = `${entry} does not compile:\n${diagnostics}`;
  return new UsageError("E_GUEST_COMPILE", text, { entry, diagnostics });
}
