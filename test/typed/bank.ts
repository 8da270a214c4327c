/** The bank of project.ts, in Apps that are closed when the tests of a file are done. */

import { join } from "node:path";
import { after, before } from "node:test";
import { App, type AppOptions, type Contracts } from "../../runtime/app/index.ts";
import { compileGuest } from "../../runtime/compile.ts";
import { BANK, project } from "./project.ts";

export const alice = `0x${"a1".repeat(20)}` as const;
export const bob = `0x${"b0".repeat(20)}` as const;

let program: Uint8Array;
const opened: App[] = [];

before(async () => {
  program = await compileGuest(join(project({ "bank.ts": BANK }), "bank.ts"));
});
after(async () => {
  for (const app of opened) await app.close();
});

/** Another App of the bank. */
export async function open(options: Partial<AppOptions> = {}): Promise<App> {
  const app = await App.open({ program, workers: 1, ...options });
  return closing(app);
}

/** The same App, which is closed with the others. */
export function closing(app: App): App {
  opened.push(app);
  return app;
}

/** The functions of its contract. */
export const bank = (app: App) =>
  app.client.Bank as Contracts[string] & Record<string, (args?: object) => never>;
