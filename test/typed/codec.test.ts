/**
 * The two codecs of typed programs, the guest's and the host's, against each other: random types and values,
 * and inputs that are no encoding of anything.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import { compileGuest } from "../../runtime/compile.ts";
import { Decoder, encode } from "../../runtime/typed/codec.ts";
import {
  type FunctionType,
  type Interface,
  readInterface,
  type Type,
} from "../../runtime/typed/interface.ts";
import { memoryBytes, readMemory } from "../../runtime/typed/memory.ts";
import { type Guest, GuestAbort, instantiateBytes, SEED } from "../guest/harness.ts";
import { project } from "./project.ts";
import { echoProgram, Generator } from "./schemas.ts";

const FULL = process.env.STILLPOINT_FULL === "1";
const SCHEMAS = FULL ? 200 : 60;
const VALUES = FULL ? 500 : 150;
const MUTATIONS = FULL ? 1000 : 200;
const MAIL = 65536;
const OUTBOX = 32768;

const generator = new Generator(SEED);
let guest: Guest;
let description: Interface;
let inbox: number;

before(async () => {
  const schemas = Array.from({ length: SCHEMAS }, () => generator.type());
  const directory = project({ "echo.ts": echoProgram(schemas, generator.records) });
  const program = await compileGuest(join(directory, "echo.ts"), {
    optimize: false,
    runtime: "minimal",
    cache: false,
  });
  description = readInterface(program);
  guest = await instantiateBytes(program);
  inbox = description.stateBytes;
});

/** What a function makes of the bytes of its arguments; null if it refuses them. */
function call({ selector }: FunctionType, args: Uint8Array): Uint8Array | null {
  const input = Buffer.alloc(24 + args.length);
  input.writeUInt32LE(selector);
  input.set(args, 24);
  guest.bytes(inbox, MAIL).fill(0xee);
  guest.write(inbox, input);
  try {
    guest.call("__view", BigInt(input.length));
  } catch (error) {
    assert.ok(error instanceof GuestAbort, String(error));
    assert.equal(error.message, "input");
    return null;
  }
  const length = guest.view().getUint32(inbox + OUTBOX, true);
  const output = guest.bytes(inbox + OUTBOX + 4, length).slice();
  assert.equal(new DataView(output.buffer).getUint32(0, true), 0, "there are no events");
  return output.subarray(4);
}

const typeOf = ({ parameters }: FunctionType): Type => parameters[0]?.type as Type;

function encoded(each: FunctionType, value: unknown): Uint8Array {
  return encode(description, each.parameters, { x: value }, each.name);
}

test("the generator makes every type, alone and inside others, four deep", () => {
  const kinds = ["bool", "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "u128", "u256", "fixed"];
  for (const kind of [...kinds, "string", "bytes", "record", "option", "vector", "array"]) {
    assert.ok(generator.seen.has(kind), kind);
    assert.ok(generator.seen.has(`${kind} inside`), `${kind} inside`);
  }
  assert.ok(generator.seen.has("depth 4"));
});

test("what goes in comes out: through the guest, through its state, and read from its memory", () => {
  for (const each of description.functions) {
    const type = typeOf(each);
    for (let i = 0; i < VALUES; i++) {
      const value = generator.value(description, type);
      const bytes = encoded(each, value);
      const back = call(each, bytes);
      assert.ok(back !== null && Buffer.compare(back, bytes) === 0, `${each.name}: ${JSON.stringify(type)}`);
      const decoder = new Decoder(description, back);
      assert.deepEqual(decoder.value(type), value);
      decoder.end();
      if (!each.name.startsWith("keep")) continue;
      const region = description.state.find(({ name }) => name === each.name.replace("keep", "cell"));
      const memory = guest.bytes(region?.at as number, memoryBytes(description, type));
      assert.deepEqual(readMemory(description, type, memory, 0), value);
    }
  }
});

/** Values with a fault, as a codec that gets one kind of type wrong would make them. */
const FAULTS: Readonly<Record<string, (value: never) => unknown>> = {
  bool: (value: boolean) => !value,
  ...Object.fromEntries(
    ["u8", "i8", "u16", "i16", "u32", "i32"].map((kind) => [kind, (value: number) => (value === 0 ? 1 : 0)]),
  ),
  ...Object.fromEntries(
    ["u64", "i64", "u128", "u256"].map((kind) => [kind, (value: bigint) => (value === 0n ? 1n : 0n)]),
  ),
  fixed: (value: string) => `0x${[...value.slice(2)].reverse().join("")}`,
  string: (value: string) => value.slice(1),
  bytes: (value: Uint8Array) => value.subarray(1),
  option: () => null,
  vector: (value: unknown[]) => value.slice(1),
  array: (value: unknown[]) => value.toReversed(),
  record: (value: object) => Object.fromEntries(Object.entries(value).slice(1)),
};

/** The value with the fault in all of it that is of that kind. */
function planted(type: Type, value: unknown, kind: string): unknown {
  const inside = ((): unknown => {
    switch (type.kind) {
      case "record": {
        const record = description.records.find(({ name }) => name === type.name);
        const entries = Object.entries(value as object).map(([name, each]) => {
          const field = record?.fields.find((other) => other.name === name);
          return [name, planted(field?.type as Type, each, kind)];
        });
        return Object.fromEntries(entries);
      }
      case "option":
        return value === null ? null : planted(type.of, value, kind);
      case "vector":
      case "array":
        return (value as unknown[]).map((each) => planted(type.of, each, kind));
      default:
        return value;
    }
  })();
  return type.kind === kind ? FAULTS[kind]?.(inside as never) : inside;
}

test("a fault in the codec of any type is found by these round trips", () => {
  const missed = new Set(Object.keys(FAULTS));
  for (const each of description.functions) {
    const type = typeOf(each);
    for (let i = 0; i < 20; i++) {
      const value = generator.value(description, type);
      const good = encoded(each, value);
      for (const kind of missed) {
        try {
          const bad = encoded(each, planted(type, value, kind));
          if (Buffer.compare(call(each, bad) ?? new Uint8Array(), good) !== 0) missed.delete(kind);
        } catch (error) {
          assert.match(String(error), /UsageError|RangeError/);
          missed.delete(kind); // not even an encoding
        }
      }
    }
  }
  assert.deepEqual([...missed], []);
});

test('changed bytes are refused with "input", or are the encoding of another value, by both codecs', () => {
  let refused = 0;
  let taken = 0;
  for (const each of description.functions.filter(({ name }) => name.startsWith("echo"))) {
    for (let i = 0; i < MUTATIONS; i++) {
      const bytes = mutated(encoded(each, generator.value(description, typeOf(each))));
      const back = call(each, bytes);
      let known = true;
      try {
        const decoder = new Decoder(description, bytes);
        decoder.value(typeOf(each));
        decoder.end();
      } catch {
        known = false;
      }
      assert.equal(back !== null, known, `${each.name}: ${Buffer.from(bytes).toString("hex")}`);
      if (back === null) refused++;
      else {
        taken++;
        assert.ok(Buffer.compare(back, bytes) === 0, "there is one encoding for each value");
      }
    }
  }
  assert.ok(refused > 1000 && taken > 1000, `${refused} refused, ${taken} taken`);
});

function mutated(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = generator.below(Math.max(1, copy.length));
  switch (generator.below(5)) {
    case 0:
      return copy.subarray(0, at);
    case 1:
      return Uint8Array.from([...copy, generator.below(256)]);
    case 2:
      copy[at] = generator.pick([0, 1, 2, 0x7f, 0x80, 0xc0, 0xed, 0xf4, 0xff]);
      return copy;
    case 3:
      return Uint8Array.from([...copy.subarray(0, at), ...copy.subarray(at + 1)]);
    default:
      copy[at] = (copy[at] ?? 0) ^ (1 << generator.below(8));
      return copy;
  }
}

test("a selector that the program does not have, and an input without one", () => {
  const input = Buffer.alloc(24);
  guest.write(inbox, input);
  assert.throws(() => guest.call("__view", 24n), /^Error: no such function$/);
  assert.throws(() => guest.call("__view", 23n), /^Error: input$/);
  assert.throws(
    () => guest.call("__transaction", 24n),
    /^Error: no such function$/,
    "a view is no transaction",
  );
});
