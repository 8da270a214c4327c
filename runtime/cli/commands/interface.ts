/** stillpoint interface: what a program of contracts offers, as text, or as JSON. */

import { compileGuest } from "../../compile.ts";
import { type Interface, readInterface, type Type } from "../../typed/interface.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_OK, grouped, print, printError, toJson, withProgress } from "../terminal.ts";
import { readInput } from "./files.ts";

export const show: Handler<Spec<"interface">> = async ({ args, json }) => {
  const { FILE } = args;
  const isSource = FILE.endsWith(".ts");
  const compile = (): Promise<Uint8Array> => compileGuest(FILE, { onWarning: printError });
  const program = isSource ? await withProgress(`compiling ${FILE}`, compile) : readInput(FILE);
  const description = readInterface(program);
  print(json ? toJson(description) : interfaceText(description));
  return EXIT_OK;
};

/** As in the sources, without bodies. */
export function interfaceText({ functions, records, failures, state }: Interface): string {
  const lines: string[] = [];
  for (const contract of new Set(functions.map((each) => each.contract))) {
    lines.push(`contract ${contract}`);
    for (const { kind, name, parameters, returns } of functions.filter(
      (each) => each.contract === contract,
    )) {
      const given = parameters.map((each) => `${each.name}: ${typeText(each.type)}`).join(", ");
      lines.push(`  ${kind.padEnd(11)} ${name}(${given}): ${returns === null ? "void" : typeText(returns)}`);
    }
  }
  for (const { name, fields } of records) {
    lines.push(
      `record ${name} { ${fields.map((field) => `${field.name}: ${typeText(field.type)}`).join("; ")} }`,
    );
  }
  for (const { name, kind, types, capacity, at, bytes } of state) {
    const of = types.map(typeText).join(", ");
    const room = kind === "StateCell" ? "" : ` for ${grouped(capacity)}`;
    lines.push(`state ${name}: ${kind}<${of}>${room}, ${grouped(bytes)} bytes at ${at}`);
  }
  if (failures.length > 0)
    lines.push(`fails with ${failures.map((name) => JSON.stringify(name)).join(", ")}`);
  return lines.join("\n");
}

function typeText(type: Type): string {
  switch (type.kind) {
    case "fixed":
    case "record":
      return type.name;
    case "string":
      return `string(${type.max})`;
    case "bytes":
      return `Uint8Array(${type.max})`;
    case "option":
      return `Option<${typeText(type.of)}>`;
    case "vector":
      return `${typeText(type.of)}[](${type.max})`;
    case "array":
      return `StaticArray<${typeText(type.of)}>(${type.length})`;
    default:
      return type.kind;
  }
}
