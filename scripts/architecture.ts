/**
 * docs/architecture.svg: the folders of runtime/, each above those that it imports, from the imports of the
 * code. `node scripts/architecture.ts` writes it, and a test compares.
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const RUNTIME = fileURLToPath(new URL("../runtime", import.meta.url));
export const ARCHITECTURE = fileURLToPath(new URL("../docs/architecture.svg", import.meta.url));

/** What each folder is for, in a few words. */
const ABOUT: Readonly<Record<string, string>> = {
  abci: "serves CometBFT",
  app: "contracts, ready to run",
  batch: "items in parallel",
  chain: "blocks; the public API",
  cli: "the command",
  compiler: "AssemblyScript",
  heap: "shared objects",
  http: "checked requests",
  image: "states, hashes",
  kernel: "the four calls",
  log: "replicas",
  node: "a local node",
  observe: "metrics, spans",
  program: "admission, gas",
  proof: "proofs of state",
  record: "how blocks ran",
  store: "blocks on disk",
  coverage: "lines that tests run",
  typed: "contracts as programs",
  validator: "on CometBFT",
  inspector: "pages of a store",
  worker: "threads",
};
/** Files beside the folders that stand for one of them; other files are used everywhere. */
const ENTRIES: Readonly<Record<string, string>> = {
  "index.ts": "chain",
  "debug.ts": "chain",
  "store.ts": "chain",
  "testing.ts": "chain",
  "compile.ts": "compiler",
};

const [WIDTH, BOX_WIDTH, BOX_HEIGHT, ROW] = [1000, 150, 44, 74];

/** By folder: those that it imports, and that none of them imports in turn. */
function importsByFolder(): Map<string, Set<string>> {
  const all = new Map<string, Set<string>>();
  for (const name of readdirSync(RUNTIME, { recursive: true, encoding: "utf8" }).sort()) {
    const from = folderOf(name);
    if (!/\.ts$/.test(name) || /\/(guest|core|messages)\//.test(name) || from === null) continue;
    const targets = all.get(from) ?? new Set();
    all.set(from, targets);
    const text = readFileSync(join(RUNTIME, name), "utf8");
    for (const [, specifier] of text.matchAll(/^(?:import|export|\}).* from "(\.[^"]+)"/gm)) {
      const to = folderOf(relative(RUNTIME, resolve(RUNTIME, dirname(name), specifier as string)));
      if (to !== null && to !== from) targets.add(to);
    }
  }
  const reaches = (from: string, to: string): boolean =>
    [...(all.get(from) ?? [])].some((next) => next === to || reaches(next, to));
  return new Map(
    [...all].map(([from, targets]) => {
      const direct = [...targets].filter((to) => ![...targets].some((by) => by !== to && reaches(by, to)));
      return [from, new Set(direct)];
    }),
  );
}

function folderOf(name: string): string | null {
  const [first = "", ...rest] = name.split("/");
  if (first === "..") return null;
  return rest.length === 0 ? (ENTRIES[first] ?? null) : first;
}

/** The picture. */
export function architecture(): string {
  const imports = importsByFolder();
  const leastOf = (name: string): number =>
    Math.max(0, ...[...(imports.get(name) ?? [])].map((to) => 1 + leastOf(to)));
  // Right below those that import it, so that lines are short.
  const levelOf = (name: string): number => {
    const above = [...imports].filter(([, targets]) => targets.has(name));
    return above.length === 0 ? leastOf(name) : Math.min(...above.map(([from]) => levelOf(from) - 1));
  };
  const levels: string[][] = [];
  for (const name of [...imports.keys()].sort()) {
    const level = levelOf(name);
    levels[level] = [...(levels[level] ?? []), name];
  }
  const height = levels.length * ROW;
  const places = new Map<string, { readonly x: number; readonly y: number }>();
  for (const [level, names] of levels.entries())
    for (const [i, name] of names.entries())
      places.set(name, { x: (WIDTH * (i + 0.5)) / names.length, y: height - (level + 0.5) * ROW });
  const lines = [...imports].flatMap(([from, targets]) =>
    [...targets].map((to) => {
      const [a, b] = [places.get(from), places.get(to)] as { x: number; y: number }[];
      const [top, bottom] = [a!.y + BOX_HEIGHT / 2, b!.y - BOX_HEIGHT / 2];
      const middle = (top + bottom) / 2;
      return `<path d="M${a!.x} ${top}C${a!.x} ${middle} ${b!.x} ${middle} ${b!.x} ${bottom}"/>`;
    }),
  );
  const boxes = [...places].map(([name, { x, y }]) => {
    const about = ABOUT[name];
    if (about === undefined) throw new Error(`scripts/architecture.ts: what is runtime/${name} for?`);
    const corner = `x="${x - BOX_WIDTH / 2}" y="${y - BOX_HEIGHT / 2}"`;
    return [
      `<rect ${corner} width="${BOX_WIDTH}" height="${BOX_HEIGHT}" rx="6"/>`,
      `<text class="name" x="${x}" y="${y - 3}">${name}</text><text x="${x}" y="${y + 14}">${about}</text>`,
    ].join("");
  });
  const words = [...imports].map(([from, to]) => `${from}: ${[...to].sort().join(", ") || "nothing"}`);
  const named = 'role="img" aria-labelledby="title about"';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ${named}>
<title id="title">The folders of the runtime, each above those that it imports</title>
<desc id="about">${words.join("; ")}.</desc>
<style>
  text { font: 12px system-ui, sans-serif; text-anchor: middle; fill: #444 }
  .name { font: 600 14px ui-monospace, monospace; fill: #111 }
  rect { fill: #f4f6f8; stroke: #8a97a5 }
  path { fill: none; stroke: #8a97a5; opacity: 0.7 }
  @media (prefers-color-scheme: dark) {
    text { fill: #c5ccd3 }
    .name { fill: #f0f3f6 }
    rect { fill: #22272e; stroke: #768390 }
  }
</style>
${lines.join("\n")}
${boxes.join("\n")}
</svg>
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(ARCHITECTURE, architecture());
