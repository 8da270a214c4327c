/** A profile as a flame graph: an SVG that stands on its own, legible on dark and light. */

import { grouped } from "../text.ts";
import type { Profile, ProfileFrame } from "./profile.ts";

/** A function with those that it calls, widest first. */
interface Box {
  readonly name: string;
  gas: number;
  readonly below: Map<string, Box>;
}

const WIDTH = 1200;
const ROW = 18;
const TOP = 30;
/** Narrower boxes are left out, and boxes narrower than that have no text. */
const BOX_LEAST = 0.5;
const TEXT_LEAST = 30;
const CHARACTER = 6.6;

const STYLE = `
  text { font: 11px ui-monospace, monospace; fill: #1c1c1c }
  .title { font-size: 13px; fill: #444 }
  rect { stroke: #fff; stroke-width: 0.5 }
  @media (prefers-color-scheme: dark) { .title { fill: #ccc } rect { stroke: #111 } }`;

/**
 * The flame graph of a profile, an SVG: a box for each function in each stack, as wide as the gas that is
 * spent in it and in what it calls; callers stand above. Each box has its name and gas as a title.
 *
 * @example
 * ```ts
 * const svg = flameGraph(bank.profile(Bank.pay({ to: bob, amount: 9n }), { from: alice }), "pay");
 * console.log(svg.startsWith("<svg")); // true
 * ```
 */
export function flameGraph(profile: Profile, name = "gas"): string {
  const root: Box = { name, gas: profile.gasUsed, below: new Map() };
  for (const { stack, gas } of profile.samples) add(root, stack, gas);
  const boxes: string[] = [];
  const rows = draw(root, 0, 0, profile.gasUsed, boxes);
  const height = TOP + rows * ROW + 10;
  const label = `Flame graph of ${name}: ${grouped(profile.gasUsed)} gas`;
  const named = `role="img" aria-label="${escaped(label)}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ${named}>`,
    `<style>${STYLE}\n</style>`,
    `<text class="title" x="4" y="18">${escaped(label)}</text>`,
    ...boxes,
    "</svg>\n",
  ].join("\n");
}

function add(root: Box, stack: readonly ProfileFrame[], gas: number): void {
  let box = root;
  for (const { name } of stack) {
    const inner: Box = box.below.get(name) ?? { name, gas: 0, below: new Map() };
    box.below.set(name, inner);
    inner.gas += gas;
    box = inner;
  }
}

/** Draws a box and those below it; how many rows that took. */
function draw({ name, gas, below }: Box, depth: number, from: number, all: number, boxes: string[]): number {
  const scale = all === 0 ? 0 : WIDTH / all;
  const width = gas * scale;
  if (width < BOX_LEAST) return 0;
  const [x, y] = [from * scale, TOP + depth * ROW];
  const share = all === 0 ? 0 : (100 * gas) / all;
  const title = `${name}: ${grouped(gas)} gas, ${share.toFixed(1)} %`;
  const letters = Math.floor((width - 6) / CHARACTER);
  const shown = name.length <= letters ? name : `${name.slice(0, Math.max(0, letters - 1))}…`;
  const text = width < TEXT_LEAST ? "" : `<text x="${round(x + 3)}" y="${y + 13}">${escaped(shown)}</text>`;
  const place = `x="${round(x)}" y="${y}" width="${round(width)}" height="${ROW - 1}"`;
  const box = `<rect ${place} fill="${colorOf(name)}"/>`;
  boxes.push(`<g><title>${escaped(title)}</title>${box}${text}</g>`);
  let [rows, at] = [1, from];
  for (const inner of [...below.values()].sort((a, b) => b.gas - a.gas)) {
    rows = Math.max(rows, 1 + draw(inner, depth + 1, at, all, boxes));
    at += inner.gas;
  }
  return rows;
}

/** Warm colours, by the name: the same function has the same one. */
function colorOf(name: string): string {
  let hash = 7;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) as number)) >>> 0;
  return `hsl(${20 + (hash % 40)} ${70 + (hash % 20)}% ${66 + (hash % 10)}%)`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
