/**
 * Decorators that would do nothing. asc ignores those that it does not know: a method whose mark is mistyped,
 * or not imported, would compile and be none of the program's functions.
 */

import { didYouMean } from "../suggest.ts";
import { type AuthorFile, decorator, errorAt, type Node, type Syntax, textOf } from "./syntax.ts";

/** Marks of methods of contracts. */
const METHODS = ["transaction", "view", "setup", "migrate"];
/** All decorators of the SDK. */
const DECORATORS = ["contract", "record", "max", ...METHODS];

/**
 * Throws at the first decorator that means nothing where it stands.
 *
 * @throws UsageError E_GUEST_COMPILE
 */
export function refuseUnknownDecorators(syntax: Syntax): void {
  for (const file of syntax.files) {
    const methods = new Set<Node>();
    for (const each of syntax.classes(file)) {
      for (const member of each.members) {
        methods.add(member);
        for (const name of METHODS) {
          const mark = decorator(file, member, name);
          if (mark === undefined || decorator(file, each, "contract")) continue;
          const owner = each.name.text;
          throw errorAt(
            mark,
            `class ${owner} is no contract: write @contract before it, or no @${name} here`,
          );
        }
      }
    }
    for (const node of syntax.walk(file.source)) {
      for (const name of syntax.ownDecorators(node)) checkName(file, name, methods.has(node));
    }
  }
}

/** `name`: with its @. */
function checkName(file: AuthorFile, name: Node, isMember: boolean): void {
  const written = textOf(name).replace(/^@/, "");
  const known = file.sdk.get(written) ?? "";
  if (METHODS.includes(known) && !isMember)
    throw errorAt(name, `@${written} marks methods: make this one of a class marked @contract`);
  if (DECORATORS.includes(known)) return;
  if (DECORATORS.includes(written))
    throw errorAt(name, `@${written} is not imported: import { ${written} } from "stillpoint/guest"`);
  throw errorAt(name, `there is no decorator @${written}${didYouMean(written, DECORATORS)}`);
}
