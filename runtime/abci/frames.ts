/**
 * The framing of ABCI's socket protocol: each message has its length before it, an unsigned varint (LEB128).
 *
 *   frame := length · message
 *   length := 1 to 5 bytes of 7 bits each, the lowest first, the top bit set in all but the last
 *
 * Memory is allocated as bytes arrive, never because a length was announced. A message that is returned is a
 * copy.
 */

import { LimitError, UsageError } from "../errors.ts";

/** 35 bits: more than any length that is allowed. */
const LENGTH_BYTES_MAX = 5;
/** A buffer up to this length is kept while it is empty. */
const KEPT_BYTES = 64 << 10;

/** A message with its length before it. */
export function frameOf(message: Uint8Array): Uint8Array {
  const length: number[] = [];
  let left = message.length;
  for (; left >= 0x80; left >>>= 7) length.push((left & 0x7f) | 0x80);
  length.push(left);
  const frame = new Uint8Array(length.length + message.length);
  frame.set(length);
  frame.set(message, length.length);
  return frame;
}

/** Messages out of a stream of bytes. */
export class FrameReader {
  readonly #messageBytes: number;
  #buffer = Buffer.alloc(0);
  /** The bytes in between have arrived and were not returned. */
  #start = 0;
  #end = 0;

  /** `messageBytes`: maximum length of a message. */
  constructor(messageBytes: number) {
    this.#messageBytes = messageBytes;
  }

  /** Number of bytes that were not returned. */
  get bytes(): number {
    return this.#end - this.#start;
  }

  push(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#buffer.length) this.#makeRoom(chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /**
   * The next message; null: it is not complete yet.
   *
   * @throws UsageError BAD_FRAME, LimitError MESSAGE_TOO_LONG. The rest of the stream cannot be read then.
   */
  next(): Uint8Array | null {
    const found = this.#length();
    if (found === null) return null;
    const from = this.#start + found.prefixBytes;
    if (from + found.length > this.#end) return null;
    const message = new Uint8Array(this.#buffer.subarray(from, from + found.length));
    this.#start = from + found.length;
    if (this.#start === this.#end) {
      this.#start = this.#end = 0;
      if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.alloc(0);
    }
    return message;
  }

  #length(): { length: number; prefixBytes: number } | null {
    let length = 0;
    for (let i = 0; i < LENGTH_BYTES_MAX; i++) {
      if (this.#start + i >= this.#end) return null;
      const byte = this.#buffer[this.#start + i] as number;
      length += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return { length: this.#checked(length), prefixBytes: i + 1 };
    }
    const text = `a length has more than ${LENGTH_BYTES_MAX} bytes: the peer does not speak ABCI`;
    throw new UsageError("BAD_FRAME", text);
  }

  #checked(length: number): number {
    const limit = this.#messageBytes;
    if (length <= limit) return length;
    const text = `a message has ${length} bytes, and the option "messageBytes" allows ${limit}`;
    throw new LimitError("MESSAGE_TOO_LONG", text, { length, limit });
  }

  /** Doubles, so that a byte is copied a bounded number of times however it arrives. */
  #makeRoom(more: number): void {
    const held = this.bytes;
    const isRoom = held + more <= this.#buffer.length / 2;
    const target = isRoom ? this.#buffer : Buffer.alloc(Math.max(2 * held, held + more, 1024));
    this.#buffer.copy(target, 0, this.#start, this.#end);
    this.#buffer = target;
    this.#start = 0;
    this.#end = held;
  }
}
