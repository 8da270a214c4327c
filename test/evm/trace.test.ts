/**
 * Traces (EIP-3155) against the step events of @ethereumjs/evm: every opcode, what it finds and what it
 * costs.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { bytesToHex } from "@ethereumjs/util";
import { type EvmBlock, readBlock, readCodes } from "../../examples/evm/block.ts";
import { type TraceStep, type TraceSummary, traceTransaction } from "../../examples/evm/trace.ts";
import { type Guest, loadGuest } from "../../examples/guests.ts";
import { referenceOf, runReference } from "./ethereumjs.ts";
import { blockOf, EXCLUDED, readTests, type StateTest, testFiles } from "./official.ts";

const BLOCKS = fileURLToPath(new URL("../../examples/evm/blocks", import.meta.url));
const STATE_TESTS = fileURLToPath(new URL("./state-tests", import.meta.url));
/** Of the state tests every so many-th. */
const TESTS_STEP = Number(process.env.STILLPOINT_TRACES_STEP ?? 12);
const CALL_STIPEND = 2300n;
const STOP = 0x00;
const CALL = 0xf1;
const CALLCODE = 0xf2;
const CALLS = new Set([CALL, CALLCODE, 0xf4, 0xfa]);
const INVALID = 0xfe;
const SELFDESTRUCT = 0xff;

/** A step of the other machine, in the same words. */
interface Step {
  readonly pc: number;
  readonly op: number;
  readonly gas: bigint;
  readonly gasCost: bigint;
  readonly memSize: number;
  readonly stack: string;
  readonly depth: number;
  readonly refund: bigint;
}

/** What the other machine says of transaction `index` of a block. */
async function referenceTrace(block: EvmBlock, codes: ReadonlyMap<string, Uint8Array>, index: number) {
  const reference = await referenceOf(block, codes);
  const { vm, transactions } = reference;
  for (const tx of transactions.slice(0, index)) await runReference(reference, tx);
  const steps: Step[] = [];
  vm.evm.events?.on("step", ({ pc, opcode, gasLeft, memoryWordCount, stack, depth, gasRefund }, next) => {
    steps.push({
      pc,
      op: opcode.code,
      gas: gasLeft,
      gasCost: opcode.dynamicFee ?? 0n,
      memSize: Number(memoryWordCount) * 32,
      stack: stack.map((word) => `0x${word.toString(16)}`).join(),
      depth: depth + 1,
      refund: gasRefund,
    });
    next?.();
  });
  const { totalGasSpent, execResult } = await runReference(
    reference,
    transactions[index] as (typeof transactions)[0],
  );
  const summary: TraceSummary = {
    output: bytesToHex(execResult.returnValue),
    gasUsed: `0x${totalGasSpent.toString(16)}`,
    pass: execResult.exceptionError === undefined,
  };
  return { steps, summary };
}

/** Compares both; how many opcodes there were. */
async function compareTraces(
  block: EvmBlock,
  codes: ReadonlyMap<string, Uint8Array>,
  index: number,
  title: string,
): Promise<number> {
  const theirs = await referenceTrace(block, codes, index);
  const ours: TraceStep[] = [];
  const summary = await traceTransaction(block, codes, index, (step) => ours.push(step));
  let at = 0;
  for (const [i, step] of ours.entries()) {
    const other = theirs.steps[at];
    // It has no step for the STOP behind the end of a code.
    const isBehind = other === undefined || other.pc !== step.pc || other.depth !== step.depth;
    if (step.op === STOP && isBehind) continue;
    at++;
    assert.deepEqual(inItsWords(step, ours[i + 1], other), other, `${title}: opcode ${i}, ${step.opName}`);
  }
  assert.equal(at, theirs.steps.length, `${title}: the trace ends too early`);
  assert.deepEqual(summary, theirs.summary, title);
  return ours.length;
}

/** A step as the other machine tells it; where it tells something else, what it says is taken. */
function inItsWords(step: TraceStep, next: TraceStep | undefined, other: Step | undefined): Step {
  const { pc, memSize, depth } = step;
  // What the fork does not have is INVALID for it.
  const op = step.error !== undefined && other?.op === INVALID ? INVALID : step.op;
  const stack = step.stack.join();
  // It promises the refund of a SELFDESTRUCT later.
  const refund = op === SELFDESTRUCT && other !== undefined ? other.refund : BigInt(step.refund);
  return { pc, op, gas: BigInt(step.gas), gasCost: costOf(step, next, other), memSize, stack, depth, refund };
}

/** For the other machine a call does not cost what it passes on. */
function costOf(step: TraceStep, next: TraceStep | undefined, other: Step | undefined): bigint {
  const { op, stack, depth } = step;
  const cost = BigInt(step.gasCost);
  if (step.error !== undefined && other !== undefined) return other.gasCost;
  if (!CALLS.has(op)) return cost;
  if (next === undefined || next.depth <= depth)
    return other !== undefined && other.gasCost <= cost ? other.gasCost : cost;
  const pays = (op === CALL || op === CALLCODE) && BigInt(stack.at(-3) as string) > 0n;
  return cost - BigInt(next.gas) + (pays ? CALL_STIPEND : 0n);
}

test("traces of transactions of real blocks agree, opcode by opcode", async () => {
  const codes = readCodes(BLOCKS);
  let opcodes = 0;
  for (const [number, index] of [
    [1796867, 10],
    [4369999, 15],
    [19932148, 10],
  ] as const) {
    const block = readBlock(join(BLOCKS, `${number}.json.gz`));
    opcodes += await compareTraces(block, codes, index, `block ${number}, transaction ${index}`);
  }
  assert.ok(opcodes > 5_000, `${opcodes} opcodes are few`);
});

test("traces of official state tests agree, opcode by opcode", async (t) => {
  let compared = 0;
  for (const file of testFiles(STATE_TESTS)) {
    const some = readTests(file).filter((_, i) => i % TESTS_STEP === 0);
    for (const [name, one] of some) compared += await compareTest(name, one);
  }
  t.diagnostic(`${compared} cases`);
  assert.ok(compared > 50, `${compared} cases are few`);
});

/** Compares the first case of each fork of a state test whose transaction is valid; how many there were. */
async function compareTest(name: string, test: StateTest): Promise<number> {
  let compared = 0;
  for (const [fork, posts] of Object.entries(test.post)) {
    const [post] = posts as [(typeof posts)[0]];
    const title = `${name} (${fork}, data 0, gas 0, value 0)`;
    if (EXCLUDED.some(([part]) => title.includes(part)) || post.expectException !== undefined) continue;
    const codes = new Map<string, Uint8Array>();
    const bytes = Buffer.from(post.txbytes.slice(2), "hex");
    const block = {
      ...blockOf(test, fork, codes),
      transactions: [{ bytes, hash: "", from: null, to: null }],
    };
    await compareTraces(block, codes, 0, title);
    compared++;
  }
  return compared;
}

test("the program that the runtime executes has nothing of a trace", async () => {
  const imports = async (guest: Guest): Promise<string[]> =>
    WebAssembly.Module.imports(new WebAssembly.Module((await loadGuest(guest)) as BufferSource)).map(
      ({ module }) => module,
    );
  assert.ok((await imports("evm/tracer")).includes("trace"));
  assert.ok(!(await imports("evm/evm")).includes("trace"));
});
