/** Programs without contracts are what asc makes of their sources, to the byte. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { compileGuest, compileWithFlags } from "../../runtime/compile.ts";
import { readState } from "../../runtime/program/decode/state.ts";
import { withoutSections } from "../../runtime/program/source-map/names.ts";
import { MAIL_BYTES } from "../../syscalls/abi.ts";
import { ROOT } from "../guest/harness.ts";

const FLAGS = ["--runtime", "stub", "--optimizeLevel", "3", "--shrinkLevel", "0", "--debug", "--sourceMap"];
const GUESTS = ["runtime/app/guest/root.ts", "runtime/app/guest/signed.ts", "test/guests/bank_hand.ts"];

for (const guest of GUESTS) {
  test(`${guest} has the bytes that asc alone makes`, async () => {
    const file = join(ROOT, guest);
    const program = await compileGuest(file);
    const { stateBytes } = readState(program);
    const asc = (flags: string[]) => compileWithFlags(file, ROOT, [...FLAGS, ...flags]);
    const first = await asc([]);
    // What its constant says of the memory is given to asc in a second run.
    const base = stateBytes + MAIL_BYTES;
    const pages = Math.ceil(base / 65536) + readState(first).memoryPages + 16;
    const memory = ["--memoryBase", String(base), "--initialMemory", String(pages)];
    const made = stateBytes === 0 ? first : await asc(memory);
    assert.deepEqual(program, withoutSections(made, ["sourceMappingURL", "name"]));
  });
}
