/** What class Child and its companions hand to the kernel, and what they say when they are used wrongly. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import * as abi from "../../syscalls/abi.ts";
import { type Guest, instantiate } from "./harness.ts";

interface Sent {
  readonly child: number;
  readonly address: number;
  readonly bytes: Uint8Array;
}

let guest: Guest;
let sent: Sent[];
let answer: (sent: Sent) => number;

beforeEach(async () => {
  sent = [];
  answer = () => abi.OK;
  const record = (size: number) => (child: number, address: number) => {
    const request = { child, address, bytes: guest.bytes(address, size).slice() };
    sent.push(request);
    return answer(request);
  };
  guest = await instantiate("test/guests/parent.ts", {
    put: record(abi.PUT_SIZE),
    get: record(abi.GET_SIZE),
    ret: (code) => code * 2n,
    snapshot: (request) => record(abi.SNAPSHOT_SIZE)(-1, request),
  });
});

const call = (name: string, argument = 0n): bigint => BigInt.asIntN(64, guest.call64(name, argument));
const word = ({ bytes }: Sent, offset: number): number => new DataView(bytes.buffer).getUint32(offset, true);
const long = ({ bytes }: Sent, offset: number): bigint =>
  new DataView(bytes.buffer).getBigInt64(offset, true);

function ranges(address: number, count: number): number[][] {
  return Array.from({ length: count }, (_, i) => [
    ...new Uint32Array(guest.bytes(address + i * abi.RANGE_SIZE, abi.RANGE_SIZE).slice().buffer),
  ]);
}

/** Writes a status where the request wants it. */
function giveStatus(
  fields: Partial<Record<"kind" | "fault" | "line", number>> & { code?: bigint; detail?: string },
): void {
  answer = (request) => {
    const at = word(request, abi.GET_STATUS_POINTER);
    const view = guest.view();
    guest.bytes(at, abi.STATUS_SIZE).fill(0);
    view.setUint32(at + abi.STATUS_KIND, fields.kind ?? 0, true);
    view.setUint32(at + abi.STATUS_FAULT, fields.fault ?? 0, true);
    view.setUint32(at + abi.STATUS_LINE, fields.line ?? 0, true);
    view.setBigInt64(at + abi.STATUS_CODE, fields.code ?? 0n, true);
    const detail = Buffer.from(fields.detail ?? "");
    view.setUint32(at + abi.STATUS_DETAIL_LENGTH, detail.length, true);
    const capacity = word(request, abi.GET_DETAIL_CAPACITY);
    guest.write(word(request, abi.GET_DETAIL_POINTER), detail.subarray(0, capacity));
    return abi.OK;
  };
}

test("a PUT of all parts is laid out as the ABI says", () => {
  assert.equal(call("everyPartOfPut", -5n), 0n);
  const request = sent[0]!;
  assert.equal(request.child, 7);
  assert.equal(request.address % 8, 0);
  assert.equal(word(request, abi.PUT_VERSION), abi.ABI_VERSION);
  const all = abi.PART_PROGRAM | abi.PART_DROP | abi.PART_RANGES | abi.PART_START;
  assert.equal(word(request, abi.PUT_PARTS), all);
  assert.equal(word(request, abi.PUT_PROGRAM_POINTER), 0x1000);
  assert.equal(word(request, abi.PUT_MEMORY_QUOTA), 5);
  assert.equal(word(request, abi.PUT_PROCESS_QUOTA), 6);
  assert.deepEqual(ranges(word(request, abi.PUT_RANGES_POINTER), word(request, abi.PUT_RANGES_COUNT)), [
    [abi.RANGE_COPY, 0x2000, 0x3000, 0x4000],
    [abi.RANGE_ZERO, 0, 0x5000, 8],
  ]);
  const name = guest.bytes(word(request, abi.PUT_ENTRY_POINTER), word(request, abi.PUT_ENTRY_LENGTH));
  assert.equal(Buffer.from(name).toString(), "entrée");
  assert.equal(word(request, abi.PUT_FLAGS), abi.FLAG_KEEP);
  assert.equal(long(request, abi.PUT_ARGUMENT), -5n);
  assert.equal(long(request, abi.PUT_GAS), 1n << 53n);
  assert.equal(word(request, abi.PUT_RESERVED), 0);
});

test("a request starts empty, whatever was sent before, and error codes come back", () => {
  call("everyPartOfPut");
  answer = () => abi.E_STATE;
  assert.equal(call("resumeAlone", 11n), BigInt(abi.E_STATE));
  const request = sent[1]!;
  assert.equal(request.child, 1048575);
  assert.equal(word(request, abi.PUT_PARTS), abi.PART_START);
  for (const offset of [
    abi.PUT_PROGRAM_POINTER,
    abi.PUT_MEMORY_QUOTA,
    abi.PUT_PROCESS_QUOTA,
    abi.PUT_RANGES_COUNT,
  ]) {
    assert.equal(word(request, offset), 0);
  }
  for (const offset of [abi.PUT_ENTRY_POINTER, abi.PUT_ENTRY_LENGTH, abi.PUT_FLAGS])
    assert.equal(word(request, offset), 0);
  assert.equal(long(request, abi.PUT_ARGUMENT), 11n);
  assert.equal(long(request, abi.PUT_GAS), 9n);
});

test("a GET of all parts is laid out as the ABI says", () => {
  assert.equal(call("everyPartOfGet"), 0n);
  const request = sent[0]!;
  assert.equal(request.child, 3);
  assert.equal(request.address % 8, 0);
  assert.equal(word(request, abi.GET_VERSION), abi.ABI_VERSION);
  assert.equal(word(request, abi.GET_PARTS), abi.PART_GET_STATUS | abi.PART_GET_COPY | abi.PART_GET_HASH);
  assert.deepEqual(ranges(word(request, abi.GET_RANGES_POINTER), word(request, abi.GET_RANGES_COUNT)), [
    [abi.RANGE_COPY, 0x2000, 0x3000, 0x4000],
    [abi.RANGE_COPY, 1, 2, 3],
  ]);
  assert.equal(word(request, abi.GET_HASH_POINTER), 0x5000);
  assert.equal(word(request, abi.GET_STATUS_POINTER) % 8, 0);
  assert.equal(word(request, abi.GET_DETAIL_CAPACITY), 0);
  assert.equal(word(request, abi.GET_OUTCOMES_POINTER), 0);
});

test("a CLONE of a child or of the caller is laid out as the ABI says", () => {
  for (const [source, expected, pages, processes] of [
    [8n, 8, 0, 0],
    [-1n, abi.CLONE_SELF >>> 0, 5, 6],
  ] as const) {
    sent = [];
    assert.equal(call("cloneOf", source), 0n);
    const request = sent[0]!;
    assert.equal(request.child, 9);
    assert.equal(word(request, abi.PUT_PARTS), abi.PART_CLONE | abi.PART_START);
    assert.equal(word(request, abi.PUT_CLONE_SOURCE), expected);
    assert.equal(word(request, abi.PUT_MEMORY_QUOTA), pages);
    assert.equal(word(request, abi.PUT_PROCESS_QUOTA), processes);
    assert.equal(word(request, abi.PUT_RESERVED), 0);
  }
});

test("while a request is put nothing is collected, so a copy made by it starts clean", () => {
  answer = (request) => {
    if (request.child === 1) assert.equal(call("putTwice"), 7n);
    return 7;
  };
  let depth = 0;
  const outer = answer;
  answer = (request) => (depth++ === 0 ? outer(request) : 7);
  assert.equal(call("putTwice"), 7n);
});

test("a MERGE is laid out as the ABI says, and its report can be read", () => {
  answer = (request) => {
    const at = word(request, abi.GET_MERGE_POINTER);
    assert.equal(at % 8, 0);
    assert.deepEqual(
      [...new Uint32Array(guest.bytes(at, abi.MERGE_SIZE).slice().buffer)],
      [abi.MERGE_MAX_I64, 0x4000, 0x6000, 0, 0, 0, 0, 0],
    );
    const view = guest.view();
    for (const [offset, value] of [
      [abi.MERGE_CONFLICTS, 3],
      [abi.MERGE_FIRST, 0x4321],
      [abi.MERGE_CHILD_BYTE, 0xaa],
      [abi.MERGE_CALLER_BYTE, 0xbb],
    ] as const) {
      view.setUint32(at + offset, value, true);
    }
    return abi.E_CONFLICT;
  };
  assert.equal(call("mergeOf", 0x4000n), BigInt(abi.E_CONFLICT));
  assert.equal(word(sent[0]!, abi.GET_PARTS), abi.PART_GET_STATUS | abi.PART_GET_MERGE | abi.PART_GET_HASH);
  assert.equal(call("lastConflict"), (3n << 48n) | (0x4321n << 16n) | 0xaabbn);
});

test("a snapshot is laid out as the ABI says, and ret passes its code", () => {
  answer = () => 42;
  assert.equal(call("commit"), 42n);
  const words = Array.from({ length: abi.SNAPSHOT_SIZE / 4 }, (_, i) => word(sent[0]!, i * 4));
  assert.deepEqual(words, [abi.ABI_VERSION, 0x1000, 5, 0x2000, 0x3000, 0]);
  assert.equal(call("standStill", 21n), 43n);
});

test("a status is read from where the kernel wrote it", () => {
  answer = (request) => {
    const at = word(request, abi.GET_STATUS_POINTER);
    const view = guest.view();
    for (const offset of [0, 4, 24, 28, 32, 36]) view.setUint32(at + offset, offset + 1, true);
    view.setBigInt64(at + abi.STATUS_CODE, -77n, true);
    view.setBigInt64(at + abi.STATUS_GAS_USED, 88n, true);
    return abi.OK;
  };
  assert.equal(call("waitKind", 12n), 1n);
  assert.equal(sent[0]!.child, 12);
  const fields = Array.from({ length: 9 }, (_, i) => call("lastStatus", BigInt(i)));
  assert.deepEqual(fields, [1n, 5n, -77n, 88n, 25n, 29n, 33n, 37n, 0n]);
});

test("join gives the code, or aborts with the fault and the text of an abort", () => {
  giveStatus({ kind: abi.STATUS_RETURNED, code: -3n });
  assert.equal(call("joinChild"), -3n);
  giveStatus({ kind: abi.STATUS_RET, code: 4n });
  assert.equal(call("callChild", 1n), 4n);
  giveStatus({ kind: abi.STATUS_FAULTED, fault: abi.FAULT_OUT_OF_GAS });
  assert.throws(() => call("joinChild"), { message: "child 1 faulted: out of gas" });
  giveStatus({ kind: abi.STATUS_FAULTED, fault: abi.FAULT_ABORT, line: 12, detail: "no bread in baker.ts" });
  assert.throws(() => call("joinChild"), {
    message: "child 1 faulted: abort: no bread in baker.ts (line 12)",
  });
  giveStatus({ kind: abi.STATUS_FAULTED, fault: abi.FAULT_ABORT, line: 1, detail: "x".repeat(1000) });
  assert.throws(() => call("joinChild"), { message: `child 1 faulted: abort: ${"x".repeat(240)} (line 1)` });
  giveStatus({ kind: abi.STATUS_FRESH });
  assert.throws(() => call("joinChild"), { message: "child 1: fresh, code 0" });
  answer = () => abi.E_NO_CHILD;
  assert.throws(() => call("joinChild"), { message: "child 1: wait: E_NO_CHILD" });
  answer = () => abi.E_GAS;
  assert.throws(() => call("callChild"), { message: "child 1: start run: E_GAS" });
});

test("a round trip allocates nothing", () => {
  giveStatus({ kind: abi.STATUS_RETURNED, code: 1n });
  const before = Buffer.from(guest.memory.buffer.slice(0));
  assert.equal(call("roundTrips", 1n), 1n);
  const once = Buffer.from(guest.memory.buffer.slice(0));
  assert.equal(call("roundTrips", 1000n), 1000n);
  const often = Buffer.from(guest.memory.buffer);
  assert.equal(often.length, before.length);
  const changed = [...often.keys()].filter((i) => often[i] !== once[i]);
  assert.ok(changed.length <= 8, `only the argument in the request differs: ${changed}`);
});

test("parts of two children do not mix", () => {
  assert.throws(() => call("mixedPut"), { message: "child 2: the request for child 1 was not put" });
  assert.throws(() => call("mixedGet"), { message: "child 2: the request for child 1 was not sent by get" });
  assert.equal(sent.length, 0);
});

test("an empty request, too many ranges and a name that is too long abort", () => {
  assert.throws(() => call("emptyPut"), { message: "child 1: nothing collected to put" });
  assert.equal(call("manyRanges", BigInt(abi.RANGES_LIMIT)), 0n);
  assert.throws(() => call("manyRanges", BigInt(abi.RANGES_LIMIT + 1)), /too many ranges in one request/);
});

test("entry names are measured in bytes of UTF-8", () => {
  assert.equal(call("longEntry", 500n), 0n);
  assert.equal(word(sent[0]!, abi.PUT_ENTRY_LENGTH), 1000);
  assert.throws(() => call("longEntry", 501n), /start: name too long/);
});

test("a child number out of range is the kernel's to refuse", () => {
  answer = () => abi.E_NO_CHILD;
  assert.equal(call("negativeChild"), BigInt(abi.E_NO_CHILD));
  assert.equal(sent[0]!.child, -1);
});

test("codes have names", () => {
  assert.equal(call("checked", 5n), 5n);
  assert.throws(() => call("checked", BigInt(abi.E_QUOTA)), { message: "the action: E_QUOTA" });
  const faults = Object.entries(abi).filter(([name]) => name.startsWith("FAULT_"));
  const errors = Object.entries(abi).filter(([name]) => name.startsWith("E_"));
  for (const [name, code] of errors) {
    const fault = faults.find(([, value]) => value === -code)?.[0] ?? `FAULT_fault_${-code}`;
    const text = fault.slice(6).toLowerCase().replaceAll("_", " ");
    assert.throws(() => call("names", BigInt(code)), { message: `${name}, ${text}` });
  }
  assert.throws(() => call("names", -99n), { message: "error -99, fault 99" });
});
