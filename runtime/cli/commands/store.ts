/** stillpoint store: the commands that change a store, or make one. */

import { statSync } from "node:fs";
import { UsageError } from "../../errors.ts";
import { type Block, Runtime } from "../../index.ts";
import {
  backupStore,
  type LoggedBlock,
  openImport,
  openReader,
  repairStore,
  salvageStore,
  type Verification,
  verifyStore,
} from "../../store.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { counted, EXIT_OK, grouped, Progress, print, toJson, withProgress } from "../terminal.ts";
import { fileBytes, readChunks, withFile } from "./files.ts";
import { blockNamed, HEAP_BYTES, numberNamed } from "./naming.ts";

/** A runtime on the store that runs no blocks but those of its log, and forgets none by itself. */
async function openStore(directory: string, recover: "log" | "checkpoint" = "log"): Promise<Runtime> {
  await openReader(directory).then((reader) => reader.close()); // fails if there is no store, and makes none
  return Runtime.open({
    store: directory,
    workers: 1,
    views: 0,
    retainBlocks: 1 << 18,
    heapBytes: HEAP_BYTES,
    recover,
  });
}

export const prune: Handler<Spec<"store prune">> = async ({ args, options, json }) => {
  const what = toPrune(args.KEEP, options.below);
  await using runtime = await openStore(args.DIR);
  const found = await withProgress("pruning", (tell) => pruned(runtime, what, tell));
  const { blocks, objects, bytes } = found;
  const freed = `${counted(objects, "object")} with ${grouped(bytes)} bytes freed`;
  print(json ? toJson(found) : `${counted(blocks, "block")} forgotten, ${freed}`);
  return EXIT_OK;
};

/** Prunes, and tells how far the sweep is. */
async function pruned(
  runtime: Runtime,
  what: ReturnType<typeof toPrune>,
  tell: (done: number, total: number) => void,
): ReturnType<Runtime["prune"]> {
  const events = runtime.events();
  const telling = (async () => {
    for await (const event of events) if (event.kind === "sweeping") tell(event.share, 1);
  })();
  try {
    return await runtime.prune(what);
  } finally {
    await events.return();
    await telling;
  }
}

/** What `prune` takes. */
function toPrune(keep: string | undefined, below: string | undefined): number | { below: number } {
  if ((keep === undefined) === (below === undefined))
    throw new UsageError(
      "BAD_OPTION",
      "give KEEP, how many blocks stay, or --below, the lowest height that stays",
    );
  if (below !== undefined) return { below: numberNamed("--below", below) };
  const count = numberNamed("KEEP", keep as string);
  if (count < 1) throw new UsageError("BAD_OPTION", "KEEP is at least 1: the newest block always stays");
  return count;
}

export const pin: Handler<Spec<"store pin">> = ({ args, json }) => setPinned(args, true, json);

export const unpin: Handler<Spec<"store unpin">> = ({ args, json }) => setPinned(args, false, json);

async function setPinned(
  { DIR, BLOCK }: { readonly DIR: string; readonly BLOCK: string },
  pinned: boolean,
  json: boolean,
): Promise<number> {
  await using runtime = await openStore(DIR);
  const block: Block = blockNamed(runtime, BLOCK);
  await (pinned ? runtime.pin(block) : runtime.unpin(block));
  const { id, height } = block;
  print(
    json ? toJson({ id, height, pinned }) : `block ${height} ${id} is ${pinned ? "pinned" : "not pinned"}`,
  );
  return EXIT_OK;
}

export const repair: Handler<Spec<"store repair">> = async ({ args, json }) => {
  const found = await withProgress("repairing", (onProgress) => repairStore(args.DIR, { onProgress }));
  if (json) {
    print(toJson(found));
    return EXIT_OK;
  }
  const forgotten = found.blocks.filter((block) => !block.intact).length;
  print(`${counted(forgotten, "damaged block")} forgotten; the newest intact one is ${found.newestIntact}`);
  printDropped(notIntact(found));
  return EXIT_OK;
};

export const recover: Handler<Spec<"store recover">> = async ({ args, json }) => {
  const { logged } = await withProgress("reading", (onProgress) => verifyStore(args.DIR, { onProgress }));
  await using runtime = await withProgress("opening", () => openStore(args.DIR, "checkpoint"));
  const { height, id } = runtime.head;
  const dropped = logged.map((block) => ({ height: block.height, id: block.id }));
  print(
    json
      ? toJson({ height, id, dropped })
      : `${args.DIR} is at its last checkpoint, block ${grouped(height)} ${id}`,
  );
  if (!json) printDropped(logged);
  return EXIT_OK;
};

export const backup: Handler<Spec<"store backup">> = async ({ args, json }) => {
  const block = await withProgress("copying", (tell) => copied(args.DIR, args.NEW, tell));
  const { height, id } = block;
  const said = `copied to ${args.NEW}; its newest state is that of block ${grouped(height)} ${id}`;
  print(json ? toJson({ directory: args.NEW, height, id }) : said);
  return EXIT_OK;
};

/** Copies, and tells how long the copy is. */
async function copied(from: string, to: string, tell: (done: number, total: number) => void): Promise<Block> {
  const total = fileBytes(from);
  const timer = setInterval(() => tell(fileBytes(to), total), LOOK_EVERY_MS);
  try {
    const block = await backupStore(from, to);
    tell(total, total);
    return block;
  } finally {
    clearInterval(timer);
  }
}

const LOOK_EVERY_MS = 250;

export const salvage: Handler<Spec<"store salvage">> = async ({ args, json }) => {
  const found = await withProgress("reading", (onProgress) =>
    salvageStore(args.DIR, args.NEW, { onProgress }),
  );
  const intact = found.blocks.filter((block) => block.intact).length;
  const said = `${counted(intact, "block")} saved to ${args.NEW}; the newest is ${found.newestIntact}`;
  print(json ? toJson(found) : said);
  if (json) return EXIT_OK;
  printDropped(notIntact(found));
  const isLost = found.damages.some(({ part }) => part === "log");
  if (isLost) print("the log of inputs cannot be read: blocks that only it had are lost, and not listed");
  return EXIT_OK;
};

function notIntact({ logged }: Verification): LoggedBlock[] {
  return logged.filter((block) => !block.intact);
}

/** Names the blocks of the log that are gone. */
function printDropped(blocks: readonly LoggedBlock[]): void {
  for (const { height, id } of blocks) print(`block ${grouped(height)} ${id} of the log dropped`);
}

export const read: Handler<Spec<"store import">> = async ({ args, options, json }) => {
  if (options.id === undefined)
    throw new UsageError("BAD_OPTION", "--id is missing: the id of the block that is wanted", {});
  const progress = new Progress();
  const size = withFile(args.FILE, "read", () => statSync(args.FILE)).size;
  const chunks = readChunks(args.FILE);
  const first = chunks.next();
  const importer = await openImport(args.DIR, options.id, { rehash: options.rehash });
  try {
    importer.take(first.value ?? new Uint8Array());
    // The store has those that an interrupted import has taken already.
    let number = 1;
    let bytes = 0;
    for (const chunk of chunks) {
      progress.part("byte", bytes, size);
      bytes += chunk.length;
      if (number++ >= importer.next) importer.take(chunk);
    }
    progress.clear();
    const { height, id } = await withProgress("importing", () => importer.finish());
    print(json ? toJson({ height, id }) : `block ${grouped(height)} ${id}`);
    return EXIT_OK;
  } finally {
    progress.clear();
    await importer.close();
  }
};
