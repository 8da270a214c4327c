/** Values of programs as text for people, of a bounded length. */

const TEXT_MAX = 160;
/** Of a name: an address and a key of 32 bytes in hex have room, with the name of a field. */
const NAME_MAX = 160;

/** A text, by default a name, of a bounded length. */
export function clipped(text: string | null, most = NAME_MAX): string | null {
  return text === null || text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** A value as one would write it in the source of a client; bytes in hex. */
export function textOf(value: unknown, most = TEXT_MAX): string {
  const text = written(value);
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** Named values: "to: 0x…, amount: 5". */
export function argumentsText(args: Readonly<Record<string, unknown>>): string {
  const text = Object.entries(args)
    .map(([name, value]) => `${name}: ${textOf(value)}`)
    .join(", ");
  return text.length <= 2 * TEXT_MAX ? text : `${text.slice(0, 2 * TEXT_MAX - 1)}…`;
}

function written(value: unknown): string {
  if (value instanceof Uint8Array) {
    const hex = Buffer.from(value.subarray(0, TEXT_MAX / 2)).toString("hex");
    return `0x${hex}`;
  }
  if (typeof value === "string") return /^0x[\da-f]*$/.test(value) ? value : JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  const fields = Object.entries(value).map(([name, each]) => `${name}: ${written(each)}`);
  return `{ ${fields.join(", ")} }`;
}
