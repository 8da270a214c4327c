/** Chunks of an export that are wrong, whatever its format is. */

/** What is wrong, and the chunk to give instead of chunk `i`. */
export type WrongChunk = readonly [
  name: string,
  wrong: (chunks: readonly Uint8Array[], i: number) => Uint8Array,
];

function flipped(chunk: Uint8Array, at: number): Uint8Array {
  const copy = chunk.slice();
  copy[at] = (copy[at] as number) ^ 4;
  return copy;
}

export const WRONG_CHUNKS: readonly WrongChunk[] = [
  ["flipped at its start", (chunks, i) => flipped(chunks[i] as Uint8Array, 2)],
  ["flipped in its middle", (chunks, i) => flipped(chunks[i] as Uint8Array, (chunks[i]?.length ?? 0) >> 1)],
  ["flipped at its end", (chunks, i) => flipped(chunks[i] as Uint8Array, (chunks[i]?.length ?? 0) - 1)],
  ["cut off", (chunks, i) => (chunks[i] as Uint8Array).slice(0, -1)],
  ["longer", (chunks, i) => Buffer.concat([chunks[i] as Uint8Array, Buffer.alloc(1)])],
  ["empty", () => new Uint8Array()],
];
