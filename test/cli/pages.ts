/** Pages of docs/ whose blocks of code are files: they are written as a reader would write them. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "./stillpoint.ts";

/** A block of code of a page. */
export interface CodeBlock {
  readonly language: string;
  readonly text: string;
}

export function pageOf(name: string): string {
  return readFileSync(join(ROOT, "docs", name), "utf8");
}

export function blocksOf(text: string): CodeBlock[] {
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = "", block = ""]) => ({
    language,
    text: block,
  }));
}

/**
 * Writes a block whose first line is a comment with its name. In what the host runs, the package is that of
 * the sources here: names in imports become paths.
 *
 * @returns the name; null if the block has none
 */
export function writeBlock(directory: string, { text }: CodeBlock): string | null {
  const [, name] = /^\/\/ (\S+)\n/.exec(text) ?? [];
  if (name === undefined) return null;
  const isGuest = /^(contracts|guests)\//.test(name);
  mkdirSync(dirname(join(directory, name)), { recursive: true });
  writeFileSync(join(directory, name), isGuest ? text : withSources(text));
  return name;
}

/** The package's own sources in place of its name. */
export function withSources(text: string): string {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  return text.replace(/from "stillpoint(\/(?!guest)\w+)?"/g, (_, path = "") => {
    const source = exports[`.${path}`].types.replace(/^\.\/dist\/(.*)\.d\.ts$/, "$1.ts");
    return `from ${JSON.stringify(new URL(source, new URL("../../", import.meta.url)).href)}`;
  });
}
