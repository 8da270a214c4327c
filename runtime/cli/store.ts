/** stillpoint store COMMAND DIRECTORY [OPTION…] */

import { closeSync, openSync, readSync, writeFileSync } from "node:fs";
import { divergence, formatDiff } from "../debug.ts";
import { UsageError } from "../errors.ts";
import {
  backupStore,
  type ExportOptions,
  exportBlock,
  openImport,
  openReader,
  repairStore,
  salvageStore,
  type Verification,
  verifyStore,
} from "../store.ts";
import {
  type Command,
  EXIT_FAILED,
  EXIT_OK,
  formatTable,
  grouped,
  integerOption,
  parseOptions,
  print,
  printError,
} from "./terminal.ts";

export const storeCommand: Command = {
  name: "stillpoint store",
  help: `Looks at and cares for a directory of blocks.

  stillpoint store blocks DIRECTORY [--json]       the blocks it holds
  stillpoint store verify DIRECTORY [--json]       hashes everything anew, and names what is damaged
  stillpoint store diverge DIRECTORY OTHER [--json]
                                                   the first block in which two chains differ, and how
  stillpoint store repair DIRECTORY                goes back to the newest intact block
  stillpoint store backup DIRECTORY NEW            copies it, with all that is acknowledged
  stillpoint store salvage DIRECTORY NEW           saves what can be read of a file that cannot be opened
  stillpoint store export DIRECTORY FILE [--block WHICH] [--base WHICH]
                                                   writes a block, by default the newest, whole or as what
                                                   differs from a base; named by height or by id
  stillpoint store import DIRECTORY FILE --id ID   takes the block with this id, from such a file; one
                                                   that was interrupted goes on, also from another file

"blocks", "verify", "diverge", "backup" and "export" may run while a runtime writes to the directory. The exit
code is 1 if something is damaged, refused or different.`,
  run: async ([what, ...args]) => {
    switch (what) {
      case "blocks":
        return blocks(args);
      case "verify":
        return verify(args);
      case "diverge":
        return diverge(args);
      case "repair":
        return repair(args);
      case "backup":
        return backup(args);
      case "salvage":
        return salvage(args);
      case "export":
        return write(args);
      case "import":
        return read(args);
      default:
        throw new UsageError("BAD_OPTION", `no command ${JSON.stringify(what ?? "")} of "store"`, {
          command: what ?? "",
        });
    }
  },
};

const JSON_OPTION = { json: { type: "boolean", default: false } } as const;

async function blocks(args: string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, JSON_OPTION, 1);
  const reader = await openReader(positionals[0]!);
  const onChain = new Set(reader.blocks().map(({ id }) => id));
  const all = reader.retained();
  await reader.close();
  if (values.json) {
    for (const { data, ...block } of all) {
      print(JSON.stringify({ ...block, dataBytes: data.length, chain: onChain.has(block.id) }));
    }
    return EXIT_OK;
  }
  const rows = all.map(({ height, id, root, data, gasUsed }) => [
    grouped(height),
    id,
    root.slice(0, 16),
    grouped(data.length),
    grouped(gasUsed),
    onChain.has(id) ? "" : "apart",
  ]);
  print(formatTable(["height", "id", "root", "data", "gas", "chain"], rows, ["id", "root", "chain"]));
  return EXIT_OK;
}

async function verify(args: string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, JSON_OPTION, 1);
  const found = await verifyStore(positionals[0]!);
  if (values.json) print(JSON.stringify(found));
  else describe(found);
  return found.damages.length === 0 ? EXIT_OK : EXIT_FAILED;
}

function describe(found: Verification): void {
  const { objects, bytes, blocks, logged, damages, truncated, newestIntact } = found;
  for (const { height, block, path, part, from, length, reason } of damages) {
    if (block === null) {
      print(`the store's record "${part}": ${reason}`);
      continue;
    }
    const which = height === null ? block : grouped(height);
    const where = from === null ? "" : ` ${grouped(from)} to ${grouped(from + (length ?? 1) - 1)}`;
    print(`block ${which}  /${path.join("/")}  ${part}${where}: ${reason}`);
  }
  if (truncated) print("and more");
  const intact = blocks.filter((block) => block.intact).length;
  const size = `${grouped(objects)} objects, ${grouped(bytes)} bytes`;
  print(`${grouped(intact)} of ${grouped(blocks.length)} blocks intact, ${size}`);
  if (logged.length > 0) print(`${grouped(logged.length)} more in the log, which opening runs again`);
  for (const { height, id, intact } of logged) {
    if (!intact) print(`block ${grouped(height)} ${id} of the log: a repair drops it`);
  }
  if (damages.length > 0)
    printError(`stillpoint store: the newest intact block is ${newestIntact ?? "none"}`);
}

async function diverge(args: string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, JSON_OPTION, 2);
  const [directory, other] = positionals as [string, string];
  await using a = await openReader(directory);
  await using b = await openReader(other);
  const found = divergence(a, b);
  if (values.json) {
    const plain = (_: string, value: unknown) =>
      typeof value === "bigint" || value instanceof Uint8Array ? value.toString() : value;
    print(JSON.stringify(found, plain));
  } else if (found === null) {
    print("the same, as far as both go");
  } else {
    const earlier = found.earlier ? ", or an earlier one that is not retained any more" : "";
    print(`block ${grouped(found.height)} is the first that differs${earlier}`);
    for (const [i, { id, root }] of found.blocks.entries()) print(`${positionals[i]}: ${id} root ${root}`);
    print(formatDiff(found));
  }
  return found === null ? EXIT_OK : EXIT_FAILED;
}

async function repair(args: string[]): Promise<number> {
  const found = await repairStore(parseOptions(args, {}, 1).positionals[0]!);
  const forgotten = found.blocks.filter((block) => !block.intact).length;
  print(`${grouped(forgotten)} damaged blocks forgotten; the newest intact one is ${found.newestIntact}`);
  const dropped = found.logged.filter((block) => !block.intact);
  for (const { height, id } of dropped) print(`block ${grouped(height)} ${id} of the log dropped`);
  return EXIT_OK;
}

async function backup(args: string[]): Promise<number> {
  const [directory, to] = parseOptions(args, {}, 2).positionals as [string, string];
  const { height, id } = await backupStore(directory, to);
  print(`copied to ${to}; its newest state is that of block ${grouped(height)} ${id}`);
  return EXIT_OK;
}

async function salvage(args: string[]): Promise<number> {
  const [directory, to] = parseOptions(args, {}, 2).positionals as [string, string];
  const found = await salvageStore(directory, to);
  const intact = found.blocks.filter((block) => block.intact).length;
  print(`${grouped(intact)} blocks saved to ${to}; the newest is ${found.newestIntact}`);
  return EXIT_OK;
}

/** A file of chunks: each behind its length, a u32, little-endian. */
const LENGTH_BYTES = 4;
/** No chunk is longer: 256 KiB, and one object of 128 MiB at most. */
const LENGTH_LIMIT = 1 << 28;

async function write(args: string[]): Promise<number> {
  const known = { block: { type: "string" }, base: { type: "string" } } as const;
  const { values, positionals } = parseOptions(args, known, 2);
  const [directory, file] = positionals as [string, string];
  const named = async (name: "block" | "base"): Promise<ExportOptions> => {
    const text = values[name];
    if (text === undefined) return {};
    if (!/^[0-9a-f]{64}$/.test(text)) {
      return { [name]: integerOption(name, text, 0, Number.MAX_SAFE_INTEGER) };
    }
    await using reader = await openReader(directory);
    const found = reader.retained().find(({ id }) => id === text);
    if (found !== undefined) return { [name]: found };
    throw new UsageError("NOT_RETAINED", `the store ${directory} does not hold block ${text}`, {});
  };
  const options = { ...(await named("block")), ...(await named("base")) };
  let descriptor: number | null = null;
  let bytes = 0;
  try {
    for await (const chunk of exportBlock(directory, options)) {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(chunk.length, 0);
      bytes += LENGTH_BYTES + chunk.length;
      // A file that is there is not touched before there is something to write.
      descriptor = withFile(file, "written", () => {
        const to: number = descriptor ?? openSync(file, "w");
        writeFileSync(to, length);
        writeFileSync(to, chunk);
        return to;
      });
    }
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
  print(`${grouped(bytes)} bytes written to ${file}`);
  return EXIT_OK;
}

async function read(args: string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, { id: { type: "string" } } as const, 2);
  const [directory, file] = positionals as [string, string];
  if (values.id === undefined) {
    throw new UsageError("BAD_OPTION", "--id is missing: the id of the block that is wanted", {});
  }
  const chunks = chunksOf(file);
  const first = chunks.next();
  const importer = await openImport(directory, values.id);
  try {
    importer.take(first.value ?? new Uint8Array());
    // Those that came in an import that was interrupted are there.
    let number = 1;
    for (const chunk of chunks) if (number++ >= importer.next) importer.take(chunk);
    const { height, id } = await importer.finish();
    print(`block ${grouped(height)} ${id}`);
    return EXIT_OK;
  } finally {
    await importer.close();
  }
}

function* chunksOf(file: string): Generator<Uint8Array, undefined> {
  const descriptor = withFile(file, "read", () => openSync(file, "r"));
  try {
    for (;;) {
      const length = bytesOf(file, descriptor, LENGTH_BYTES);
      if (length.length === 0) return;
      // What is cut off is refused by its number, as is what cannot be a length.
      if (length.length < LENGTH_BYTES) yield length;
      else yield bytesOf(file, descriptor, Math.min(length.readUInt32LE(0), LENGTH_LIMIT));
    }
  } finally {
    closeSync(descriptor);
  }
}

/** The next `count` bytes, or what there is. */
function bytesOf(file: string, descriptor: number, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  let length = 0;
  for (let more = -1; more !== 0 && length < count; length += more) {
    more = withFile(file, "read", () => readSync(descriptor, bytes, length, count - length, null));
  }
  return bytes.subarray(0, length);
}

function withFile<T>(file: string, what: "read" | "written", work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const message = `${file}: cannot be ${what}: ${(cause as Error).message}`;
    throw new UsageError("BAD_OPTION", message, { file }, { cause });
  }
}
