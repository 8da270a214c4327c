/** Generated and damaged programs against plain references and against V8. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULT_ABORT, FAULT_NONE } from "../../syscalls/abi.ts";
import { sized } from "../sizes.ts";
import { compare, compareSuspending } from "./differential.ts";
import { CANARIES, findCanary, observe, SPOILED, SUSPENSION_CANARIES } from "./fuzz.ts";
import { generate } from "./generate.ts";
import { disagreement, mutate } from "./mutate.ts";
import { Random } from "./random.ts";

const SEED = Number(process.env.SEED ?? 1);
const PROGRAMS = sized(40, 250);

test(`${PROGRAMS} programs, instrumented, do what their plain reference does (SEED=${SEED})`, () => {
  let ended = 0;
  let aborted = 0;
  for (let seed = SEED; seed < SEED + PROGRAMS; seed++) {
    const { difference, summary } = compare(seed);
    assert.equal(difference, null, `seed ${seed}`);
    if (summary.startsWith(`${FAULT_NONE} `)) ended++;
    if (summary.startsWith(`${FAULT_ABORT} `)) aborted++;
  }
  assert.ok(ended > PROGRAMS / 2, "most programs run to their end");
  assert.ok(aborted > 0, "some abort");
});

test(`Liftoff and TurboFan give the same results, gas and memory (SEED=${SEED})`, async () => {
  const baseline = await observe(["--liftoff-only"], SEED, PROGRAMS);
  const optimised = await observe(["--no-liftoff"], SEED, PROGRAMS);
  assert.equal(baseline.length, PROGRAMS);
  assert.deepEqual(baseline, optimised);
  for (const line of baseline) assert.match(line, /: equal /);
});

test(`${PROGRAMS} programs, suspended at each ret, do what their plain reference does (SEED=${SEED})`, () => {
  let stops = 0;
  for (let seed = SEED; seed < SEED + PROGRAMS; seed++) {
    const compared = compareSuspending(seed);
    assert.equal(compared.difference, null, `seed ${seed}`);
    stops += compared.stops;
  }
  assert.ok(stops > PROGRAMS, "most of them are suspended");
});

for (const defect of [...CANARIES, ...SUSPENSION_CANARIES]) {
  test(`a planted defect is found: ${defect}`, () => {
    assert.notEqual(findCanary(defect, sized(SPOILED[defect] ?? 1, 1), 600), null);
  });
}

test(`of damaged modules what V8 refuses is refused, with AdmissionError (SEED=${SEED})`, () => {
  const random = new Random(SEED);
  let valid = 0;
  for (let seed = SEED; seed < SEED + sized(20, 60); seed++) {
    const { program } = generate(seed);
    for (let count = 0; count < 50; count++) {
      const damaged = mutate(program, random);
      assert.equal(disagreement(damaged), null, `seed ${seed}, mutation ${count}`);
      if (WebAssembly.validate(damaged as BufferSource)) valid++;
    }
  }
  assert.ok(valid > sized(160, 500), "mutations leave many modules valid");
});
