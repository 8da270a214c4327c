/** stillpoint inspect: blocks, process, memory, diff, diverge, pins, verify and export, with a reader. */

import { stateOf } from "../../chain/remade.ts";
import { type Divergence, diffBetween, formatDiff, parting } from "../../debug.ts";
import { type Block, type ProcessView, StoreError } from "../../index.ts";
import { exportBlock, openReader, type Reader, type Verification, verifyStore } from "../../store.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import {
  counted,
  EXIT_FAILED,
  EXIT_OK,
  formatTable,
  grouped,
  print,
  printError,
  toJson,
  withProgress,
} from "../terminal.ts";
import { fileBytes, writeChunks } from "./files.ts";
import { blockNamed, numberNamed, pathNamed, pathText } from "./naming.ts";

const MEMORY_BYTES = 256;
const CHILDREN = 100;
const HEX_ROW = 16;

export const blocks: Handler<Spec<"inspect blocks">> = async ({ args, options, json }) => {
  await using reader = await openReader(args.DIR);
  listBlocks(reader, reader.retained().slice(-(options.last ?? Infinity)), json);
  tellLogged(reader);
  return EXIT_OK;
};

/** Says what a reader does not show, beside the answer. */
function tellLogged(reader: Reader): void {
  try {
    const logged = reader.logged();
    const last = logged.at(-1);
    if (last === undefined) return;
    const count = counted(logged.length, "acknowledged block");
    printError(
      `stillpoint inspect: the newest checkpoint is at height ${reader.head.height}; ${count} beyond it, ` +
        `up to height ${last.height}, are only in the log so far. The next checkpoint of the writer adds ` +
        "them, and so does opening the store",
    );
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    printError('stillpoint inspect: the log of inputs cannot be read; see "stillpoint inspect DIR verify"');
  }
}

export const pins: Handler<Spec<"inspect pins">> = async ({ args, json }) => {
  await using reader = await openReader(args.DIR);
  listBlocks(reader, reader.pinned(), json);
  return EXIT_OK;
};

function listBlocks(reader: Reader, all: readonly Block[], json: boolean): void {
  const onChain = new Set(reader.blocks().map(({ id }) => id));
  const pinned = new Set(reader.pinned().map(({ id }) => id));
  if (json) {
    for (const { data, ...block } of all) {
      const { id } = block;
      print(toJson({ ...block, dataBytes: data.length, chain: onChain.has(id), pinned: pinned.has(id) }));
    }
    return;
  }
  const rows = all.map(({ height, id, root, data, gasUsed }) => [
    grouped(height),
    id,
    root.slice(0, 16),
    grouped(data.length),
    grouped(gasUsed),
    onChain.has(id) ? "" : "side branch",
    pinned.has(id) ? "pinned" : "",
  ]);
  const left = ["id", "root", "chain", "pin"];
  print(formatTable(["height", "id", "root", "data", "gas", "chain", "pin"], rows, left));
}

export const process: Handler<Spec<"inspect process">> = async ({ args, options, json }) => {
  await using reader = await openReader(args.DIR);
  const block = blockNamed(reader, options.block);
  const path = pathNamed(args.PATH);
  await using state = await stateOf(reader, block);
  const view = state.chain.inspect(path, state.block);
  if (view === null) {
    printError(`stillpoint inspect: block ${block.height} has no process ${pathText(path)}`);
    return EXIT_FAILED;
  }
  const range = { from: options.from ?? 0, count: options.count ?? CHILDREN };
  const children = state.chain.children(path, range, state.block);
  if (json) print(toJson({ path, block: block.id, ...view, children }));
  else describeProcess(path, block, view, children);
  return EXIT_OK;
};

function describeProcess(path: readonly number[], block: Block, view: ProcessView, children: number[]): void {
  const { status, fault, text, code, region, quota } = view;
  const rows: [string, string][] = [
    ["process", `${pathText(path)} in block ${block.height} ${block.id}`],
    ["status", fault === null ? status : `${status}: ${fault}${text && `: ${text}`}`],
    ...(status === "returned" || status === "ret" ? [["code", String(code)] as [string, string]] : []),
    ["program", view.program],
    ["hash", view.hash],
    ["reference", view.reference ?? "none"],
    ["memory", `${grouped(view.memoryBytes)} bytes`],
    ["gas used", grouped(view.gasUsed)],
    ["may use", `${grouped(quota.memoryPages)} pages of memory, ${grouped(quota.processes)} processes`],
    ...(region === null
      ? []
      : [["region", `${grouped(region.capacity)} bytes at ${region.address}`] as [string, string]]),
    ["children", `${grouped(view.childCount)}${children.length === 0 ? "" : `: ${children.join(", ")}`}`],
  ];
  for (const [name, value] of rows) print(`${name.padEnd(10)} ${value}`);
}

export const memory: Handler<Spec<"inspect memory">> = async ({ args, options, json }) => {
  await using reader = await openReader(args.DIR);
  const block = blockNamed(reader, options.block);
  const path = pathNamed(args.PATH);
  const address = numberNamed("ADDRESS", args.ADDRESS);
  const length = args.LENGTH === undefined ? MEMORY_BYTES : numberNamed("LENGTH", args.LENGTH);
  await using state = await stateOf(reader, block);
  const bytes = state.chain.read(path, address, length, state.block);
  if (options.raw) globalThis.process.stdout.write(bytes);
  else if (json) print(toJson({ path, block: block.id, address, bytes }));
  else print(hexDump(bytes, address));
  return EXIT_OK;
};

/** Rows of sixteen bytes, as hex and as text; rows of zeros are left out, and counted. */
function hexDump(bytes: Uint8Array, address: number): string {
  const lines: string[] = [];
  let zeros = 0;
  const flush = (): void => {
    if (zeros > 0) lines.push(`        ${grouped(zeros * HEX_ROW)} zero bytes`);
    zeros = 0;
  };
  for (let at = 0; at < bytes.length; at += HEX_ROW) {
    const row = bytes.subarray(at, at + HEX_ROW);
    if (row.length === HEX_ROW && row.every((byte) => byte === 0)) {
      zeros++;
      continue;
    }
    flush();
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = [...row]
      .map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "."))
      .join("");
    lines.push(`${(address + at).toString(16).padStart(8, "0")}  ${hex.padEnd(3 * HEX_ROW - 1)}  ${text}`);
  }
  flush();
  return lines.join("\n");
}

export const diff: Handler<Spec<"inspect diff">> = async ({ args, options, json }) => {
  await using reader = await openReader(args.DIR);
  const [a, b] = [blockNamed(reader, args.A), blockNamed(reader, args.B)];
  await using one = await stateOf(reader, a);
  await using two = await stateOf(reader, b);
  const limit = options.limit === undefined ? {} : { limit: options.limit };
  const found = diffBetween(one.chain, one.block, two.chain, two.block, limit);
  if (json) print(toJson({ blocks: [a.id, b.id], ...found }));
  else print(found.differences.length === 0 ? "the states are the same" : formatDiff(found));
  return found.differences.length === 0 ? EXIT_OK : EXIT_FAILED;
};

export const diverge: Handler<Spec<"inspect diverge">> = async ({ args, options, json }) => {
  await using a = await openReader(args.DIR);
  await using b = await openReader(args.OTHER);
  const found = await divergenceOf(a, b, options.by);
  if (json) {
    print(toJson(found));
  } else if (found === null) {
    print("the same, as far as both go");
  } else {
    const earlier = found.earlier ? ", or an earlier one that is not retained any more" : "";
    print(`block ${grouped(found.height)} is the first that differs${earlier}`);
    for (const [i, { id, root }] of found.blocks.entries())
      print(`${i === 0 ? args.DIR : args.OTHER}: ${id} root ${root}`);
    print(formatDiff(found));
  }
  return found === null ? EXIT_OK : EXIT_FAILED;
};

/** As `divergence`, and makes states that are not stored. */
async function divergenceOf(a: Reader, b: Reader, by: "id" | "data" = "id"): Promise<Divergence | null> {
  const parted = parting(a, b, by);
  if (parted === null) return null;
  await using one = await stateOf(a, parted.blocks[0]);
  await using two = await stateOf(b, parted.blocks[1]);
  return { ...parted, ...diffBetween(one.chain, one.block, two.chain, two.block) };
}

export const verify: Handler<Spec<"inspect verify">> = async ({ args, json }) => {
  const found = await withProgress("verifying", (onProgress) => verifyStore(args.DIR, { onProgress }));
  if (json) print(toJson(found));
  else describe(found);
  return found.damages.length === 0 ? EXIT_OK : EXIT_FAILED;
};

function describe(found: Verification): void {
  const { objects, bytes, blocks, logged, damages, truncated, newestIntact } = found;
  for (const { height, block, path, part, from, length, reason } of damages) {
    if (block === null) {
      print(`the store's record "${part}": ${reason}`);
      continue;
    }
    const which = height === null ? block : grouped(height);
    const where = from === null ? "" : ` ${grouped(from)} to ${grouped(from + (length ?? 1) - 1)}`;
    print(`block ${which}  ${pathText(path)}  ${part}${where}: ${reason}`);
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
    printError(`stillpoint inspect: the newest intact block is ${newestIntact ?? "none"}`);
}

export const write: Handler<Spec<"inspect export">> = async ({ args, options, json }) => {
  const [block, base] = await blocksOf(args.DIR, options.block, options.base);
  const { portable } = options;
  const chunks = exportBlock(args.DIR, { ...(block && { block }), ...(base && { base }), portable });
  // An export has what the store holds, or less.
  const most = fileBytes(args.DIR);
  const bytes = await withProgress("writing", (tell) =>
    writeChunks(args.FILE, chunks, (written) => tell(written, most)),
  );
  print(json ? toJson({ file: args.FILE, bytes }) : `${grouped(bytes)} bytes written to ${args.FILE}`);
  return EXIT_OK;
};

async function blocksOf(directory: string, ...texts: (string | undefined)[]): Promise<(Block | undefined)[]> {
  await using reader = await openReader(directory);
  return texts.map((text) => (text === undefined ? undefined : blockNamed(reader, text)));
}
