/** The message for words that are not a command: the present name of an old one, or the closest name. */

import { existsSync } from "node:fs";
import { didYouMean } from "../suggest.ts";
import { secondWord } from "./command.ts";
import { overview } from "./help.ts";
import { membersOf } from "./parse.ts";
import { type CommandName, EXAMPLES, GROUPS, OTHER_NAMES, SECTIONS, TABLE } from "./table.ts";

export function unknownText(words: readonly string[]): string {
  const [first, ...rest] = words;
  if (first === undefined) return overview(SECTIONS);
  const other = newName(words);
  if (other !== null) return `stillpoint: ${other}`;
  if (first in GROUPS) return unknownMember(first, rest);
  const known = [...Object.keys(TABLE), ...Object.keys(GROUPS), ...Object.keys(EXAMPLES)];
  const meant = didYouMean(first, known);
  return `stillpoint: no command ${JSON.stringify(first)}${meant || ";"} --help lists what there is`;
}

function unknownMember(group: string, words: readonly string[]): string {
  const seconds = membersOf(TABLE, group).map((name) => secondWord(name, TABLE[name as CommandName]));
  const plain = words.filter((word) => !word.startsWith("-"));
  const list = seconds.join(", ");
  // The directory may come before the word or after it.
  const said = plain.slice(0, 2).find((word) => didYouMean(word, seconds) !== "") ?? plain[1] ?? plain[0];
  const isDirectory = plain.length === 1 && existsSync(said as string);
  if (said === undefined || isDirectory) return `stillpoint ${group}: which of ${list}?`;
  const meant = didYouMean(said, seconds);
  const are = seconds.length === 1 ? "is" : "are";
  return `stillpoint ${group}: no command ${JSON.stringify(said)}${meant || ";"} there ${are} ${list}`;
}

/** What a name of another version or tool is here, with the words that were typed; null if it is none. */
function newName([first = "", second = "", ...rest]: readonly string[]): string | null {
  const two = OTHER_NAMES[`${first} ${second}`];
  const found = two ?? OTHER_NAMES[first];
  if (found === undefined) return null;
  const [old, given] = two === undefined ? [first, [second, ...rest]] : [`${first} ${second}`, rest];
  // The first word takes the place of the one in capitals; the others follow.
  const [place, ...others] = given.filter((word) => word !== "");
  const text = place === undefined ? found : found.replace(/DIR|FILE|CALL|APP\.ts/, place);
  return `${JSON.stringify(old)} is called: stillpoint ${[text, ...others].join(" ")}`;
}
