/** The TypeScript of a client: types of a program's functions, records and failures, from its interface. */

import { type Interface, isCalled, type Parameter, SCALAR_BYTES, type Type } from "./interface.ts";

/**
 * The text of a module that exports `Client`, for `App.open<Client>(…)`. `docs` are doc comments by contract
 * and function.
 */
export function clientSource(description: Interface, docs: ReadonlyMap<string, string>): string {
  const { records, functions, failures } = description;
  const contracts = [...new Set(functions.map(({ contract }) => contract))];
  const lines = [
    "// Made by stillpoint build: changes are lost.",
    "",
    'import type { Query, Transaction } from "stillpoint/app";',
    "",
    "/** Bytes, in hex. */",
    `export type Hex = \`0x\${string}\`;`,
    "",
    "/** What the program says when it fails. */",
    `export type Failure = ${failures.map((name) => JSON.stringify(name)).join(" | ") || "never"};`,
  ];
  for (const { name, fields } of records) {
    for (const [suffix, isInput] of [
      ["", false],
      ["Input", true],
    ] as const) {
      lines.push("", `export interface ${name}${suffix} {`);
      for (const field of fields) lines.push(`  readonly ${field.name}: ${typeText(field.type, isInput)};`);
      lines.push("}");
    }
  }
  lines.push("", "export interface Client {");
  for (const contract of contracts) {
    lines.push(`  readonly ${contract}: {`);
    for (const each of functions.filter((other) => other.contract === contract && isCalled(other))) {
      const doc = docs.get(`${contract}.${each.name}`) ?? "";
      if (doc !== "")
        lines.push("    /**", ...doc.split("\n").map((line) => `     * ${line}`.trimEnd()), "     */");
      const parameter = each.parameters.length === 0 ? "" : `args: { ${fieldsText(each.parameters)} }`;
      const returns = each.returns === null ? "undefined" : typeText(each.returns, false);
      const kind = each.kind === "view" ? "Query" : "Transaction";
      lines.push(`    readonly ${each.name}: (${parameter}) => ${kind}<${returns}, Failure>;`);
    }
    lines.push("  };");
  }
  lines.push("}");
  const setups = functions.filter(({ kind }) => kind === "setup");
  if (setups.length > 0) {
    lines.push("", '/** What `App.open` takes as "setup". */', "export interface Setup {");
    for (const { contract, parameters } of setups)
      lines.push(`  readonly ${contract}: { ${fieldsText(parameters)} };`);
    lines.push("}");
  }
  return [...lines, ""].join("\n");
}

function fieldsText(parameters: readonly Parameter[]): string {
  return parameters.map(({ name, type }) => `readonly ${name}: ${typeText(type, true)}`).join("; ");
}

/** `isInput`: what is taken, else what is given. */
function typeText(type: Type, isInput: boolean): string {
  switch (type.kind) {
    case "bool":
      return "boolean";
    case "u64":
    case "i64":
    case "u128":
    case "u256":
      return "bigint";
    case "fixed":
      return isInput ? "Hex | Uint8Array" : "Hex";
    case "string":
      return "string";
    case "bytes":
      return "Uint8Array";
    case "record":
      return isInput ? `${type.name}Input` : type.name;
    case "option":
      return `${typeText(type.of, isInput)} | null`;
    case "vector":
    case "array":
      return `readonly (${typeText(type.of, isInput)})[]`;
    default:
      return type.kind in SCALAR_BYTES ? "number" : "never";
  }
}
