/**
 * Writes that would be lost: a transaction that changes a variable of a module, a static field, or a Map or
 * Array that one of them holds. All of these are private memory, which is put back after each transaction, so
 * the program would silently forget. Aliases and writes inside of libraries are not seen here; a trace's
 * `lost` reports what they change.
 *
 * A comment `stillpoint-allow` on the line, or on the one before, allows it.
 */

import { type AuthorFile, errorAt, lineOf, type Node, type Syntax, textOf } from "./syntax.ts";

const ASSIGNMENT = /^\s*(?:[-+*/%&|^]|<<|>>>?|\*\*)?=\s*$/;
const CHANGING =
  /^(set|add|push|pop|delete|clear|unshift|shift|splice|fill|sort|reverse|copyWithin|__set|__uset)$/;
const ALLOWED = /\/[/*].*stillpoint-allow\b/;

/**
 * Throws at the first such write of the author's files.
 *
 * @throws UsageError E_GUEST_COMPILE
 */
export function refuseForgotten(syntax: Syntax, isState: (initializer: Node) => boolean): void {
  for (const file of syntax.files) {
    const variables = variablesOf(syntax, file, isState);
    if (variables.size > 0) for (const body of syntax.functions(file)) check(syntax, file, body, variables);
  }
}

/** Variables of the module and static fields, as they are written, with their declarations. */
function variablesOf(
  syntax: Syntax,
  file: AuthorFile,
  isState: (initializer: Node) => boolean,
): Map<string, Node> {
  const variables = new Map<string, Node>();
  for (const declaration of syntax.variables(file)) {
    const { name, initializer } = declaration;
    if (initializer === null || !isState(initializer)) variables.set(name.text, declaration);
  }
  for (const each of syntax.classes(file)) {
    for (const member of each.members) {
      if (syntax.isField(member) && syntax.isStatic(member))
        variables.set(`${each.name.text}.${member.name.text}`, member);
    }
  }
  return variables;
}

function check(syntax: Syntax, file: AuthorFile, body: Node, variables: ReadonlyMap<string, Node>): void {
  const local = syntax.localNames(body);
  for (const node of syntax.walk(body)) {
    const target = changed(syntax, node);
    if (target === null) continue;
    let root = target;
    while (!variables.has(textOf(root))) {
      const inside = syntax.container(root);
      if (inside === null) break;
      root = inside;
    }
    const name = textOf(root);
    const declaration = variables.get(name);
    if (declaration === undefined || local.has(name) || isAllowed(file, node)) continue;
    throw errorAt(
      node,
      `${name} is changed here, and forgotten after each transaction, as all variables of modules are ` +
        `(it is declared in line ${lineOf(declaration)}): make it a StateCell, StateMap or StateVector, ` +
        "or, if it is scratch, write // stillpoint-allow behind this line",
    );
  }
}

/** What the node changes: the left side of an assignment, say; null if it changes nothing. */
function changed(syntax: Syntax, node: Node): Node | null {
  const parts = node as unknown as { left?: Node; right?: Node; operand?: Node };
  if (parts.left !== undefined && parts.right !== undefined) {
    const operator = node.range.source.text.slice(parts.left.range.end, parts.right.range.start);
    return ASSIGNMENT.test(operator.replace(/[()]/g, "")) ? parts.left : null;
  }
  if (parts.operand !== undefined) return /^(\+\+|--)|(\+\+|--)$/.test(textOf(node)) ? parts.operand : null;
  if (!syntax.isCall(node)) return null;
  const container = syntax.container(node.expression);
  const method = (node.expression as unknown as { property?: Node }).property;
  return container !== null && method !== undefined && CHANGING.test(textOf(method)) ? container : null;
}

function isAllowed(file: AuthorFile, node: Node): boolean {
  const lines = file.text.split("\n");
  const line = lineOf(node);
  return [lines[line - 1], lines[line - 2]].some((text) => text !== undefined && ALLOWED.test(text));
}
