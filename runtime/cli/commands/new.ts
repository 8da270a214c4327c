/** stillpoint new: makes a project that runs at once, from the sources in examples/project. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../../errors.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_OK, print, toJson, writeOutput } from "../terminal.ts";
import { builtFiles } from "./build.ts";

/** Sources of the package, and where they go. */
const SOURCES: Readonly<Record<string, string>> = {
  "guest/bank.ts": "contracts/bank.ts",
  "bank.test.ts": "test/bank.test.ts",
  "main.ts": "main.ts",
};

const TOOLS = ["@biomejs/biome", "@types/node", "typescript"];

export const make: Handler<Spec<"new">> = async ({ args, json }) => {
  const directory = resolve(args.DIR);
  checkFree(directory);
  const root = packageRoot();
  const texts: Record<string, string> = otherFiles(directory, root);
  for (const [from, to] of Object.entries(SOURCES)) {
    texts[to] = readFileSync(join(root, "examples/project", from), "utf8");
  }
  for (const [name, text] of Object.entries(texts)) {
    writeOutput(join(directory, name), text);
  }
  const { files } = await builtFiles(join(directory, "contracts/bank.ts"));
  for (const [file, text] of files) writeOutput(file, text);
  const steps = [
    `cd ${relative(process.cwd(), directory) || "."}`,
    ...(isInstalled(directory) ? [] : ["npm install"]),
    "npm test",
    "npm start",
  ];
  if (json) {
    print(toJson({ directory, files: readdirSync(directory, { recursive: true }), steps }));
    return EXIT_OK;
  }
  print(`made ${args.DIR}: contracts/bank.ts is the contract, test/ its test, main.ts a host`);
  print(`next:\n${steps.map((step) => `  ${step}`).join("\n")}`);
  print("npm install brings what an editor needs, and npm run check: types, TypeScript, Biome");
  return EXIT_OK;
};

function checkFree(directory: string): void {
  let taken = false;
  try {
    taken = existsSync(directory) && readdirSync(directory).length > 0;
  } catch {
    taken = true; // a file
  }
  if (!taken) return;
  const text = `${directory} exists and is not an empty directory: give another one, nothing was overwritten`;
  throw new UsageError("BAD_OPTION", text, { directory });
}

/** Whether the project finds the package without an installation, in a directory above. */
function isInstalled(directory: string): boolean {
  try {
    createRequire(join(directory, "package.json")).resolve("stillpoint/package.json");
    return true;
  } catch {
    return false;
  }
}

function packageRoot(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    if (existsSync(join(at, "examples/project/main.ts"))) return at;
    if (at === dirname(at))
      throw new UsageError("BAD_FILE", "examples/project is missing: install stillpoint again");
  }
}

function otherFiles(directory: string, root: string): Record<string, string> {
  const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;
  return {
    "package.json": json({
      name: basename(directory)
        .toLowerCase()
        .replace(/[^a-z0-9-]+/g, "-"),
      private: true,
      type: "module",
      scripts: {
        build: "stillpoint build contracts/bank.ts",
        test: "stillpoint test",
        start: "node main.ts",
        dev: "stillpoint dev",
        check: "tsc && tsc -p contracts && biome check",
      },
      stillpoint: { app: "contracts/bank.ts", setup: "setup.json" },
      dependencies: { stillpoint: `file:${relative(directory, root)}` },
      devDependencies: toolsOf(root),
    }),
    "tsconfig.json": json({
      compilerOptions: {
        target: "es2024",
        module: "nodenext",
        lib: ["es2024", "esnext.disposable", "dom"],
        strict: true,
        noUncheckedIndexedAccess: true,
        erasableSyntaxOnly: true,
        verbatimModuleSyntax: true,
        allowImportingTsExtensions: true,
        skipLibCheck: true,
        types: ["node"],
        noEmit: true,
      },
      include: ["*.ts", "test/**/*.ts", "contracts/*.client.ts"],
    }),
    "contracts/tsconfig.json": json({
      extends: "stillpoint/guest/tsconfig.json",
      include: ["**/*.ts"],
      exclude: ["**/*.client.ts"],
    }),
    "biome.json": json({
      extends: ["stillpoint/guest/biome.json"],
      files: { includes: ["**", "!node_modules", "!**/*.client.ts", "!**/*.layout.json"] },
      formatter: { indentStyle: "space", indentWidth: 2, lineWidth: 110 },
      json: { formatter: { expand: "always" } },
      assist: { enabled: false },
    }),
    "setup.json": json({ Bank: { holders: Array.from({ length: 10 }, (_, i) => `$${i}`), amount: "1000" } }),
    ".gitignore": "node_modules\nstate\n*.wasm\n",
  };
}

/** What checks a project, in the versions that the package is made with. */
function toolsOf(root: string): Record<string, string> {
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return Object.fromEntries(TOOLS.map((name) => [name, devDependencies[name]]));
}
