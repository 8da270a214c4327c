/**
 * Fork and join of 8 copies over 16 MiB, in which each copy writes to pages of its own; the work beside it is
 * to be nothing but the writing.
 */

import { allocatePages, parallel } from "../../../guest/index.ts";

export { forked } from "../../../guest/index";

const COPIES: i32 = 8;
const BYTES: i32 = 16 << 20;
const PAGES: i32 = BYTES / 4096;
let area: usize = 0;
let round: i64 = 0;

/** Fills the memory, so that no page is zero; its address. */
export function prepare(argument: i64): i64 {
  area = allocatePages(BYTES);
  for (let i = 0; i < BYTES; i += 64) store<i64>(area + i, i + 1);
  return area;
}

/** Forks, and each copy changes `pages` pages. */
export function fork(pages: i64): i64 {
  round++;
  parallel(COPIES, touch, pages, area, BYTES);
  return round;
}

/** The same pages, changed by this process. */
export function alone(pages: i64): i64 {
  round++;
  for (let i = 0; i < COPIES; i++) touch(i, pages);
  return round;
}

/** Writes to every 64th byte of pages spread over the copy's share of the memory. */
function touch(index: i32, pages: i64): void {
  const share = PAGES / COPIES;
  for (let i = 0; i < <i32>pages; i++) {
    const page = area + (index * share + (i * share) / <i32>pages) * 4096;
    for (let at: usize = 0; at < 4096; at += 64) store<i64>(page + at, load<i64>(page + at) + round);
  }
}
