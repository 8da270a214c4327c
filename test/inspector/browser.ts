/** A real browser for tests of the page, which looks for what no view may do. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { FULL } from "../sizes.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const found = (process.env.PATH ?? "")
  .split(delimiter)
  .concat("/usr/bin")
  .flatMap((directory) => NAMES.map((name) => join(directory, name)))
  .find((file) => existsSync(file));
/** Why tests are skipped; false: a browser is there, or STILLPOINT_FULL=1 demands one. */
export const skip =
  found === undefined && !FULL ? "no Chromium is installed: apt-get install chromium" : false;

const FLAGS = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync"],
];
export const WIDE = { width: 1200, height: 850 };
const NARROW = { width: 360, height: 760 };
const shots = process.env.STILLPOINT_SHOTS;
/** Most nodes of a view. */
const NODES = 2000;

export class Browser implements AsyncDisposable {
  readonly page: Page;
  /** What the page has asked for elsewhere, and what it has complained of. */
  readonly elsewhere: string[] = [];
  readonly complaints: string[] = [];
  readonly #context: BrowserContext;
  readonly #url: () => string;

  private constructor(context: BrowserContext, page: Page, url: () => string) {
    this.#context = context;
    this.page = page;
    this.#url = url;
    page.on("request", (request) => {
      if (!request.url().startsWith(url())) this.elsewhere.push(request.url());
    });
    page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(error.message));
  }

  /** With a profile in `directory`, for the server at `url`. */
  static async open(directory: string, url: () => string): Promise<Browser> {
    assert.ok(found !== undefined, "STILLPOINT_FULL=1 demands Chromium: apt-get install chromium");
    const context = await chromium.launchPersistentContext(directory, {
      ...{ executablePath: found, args: FLAGS, headless: true, viewport: WIDE, colorScheme: "light" },
    });
    return new Browser(context, context.pages()[0] ?? (await context.newPage()), url);
  }

  /** Goes to a place, and waits until these words are there. */
  async show(place: string, ...words: (string | RegExp)[]): Promise<void> {
    await this.page.goto(`${this.#url()}/#${place}`);
    for (const each of words)
      await this.page.getByText(each).filter({ visible: true }).first().waitFor({ timeout: 15_000 });
  }

  /** A view in each form: it fits, and is small. */
  async check(name: string, place: string, ...words: (string | RegExp)[]): Promise<void> {
    const { page } = this;
    await page.setViewportSize(WIDE);
    await this.show(place, ...words);
    await this.checkNodes(name);
    await page.setViewportSize(NARROW);
    const width = await page.evaluate<number>("document.documentElement.scrollWidth");
    assert.ok(width <= NARROW.width, `${name} is ${width} wide`);
    if (shots === undefined) return;
    // Opened narrow, as on a telephone.
    await page.reload();
    await this.show(place, ...words);
    await page.screenshot({ path: join(shots, `${name}-narrow.png`) });
    await page.setViewportSize(WIDE);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(100);
      await page.screenshot({ path: join(shots, `${name}-${colorScheme}.png`) });
    }
    await page.emulateMedia({ colorScheme: "light" });
  }

  /** What is there now is small. */
  async checkNodes(name: string): Promise<void> {
    const nodes = await this.page.evaluate<number>("document.getElementsByTagName('*').length");
    assert.ok(nodes <= NODES, `${name} has ${nodes} nodes`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
  }
}
