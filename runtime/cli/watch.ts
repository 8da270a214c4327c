/** Watches the sources of a program: its entry file, what that imports by relative paths, and its layout. */

import { existsSync, type FSWatcher, readFileSync, watch } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { lockPath } from "../compile.ts";
import { sourcesBelow } from "../compiler/watching.ts";

/** How long to wait after a change: editors write a file in several steps. */
const SETTLED_MS = 60;

/**
 * Calls `onChange` after each change of a source; changes during a call lead to one more call after it.
 * Directories are watched rather than files, since editors replace files.
 */
export function watchSources(entry: string, onChange: () => Promise<void>): { close(): void } {
  let watchers: FSWatcher[] = [];
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | null = null;
  let texts = new Map<string, string | null>();
  const look = (): Map<string, string | null> => {
    const files = [...sourcesBelow(entry), lockPath(resolve(entry))];
    return new Map(files.map((file) => [file, existsSync(file) ? readFileSync(file, "utf8") : null]));
  };
  const changed = async (): Promise<void> => {
    // The layout that the build has written itself is not a change of the sources.
    const now = look();
    const isSame = now.size === texts.size && [...now].every(([file, text]) => texts.get(file) === text);
    if (isSame) return;
    await onChange();
    begin();
  };
  const schedule = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (running !== null) return schedule();
      running = changed().finally(() => {
        running = null;
      });
    }, SETTLED_MS);
  };
  const begin = (): void => {
    for (const each of watchers) each.close();
    texts = look();
    const directories = new Set([...texts.keys()].map(dirname).filter((directory) => existsSync(directory)));
    watchers = [...directories].map((directory) =>
      watch(directory, (_, name) => {
        if (name === null || texts.has(join(directory, basename(name)))) schedule();
      }),
    );
  };
  begin();
  return {
    close: () => {
      clearTimeout(timer);
      for (const each of watchers) each.close();
    },
  };
}

/** Resolves at the first SIGINT or SIGTERM; a second ends the process. */
export function untilInterrupted(): Promise<void> {
  return new Promise((resolveNow) => {
    const end = (): void => {
      process.off("SIGINT", end).off("SIGTERM", end);
      resolveNow();
    };
    process.on("SIGINT", end).on("SIGTERM", end);
  });
}
