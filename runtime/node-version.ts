/** The versions of Node that the package runs on. Imports nothing, and parses on any Node with modules. */

const WANTED_MAJOR = 24;

/** A sentence for the user of a Node that is too old; null: it is not, or this is another engine. */
export function oldNodeText(version: string | undefined): string | null {
  if (version === undefined || Number(version.split(".")[0]) >= WANTED_MAJOR) return null;
  return `needs Node ${WANTED_MAJOR} or later, this is ${version}: update it`;
}
