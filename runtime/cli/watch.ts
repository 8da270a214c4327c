/** Watches the sources of a program: its entry file, what that imports by relative paths, and its layout. */

import { existsSync, type FSWatcher, readFileSync, watch } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { lockPath } from "../compile.ts";
import { sourcesBelow } from "../compiler/watching.ts";

/** How long to wait after a change: editors write a file in several steps. */
const SETTLED_MS = 60;

/** Texts of the sources of an entry file and of its layout, by file; null: there is none. */
export type Sources = ReadonlyMap<string, string | null>;

export function readSources(entry: string): Sources {
  const files = [...sourcesBelow(entry), lockPath(resolve(entry))];
  return new Map(files.map((file) => [file, textOf(file)]));
}

function textOf(file: string): string | null {
  return existsSync(file) ? readFileSync(file, "utf8") : null;
}

/**
 * Calls `onChange` after each change of a source since `read`, which is what they were before the last build
 * began. So a change while a build runs leads to one more after it. Directories are watched rather than
 * files, since editors replace files.
 */
export function watchSources(entry: string, read: Sources, onChange: () => Promise<void>): { close(): void } {
  let watchers: FSWatcher[] = [];
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | null = null;
  let built: Sources = read;
  const changed = async (): Promise<void> => {
    const now = readSources(entry);
    const isSame = now.size === built.size && [...now].every(([file, text]) => built.get(file) === text);
    if (isSame) return;
    await onChange();
    begin(now);
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
  const begin = (sources: Sources): void => {
    for (const each of watchers) each.close();
    // The layout that the build has written itself is not a change of the sources.
    const lock = lockPath(resolve(entry));
    built = new Map([...sources, [lock, textOf(lock)]]);
    const directories = new Set([...built.keys()].map(dirname).filter((directory) => existsSync(directory)));
    watchers = [...directories].map((directory) =>
      watch(directory, (_, name) => {
        if (name === null || built.has(join(directory, basename(name)))) schedule();
      }),
    );
    // What changed before the watchers were there.
    schedule();
  };
  begin(read);
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
