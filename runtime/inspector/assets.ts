/**
 * The page: one document, one script, one style sheet. The package brings them along; a checkout makes them
 * again when the inspector starts, which takes esbuild a tenth of a second.
 */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { UsageError } from "../errors.ts";

/** A file that is served. */
export interface Asset {
  readonly path: string;
  readonly type: string;
  readonly bytes: Uint8Array | string;
}

/** Names beside this file, in the package. */
const FILES = { script: "page.js", style: "page.css" } as const;

const DOCUMENT = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Stillpoint</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/page.css">
</head>
<body>
<div id="page"></div>
<noscript>The inspector needs scripts, all of which come from this server.</noscript>
<script defer src="/page.js"></script>
</body>
</html>
`;

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<rect x="1" y="6" width="4" height="4" rx="1" fill="#7a8794"/>
<rect x="6" y="6" width="4" height="4" rx="1" fill="#3d7dca"/>
<rect x="11" y="1" width="4" height="4" rx="1" fill="#c2703d"/>
<rect x="11" y="6" width="4" height="4" rx="1" fill="#3d7dca"/>
</svg>
`;

/** All that is served besides answers. */
export async function pageAssets(): Promise<Asset[]> {
  const { script, style } = await bundle();
  return [
    { path: "/", type: "text/html; charset=utf-8", bytes: DOCUMENT },
    { path: "/icon.svg", type: "image/svg+xml", bytes: ICON },
    { path: "/page.js", type: "text/javascript; charset=utf-8", bytes: script },
    { path: "/page.css", type: "text/css; charset=utf-8", bytes: style },
  ];
}

/** Script and style sheet. */
export interface Bundle {
  readonly script: Uint8Array;
  readonly style: Uint8Array;
}

async function bundle(): Promise<Bundle> {
  if (import.meta.url.endsWith(".ts")) return makeBundle();
  const [script, style] = await Promise.all(
    Object.values(FILES).map((name) => readFile(new URL(name, import.meta.url))),
  );
  return { script: script as Uint8Array, style: style as Uint8Array };
}

/** Makes them from the sources of the page: with esbuild, which only a checkout has. */
export async function makeBundle(): Promise<Bundle> {
  const { build } = await import("esbuild").catch((cause) => {
    const text = "the page of the inspector is made with esbuild, which is not installed: npm ci";
    throw new UsageError("NO_BUNDLER", text, {}, { cause });
  });
  const { outputFiles } = await build({
    entryPoints: { page: fileURLToPath(new URL("page/main.tsx", import.meta.url)) },
    bundle: true,
    minify: true,
    write: false,
    outdir: "page",
    format: "iife", // a module would be asked for with an Origin
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    logLevel: "silent",
  });
  const found = (name: string): Uint8Array => {
    const file = outputFiles.find(({ path }) => path.endsWith(`/${name}`));
    return file?.contents ?? new Uint8Array();
  };
  return { script: found(FILES.script), style: found(FILES.style) };
}
