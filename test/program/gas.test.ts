/** What code costs: by the way that is taken, paid before it runs. */

import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { GUESTS, loadGuest } from "../../examples/guests.ts";
import { compileGuest } from "../../runtime/compile.ts";
import * as op from "../../runtime/program/decode/opcodes.ts";
import type { Code } from "../../runtime/program/instrument/code.ts";
import {
  type Charges,
  chargesOf,
  ENTRY_GAS,
  INSTRUCTIONS_PER_GAS,
  LOOP_GAS,
  SLACK,
  SLACK_IN_LOOP,
} from "../../runtime/program/instrument/gas.ts";
import { piecesOf } from "../../runtime/program/instrument/pieces.ts";
import { compileKernel, KERNELS } from "../bench/instrumentation.ts";
import { baseSeed } from "../seed.ts";
import { FULL, sized } from "../sizes.ts";
import { opcodeOf } from "./arithmetic.ts";
import { eachBody, Walker } from "./gas-walker.ts";
import { generate } from "./generate.ts";
import { generateFlow } from "./generate-flow.ts";
import { FAMILIES } from "./hostile.ts";
import { Random } from "./random.ts";
import { gasOf, run } from "./run.ts";

const WALKS = 20;
const STEPS = 2000;

/** Walks through all bodies of the programs, with charges as `change` leaves them; returns the problems. */
async function walkAll(
  t: TestContext,
  seed: number,
  programs: Iterable<Uint8Array>,
  change: (charges: Charges) => Charges = (charges) => charges,
): Promise<string[]> {
  const random = new Random(seed);
  const problems: string[] = [];
  let steps = 0;
  let bodies = 0;
  for (const bytes of programs) {
    eachBody(bytes, (body) => {
      const walker = new Walker(body, change(chargesOf(body)), random);
      for (let walk = 0; walk < WALKS; walk++) walker.walk(STEPS);
      steps += walker.steps;
      bodies++;
      if (walker.problem !== null) problems.push(walker.problem);
    });
  }
  t.diagnostic(`${steps} steps in ${bodies} functions`);
  return problems;
}

// ---- by hand ----------------------------------------------------------------------------------------------

/** Instructions that cost `gas` together, and nothing more than that. */
function costly(code: Code, gas: number): void {
  for (let count = 0; count < gas; count++) {
    code.get(0);
    code.i64(1n);
    code.op(op.I64_ADD);
    code.set(0);
  }
}

/** What main(argument) uses. */
function paid(code: (code: Code) => void, argument: bigint, locals: readonly number[] = []): number {
  return gasOf(run(code, locals, {}, argument));
}

/** An if on the argument, between arms of those costs. */
const arms = (then: number, otherwise: number) => (code: Code) => {
  code.get(0);
  code.op(op.I32_WRAP_I64);
  code.open(op.IF);
  costly(code, then);
  code.op(op.ELSE);
  costly(code, otherwise);
  code.end();
  code.get(0);
};

const IF_GAS = 1;
/** A `local.get` at the end of a function, which has no price by the table, is a part of a gas. */
const REST = 1;

test("arms that differ by a little are paid alike, as the dearer one", () => {
  for (const argument of [0n, 1n]) {
    assert.equal(paid(arms(30, 30 + SLACK), argument), ENTRY_GAS + IF_GAS + 30 + SLACK + REST);
  }
});

test("of arms that differ by more each pays its own", () => {
  for (const [then, otherwise] of [
    [30, 31 + SLACK],
    [500, 2],
  ] as const) {
    const both = arms(then, otherwise);
    assert.equal(paid(both, 1n), ENTRY_GAS + IF_GAS + then + REST);
    assert.equal(paid(both, 0n), ENTRY_GAS + IF_GAS + otherwise + REST);
  }
});

test("in a loop a smaller difference is followed", () => {
  const loop = (dear: number) => (code: Code) => {
    code.open(op.LOOP);
    code.get(1);
    code.open(op.IF);
    costly(code, dear);
    code.end();
    code.get(2);
    code.i32(1);
    code.op(op.I32_ADD);
    code.tee(2);
    code.i32(10);
    code.op(opcodeOf("i32.ne"));
    code.index(op.BR_IF, 0);
    code.end();
    code.get(0);
  };
  const locals = [op.I32, op.I32];
  const turns = (dear: number) => paid(loop(dear), 0n, locals) - paid(loop(0), 0n, locals);
  assert.equal(turns(SLACK_IN_LOOP), 10 * SLACK_IN_LOOP);
  assert.equal(turns(SLACK_IN_LOOP + 1), 0);
});

test("a loop that is left at once does not pay for a long turn", () => {
  const loop = (cost: number) => (code: Code) => {
    code.open(op.LOOP);
    code.get(1);
    code.open(op.IF);
    costly(code, cost);
    code.index(op.BR, 1);
    code.end();
    code.end();
    code.get(0);
  };
  assert.equal(paid(loop(10 * SLACK), 0n, [op.I32]), paid(loop(20 * SLACK), 0n, [op.I32]));
});

test("what several ways lead to is paid once, by whichever it is reached", () => {
  const DEAR = 200;
  const code = (code: Code) => {
    const argumentIs = (value: bigint) => {
      code.get(0);
      code.i64(value);
      code.op(opcodeOf("i64.eq"));
    };
    code.open(op.BLOCK);
    argumentIs(1n);
    code.index(op.BR_IF, 0);
    argumentIs(2n);
    code.open(op.IF);
    code.get(0);
    code.op(op.RETURN);
    code.end();
    code.end();
    costly(code, DEAR);
    code.get(0);
  };
  assert.ok(paid(code, 2n) < ENTRY_GAS + SLACK);
  for (const argument of [1n, 3n]) {
    const gas = paid(code, argument);
    assert.ok(gas >= ENTRY_GAS + DEAR && gas <= ENTRY_GAS + DEAR + SLACK, `${argument}: ${gas}`);
  }
});

/**
 * Units of code, of which the k-th goes to X(k) or to X(k + 1), and the first one returns in place of going
 * to X(0). Every X is dear. That X(k + 1) charges for itself is seen only when X(k) does, a pass before: so
 * the planner needs a pass for each unit.
 */
function unsettled(units: number, dear: number): (code: Code) => void {
  return (code) => {
    for (let unit = 0; unit <= units; unit++) code.open(op.BLOCK);
    for (let unit = 0; unit < units; unit++) {
      code.open(op.BLOCK);
      code.get(0);
      code.i64(BigInt(unit));
      code.op(opcodeOf("i64.ne"));
      code.index(op.BR_IF, 0);
      code.get(1);
      code.index(op.BR_IF, unit + 2);
      if (unit === 0) {
        code.get(0);
        code.op(op.RETURN);
      } else {
        code.index(op.BR, unit + 1);
      }
      code.end();
    }
    for (let unit = 0; unit <= units; unit++) {
      code.end();
      costly(code, dear);
      code.get(0);
      code.op(op.RETURN);
    }
    code.get(0);
  };
}

test("a plan that does not settle is given up, and each piece pays for itself", () => {
  const UNITS = 12;
  const DEAR = 200;
  for (let unit = 1; unit < UNITS; unit++) {
    const exact = ENTRY_GAS + 2 * (unit + 1) + 1 + 1 + DEAR + 1;
    const gas = paid(unsettled(UNITS, DEAR), BigInt(unit), [op.I32]);
    assert.ok(gas >= exact && gas <= exact + SLACK, `${unit}: ${gas} for ${exact}`);
  }
});

test("instructions that have no price of their own cost one gas for four", () => {
  const kinds: Record<string, (code: Code) => void> = {
    "local.get, drop": (code) => {
      code.get(0);
      code.op(op.DROP);
    },
    "const, local.set": (code) => {
      code.i64(7n);
      code.set(0);
    },
    "local.get in a block, drop": (code) => {
      code.open(op.BLOCK, op.I64);
      code.get(0);
      code.end();
      code.op(op.DROP);
    },
  };
  for (const [name, write] of Object.entries(kinds)) {
    const gas = paid((code) => {
      for (let count = 0; count < 2000; count++) write(code);
      code.get(0);
    }, 0n);
    assert.equal(gas, Math.ceil((2 * 2000 + 1) / INSTRUCTIONS_PER_GAS), name);
  }
});

test("nor are those free that stand between many labels, a few at each", () => {
  const LABELS = 300;
  const gas = paid((code) => {
    for (let label = 0; label < LABELS; label++) code.open(op.BLOCK);
    code.i32(0);
    code.op(op.BR_TABLE);
    code.u32(LABELS - 1);
    for (let label = 0; label < LABELS; label++) code.u32(label);
    for (let label = 0; label < LABELS; label++) {
      code.end();
      code.get(0);
      code.set(0);
    }
    code.get(0);
  }, 0n);
  assert.ok(gas >= (3 * LABELS) / 4, `${gas}`);
});

// ---- an interpreter ---------------------------------------------------------------------------------------

const ARMS = 140;
/** What the arm's own instructions cost: from 4 to 60. */
const armGas = (arm: number) => 4 + ((arm * 37) % 57);
const FACTOR = 1_664_525;
const ADDEND = 1_013_904_223;
const DISPATCH_GAS = LOOP_GAS + 16;
const STATE = 1;

/** main(n): a machine that runs n - 1 instructions in a pseudo-random order. */
function interpreter(code: Code): void {
  code.open(op.BLOCK);
  code.open(op.LOOP);
  for (let arm = 0; arm < ARMS; arm++) code.open(op.BLOCK);
  code.get(0);
  code.i64(1n);
  code.op(op.I64_SUB);
  code.tee(0);
  code.op(opcodeOf("i64.eqz"));
  code.index(op.BR_IF, ARMS + 1);
  code.get(STATE);
  code.i32(FACTOR);
  code.op(opcodeOf("i32.mul"));
  code.i32(ADDEND);
  code.op(op.I32_ADD);
  code.tee(STATE);
  code.i32(ARMS);
  code.op(opcodeOf("i32.rem_u"));
  code.op(op.BR_TABLE);
  code.u32(ARMS - 1);
  for (let arm = 0; arm < ARMS; arm++) code.u32(arm);
  for (let arm = 0; arm < ARMS; arm++) {
    code.end();
    for (let gas = armGas(arm); gas > 0; gas--) {
      code.get(STATE);
      code.i32(arm);
      code.op(op.I32_ADD);
      code.set(STATE);
    }
    code.index(op.BR, ARMS - 1 - arm);
  }
  code.end();
  code.end();
  code.get(0);
}

test(`an interpreter of ${ARMS} arms pays for what it executes, and little more`, () => {
  const INSTRUCTIONS = 5000;
  let exact = 0;
  let state = 0;
  for (let count = 0; count < INSTRUCTIONS; count++) {
    state = (Math.imul(state, FACTOR) + ADDEND) | 0;
    const arm = (state >>> 0) % ARMS;
    state = (state + arm * armGas(arm)) | 0;
    exact += DISPATCH_GAS + armGas(arm) + 1;
  }
  const gas = paid(interpreter, BigInt(INSTRUCTIONS + 1), [op.I32]);
  assert.ok(gas >= exact && gas <= 1.3 * exact, `${gas} for ${exact}`);
});

// ---- all of it, by a walker -------------------------------------------------------------------------------

function* generated(seed: number, count: number): Iterable<Uint8Array> {
  for (let index = 0; index < count; index++) {
    yield generate(seed + index).program;
    yield generateFlow(seed + index);
  }
}

test("generated code pays before it runs, and little more", async (t) => {
  const seed = baseSeed(t);
  assert.deepEqual(await walkAll(t, seed, generated(seed, sized(60, 200))), []);
});

test("so do the kernels of the benchmark", async (t) => {
  const programs = await Promise.all(KERNELS.map((name) => compileKernel(name)));
  assert.deepEqual(await walkAll(t, baseSeed(t), programs), []);
});

/** All guests of the examples and of the tests; in short, the programs of the examples. */
function guests(): Promise<Uint8Array[]> {
  if (!FULL) return Promise.all(GUESTS.filter((guest) => guest !== "evm/tracer").map(loadGuest));
  const files = globSync(["../../examples/*/guest/*.ts", "../guests/*.ts"], { cwd: import.meta.dirname });
  const compile = (file: string) => compileGuest(join(import.meta.dirname, file), { enable: ["simd"] });
  // Those that trace call a host of their own, and are no programs.
  return Promise.all(
    files.filter((file) => !/evm\/guest\/(steps|trace|tracer)\.ts$/.test(file)).map(compile),
  );
}

test("so do the guests of the examples and of the tests", async (t) => {
  const programs = await guests();
  assert.ok(programs.length > 10, "the guests are found");
  assert.deepEqual(await walkAll(t, baseSeed(t), programs), []);
});

const DEFECTS: Record<string, (charge: number, index: number) => number> = {
  "each fifth charge left out": (charge, index) => (index % 5 === 4 ? 0 : charge),
  "charges that are short by one": (charge) => charge - 1,
  "each fifth charge made twice": (charge, index) => (index % 5 === 4 ? 2 * charge : charge),
};

test("a plan takes steps in proportion to the code, whatever its shape", () => {
  for (const [name, make] of Object.entries(FAMILIES)) {
    eachBody(make(0.05), (body) => {
      const { count, ways } = piecesOf(body);
      const steps = ways.reduce((sum, on) => sum + on.length, count);
      const labels = body.labels.reduce((sum, list) => sum + list.length, 0);
      assert.ok(steps <= 3 * body.length + labels, `${name}: ${steps} steps for ${body.length}`);
    });
  }
});

for (const [name, change] of Object.entries(DEFECTS)) {
  test(`a planted defect is found: ${name}`, async (t) => {
    const planted = (charges: Charges) =>
      new Map([...charges].map(([place, charge], index) => [place, change(charge, index)]));
    const seed = baseSeed(t);
    assert.notDeepEqual(await walkAll(t, seed, generated(seed, 20), planted), []);
  });
}
