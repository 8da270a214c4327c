/** RLP for transactions (yellow paper, appendix B): strings are bytes or integers, lists are arrays. */

export type Item = Uint8Array | bigint | readonly Item[];

/** An item as bytes; an integer has no leading zeros. */
export function encodeRlp(item: Item): Buffer {
  if (typeof item === "bigint") return encodeRlp(bytesOf(item));
  if (item instanceof Uint8Array) {
    if (item.length === 1 && (item[0] as number) < 0x80) return Buffer.from(item);
    return Buffer.concat([head(item.length, 0x80), item]);
  }
  const payload = Buffer.concat(item.map(encodeRlp));
  return Buffer.concat([head(payload.length, 0xc0), payload]);
}

function bytesOf(value: bigint): Buffer {
  if (value === 0n) return Buffer.alloc(0);
  const digits = value.toString(16);
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
}

function head(length: number, short: number): Buffer {
  if (length < 56) return Buffer.of(short + length);
  const bytes = bytesOf(BigInt(length));
  return Buffer.concat([Buffer.of(short + 55 + bytes.length), bytes]);
}
