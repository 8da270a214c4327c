/**
 * What a value takes in the memory of a typed program, and where its parts lie: what the compiler lays out
 * and a host reads. Bytes that no part takes are zero, so that equal values are equal bytes.
 *
 *   string, bytes   u32 length · so many bytes · zeros
 *   option          u8 1 if there is a value · the value, aligned; all zero without one
 *   vector          u32 number of elements · elements, aligned · zeros
 *   array           elements, aligned
 */

import { roundUp } from "./collections.ts";
import { type RecordType, SCALAR_BYTES, type Type } from "./interface.ts";

export interface Place {
  readonly bytes: number;
  readonly alignment: number;
  /** Of an option, vector or array: where its first value lies, and the bytes from one to the next. */
  readonly first: number;
  readonly stride: number;
}

export type RecordOf = (name: string) => Pick<RecordType, "bytes" | "fields">;

export function placeOf(type: Type, recordOf: RecordOf): Place {
  const simple = (bytes: number, alignment: number): Place => ({ bytes, alignment, first: 0, stride: bytes });
  switch (type.kind) {
    case "u128":
      return simple(16, 8);
    case "u256":
      return simple(32, 8);
    case "fixed":
      return simple(type.bytes, type.bytes % 8 === 0 ? 8 : 4);
    case "string":
    case "bytes":
      return simple(roundUp(4 + type.max, 4), 4);
    case "record": {
      const { bytes, fields } = recordOf(type.name);
      return simple(bytes, Math.max(...fields.map((field) => placeOf(field.type, recordOf).alignment)));
    }
    case "option":
      return several(placeOf(type.of, recordOf), 1, 1);
    case "vector":
      return several(placeOf(type.of, recordOf), 4, type.max);
    case "array":
      return several(placeOf(type.of, recordOf), 0, type.length);
    default:
      return simple(SCALAR_BYTES[type.kind], SCALAR_BYTES[type.kind]);
  }
}

/** `count` values behind `head` bytes. */
function several(of: Place, head: number, count: number): Place {
  const alignment = Math.max(of.alignment, head);
  const stride = roundUp(of.bytes, of.alignment);
  const first = roundUp(head, of.alignment);
  return { bytes: roundUp(first + count * stride, alignment), alignment, first, stride };
}
