/**
 * From the sources of a typed guest to the sources that asc compiles, and to all that is known of the
 * program: its interface, and where its state lies. Reads files through the caller, writes none.
 */

import { editedSources } from "./edits.ts";
import { entrySource, relativeImport } from "./entry.ts";
import type { Lock, TypedGuest } from "./guest.ts";
import type { Interface, Type } from "./interface.ts";
import { type Layout, layOut } from "./layout.ts";
import { type Model, modelOf } from "./model.ts";
import { printsOf } from "./prints.ts";
import { type Sources, Syntax } from "./syntax.ts";

export { type Interface, readInterface, withInterface } from "./interface.ts";
export { parseLock } from "./layout.ts";
export type { Sources } from "./syntax.ts";

/**
 * Looks whether a guest declares contracts, or methods as contracts have them, without parsing: files without
 * these words compile as they always did.
 */
export async function mentionsContracts(entry: string, sources: Sources): Promise<boolean> {
  const seen = new Set([entry]);
  for (const path of seen) {
    const text = sources.isSdk(path) ? null : await sources.read(path);
    if (text === null) continue;
    if (/@(contract|transaction|view|setup|migrate)\b/i.test(text)) return true;
    for (const [, specifier] of text.matchAll(/\b(?:from|import)\s*["'](\.{1,2}\/[^"']+)["']/g)) {
      const stem = joined(path, specifier as string);
      for (const file of [`${stem}.ts`, `${stem}/index.ts`]) seen.add(file);
    }
  }
  return false;
}

/**
 * Analyses a guest; null if it has no contracts. `prints`: whether `debug` prints, as in tests only.
 *
 * @throws UsageError E_GUEST_COMPILE with the author's file, line and column
 */
export async function analyseGuest(
  entry: string,
  sources: Sources,
  lock: Lock | null,
  prints: boolean,
): Promise<TypedGuest | null> {
  const syntax = await Syntax.parse(entry, sources);
  const model = modelOf(syntax);
  if (model.contracts.length === 0) return null;
  const placeOf = (type: Type): number => model.placeOf(type).bytes;
  const layout = layOut(model, placeOf, lock);
  const path = `${entry.replace(/\.ts$/, "")}.${prints ? "debug" : "entry"}.ts`;
  const isPackage = syntax.sdkModule.startsWith("~lib/");
  const folder = (from: string): string =>
    isPackage || from.startsWith("~lib/") ? "stillpoint/guest" : relativeImport(from, syntax.sdkModule);
  const texts = editedSources(syntax, model, layout, folder, prints);
  const sdk = isPackage ? folder(path) : `${folder(path)}/index`;
  texts.set(path, entrySource(path, model, layout, placeOf, sdk));
  const docs = new Map(model.functions.map(({ contract, name, doc }) => [`${contract}.${name}`, doc]));
  const hasPrints = syntax.files.some((file) => printsOf(syntax, file).length > 0);
  const description = describe(model, layout);
  // Without the nodes of the parser.
  const places = { ...layout, regions: description.state };
  const flags = ["--use", `abort=${syntax.sdkModule.replace(/\/index$/, "")}/typed/mark/aborted`];
  return { entry: path, flags, texts, description, layout: places, docs, hasPrints };
}

function describe(model: Model, layout: Layout): Interface {
  return {
    stateBytes: layout.stateBytes,
    files: model.files.map((path) => path.replace(/^~lib\//, "")),
    failures: model.failureNames,
    records: model.records.map(({ name, bytes, selector, fields }) => ({
      name,
      bytes,
      selector,
      fields: fields.map((field) => ({ name: field.name, type: field.type, offset: field.offset })),
    })),
    functions: model.functions.map(({ contract, name, kind, parameters, returns, selector }) => ({
      contract,
      name,
      kind,
      parameters,
      returns,
      selector,
    })),
    state: layout.regions.map(({ name, kind, types, capacity, at, bytes }) => ({
      name,
      kind,
      types,
      capacity,
      at,
      bytes,
    })),
  };
}

/** The path that `specifier` means in the file `from`, without extension. */
function joined(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.replace(/\.ts$/, "").split("/")) {
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
