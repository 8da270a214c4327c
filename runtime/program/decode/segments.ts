/** Decodes and checks tables and the segments that fill tables and memory. */

import * as limits from "../../limits.ts";
import { constantExpression } from "./constant.ts";
import { functionIndex, type Module, referenceType, type Table } from "./model.ts";
import { FUNCREF, I32, typeName } from "./opcodes.ts";
import type { Reader } from "./reader.ts";

export function tableSection(reader: Reader, module: Module): void {
  const at = reader.offset;
  const count = reader.u32();
  if (count > limits.TABLES_LIMIT)
    reader.fail("table-count", `${count} tables: at most ${limits.TABLES_LIMIT} are allowed`, at);
  let total = 0;
  for (let index = 0; index < count; index++) {
    if (reader.offset < reader.end && reader.bytes[reader.offset] === 0x40) {
      reader.fail("gc", "Tables with an initial value are not admitted");
    }
    const element = referenceType(reader);
    const limitsAt = reader.offset;
    const flags = reader.u8();
    if (flags >= 4 && flags < 8)
      reader.fail("memory64", "Tables with 64-bit indices are not admitted", limitsAt);
    if (flags === 2 || flags === 3) reader.fail("threads", "Shared tables are not admitted", limitsAt);
    if (flags > 1) reader.fail("malformed", "Unknown flags of a table", limitsAt);
    const minimum = reader.u32();
    const maximum = flags === 1 ? reader.u32() : null;
    if (maximum !== null && maximum < minimum) {
      reader.fail("malformed", "A table's maximum is below its minimum", limitsAt);
    }
    total += minimum;
    if (total > limits.TABLE_ELEMENTS_LIMIT) {
      reader.fail(
        "table-size",
        `Tables of ${total} elements: at most ${limits.TABLE_ELEMENTS_LIMIT} are allowed`,
        limitsAt,
      );
    }
    module.tables.push({ element, minimum, maximum });
  }
}

export function elementSection(reader: Reader, module: Module): void {
  const at = reader.offset;
  const count = reader.u32();
  if (count > limits.SEGMENTS_LIMIT) {
    reader.fail(
      "segment-count",
      `${count} element segments: at most ${limits.SEGMENTS_LIMIT} are allowed`,
      at,
    );
  }
  let total = 0;
  for (let index = 0; index < count; index++) {
    const start = reader.offset;
    const flags = reader.u32();
    if (flags > 7) reader.fail("malformed", "Unknown flags of an element segment", start);
    const mode = (flags & 1) === 0 ? "active" : (flags & 2) === 0 ? "passive" : "declared";
    let table = 0;
    let offset = 0;
    if (mode === "active") {
      if ((flags & 2) !== 0) table = reader.u32();
      if (table >= module.tables.length) reader.fail("bad-index", `There is no table ${table}`, start);
      const place = constantExpression(reader, module, I32);
      offset = place.kind === "number" ? Number(BigInt.asUintN(32, place.value)) : 0;
    }
    const expressions = (flags & 4) !== 0;
    let element = FUNCREF;
    if ((flags & 3) !== 0) {
      const kindAt = reader.offset;
      if (expressions) element = referenceType(reader);
      else if (reader.u8() !== 0) reader.fail("malformed", "Unknown kind of elements", kindAt);
    }
    if (mode === "active" && module.tables[table]?.element !== element) {
      reader.fail(
        "type-mismatch",
        `A segment of ${typeName(element)} for table ${table}, which holds others`,
        start,
      );
    }
    const lengthAt = reader.offset;
    const length = reader.u32();
    total += length;
    if (total > limits.TABLE_ELEMENTS_LIMIT) {
      const text = `Element segments of ${total} items: at most ${limits.TABLE_ELEMENTS_LIMIT} are allowed`;
      reader.fail("table-size", text, lengthAt);
    }
    const items: (number | null)[] = [];
    for (let item = 0; item < length; item++) {
      if (expressions) {
        const value = constantExpression(reader, module, element);
        items.push(value.kind === "function" ? value.functionIndex : null);
      } else {
        items.push(functionIndex(reader, module));
      }
    }
    for (const item of items) if (item !== null) module.declared.add(item);
    if (mode === "active" && offset + length > (module.tables[table] as Table).minimum) {
      const text = `Elements ${offset} to ${offset + length} lie outside table ${table}`;
      reader.fail("elements-out-of-bounds", text, start);
    }
    module.elements.push({ mode, table, offset, element, items });
  }
}

export function dataSection(reader: Reader, module: Module): void {
  const limit = limits.SEGMENTS_LIMIT;
  const at = reader.offset;
  const count = reader.u32();
  if (count > limit) reader.fail("segment-count", `${count} data segments: at most ${limit} are allowed`, at);
  if (module.dataCount !== null && module.dataCount !== count) {
    reader.fail("malformed", `${module.dataCount} data segments are announced, ${count} are there`, at);
  }
  for (let index = 0; index < count; index++) {
    const start = reader.offset;
    const flags = reader.u32();
    if (flags > 2) reader.fail("malformed", "Unknown flags of a data segment", start);
    let offset: number | null = null;
    if (flags !== 1) {
      const memoryAt = reader.offset;
      const memory = flags === 2 ? reader.u32() : 0;
      if (memory >= module.memories.length) {
        const reason = memory === 0 ? "bad-index" : "multiple-memories";
        reader.fail(reason, `There is no memory ${memory}`, memoryAt);
      }
      const place = constantExpression(reader, module, I32);
      offset = place.kind === "number" ? Number(BigInt.asUintN(32, place.value)) : 0;
    }
    const length = reader.u32();
    const from = reader.skip(length);
    const memoryBytes = (module.memories[0]?.minimum ?? 0) * 65536;
    if (offset !== null && offset + length > memoryBytes) {
      const text = `Data at ${offset} to ${offset + length} lies outside the ${memoryBytes} bytes of memory`;
      reader.fail("data-out-of-bounds", text, start);
    }
    module.data.push({ offset, bytes: reader.bytes.subarray(from, from + length) });
  }
}
