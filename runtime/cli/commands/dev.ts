/**
 * stillpoint dev: a local node that follows the sources. A change that compiles becomes an upgrade of the
 * running app, so its state stays. If it does not compile, or the lock file does not allow it, the error is
 * printed and the old program runs on. No state is ever dropped: to start afresh, use another store.
 */

import { relative } from "node:path";
import { App, signed } from "../../app/index.ts";
import { recordBlock } from "../../debug.ts";
import { StillpointError } from "../../errors.ts";
import { inspectorRoutes, Recorded, Source } from "../../inspector/index.ts";
import { TEST_CHAIN, testAccounts } from "../../node/accounts.ts";
import { Node } from "../../node/node.ts";
import { type Interface, readInterface } from "../../typed/interface.ts";
import { type AppFile, appNamed, loadApp } from "../app-file.ts";
import type { Handler } from "../command.ts";
import { listening } from "../listen.ts";
import type { Spec } from "../table.ts";
import { EXIT_OK, print, printError, toJson, writeOutput } from "../terminal.ts";
import { readSources, untilInterrupted, watchSources } from "../watch.ts";
import { builtFiles } from "./build.ts";

const PORT = 8545;

export const dev: Handler<Spec<"dev">> = async ({ args, options, json }) => {
  const file = appNamed(args["APP.ts"]);
  const read = file.endsWith(".ts") ? readSources(file) : null;
  const loaded = await loadApp(file, options.setup);
  const { program, description, setup } = loaded;
  const host = {
    ...(options.store !== undefined && { store: options.store }),
    record: options.record,
    ...(options.signed && { authenticate: signed({ chain: TEST_CHAIN }) }),
  };
  const app = await App.open({ program, setup, ...host }).catch(async (error) => {
    if (error.code !== "UPGRADE") throw error;
    const edited = await App.open(host); // the sources changed while no node ran
    await edited.upgrade({ program });
    return edited;
  });
  let current = program;
  let latest = description;
  const say = (line: string): void => (json ? print(toJson({ line })) : print(line));
  const port = options.port ?? PORT;
  const node = await listening(port, async () =>
    Node.open({
      app,
      routes: await inspectorRoutes(sourceOf(app, relative(process.cwd(), file))),
      description: () => latest,
      isSigned: options.signed,
      mining: !options["no-mining"],
      port,
      origins: options["allow-origin"],
      onLine: say,
      onError: (error: unknown) => printError(`stillpoint dev: a request failed: ${error}`),
      ...(options["query-gas"] !== undefined && { queryGas: options["query-gas"] }),
    }),
  ).catch(async (error) => {
    await app.close();
    throw error;
  });
  if (json) print(toJson({ url: node.url, accounts: testAccounts(), height: app.head.height }));
  else describe(node.url, loaded, app, options.store);
  const reload = async (): Promise<void> => {
    try {
      const built = await builtFiles(file);
      if (Buffer.compare(built.program, current) === 0) return;
      const { block } = await app.upgrade({ program: built.program });
      for (const [name, text] of built.files) writeOutput(name, text);
      current = built.program;
      latest = readInterface(current);
      say(`upgraded at block ${block.height}: the state stays`);
    } catch (error) {
      if (!(error instanceof StillpointError)) throw error;
      printError(`stillpoint dev: ${error.message}\nthe old program runs on`);
    }
  };
  const watcher = read === null ? null : watchSources(file, read, reload);
  await untilInterrupted();
  watcher?.close();
  await node.close();
  say("stopped");
  return EXIT_OK;
};

/** What the inspector shows of a running app. */
function sourceOf(app: App, name: string): Source {
  const { runtime } = app;
  const recordings = new Recorded(runtime);
  return new Source({
    ...{ name, kind: "runtime", chain: runtime },
    trace: (block, signal) => app.trace(block, { signal }),
    recorded: (block) => recordings.of(block),
    record: (block, signal) => recordBlock(runtime, block, { signal }),
  });
}

/** A view as it is called, one without arguments if there is one. */
function firstCall({ functions }: Interface): string {
  const views = functions.filter(({ kind }) => kind === "view");
  const view = views.find(({ parameters }) => parameters.length === 0) ?? views[0];
  if (view === undefined) return "CALL";
  return [`${view.contract}.${view.name}`, ...view.parameters.map(({ name }) => `${name}=…`)].join(" ");
}

function describe(url: string, { file, description }: AppFile, app: App, store = ""): void {
  const where = store === "" ? "in memory" : `in ${store}`;
  print(`${relative(process.cwd(), file)} runs at ${url}, block ${app.head.height}, ${where}`);
  print("test accounts, whose secrets are public; $0 to $9 stand for them:");
  for (const [i, { address, secret }] of testAccounts().entries()) print(`  $${i} ${address}  ${secret}`);
  print(`a browser shows the chain at ${url}`);
  print(`try: stillpoint query ${firstCall(description)} --url ${url}; an interrupt stops it`);
}
