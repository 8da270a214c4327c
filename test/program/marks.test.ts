/** Marks of written pages. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as op from "../../runtime/program/decode/opcodes.ts";
import { AUX_GROUPS, AUX_MARKS, GROUP_SHIFT, LIST_CAPACITY } from "../../runtime/program/layout.ts";
import { build, entry } from "./build.ts";
import { machineOf, run } from "./run.ts";

const { I32, I64, F32, V128 } = op;
const PUT = ["stillpoint", "put", [I32, I32], [I32]] as const;

test("every store instruction marks the page of its lowest byte", () => {
  for (let opcode = 0; opcode < op.OPCODES; opcode++) {
    if (op.IS_STORE[opcode] === 0) continue;
    const value = (op.SIGNATURES[opcode] as op.Signature).operands[1] as number;
    const machine = run((code) => {
      code.i32(3 * 4096 - 1);
      if (value === V128) {
        code.op(op.V128_CONST);
        code.bytes(new Uint8Array(16).fill(9));
      } else if (value === I32) code.i32(9);
      else if (value === I64) code.i64(9n);
      else {
        code.op(value === F32 ? op.F32_CONST : op.F64_CONST);
        code.bytes(new Uint8Array(value === F32 ? 4 : 8).fill(9));
      }
      code.access(opcode, 0, 4096, 0);
      if (op.IMMEDIATES[opcode] === op.MEMORY_LANE) code.u8(0);
      code.get(0);
    });
    assert.deepEqual(machine.scan(), [3], `${op.NAMES[opcode]}`);
    assert.deepEqual(machine.scan(), [], "a scan takes the marks away");
  }
});

test("stores within 64 bytes of a marked one share its mark, those beyond have their own", () => {
  const at = (offsets: readonly number[]) =>
    run(
      (code) => {
        code.i32(4096 - 8);
        code.set(1);
        for (const offset of offsets) {
          code.get(1);
          code.i64(1n);
          code.access(op.I64_STORE, 0, offset, 0);
        }
        code.get(0);
      },
      [I32],
    ).scan();
  assert.deepEqual(at([0, 8, 56]), [0]);
  assert.deepEqual(at([0, 57]), [0, 1]);
  assert.deepEqual(at([8, 0]), [0, 1]);
});

test("a call between two stores parts them, for the kernel may have scanned", () => {
  const machine = machineOf(
    build({
      imports: [PUT],
      functions: [
        {
          parameters: [I64],
          results: [I64],
          locals: [I32],
          export: "main",
          code: (code) => {
            for (const offset of [0, 8]) {
              code.get(1);
              code.i64(1n);
              code.access(op.I64_STORE, 0, offset);
              code.get(1);
              code.get(1);
              code.index(op.CALL, 0);
              code.op(op.DROP);
            }
            code.get(0);
          },
        },
      ],
    }),
  );
  const scans: number[][] = [];
  machine.onCall = () => {
    scans.push(machine.scan());
    return 0;
  };
  machine.run("main");
  assert.deepEqual(scans, [[0], [0]]);
});

test("bulk instructions mark all their pages, none for length zero", () => {
  const fill = (from: number, length: number) =>
    run((code) => {
      code.i32(from);
      code.i32(1);
      code.i32(length);
      code.op(op.MEMORY_FILL);
      code.u8(0);
      code.get(0);
    }).scan();
  assert.deepEqual(fill(4095, 1), [0]);
  assert.deepEqual(fill(4095, 2), [0, 1]);
  assert.deepEqual(fill(8191, 4096 * 3 + 1), [1, 2, 3, 4]);
  assert.deepEqual(fill(65536, 0), []);
});

test("a scan finds marks anywhere, by their groups, and in the last page of 4 GiB", () => {
  const machine = machineOf(entry((code) => code.get(0)));
  const marks = new Uint8Array(machine.aux.buffer, AUX_MARKS, 1 << 20);
  const pages = [0, 1, 63, 64, 127, 128, 129, 5000, (1 << 20) - 1];
  const groups = new Uint8Array(machine.aux.buffer, AUX_GROUPS, 1 << 14);
  const mark = (page: number): void => {
    marks[page] = 1;
    groups[page >>> GROUP_SHIFT] = 1;
  };
  for (const page of pages) mark(page);
  const list = () => new Uint32Array(machine.aux.buffer, 0x80000, LIST_CAPACITY);
  assert.equal(machine.exports.scan(0, 1 << 20), pages.length);
  assert.deepEqual([...list().slice(0, pages.length)], pages);
  assert.ok([...marks, ...groups].every((byte) => byte === 0));
  // A full list: the next scan continues behind the last page found, or, if that one is marked again, from 0.
  marks.fill(1);
  groups.fill(1);
  let found = 0;
  for (let count = -1; count !== 0; found += count) count = machine.exports.scan(found, 1 << 20);
  assert.equal(found, 1 << 20);
  for (let page = 0; page < LIST_CAPACITY + 10; page++) mark(page);
  assert.equal(machine.exports.scan(0, 1 << 20), LIST_CAPACITY);
  assert.equal(machine.exports.scan(0, 1 << 20), 10);
});
