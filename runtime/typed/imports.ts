/** Imports as asc can read them. */

/**
 * The text with imports that asc can read: what editors write as `import type` is an import like any other.
 * Everything stays where it was.
 */
export function plainImports(text: string): string {
  const blank = (match: string): string => " ".repeat(match.length);
  return text
    .replace(/^(\s*(?:import|export)\s+)(type\s)(?=\s*\{)/gm, (_, start, word) => start + blank(word))
    .replace(/^(\s*import\s*\{)([^}]*)(?=\})/gm, (_, start, list: string) => {
      return start + list.replace(/\btype\s+(?=[\w$])/g, blank);
    });
}
