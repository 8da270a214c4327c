/**
 * The author's sources as they are compiled: the same lines, with what the compiler adds. Decorators go,
 * records become unmanaged classes with accessors over their layout, collections get their addresses and
 * failures their numbers.
 */

import type { Field } from "./interface.ts";
import { FAILURE_FLAG } from "./interface.ts";
import type { Layout } from "./layout.ts";
import { type Insertion, MARKED_FILES_MAX, marksOf } from "./marks.ts";
import { KINDS, type Model, type RecordModel } from "./model.ts";
import type { RecordOf } from "./places.ts";
import { printing, printsOf } from "./prints.ts";
import { type AuthorFile, type ClassDeclaration, decorator, type Syntax, startOf, textOf } from "./syntax.ts";
import { copyExpression, helpers, putStatements, storeStatement, takeExpression } from "./wire.ts";

/** A replacement of a part of a source. */
type Edit = Insertion;

/** Fields of these types take no value that is too long; an option may have none. */
const BOUNDED: ReadonlySet<string> = new Set(["string", "bytes", "vector", "array", "option"]);

/**
 * Texts by path. `sdk` is what imports of the SDK's files begin with, seen from a file; `prints`: whether
 * `debug` prints.
 */
export function editedSources(
  syntax: Syntax,
  model: Model,
  layout: Layout,
  sdk: (from: string) => string,
  prints: boolean,
): Map<string, string> {
  const recordOf: RecordOf = (name) => model.records.find((each) => each.name === name) as RecordModel;
  return new Map(
    syntax.files.map((file): [string, string] => {
      const edits = [
        ...model.records
          .filter((record) => record.file === file)
          .flatMap((record) => recordEdits(syntax, record, recordOf, prints)),
        ...model.contracts
          .filter((contract) => contract.file === file)
          .flatMap(({ node }) => contractEdits(syntax, file, node)),
        ...failureEdits(file, model),
        ...placeEdits(file, layout),
        ...printEdits(syntax, file, prints),
        ...marks(syntax, file, model),
      ];
      const from = `${sdk(file.path)}/typed`;
      const records = model.records.filter((record) => record.file === file);
      const types = records.flatMap(({ fields }) => fields.map(({ type }) => type));
      const added = [
        `import { mark as __mark } from "${from}/mark";`,
        ...(prints ? [`import { print as __print, printed as __text } from "${from}/debug";`] : []),
        ...(records.length === 0 ? [] : [`import { Wire as __Wire } from "${from}/wire";`]),
        ...helpers(types, "__Wire", recordOf),
      ];
      return [file.path, `${[apply(file.text, edits), ...added].join("\n")}\n`];
    }),
  );
}

function apply(text: string, edits: readonly Edit[]): string {
  let result = "";
  let at = 0;
  for (const { start, end, text: inserted } of [...edits].sort(
    (a, b) => a.start - b.start || a.end - b.end,
  )) {
    result += text.slice(at, start) + inserted;
    at = end;
  }
  return result + text.slice(at);
}

/** Takes text out and keeps its lines. */
function blank(text: string, start: number, end: number, instead = ""): Edit {
  return { start, end, text: instead + text.slice(start, end).replace(/[^\n]+/g, "") };
}

// ---- classes ----------------------------------------------------------------------------------------------

function contractEdits(syntax: Syntax, file: AuthorFile, node: ClassDeclaration): Edit[] {
  const marks = node.members.flatMap((member) =>
    KINDS.map((name) => decorator(file, member, name)).filter((mark) => mark !== undefined),
  );
  return [
    ...classEdits(syntax, file, node, "contract"),
    ...marks.map(({ range }) => blank(file.text, range.start, range.end)),
  ];
}

/** The mark becomes asc's own, and what the entry imports is exported. */
function classEdits(syntax: Syntax, file: AuthorFile, node: ClassDeclaration, mark: string): Edit[] {
  const { range } = decorator(file, node, mark) as { range: { start: number; end: number } };
  const edits = [blank(file.text, range.start, range.end, "@unmanaged @final")];
  if (!syntax.isExported(node)) {
    const at = file.text.lastIndexOf("class", node.name.range.start);
    edits.push({ start: at, end: at, text: "export " });
  }
  return edits;
}

function recordEdits(syntax: Syntax, record: RecordModel, recordOf: RecordOf, prints: boolean): Edit[] {
  const { file, node, name, bytes, selector, fields } = record;
  const body = file.text.indexOf("{", node.name.range.end) + 1;
  const puts = fields.flatMap((field) => putStatements(field.type, `this.${field.name}`, "__Wire"));
  const takes = fields.map((field) => `it.${field.name} = ${takeExpression(field.type, "__Wire")};`);
  const members =
    ` constructor() { const it = heap.alloc(${bytes}); memory.fill(it, 0, ${bytes});` +
    ` return changetype<${name}>(it); }` +
    ` @inline get byteSize(): u32 { return ${bytes}; }` +
    ` __put(): void { ${puts.join(" ")} }` +
    ` __emit(): void { __Wire.put<u32>(${selector}); this.__put(); }` +
    ` static __take(): ${name} { const it = new ${name}(); ${takes.join(" ")} return it; }` +
    (prints ? ` __text(): string { return ${textOfRecord(record)}; }` : "");
  return [
    ...classEdits(syntax, file, node, "record"),
    { start: body, end: body, text: members },
    ...fields.map((field) => {
      const start = startOf(field.node);
      const { end } = field.node.range;
      const last = file.text[end] === ";" ? end + 1 : end;
      return blank(file.text, start, last, accessors(field, textOf(field.node.type as never), recordOf));
    }),
  ];
}

function accessors({ name, type, offset }: Field, written: string, recordOf: RecordOf): string {
  const at = `changetype<usize>(this) + ${offset}`;
  const get =
    type.kind === "record" ? `changetype<${written}>(${at})` : copyExpression(type, at, "__Wire", recordOf);
  const set = storeStatement(type, at, "value", "__Wire", recordOf);
  return (
    `@inline get ${name}(): ${written} { return ${get}; } ` +
    `@inline set ${name}(value: ${written}) { ${set} }`
  );
}

function textOfRecord({ name, fields }: RecordModel): string {
  const parts = fields.map((field) => `"${field.name}: " + __text(this.${field.name})`);
  return `"${name} { " + ${parts.join(' + ", " + ')} + " }"`;
}

function marks(syntax: Syntax, file: AuthorFile, { files, records }: Model): Edit[] {
  const index = file.isModule ? -1 : files.indexOf(file.path);
  if (index < 0 || index >= MARKED_FILES_MAX) return [];
  const bounded = records.flatMap(({ fields }) => fields.filter(({ type }) => BOUNDED.has(type.kind)));
  return marksOf(syntax, file, index, new Set(["value", ...bounded.map(({ name }) => name)]));
}

function printEdits(syntax: Syntax, file: AuthorFile, prints: boolean): Edit[] {
  return printsOf(syntax, file).map((call) => {
    const { start, end } = call.range;
    return blank(file.text, start, end, prints ? printing(call, file.path) : "");
  });
}

// ---- numbers ----------------------------------------------------------------------------------------------

function failureEdits(file: AuthorFile, { failures }: Model): Edit[] {
  return failures
    .filter(({ path }) => path === file.path)
    .map(({ node, line, number, file: index, path }) => {
      const at = node.range.end - 1;
      const packed = (FAILURE_FLAG | (index << 16) | number) >>> 0;
      return { start: at, end: at, text: `, ${line}, ${packed}, ${JSON.stringify(path)}` };
    });
}

function placeEdits(file: AuthorFile, { regions }: Layout): Edit[] {
  return regions
    .filter(({ node }) => node.range.source === file.source)
    .map(({ node, at }) => {
      const end = node.range.end - 1;
      return { start: end, end, text: node.args.length > 0 ? `, ${at}` : `${at}` };
    });
}
