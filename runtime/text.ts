/** Bytes and numbers in texts: hexadecimal digits of hashes and ids, and digits in groups. */

/** Two digits for each byte. */
export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** The same behind "0x". */
export function prefixedHex(bytes: Uint8Array): `0x${string}` {
  return `0x${hexOf(bytes)}`;
}

/** The bytes of digits without "0x". */
export function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}

/** 1234567 as 1,234,567. */
export function grouped(value: number | bigint): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}
