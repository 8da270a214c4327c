/**
 * Runs the page in a browser that the machine has: the browser is started with the address of a small server,
 * computes, and posts what it found. No driver of browsers is needed, so any will do.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import type { Tasks } from "./page.ts";

const NODE = fileURLToPath(new URL("node.ts", import.meta.url));
const PAGE = fileURLToPath(new URL("page.ts", import.meta.url));
const SECONDS = 120;
/** Errors while the script is loaded are answers too. */
const DOCUMENT = `<!doctype html>
<script>
const say = (error) => fetch("/answers", { method: "POST", body: JSON.stringify([String(error)]) });
addEventListener("error", ({ message }) => say(message));
addEventListener("unhandledrejection", ({ reason }) => say(reason?.stack));
</script>
<script type="module" src="/page.js"></script>`;

/** A browser that was found. */
export interface Browser {
  readonly name: string;
  readonly file: string;
  readonly args: (directory: string, url: string) => readonly string[];
}

const KINDS = [
  {
    name: "Chromium",
    names: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    args: (directory: string, url: string) => [
      ...["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", `--user-data-dir=${directory}`],
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync", url],
    ],
  },
  {
    name: "Firefox",
    names: ["firefox", "firefox-esr"],
    args: (directory: string, url: string) => {
      // It would ask the network first whether there is one.
      const settings = ["network.captive-portal-service.enabled", "network.connectivity-service.enabled"];
      const lines = settings.map((name) => `user_pref("${name}", false);\n`);
      writeFileSync(join(directory, "user.js"), lines.join(""));
      return ["--headless", "--no-remote", "--profile", directory, url];
    },
  },
] as const;

/** The browsers of this machine, and the names of those that it has not. */
export function browsers(): { readonly found: readonly Browser[]; readonly missing: readonly string[] } {
  const directories = (process.env.PATH ?? "").split(delimiter).concat("/usr/bin");
  const found: Browser[] = [];
  const missing: string[] = [];
  for (const { name, names, args } of KINDS) {
    const file = directories
      .flatMap((directory) => names.map((one) => join(directory, one)))
      .find((path) => existsSync(path));
    if (file === undefined) missing.push(name);
    else found.push({ name, file, args });
  }
  return { found, missing };
}

/** Of Node there is what node.ts has; modules that are loaded when needed are part of the bundle. */
const forPages: Plugin = {
  name: "for pages",
  setup({ onLoad, onResolve }) {
    // A module of CommonJS may lack what is imported: a page comes to no files.
    onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: "node" }));
    onLoad({ filter: /.*/, namespace: "node" }, ({ path }) => {
      const isHere = path === "node:crypto" || path === "node:module";
      return {
        contents: isHere ? `module.exports = require(${JSON.stringify(NODE)});` : "",
        resolveDir: "/",
      };
    });
    onResolve({ filter: /\/lazy\.ts$/ }, () => ({ path: "lazy", namespace: "lazy" }));
    onLoad({ filter: /.*/, namespace: "lazy" }, () => ({
      contents: "export const lazy = (module) => () => module;",
    }));
    onLoad({ filter: /runtime\/kernel\/.*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const names: string[] = [];
      const loaded = source.replace(/\blazy<[^;]*>\(import\.meta\.url, ("[^"]+")\)/g, (_, name) => {
        return `lazy(lazy${names.push(name) - 1})`;
      });
      const imports = names.map((name, i) => `import * as lazy${i} from ${name};\n`);
      return { contents: imports.join("") + loaded, loader: "ts" };
    });
  },
};

/** The script of the page. */
export async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: entry, resolveDir: fileURLToPath(new URL(".", import.meta.url)), loader: "ts" },
    ...{ bundle: true, write: false, format: "esm", platform: "browser", logLevel: "error" },
    inject: [NODE],
    plugins: [forPages],
  });
  return outputFiles[0]?.text as string;
}

/** What the browser answers. */
export async function answersOf(browser: Browser, tasks: Tasks): Promise<string[]> {
  const script = await bundle(`import { answers } from ${JSON.stringify(PAGE)};
    const tasks = await (await fetch("/tasks")).json();
    const body = JSON.stringify(await answers(tasks));
    await fetch("/answers", { method: "POST", body });`);
  const { promise, resolve, reject } = Promise.withResolvers<string[]>();
  const server = serve(script, JSON.stringify(tasks), (text) => resolve(JSON.parse(text)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-browser-"));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const child = spawn(browser.file, browser.args(directory, url), { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk).slice(-2000);
  });
  child.on("error", reject);
  child.on("exit", (code) => reject(new Error(`${browser.name} ended with ${code}: ${said}`)));
  const late = setTimeout(() => reject(new Error(`${browser.name} says nothing: ${said}`)), SECONDS * 1000);
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    await end(child);
    server.closeAllConnections();
    server.close();
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/** The page, its script and tasks, isolated from other origins: without that a page has no shared memory. */
function serve(script: string, tasks: string, answered: (text: string) => void): Server {
  const files: Record<string, readonly [type: string, text: string]> = {
    "/": ["text/html", DOCUMENT],
    "/page.js": ["text/javascript", script],
    "/tasks": ["application/json", tasks],
  };
  return createServer((request, response) => {
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    if (request.method === "POST") {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        response.end();
        answered(Buffer.concat(chunks).toString());
      });
      return;
    }
    const file = files[request.url ?? ""];
    if (file === undefined) response.writeHead(404).end();
    else response.setHeader("Content-Type", `${file[0]}; charset=utf-8`).end(file[1]);
  });
}
