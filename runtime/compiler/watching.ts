/**
 * What a guest is made of, for those who watch: the command line, and test runners. `node --test --watch`
 * runs a test again when a module that it imports changes, and a guest's source is none; so its process is
 * sent the message with which Node's own modules report files.
 */

import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** The entry file, and the files that it imports by relative paths, directly or not. */
export function sourcesBelow(entry: string): Set<string> {
  const files = new Set<string>();
  const visit = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    if (!existsSync(file)) return;
    for (const [, name] of readFileSync(file, "utf8").matchAll(/\bfrom\s+["'](\.[^"']+)["']/g)) {
      const target = resolve(dirname(file), name as string);
      visit(target.endsWith(".ts") ? target : `${target}.ts`);
    }
  };
  visit(resolve(entry));
  return files;
}

/**
 * Has `node --watch` and `node --test --watch`, if this process runs under one, watch the sources of a guest
 * and the files named besides.
 */
export function reportSources(entry: string, besides: readonly string[]): void {
  if (process.env.WATCH_REPORT_DEPENDENCIES === undefined || process.send === undefined) return;
  const files = [...sourcesBelow(entry), ...besides].filter((file) => existsSync(file));
  process.send({ "watch:require": files });
}
