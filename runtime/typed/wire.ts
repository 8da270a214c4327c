/** The AssemblyScript that reads and writes a value of a type, with the codec of guest/typed/wire.ts. */

import { SCALAR_BYTES, type Type } from "./interface.ts";
import { placeOf, type RecordOf } from "./places.ts";

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
    case "array":
      return `StaticArray<${nameOf(type.of)}>`;
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
  if (type.kind === "bool") return `__Wire.boolAt(${address} + ${offset})`;
  if (Object.hasOwn(SCALAR_BYTES, type.kind)) return `load<${type.kind}>(${address}, ${offset})`;
  return `changetype<${nameOf(type)}>(${address} + ${offset})`;
}

/** The next value of the input. Of options and vectors: see `helpers`. */
export function takeExpression(type: Type, wire = "__Wire"): string {
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
    case "array":
      return `take_${helperName(type)}()`;
    default:
      return `${wire}.scalar<${type.kind}>()`;
  }
}

/** Statements that append a value to the output. */
export function putStatements(type: Type, value: string, wire = "__Wire"): string[] {
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
    case "array":
      return [`put_${helperName(type)}(${value});`];
    default:
      return [`${wire}.put<${type.kind}>(${value});`];
  }
}

/** Whether the type is made of others, so that functions of its own read and write it: see `helpers`. */
export function isComposed(type: Type): type is Composed {
  return type.kind === "option" || type.kind === "vector" || type.kind === "array";
}

type Composed = Extract<Type, { of: Type }>;

/**
 * Functions that read and write the options, vectors and arrays in these types, each once. With `recordOf`
 * also those for values in state.
 */
export function helpers(types: readonly Type[], wire = "__Wire", recordOf?: RecordOf): string[] {
  const made = new Map<string, string[]>();
  const visit = (type: Type): void => {
    if (!isComposed(type)) return;
    visit(type.of);
    const state = recordOf === undefined ? [] : stateHelper(type, wire, recordOf);
    made.set(helperName(type), [...helper(type, wire), ...state]);
  };
  for (const type of types) visit(type);
  return [...made.values()].flat();
}

function helper(type: Composed, wire: string): string[] {
  const name = helperName(type);
  const [whole, inner] = [nameOf(type), nameOf(type.of)];
  const take = takeExpression(type.of, wire);
  const put = (value: string): string => putStatements(type.of, value, wire).join(" ");
  switch (type.kind) {
    case "option":
      return [
        `function take_${name}(): ${whole} {`,
        `  return ${wire}.bool() ? ${wire}.some<${inner}>(${take}) : ${wire}.none<${inner}>();`,
        "}",
        `function put_${name}(option: ${whole}): void {`,
        `  ${wire}.put<u8>(option.isSome ? 1 : 0);`,
        `  if (option.isSome) { ${put("option.value")} }`,
        "}",
      ];
    case "vector":
      return [
        `function take_${name}(): ${whole} {`,
        `  const count = <i32>${wire}.count(${type.max});`,
        `  const list = new ${whole}();`,
        `  for (let i = 0; i < count; i++) list.push(${take});`,
        "  return list;",
        "}",
        `function put_${name}(list: ${whole}): void {`,
        `  ${wire}.putCount(<u32>list.length, ${type.max});`,
        `  for (let i = 0; i < list.length; i++) { ${put("list[i]")} }`,
        "}",
      ];
    case "array":
      return [
        `function take_${name}(): ${whole} {`,
        `  const list = new ${whole}(${type.length});`,
        `  for (let i = 0; i < ${type.length}; i++) list[i] = ${take};`,
        "  return list;",
        "}",
        `function put_${name}(list: ${whole}): void {`,
        `  ${wire}.checkLength(<u32>list.length, ${type.length});`,
        `  for (let i = 0; i < ${type.length}; i++) { ${put("list[i]")} }`,
        "}",
      ];
  }
}

/** Functions for a value in state (places.ts): what they give is a copy. */
function stateHelper(type: Composed, wire: string, recordOf: RecordOf): string[] {
  const name = helperName(type);
  const [whole, inner] = [nameOf(type), nameOf(type.of)];
  const { bytes, first, stride } = placeOf(type, recordOf);
  const at = (index: string): string => `at + ${first} + ${index} * ${stride}`;
  const read = copyExpression(type.of, at("<usize>i"), wire, recordOf);
  const write = storeStatement(type.of, at("<usize>i"), "list[i]", wire, recordOf);
  const load = `function load_${name}(at: usize): ${whole} {`;
  const store = `function store_${name}(at: usize, list: ${whole}): void {`;
  if (type.kind === "option") {
    const only = storeStatement(type.of, `at + ${first}`, "list.value", wire, recordOf);
    return [
      load,
      `  const i = 0;`,
      `  return load<u8>(at) ? ${wire}.some<${inner}>(${read}) : ${wire}.none<${inner}>();`,
      "}",
      store,
      `  memory.fill(at, 0, ${bytes});`,
      "  if (!list.isSome) return;",
      "  store<u8>(at, 1);",
      `  ${only}`,
      "}",
    ];
  }
  const isVector = type.kind === "vector";
  return [
    load,
    `  const count = ${isVector ? "load<i32>(at)" : type.length};`,
    `  const list = new ${whole}(${isVector ? "" : type.length});`,
    `  for (let i = 0; i < count; i++) ${isVector ? `list.push(${read})` : `list[i] = ${read}`};`,
    "  return list;",
    "}",
    store,
    isVector
      ? `  ${wire}.checkCount(<u32>list.length, ${type.max});`
      : `  ${wire}.checkLength(<u32>list.length, ${type.length});`,
    `  memory.fill(at, 0, ${bytes});`,
    ...(isVector ? ["  store<i32>(at, list.length);"] : []),
    `  for (let i = 0; i < list.length; i++) { ${write} }`,
    "}",
  ];
}

/** A copy of the value in state at an address. */
export function copyExpression(type: Type, at: string, wire: string, recordOf: RecordOf): string {
  switch (type.kind) {
    case "string":
    case "bytes":
      return `${wire}.load${type.kind === "string" ? "String" : "Bytes"}(${at})`;
    case "record":
      return `changetype<${type.name}>(${wire}.copyOf(${at}, ${recordOf(type.name).bytes}))`;
    case "fixed":
    case "u128":
    case "u256":
      return `changetype<${nameOf(type)}>(${at}).clone()`;
    case "option":
    case "vector":
    case "array":
      return `load_${helperName(type)}(${at})`;
    default:
      return `load<${type.kind}>(${at})`;
  }
}

/** Puts a value into state at an address. */
export function storeStatement(
  type: Type,
  at: string,
  value: string,
  wire: string,
  recordOf: RecordOf,
): string {
  switch (type.kind) {
    case "string":
    case "bytes":
      return `${wire}.store${type.kind === "string" ? "String" : "Bytes"}(${at}, ${type.max}, ${value});`;
    case "record":
    case "fixed":
    case "u128":
    case "u256":
      return `memory.copy(${at}, changetype<usize>(${value}), ${placeOf(type, recordOf).bytes});`;
    case "option":
    case "vector":
    case "array":
      return `store_${helperName(type)}(${at}, ${value});`;
    default:
      return `store<${type.kind}>(${at}, ${value});`;
  }
}

function helperName(type: Type): string {
  switch (type.kind) {
    case "option":
      return `option_${helperName(type.of)}`;
    case "vector":
      return `vector${type.max}_${helperName(type.of)}`;
    case "array":
      return `array${type.length}_${helperName(type.of)}`;
    case "string":
    case "bytes":
      return `${type.kind}${type.max}`;
    default:
      return nameOf(type);
  }
}
