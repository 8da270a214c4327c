/** stillpoint inspect DIR --web: the inspector, on a store that it only reads. */

import { readFileSync } from "node:fs";
import { compileGuest } from "../../compile.ts";
import { addSources } from "../../debug.ts";
import { Listener } from "../../http/listener.ts";
import { inspectorRoutes, Recorded, recordOfStore, Source, traceOfStore } from "../../inspector/index.ts";
import { openReader, type Reader } from "../../store.ts";
import type { Handler } from "../command.ts";
import { listening } from "../listen.ts";
import type { Spec } from "../table.ts";
import { EXIT_OK, print, printError, toJson, withProgress } from "../terminal.ts";
import { untilInterrupted } from "../watch.ts";
import { readInput } from "./files.ts";

const PORT = 8547;

export const web: Handler<Spec<"inspect web">> = async ({ args, options, json }) => {
  const port = options.port ?? PORT;
  for (const file of options.sources) await withProgress(`reading ${file}`, () => knowSources(file));
  await using readers = new AsyncDisposableStack();
  const chain = readers.use(await openReader(args.DIR));
  const others: Record<string, Reader> = {};
  for (const directory of options.other) others[directory] = readers.use(await openReader(directory));
  const recordings = new Recorded(args.DIR);
  await using source = new Source({
    ...{ name: args.DIR, kind: "store", chain, others },
    trace: (block, signal) => traceOfStore(chain, block, signal),
    recorded: (block) => recordings.of(block),
    record: (block, signal) => recordOfStore(chain, block, signal),
  });
  const routes = await inspectorRoutes(source);
  const onError = (error: unknown): void => printError(`stillpoint inspect: a request failed: ${error}`);
  const listener = await listening(port, () => Listener.open(routes, { port, onError }));
  const { url } = listener;
  print(json ? toJson({ url }) : `${args.DIR} is shown at ${url}; an interrupt stops it`);
  await untilInterrupted();
  await listener.close(0);
  return EXIT_OK;
};

/**
 * Lets stacks have source lines: of a program that is compiled from its sources, or of one that
 * "stillpoint compile --sources" has written, with its map and names beside it.
 */
async function knowSources(file: string): Promise<void> {
  if (file.endsWith(".ts")) {
    await compileGuest(file);
    return;
  }
  const [program, map, named] = [readInput(file), readBeside(`${file}.map`), readBeside(`${file}.named`)];
  addSources(program, {
    ...(map === null ? {} : { map: map.toString("utf8") }),
    ...(named === null ? {} : { named }),
  });
}

function readBeside(file: string): Buffer | null {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
