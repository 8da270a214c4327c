/** The AssemblyScript that reads and writes a value of a type, with the codec of guest/typed/wire.ts. */

import { SCALAR_BYTES, type Type } from "./interface.ts";

/** What the type is called in AssemblyScript. */
export function nameOf(type: Type): string {
  switch (type.kind) {
    case "fixed":
    case "record":
      return type.name;
    case "bytes":
      return "Uint8Array";
    case "option":
      return `Option<${nameOf(type.of)}>`;
    case "vector":
      return `Array<${nameOf(type.of)}>`;
    default:
      return type.kind;
  }
}

/** Bytes of every encoding of the type; null if they differ, or if reading them takes more than a load. */
export function fixedBytes(type: Type): number | null {
  if (type.kind === "fixed") return type.bytes;
  if (type.kind === "u128") return 16;
  if (type.kind === "u256") return 32;
  return Object.hasOwn(SCALAR_BYTES, type.kind) ? SCALAR_BYTES[type.kind as keyof typeof SCALAR_BYTES] : null;
}

/** The value of a type with fixed bytes that lies at an address. */
export function loadExpression(type: Type, address: string, offset: number): string {
  if (type.kind === "bool") return `Wire.boolAt(${address} + ${offset})`;
  if (Object.hasOwn(SCALAR_BYTES, type.kind)) return `load<${type.kind}>(${address}, ${offset})`;
  return `changetype<${nameOf(type)}>(${address} + ${offset})`;
}

/** The next value of the input. Of options and vectors: see `helpers`. */
export function takeExpression(type: Type, wire = "Wire"): string {
  switch (type.kind) {
    case "bool":
      return `${wire}.bool()`;
    case "fixed":
    case "u128":
    case "u256":
      return `${wire}.value<${nameOf(type)}>(${fixedBytes(type)})`;
    case "string":
    case "bytes":
      return `${wire}.${type.kind}(${type.max})`;
    case "record":
      return `${type.name}.__take()`;
    case "option":
    case "vector":
      return `take_${helperName(type)}()`;
    default:
      return `${wire}.scalar<${type.kind}>()`;
  }
}

/** Statements that append a value to the output. */
export function putStatements(type: Type, value: string, wire = "Wire"): string[] {
  switch (type.kind) {
    case "bool":
      return [`${wire}.put<u8>(${value} ? 1 : 0);`];
    case "fixed":
    case "u128":
    case "u256":
      return [`${wire}.putValue(changetype<usize>(${value}), ${fixedBytes(type)});`];
    case "string":
      return [`${wire}.putString(${value}, ${type.max});`];
    case "bytes":
      return [`${wire}.putBytes(${value}, ${type.max});`];
    case "record":
      return [`${value}.__put();`];
    case "option":
    case "vector":
      return [`put_${helperName(type)}(${value});`];
    default:
      return [`${wire}.put<${type.kind}>(${value});`];
  }
}

/** Functions that read and write the options and vectors in these types, each once. */
export function helpers(types: readonly Type[]): string[] {
  const made = new Map<string, string[]>();
  const visit = (type: Type): void => {
    if (type.kind !== "option" && type.kind !== "vector") return;
    visit(type.of);
    made.set(helperName(type), helper(type));
  };
  for (const type of types) visit(type);
  return [...made.values()].flat();
}

function helper(type: Extract<Type, { kind: "option" | "vector" }>): string[] {
  const name = helperName(type);
  const [whole, inner] = [nameOf(type), nameOf(type.of)];
  const take = takeExpression(type.of);
  if (type.kind === "option") {
    return [
      `function take_${name}(): ${whole} {`,
      `  return Wire.bool() ? Option.some<${inner}>(${take}) : Option.none<${inner}>();`,
      "}",
      `function put_${name}(option: ${whole}): void {`,
      "  Wire.put<u8>(option.isSome ? 1 : 0);",
      `  if (option.isSome) { ${putStatements(type.of, "option.value").join(" ")} }`,
      "}",
    ];
  }
  return [
    `function take_${name}(): ${whole} {`,
    `  const count = <i32>Wire.count(${type.max});`,
    `  const list = new ${whole}();`,
    `  for (let i = 0; i < count; i++) list.push(${take});`,
    "  return list;",
    "}",
    `function put_${name}(list: ${whole}): void {`,
    `  Wire.putCount(<u32>list.length, ${type.max});`,
    `  for (let i = 0; i < list.length; i++) { ${putStatements(type.of, "list[i]").join(" ")} }`,
    "}",
  ];
}

function helperName(type: Type): string {
  switch (type.kind) {
    case "option":
      return `option_${helperName(type.of)}`;
    case "vector":
      return `vector${type.max}_${helperName(type.of)}`;
    case "string":
    case "bytes":
      return `${type.kind}${type.max}`;
    default:
      return nameOf(type);
  }
}
