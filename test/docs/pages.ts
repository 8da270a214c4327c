/** Pages whose blocks of code are run by tests: they are found, and written as a reader would write them. */

import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../cli/stillpoint.ts";

/** A block of code of a page. */
export interface CodeBlock {
  readonly page: string;
  readonly line: number;
  /** Empty if the page names none: a drawing. */
  readonly language: string;
  readonly text: string;
}

/** Every page for readers, as "docs/log.md". */
export const PAGES: readonly string[] = globSync(
  ["*.md", "docs/*.md", "{guest,syscalls}/*.md", "{runtime,examples,test}/**/*.md"],
  { cwd: ROOT },
).sort();

export function pageOf(page: string): string {
  return readFileSync(join(ROOT, page), "utf8");
}

/** The blocks of a page, or of a part of it. */
export function blocksOf(page: string, text = pageOf(page)): CodeBlock[] {
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(({ 1: language = "", 2: block = "", index }) => ({
    page,
    line: text.slice(0, index).split("\n").length,
    language,
    text: block,
  }));
}

/** The only block of a page that has these words. */
export function blockWith(page: string, words: string): CodeBlock {
  const [found, ...more] = blocksOf(page).filter(({ text }) => text.includes(words));
  if (found === undefined || more.length > 0)
    throw new Error(`${more.length > 0 ? "several blocks" : "no block"} of ${page} with: ${words}`);
  return found;
}

/** The name of a file that a block begins with, in a comment; null if there is none. */
export function nameOf({ text }: CodeBlock): string | null {
  return /^\/\/ (\S+\.(?:ts|mjs))\n/.exec(text)?.[1] ?? null;
}

/** Writes a block that has a name. @returns the name; null if the block has none */
export function writeBlock(directory: string, block: CodeBlock): string | null {
  const name = nameOf(block);
  if (name !== null) writeText(directory, name, block.text);
  return name;
}

/** Writes a file. In what the host runs, the package is that of the sources here. */
export function writeText(directory: string, name: string, text: string): void {
  mkdirSync(dirname(join(directory, name)), { recursive: true });
  writeFileSync(join(directory, name), withSources(text));
}

/** The package's own sources in place of its name, except in what is compiled to WebAssembly. */
function withSources(text: string): string {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  return text.replace(/from "stillpoint(\/(?!guest)\w+)?"/g, (_, path = "") => {
    const source = exports[`.${path}`].types.replace(/^\.\/dist\/(.*)\.d\.ts$/, "$1.ts");
    return `from ${JSON.stringify(new URL(source, new URL("../../", import.meta.url)).href)}`;
  });
}

/** What a program says that it prints: the comments behind its calls of console.log. */
export function saidBy(text: string): string[] {
  return [...text.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, said]) => said as string);
}

/** Whether a text is what comments say, in which "…" stands for anything. */
export function isLike(text: string, said: readonly string[]): boolean {
  const pattern = said
    .join("\n")
    .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replaceAll("…", ".*");
  return new RegExp(`^${pattern}$`, "s").test(text);
}
