/**
 * The entry module of a typed program: a function for each of the author's, which decodes arguments and
 * encodes the result, and the entries `__transaction`, `__view` and `__setup`, which choose by selector, and
 * `__migrate`, whose argument has a bit for each migration that is to run. Its Wasm exports nothing else but
 * the constants that place state.
 */

import { posix } from "node:path";
import type { FunctionType, Type } from "./interface.ts";
import { entriesOf, type Layout } from "./layout.ts";
import { ARGUMENTS, type FunctionModel, type Model } from "./model.ts";
import { fixedBytes, helpers, loadExpression, putStatements, takeExpression } from "./wire.ts";

export const TRANSACTION_ENTRY = "__transaction";
export const VIEW_ENTRY = "__view";
export const SETUP_ENTRY = "__setup";
export const MIGRATE_ENTRY = "__migrate";

export function entrySource(
  path: string,
  model: Model,
  layout: Layout,
  placeOf: (type: Type) => number,
  sdk: string,
): string {
  const types = model.functions.flatMap(({ parameters, returns }) => [
    ...parameters.map(({ type }) => type),
    ...(returns === null ? [] : [returns]),
  ]);
  return [
    `import { Address, Bytes4, Bytes8, Bytes16, Bytes32, Bytes64 } from "${sdk}";`,
    `import { Item as __Item, Option, u128, u256 } from "${sdk}";`,
    `import { Wire as __Wire } from "${sdk.replace(/\/index$/, "")}/typed/wire";`,
    ...[...model.contracts, ...model.records].map(
      ({ name, file }) => `import { ${name} } from "${relativeImport(path, file.path)}";`,
    ),
    `export const STATE_BYTES: u32 = ${layout.stateBytes};`,
    ...layout.regions.flatMap((region) => {
      const [first, stride] = entriesOf(region, placeOf);
      const name = `STATE_${region.name.replace(/([a-z\d])([A-Z])/g, "$1_$2").toUpperCase()}`;
      const place = `export const ${name}: usize = ${first};`;
      return stride === 0 ? [place] : [place, `export const ${name}_STRIDE: u32 = ${stride};`];
    }),
    ...helpers(types),
    ...model.functions.flatMap((each, i) => (each.kind === "migrate" ? [] : wrapper(each, i))),
    ...dispatcher(TRANSACTION_ENTRY, "transaction", model.functions),
    ...dispatcher(VIEW_ENTRY, "view", model.functions),
    ...(model.functions.some(({ kind }) => kind === "setup")
      ? dispatcher(SETUP_ENTRY, "setup", model.functions)
      : []),
    ...migrations(model.functions.filter(({ kind }) => kind === "migrate")),
    "",
  ].join("\n");
}

/** The import of one file by another, both relative to the base directory, or of a module of the SDK. */
export function relativeImport(from: string, to: string): string {
  if (to.startsWith("~lib/")) return to.slice("~lib/".length).replace(/\.ts$/, "");
  const path = posix.relative(posix.dirname(from), to).replace(/\.ts$/, "");
  return path.startsWith(".") ? path : `./${path}`;
}

function wrapper(each: FunctionModel, index: number): string[] {
  const lines: string[] = [];
  const sizes = each.parameters.map(({ type }) => fixedBytes(type));
  const values = each.parameters.map((_, i) => `a${i}`);
  if (sizes.every((size) => size !== null)) {
    let at = ARGUMENTS;
    each.parameters.forEach(({ type }, i) => {
      lines.push(`const a${i} = ${loadExpression(type, "__Item.input", at)};`);
      at += sizes[i] as number;
    });
    lines.unshift(`if (length != ${at}) __Wire.malformed();`);
  } else {
    lines.push(`__Wire.begin(__Item.input + ${ARGUMENTS}, __Item.input + <usize>length);`);
    each.parameters.forEach(({ type }, i) => void lines.push(`const a${i} = ${takeExpression(type)};`));
    lines.push("__Wire.end();");
  }
  const call = `${functionOf(each)}(${values.join(", ")})`;
  if (each.returns === null) lines.push(`${call};`);
  else lines.push(`const result = ${call};`, ...putStatements(each.returns, "result"));
  return [
    `function call${index}(length: i64): i64 {`,
    ...[...lines, "__Wire.finish();", "return 0;"].map((line) => `  ${line}`),
    "}",
  ];
}

function functionOf({ isStatic, contract, name }: FunctionModel): string {
  return `${isStatic ? contract : `changetype<${contract}>(0)`}.${name}`;
}

function migrations(functions: readonly FunctionModel[]): string[] {
  if (functions.length === 0) return [];
  return [
    `export function ${MIGRATE_ENTRY}(which: i64): i64 {`,
    "  __Wire.start();",
    ...functions.map((each, i) => `  if ((which >> ${i}) & 1) ${functionOf(each)}();`),
    "  return 0;",
    "}",
  ];
}

function dispatcher(
  entry: string,
  kind: FunctionType["kind"],
  functions: readonly FunctionModel[],
): string[] {
  return [
    `export function ${entry}(length: i64): i64 {`,
    `  if (length < ${ARGUMENTS}) __Wire.malformed();`,
    "  __Wire.start();",
    "  switch (load<u32>(__Item.input)) {",
    ...functions.flatMap((each, i) =>
      each.kind === kind ? [`    case ${each.selector}: return call${i}(length);`] : [],
    ),
    "  }",
    "  __Wire.noSuchFunction();",
    "  return 0;",
    "}",
  ];
}
