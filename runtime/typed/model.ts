/**
 * What a typed program consists of: its records, contracts, collections and failures, from its sources. Every
 * rule that an author can break is checked here, at the author's own place.
 */

import { createHash } from "node:crypto";
import { roundUp } from "./collections.ts";
import { refuseUnknownDecorators } from "./decorators.ts";
import { evaluate } from "./evaluate.ts";
import { refuseForgotten } from "./forgotten.ts";
import { canonical, type Field, type FunctionType, SCALAR_BYTES, type Type } from "./interface.ts";
import { type Place, placeOf } from "./places.ts";
import {
  type AuthorFile,
  type CallExpression,
  type ClassDeclaration,
  type DecoratorNode,
  decorator,
  errorAt,
  type FieldDeclaration,
  lineOf,
  type MethodDeclaration,
  type NewExpression,
  type Node,
  type Syntax,
  textOf,
} from "./syntax.ts";

/** The number of a program's first failure: FAILURES_OWN of guest/fail.ts. */
export const FAILURES_OWN = 64;
const FAILURES_MAX = 0xffff;
const FILES_MAX = 0x7fff;
/** What an input takes besides arguments: ARGUMENTS of guest/typed/context.ts. */
export const ARGUMENTS = 24;

const FIXED_BYTES: Readonly<Record<string, number>> = {
  Address: 20,
  Bytes4: 4,
  Bytes8: 8,
  Bytes16: 16,
  Bytes32: 32,
  Bytes64: 64,
};
/** Types that are imported. */
const SDK_TYPES = [...Object.keys(FIXED_BYTES), "u128", "u256", "Option"];
/** What marks the functions of a contract, and what such a one is. */
const NOUNS = { transaction: "transaction", view: "view", setup: "setup", migrate: "migration" } as const;
export const KINDS = Object.keys(NOUNS) as (keyof typeof NOUNS)[];
/** Migrations of a program, at most: bits of an argument. */
const MIGRATIONS_MAX = 63;
const COLLECTIONS = { StateMap: 2, StateSet: 1, StateVector: 1, StateCell: 1 } as const;
const ENCODED =
  "bool, u8 to u64, i8 to i64, u128, u256, Address, Bytes4 to Bytes64, string, Uint8Array, " +
  "Option<T>, T[], StaticArray<T>, and classes marked @record";

export interface RecordModel {
  readonly name: string;
  readonly file: AuthorFile;
  readonly node: ClassDeclaration;
  readonly fields: readonly (Field & { readonly node: FieldDeclaration })[];
  readonly bytes: number;
  readonly selector: number;
}

export interface ContractModel {
  readonly name: string;
  readonly file: AuthorFile;
  readonly node: ClassDeclaration;
}

export interface FunctionModel extends FunctionType {
  readonly isStatic: boolean;
  readonly node: MethodDeclaration;
  /** Its doc comment, without stars; "" if it has none. */
  readonly doc: string;
}

/** A collection as it is declared. */
export interface StateModel {
  readonly name: string;
  readonly kind: keyof typeof COLLECTIONS;
  readonly types: readonly Type[];
  readonly capacity: number;
  readonly node: NewExpression;
}

export interface FailureModel {
  readonly name: string;
  readonly number: number;
  readonly file: number;
  readonly line: number;
  readonly node: CallExpression;
  readonly path: string;
}

export interface Model {
  readonly records: readonly RecordModel[];
  readonly contracts: readonly ContractModel[];
  readonly functions: readonly FunctionModel[];
  readonly state: readonly StateModel[];
  readonly failures: readonly FailureModel[];
  /** The author's files, and modules with failures, in the order of their numbers. */
  readonly files: readonly string[];
  readonly failureNames: readonly string[];
  /** What a type takes in memory. */
  placeOf(type: Type): Place;
}

export function modelOf(syntax: Syntax): Model {
  return new Analysis(syntax).run();
}

class Analysis {
  readonly #syntax: Syntax;
  readonly #declared = new Map<string, { file: AuthorFile; node: ClassDeclaration }>();
  readonly #records = new Map<string, RecordModel>();
  readonly #underWay = new Set<string>();

  constructor(syntax: Syntax) {
    this.#syntax = syntax;
  }

  run(): Model {
    const { files } = this.#syntax;
    refuseUnknownDecorators(this.#syntax);
    const contracts: ContractModel[] = [];
    for (const file of files) {
      for (const node of this.#syntax.classes(file)) {
        const name = node.name.text;
        if (decorator(file, node, "record")) {
          if (this.#declared.has(name))
            throw errorAt(node.name, `there is another record ${name}: rename one`);
          this.#declared.set(name, { file, node });
        }
        if (!decorator(file, node, "contract")) continue;
        if (contracts.some((other) => other.name === name))
          throw errorAt(node.name, `there is another contract ${name}: rename one`);
        contracts.push({ name, file, node });
      }
    }
    const records = [...this.#declared].map(([name, { node }]) => this.#record(name, node));
    const functions = contracts.flatMap((contract) => this.#functions(contract));
    if (contracts.length > 0) refuseForgotten(this.#syntax, (node) => this.#isState(node));
    this.#checkSelectors(functions);
    this.#checkSetups(functions);
    const migrations = functions.filter(({ kind }) => kind === "migrate");
    if (migrations.length > MIGRATIONS_MAX)
      throw errorAt(
        (migrations[MIGRATIONS_MAX] as FunctionModel).node.name,
        `there are more than ${MIGRATIONS_MAX} migrations: delete those that every chain has behind it`,
      );
    return {
      records: records.sort((a, b) => (a.name < b.name ? -1 : 1)),
      contracts,
      functions,
      state: this.#state(),
      ...this.#failures(),
      placeOf: (type) => this.#placeOf(type),
    };
  }

  // ---- types ----------------------------------------------------------------------------------------------

  /** `limits`: maxima that were given for this type, the outermost first; those that are used are taken. */
  #type(file: AuthorFile, node: Node, limits: number[], where: "state" | "value"): Type {
    const text = textOf(node);
    const refuse = (): never => {
      throw errorAt(node, `type ${text} has no encoding: there are ${ENCODED}`);
    };
    if (!this.#syntax.isNamedType(node)) return refuse();
    const name = node.name.next === null ? node.name.identifier.text : text;
    if (SDK_TYPES.includes(name) && !file.sdk.has(name) && !this.#declared.has(name))
      throw errorAt(node, `${name} is not imported: import { ${name} } from "stillpoint/guest"`);
    if (Object.hasOwn(SCALAR_BYTES, name)) return { kind: name as keyof typeof SCALAR_BYTES };
    const known = file.sdk.get(name);
    if (known === "u128" || known === "u256") return { kind: known };
    if (known !== undefined && Object.hasOwn(FIXED_BYTES, known))
      return { kind: "fixed", name: known, bytes: FIXED_BYTES[known] as number };
    const isText = name === "string" || name === "Uint8Array";
    if (isText && where === "state")
      throw errorAt(node, `${text} lies in a record: @record class Name { @max(64) text: ${text}; }`);
    if (isText) return { kind: name === "string" ? "string" : "bytes", max: this.#maximum(node, limits) };
    const declared = this.#declared.get(name);
    if (declared !== undefined) {
      this.#record(name, node);
      return { kind: "record", name };
    }
    const [inner] = node.typeArguments ?? [];
    const isOption = known === "Option";
    const isArray = name === "Array" || name === "StaticArray";
    if ((!isOption && !isArray) || inner === undefined) return refuse();
    if (where === "state")
      throw errorAt(node, `${text} is for records, parameters and results: make it a field of a record`);
    if (isOption) return { kind: "option", of: this.#type(file, inner, limits, where) };
    const count = this.#maximum(node, limits);
    const of = this.#type(file, inner, limits, where);
    return name === "Array" ? { kind: "vector", of, max: count } : { kind: "array", of, length: count };
  }

  #maximum(node: Node, limits: number[]): number {
    const max = limits.shift();
    if (max !== undefined) return max;
    throw errorAt(
      node,
      `${textOf(node)} needs a maximum: @max(64) before a field, @transaction({ name: 64 }) for a ` +
        "parameter, { returns: 64 } for a result; for 10 elements of 64 bytes @max(10, 64), or [10, 64]",
    );
  }

  #record(name: string, from: Node): RecordModel {
    const known = this.#records.get(name);
    if (known !== undefined) return known;
    if (this.#underWay.has(name)) throw errorAt(from, `record ${name} contains itself`);
    this.#underWay.add(name);
    const { file, node } = this.#declared.get(name) as { file: AuthorFile; node: ClassDeclaration };
    if (node.extendsType !== null)
      throw errorAt(node.extendsType, "a record extends nothing: repeat the fields");
    if (node.typeParameters !== null && node.typeParameters.length > 0)
      throw errorAt(node.name, "a record has no type parameters");
    const fields: RecordModel["fields"][number][] = [];
    let end = 0;
    let alignment = 1;
    for (const member of node.members) {
      if (this.#syntax.isConstructor(member))
        throw errorAt(member, "a record has no constructor: it begins as zero bytes, set its fields");
      if (!this.#syntax.isField(member) || this.#syntax.isStatic(member)) continue;
      const field = this.#field(file, member);
      const place = this.#placeOf(field.type);
      const offset = roundUp(end, place.alignment);
      fields.push({ ...field, offset });
      end = offset + place.bytes;
      alignment = Math.max(alignment, place.alignment);
    }
    if (fields.length === 0) throw errorAt(node.name, `record ${name} has no fields`);
    const shape = `${name}(${fields.map((field) => `${field.name}:${this.#words(field.type)}`).join(",")})`;
    const record = { name, file, node, fields, bytes: roundUp(end, alignment), selector: selectorOf(shape) };
    this.#underWay.delete(name);
    this.#records.set(name, record);
    return record;
  }

  #field(file: AuthorFile, member: FieldDeclaration): { name: string; type: Type; node: FieldDeclaration } {
    const name = member.name.text;
    if (member.type === null) throw errorAt(member.name, `field ${name} needs a type`);
    const initial = member.initializer === null ? "0" : textOf(member.initializer);
    if (!/^(0|false|\[\]|""|'')$/.test(initial))
      throw errorAt(
        member,
        `field ${name} begins as zero bytes, not as ${initial}: set it where the record is added`,
      );
    const limit = decorator(file, member, "max");
    const limits = (limit?.args ?? []).map((each) => this.#number(file, each));
    return { name, type: this.#type(file, member.type, limits, "value"), node: member };
  }

  #words(type: Type): string {
    return canonical(type, (name) => this.#records.get(name) as RecordModel);
  }

  #placeOf(type: Type): Place {
    return placeOf(type, (name) => this.#records.get(name) as RecordModel);
  }

  // ---- functions ------------------------------------------------------------------------------------------

  #functions({ name, file, node }: ContractModel): FunctionModel[] {
    return node.members.flatMap((member) => {
      if (this.#syntax.isField(member))
        throw errorAt(member, "a contract has no fields: declare state as a const of the module");
      if (!this.#syntax.isMethod(member)) return [];
      const [kind, other] = KINDS.filter((each) => decorator(file, member, each) !== undefined);
      if (kind === undefined) return [];
      if (other !== undefined) {
        const text = `${member.name.text} is a ${NOUNS[kind]} or a ${NOUNS[other]}, not both`;
        throw errorAt(member.name, text);
      }
      const mark = decorator(file, member, kind) as DecoratorNode;
      const limits = this.#limits(file, mark.args?.[0]);
      const take = (of: string): number[] => {
        const found = limits.get(of) ?? [];
        limits.delete(of);
        return found;
      };
      const parameters = member.signature.parameters.map((parameter) => {
        const of = parameter.name.text;
        return { name: of, type: this.#type(file, parameter.type, take(of), "value") };
      });
      const result = member.signature.returnType;
      const returns = textOf(result) === "void" ? null : this.#type(file, result, take("returns"), "value");
      if ((kind === "setup" || kind === "migrate") && returns !== null)
        throw errorAt(result, `a ${NOUNS[kind]} returns nothing: make it void`);
      if (kind === "migrate" && parameters.length > 0)
        throw errorAt(member.name, "a migration has no parameters: write what it needs into the program");
      const [unknown] = limits.keys();
      if (unknown !== undefined && mark.args?.[0] !== undefined)
        throw errorAt(mark.args[0], `${member.name.text} has no parameter ${unknown}`);
      const types = parameters.map(({ type }) => this.#words(type)).join(",");
      const signature = `${name}.${member.name.text}(${types})${returns ? `:${this.#words(returns)}` : ""}`;
      return [
        {
          contract: name,
          name: member.name.text,
          kind,
          parameters,
          returns,
          selector: selectorOf(signature),
          isStatic: this.#syntax.isStatic(member),
          node: member,
          doc: docOf(member),
        } as const,
      ];
    });
  }

  /** { note: 32, names: [10, 32] } */
  #limits(file: AuthorFile, node: Node | undefined): Map<string, number[]> {
    const limits = new Map<string, number[]>();
    if (node === undefined) return limits;
    const object = node as unknown as { names?: Node[]; values?: Node[] };
    if (object.names === undefined || object.values === undefined)
      throw errorAt(node, "maxima are an object: { note: 32 }");
    object.names.forEach((name, i) => {
      const value = object.values?.[i] as Node & { elementExpressions?: Node[] };
      const numbers = value.elementExpressions ?? [value];
      limits.set(
        textOf(name),
        numbers.map((each) => this.#number(file, each)),
      );
    });
    return limits;
  }

  /** A number that is known when the program is compiled: literals, constants of the file, + - * <<. */
  #number(file: AuthorFile, node: Node): number {
    const refuse = (): never => {
      throw errorAt(
        node,
        `${textOf(node)} must be a number that is known here: 100, or a const of this file`,
      );
    };
    const value = (text: string, depth: number): number => {
      const words = text.replace(/_/g, "").split(/(<<|[-+*()]|\s+)/);
      const parts = words.map((word) => {
        if (/^(\s*|<<|[-+*()])$/.test(word) || /^(\d+|0x[\da-f]+)$/i.test(word)) return word;
        const variable = this.#syntax.variables(file).find(({ name }) => name.text === word);
        if (variable?.initializer == null || depth > 8) return refuse();
        return `(${value(textOf(variable.initializer), depth + 1)})`;
      });
      return evaluate(parts.join(""));
    };
    const number = value(textOf(node), 0);
    if (!Number.isInteger(number) || number < 1 || number > 2 ** 32 - 1) return refuse();
    return number;
  }

  #checkSelectors(functions: readonly FunctionModel[]): void {
    const seen = new Map<number, FunctionModel>();
    for (const each of functions) {
      const other = seen.get(each.selector);
      if (other !== undefined) {
        const same = `${other.contract}.${other.name}`;
        throw errorAt(each.node.name, `${each.name} has the selector of ${same}: rename one`);
      }
      seen.set(each.selector, each);
    }
  }

  #checkSetups(functions: readonly FunctionModel[]): void {
    const seen = new Set<string>();
    for (const { contract, kind, node } of functions) {
      if (kind === "setup" && seen.has(contract))
        throw errorAt(node.name, `${contract} has another setup: make one of them`);
      if (kind === "setup") seen.add(contract);
    }
  }

  // ---- state and failures ---------------------------------------------------------------------------------

  #isState(node: Node): boolean {
    if (!this.#syntax.isNew(node)) return false;
    const file = this.#syntax.files.find(({ source }) => source === node.range.source);
    return Object.hasOwn(COLLECTIONS, file?.sdk.get(textOf(node.typeName)) ?? "");
  }

  #state(): StateModel[] {
    const found: StateModel[] = [];
    for (const file of this.#syntax.files) {
      const constants = new Set<Node>();
      for (const { name, initializer } of this.#syntax.variables(file)) {
        if (!this.#syntax.isNew(initializer)) continue;
        const kind = file.sdk.get(textOf(initializer.typeName));
        if (kind === undefined || !Object.hasOwn(COLLECTIONS, kind)) continue;
        constants.add(initializer);
        const state = this.#collection(file, name.text, kind as keyof typeof COLLECTIONS, initializer);
        if (found.some((other) => other.name === state.name))
          throw errorAt(
            initializer,
            `there is another state ${state.name}: rename one, in one file or another`,
          );
        found.push(state);
      }
      for (const statement of file.source.statements) {
        for (const node of this.#syntax.walk(statement)) {
          if (!this.#syntax.isNew(node) || constants.has(node)) continue;
          const kind = file.sdk.get(textOf(node.typeName)) ?? "";
          if (Object.hasOwn(COLLECTIONS, kind))
            throw errorAt(node, `a ${kind} is a const of the module: const name = ${textOf(node)};`);
        }
      }
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #collection(
    file: AuthorFile,
    name: string,
    kind: keyof typeof COLLECTIONS,
    node: NewExpression,
  ): StateModel {
    const given = node.typeArguments ?? [];
    if (given.length !== COLLECTIONS[kind]) throw errorAt(node, `${kind} needs its types: ${kind}<…>`);
    const limits: number[] = [];
    const types = given.map((type) => this.#type(file, type, limits, "state"));
    const [capacity, ...more] = node.args;
    if (more.length > 0 || (kind === "StateCell" && capacity !== undefined))
      throw errorAt(
        node,
        `${kind} lies where the compiler puts it: give it ${kind === "StateCell" ? "nothing" : "a capacity"}`,
      );
    if (kind === "StateCell") return { name, kind, types, capacity: 1, node };
    if (capacity === undefined)
      throw errorAt(node, `${kind} needs a capacity: how many entries it holds at most`);
    return { name, kind, types, capacity: this.#number(file, capacity), node };
  }

  #failures(): Pick<Model, "failures" | "files" | "failureNames"> {
    const calls: { name: string; path: string; node: CallExpression }[] = [];
    for (const file of this.#syntax.files) {
      for (const statement of file.source.statements) {
        for (const node of this.#syntax.walk(statement)) {
          if (!this.#syntax.isCall(node) || file.sdk.get(textOf(node.expression)) !== "fail") continue;
          const [argument, ...more] = node.args;
          const name = argument === undefined ? null : this.#syntax.literal(argument);
          if (name === null || more.length > 0)
            throw errorAt(node, 'fail takes one literal: fail("overdraft")');
          calls.push({ name, path: file.path, node });
        }
      }
    }
    const failureNames = [...new Set(calls.map(({ name }) => name))].sort();
    const own = this.#syntax.files.filter(({ isModule }) => !isModule).map(({ path }) => path);
    const files = [...new Set([...own, ...calls.map(({ path }) => path)])].sort();
    if (failureNames.length > FAILURES_MAX - FAILURES_OWN || files.length > FILES_MAX)
      throw errorAt(
        (calls[0] as (typeof calls)[0]).node,
        "there are too many failures, or files with failures",
      );
    const failures = calls.map(({ name, path, node }) => ({
      name,
      path,
      node,
      number: FAILURES_OWN + failureNames.indexOf(name),
      file: files.indexOf(path),
      line: lineOf(node),
    }));
    return { failures, files, failureNames };
  }
}

function docOf(node: MethodDeclaration): string {
  const before = node.range.source.text.slice(
    0,
    Math.min(node.range.start, ...(node.decorators ?? []).map(({ range }) => range.start)),
  );
  const [, doc = ""] = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*$/.exec(before) ?? [];
  return doc.replace(/^\s*\* ?/gm, "").trim();
}

/** First four bytes of the SHA-256, little-endian. */
function selectorOf(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32LE(0);
}
