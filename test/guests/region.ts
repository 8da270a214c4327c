/** A root whose region for metadata is made of whole pages; what it is given is what it says. */

import { allocatePages } from "../../guest/pages.ts";
import { snapshot } from "../../guest/process.ts";

const CAPACITY = 2 * 4096;
const region = allocatePages(CAPACITY);

export function main(argument: i64): i64 {
  let length = snapshot(0, 0, region, CAPACITY);
  while (length >= 0) length = snapshot(region, length, region, CAPACITY);
  return length;
}
