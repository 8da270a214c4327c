/** Marks of pages that the host sets: what instrumented code does where it writes (program/layout.ts). */

import { AUX_GROUPS, GROUP_PAGES } from "../../program/layout.ts";

/** Marks the pages from `first` to `last` in the map at `map` of the aux memory, and their groups. */
export function markPages(aux: Uint8Array, map: number, first: number, last: number): void {
  const firstGroup = Math.floor(first / GROUP_PAGES);
  const lastGroup = Math.floor(last / GROUP_PAGES);
  if (first === last) aux[map + first] = 1;
  else aux.fill(1, map + first, map + last + 1);
  if (firstGroup === lastGroup) aux[AUX_GROUPS + firstGroup] = 1;
  else aux.fill(1, AUX_GROUPS + firstGroup, AUX_GROUPS + lastGroup + 1);
}

/**
 * How many marks are looked at to find those of the pages from `from` to before `end`: in the groups that
 * have some, and of groups 16 at a time, which counts as one.
 */
export function marksToScan(aux: Uint8Array, from: number, end: number): number {
  const first = Math.floor(from / GROUP_PAGES);
  const groups = aux.subarray(AUX_GROUPS + first, AUX_GROUPS + Math.ceil(end / GROUP_PAGES));
  return groups.reduce((marks, group) => marks + group * GROUP_PAGES, Math.ceil(groups.length / 16));
}
