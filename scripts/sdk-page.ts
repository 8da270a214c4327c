/**
 * docs/sdk.md from the sources of the SDK, and from what its operations cost: `node scripts/sdk-page.ts`
 * writes it, and a test compares.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { measureGas } from "./sdk-gas.ts";

/** The page is generated after this line, and written by hand before it. */
const MARK = "<!-- The rest is made by scripts/sdk-page.ts. -->";

/** Parts of the page, with the files whose exports they list, and which of these they leave out. */
const PARTS: readonly { title: string; files: readonly string[]; without?: RegExp }[] = [
  {
    title: "Contracts",
    files: ["typed/decorators", "typed/context", "fail", "typed/option"],
    without: /^(ARGUMENTS|FAILURE)/,
  },
  { title: "State", files: ["state/map", "state/set", "state/vector", "state/cell"] },
  { title: "Values and numbers", files: ["values", "integers", "arithmetic"], without: /^Bytes(4|8|16|64)$/ },
  {
    title: "Standard modules",
    files: ["fungible", "nonfungible", "ownership", "pausing", "vesting"].map((name) => `modules/${name}`),
  },
  { title: "Processes", files: ["process", "parallel", "batch", "accumulate", "view"] },
  { title: "Bytes from outside, memory", files: ["block", "pages", "errors"], without: /^STUB/ },
  {
    title: "Numbers and hashes by address",
    files: ["u128", "u256", "sha256", "accounts"],
    without: /^(divide128|multiplyHigh)$/,
  },
  {
    title: "stillpoint/guest/crypto",
    files: [
      "keccak",
      "sha512",
      "ripemd160",
      "blake2b",
      "secp256k1",
      "ed25519",
      "modular",
      "bn254",
      "montgomery",
    ].map((name) => `crypto/${name}`),
  },
];

/** A declaration with its doc comment. */
interface Declared {
  readonly name: string;
  readonly signature: string;
  readonly about: string;
  readonly members: readonly Declared[];
}

/** The whole page, with the part of `page` that is written by hand. */
export async function sdkPage(page: string): Promise<string> {
  const [head = ""] = page.split(MARK);
  const gas = await measureGas();
  const parts = PARTS.map(({ title, files, without }) =>
    [`## ${title}`, ...files.map((file) => part(file, without, gas))].join("\n\n"),
  );
  return `${head}${MARK}\n\n${parts.join("\n\n")}\n`;
}

function part(file: string, without: RegExp | undefined, gas: ReadonlyMap<string, number>): string {
  const text = readFileSync(new URL(`../guest/${file}.ts`, import.meta.url), "utf8");
  const declared = declarations(text, 0).filter(({ name }) => without?.test(name) !== true);
  const functions = declared.filter(({ members }) => members.length === 0);
  const module = file.startsWith("modules/") ? file.slice("modules/".length) : null;
  const classes = declared.filter(({ members }) => members.length > 0);
  return [
    ...(module === null ? [] : [`### stillpoint/guest/${file}\n\n${headerOf(text)}`]),
    ...(functions.length === 0 ? [] : [table(functions, module === null ? "" : `${module}.`, gas)]),
    ...classes.map((each) =>
      [`### ${each.signature}`, each.about || headerOf(text), table(each.members, `${each.name}.`, gas)]
        .filter((paragraph) => paragraph !== "")
        .join("\n\n"),
    ),
  ].join("\n\n");
}

function table(rows: readonly Declared[], prefix: string, gas: ReadonlyMap<string, number>): string {
  const costs = rows.map(({ name }) => costOf(`${prefix}${name}`, gas));
  const hasGas = costs.some((cost) => cost !== "");
  const lines = rows.map(({ signature, about }, i) => {
    const cells = [`\`${signature}\``, about.replaceAll("\n", " "), ...(hasGas ? [costs[i]] : [])];
    return `| ${cells.map((cell) => cell?.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return [...(hasGas ? ["| | | gas |", "| --- | --- | --- |"] : ["| | |", "| --- | --- |"]), ...lines].join(
    "\n",
  );
}

/** What an operation costs, to two digits: "350", or "350; 2,700, a new key". */
function costOf(name: string, gas: ReadonlyMap<string, number>): string {
  return [...gas]
    .filter(([each]) => each === name || each.startsWith(`${name}, `))
    .map(([each, cost]) => `${rounded(cost)}${each.slice(name.length)}`)
    .join("; ");
}

function rounded(cost: number): string {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(cost)) - 1);
  return String(Math.round(cost / unit) * unit).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** The first paragraph of what a file says of itself. */
function headerOf(text: string): string {
  const [, comment = ""] = /^\/\*\*([\s\S]*?)\*\//.exec(text) ?? [];
  return plainText(comment.split(/\n \*\n/)[0] as string);
}

/** A comment as a line of text, without its examples. */
function plainText(comment: string): string {
  const lines = comment.split("\n").map((line) => line.replace(/^\s*\* ?|^\s+/, "").trimEnd());
  const text = lines.filter((line) => !/^ {2}/.test(line)).join(" ");
  return text.replace(/\s+/g, " ").trim().replace(/:$/, ".");
}

const EXPORT = /^export (?:declare )?(?:function|class|const) (\w+)/;
const MEMBER = /^(?:static )?(?:get |set )?(\w+)(?=[(<])/;

/** Exports of a file, or public members of a class, which are indented by `indent`. */
function declarations(text: string, indent: number): Declared[] {
  const margin = " ".repeat(indent);
  const lines = text.split("\n");
  const found: Declared[] = [];
  let about = "";
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] as string;
    if (!line.startsWith(margin) || line[indent] === " " || line.length === indent) {
      if (line === "") about = "";
      continue;
    }
    const code = line.slice(indent);
    if (code.startsWith("/**")) {
      const start = i;
      while (!(lines[i] as string).includes("*/")) i++;
      about = plainText(
        lines
          .slice(start, i + 1)
          .join("\n")
          .replace("/**", "")
          .replace("*/", ""),
      );
      continue;
    }
    if (code.startsWith("@") || code.startsWith("//")) continue;
    const name = (indent === 0 ? EXPORT : MEMBER).exec(code)?.[1];
    const isPublic = name !== undefined && name !== "constructor" && !code.startsWith("set ");
    if (isPublic) {
      const end = lines.findIndex((each, at) => at > i && each === `${margin}}`);
      const body = lines.slice(i + 1, end).join("\n");
      const isClass = code.startsWith("export class");
      const [signature, members] = isClass
        ? [classSignature(code, body), declarations(body, 2)]
        : [signatureOf(lines.slice(i)), []];
      found.push({ name, signature, about, members });
      if (isClass) i = end;
    }
    about = "";
  }
  return found;
}

/** As "StateMap<K, V>(capacity: u32)". */
function classSignature(code: string, body: string): string {
  const name = code.replace(/^export class /, "").replace(/ \{$/, "");
  const [, parameters = ""] = /^ {2}constructor\(([\s\S]*?)\)/m.exec(body) ?? [];
  const shown = parameters
    .split(",")
    .map((each) =>
      each
        .replace(/\b(public|private|readonly)\b/g, "")
        .replace(/\s+/g, " ")
        .trim(),
    )
    .filter((each) => each !== "" && !each.startsWith("at:") && !each.startsWith("content"));
  return shown.length === 0 ? name : `${name}(${shown.join(", ")})`;
}

/** As "get(key: K): V". */
function signatureOf(lines: readonly string[]): string {
  const text = lines.join("\n");
  const end = /[{;]\s*$|(?<=\))\s*$/m.exec(text)?.index ?? 0;
  return text
    .slice(0, Math.max(end, (lines[0] as string).length - 2))
    .replace(/^\s*(export )?(declare )?(function )?/, "")
    .replace(/^(static )?get (\w+)\(\)/, "$1$2")
    .replace(/^const (\w+)(: \w+)?.*$/s, "$1$2")
    .replace(/\s+/g, " ")
    .replace(/\( /g, "(")
    .replace(/,? \)/g, ")")
    .replace(/[ {;]+$/, "");
}

if (import.meta.main) {
  const file = new URL("../docs/sdk.md", import.meta.url);
  writeFileSync(file, await sdkPage(readFileSync(file, "utf8")));
}
