/**
 * Upgrades: blocks without transactions that give the app another program, or change other rules. Other nodes
 * make such a block from one message:
 *
 *   metadata of the block, MESSAGE_UPGRADE of guest/messages.ts · the change of rules, as encodeRulesChange
 *   returns it
 *
 * If there are migrations, the program of the app's process is replaced twice: the second replacement drops
 * what the migrations have left in private memory.
 */

import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { badArgument } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { encodeRulesChange, programHash, type RulesChange } from "../index.ts";
import { readState } from "../program/decode/state.ts";
import { hexOf } from "../text.ts";
import { Client } from "../typed/client.ts";
import { MIGRATE_ENTRY } from "../typed/entry.ts";
import { type Interface, readInterface } from "../typed/interface.ts";
import { checkUpgrade } from "../typed/upgrade.ts";
import { blockInput, type Input } from "./blocks.ts";
import * as message from "./guest/messages.ts";
import type { Upgrade } from "./options.ts";
import { APP, type AppProgram } from "./programs.ts";

/** An upgrade, as input of the runtime and as message for other nodes. */
export interface PlannedUpgrade {
  readonly input: Input;
  readonly message: Uint8Array;
  /** The app's program afterwards. */
  readonly after: Interface;
}

/**
 * Plans the upgrade of an app that has the program `before`, whose module is `module`.
 *
 * @throws UsageError (BAD_ARGUMENT, E_GUEST_…, NO_INTERFACE, STATE_MOVED)
 */
export async function planUpgrade(
  before: AppProgram,
  module: Uint8Array,
  to: Upgrade,
  time: number,
): Promise<PlannedUpgrade> {
  const { contract, gas, rules = {} } = to;
  if (contract !== undefined && to.program !== undefined)
    throw new UsageError("BAD_ARGUMENT", 'give "contract" or "program", not both');
  const description = before.client.description;
  const program = to.program ?? (contract === undefined ? module : await compile(contract, description));
  const after = readInterface(program);
  const name = programName(program);
  const change: RulesChange =
    name === before.name
      ? rules
      : { ...rules, replace: replacements(program, name, migrationsTo(description, after), gas) };
  if (Object.keys(change).length === 0)
    throw new UsageError("BAD_ARGUMENT", `there is nothing to upgrade: the app has program ${name}`, {
      name,
    });
  const metadata = upgradeMessage(program, time);
  const bytes = Buffer.concat([metadata, encodeRulesChange(change)]);
  return { input: { metadata, rules: change }, message: new Uint8Array(bytes), after };
}

/** Compiles as `stillpoint build` does, and keeps the lock file; without one the state stays where it is. */
async function compile(file: string, before: Interface): Promise<Uint8Array> {
  const { buildGuest, lockPath, lockText } = await import("../compile.ts");
  const { lockOf } = await import("../typed/layout.ts");
  const path = resolve(file);
  const { program, typed } = await buildGuest(path, {}, lockOf(before));
  if (typed !== null) writeFileSync(lockPath(path), lockText(typed.layout.lock));
  return program;
}

/** The migrations that are to run, as the argument of their entry. @throws UsageError STATE_MOVED */
function migrationsTo(before: Interface, after: Interface): bigint {
  const { problems, which } = checkUpgrade(before, after);
  if (problems.length > 0) throw stateMoved(problems);
  return which;
}

/** The error for a program that looks for the state elsewhere. */
export function stateMoved(problems: readonly string[]): UsageError {
  const text =
    `the app's state would be read wrongly: ${problems.join("; ")}. Build the program with the lock file ` +
    "of the one that the app has, and leave collections that it has as they are";
  return new UsageError("STATE_MOVED", text, { problems: problems.join("; ") });
}

/**
 * The change of rules that gives an app whose program is `before` another one.
 *
 * @throws UsageError STATE_MOVED
 */
export function changeTo(before: AppProgram, program: Uint8Array): RulesChange {
  const which = migrationsTo(before.client.description, readInterface(program));
  return { replace: replacements(program, before.name, which, undefined) };
}

function replacements(program: Uint8Array, name: string, which: bigint, gas: number | undefined) {
  if (which === 0n) return [{ path: APP, program }];
  const migrating = { migrate: MIGRATE_ENTRY, argument: which, ...(gas === undefined ? {} : { gas }) };
  return [
    { path: APP, program, ...migrating },
    { path: APP, program: name },
  ];
}

function upgradeMessage(program: Uint8Array, time: number): Uint8Array {
  const bytes = Buffer.alloc(message.UPGRADE_BYTES);
  bytes.writeUInt32LE(message.MESSAGE_UPGRADE, 0);
  bytes.writeUInt32LE(readState(program).stateBytes, message.UPGRADE_STATE);
  bytes.writeBigUInt64LE(BigInt(time), message.UPGRADE_TIME);
  bytes.set(programHash(program), message.UPGRADE_PROGRAM);
  return new Uint8Array(bytes);
}

/** A message of a block, and whether it may be one of an upgrade. */
export interface Received {
  readonly message: Uint8Array;
  readonly mayUpgrade: boolean;
}

/**
 * The inputs of blocks from their messages. Each block stands on the one before, and the first on one in
 * which the app has `program`.
 *
 * @throws UsageError (BAD_ARGUMENT; UPGRADE if one upgrades that may not)
 */
export function inputsOf(received: readonly Received[], program: () => Uint8Array): Input[] {
  let before = program;
  return received.map((each) => {
    const { input, after } = inputOf(each, before);
    before = after;
    return input;
  });
}

/** The input of one block, and the program that the app has after it. */
function inputOf({ message: bytes, mayUpgrade }: Received, program: () => Uint8Array) {
  const input = blockInput(bytes);
  if (input.rules === undefined) return { input, after: program };
  const { programs = [], replace = [] } = input.rules;
  const given = replace.findLast(({ path }) => path.length === 1 && path[0] === APP[0])?.program;
  const known = [program(), ...programs];
  const next = known.find((each) => given === undefined || programName(each) === given);
  const { metadata } = input;
  const time = Buffer.from(metadata).readBigUInt64LE(message.UPGRADE_TIME);
  if (next === undefined || Buffer.compare(upgradeMessage(next, Number(time)), metadata) !== 0)
    throw badArgument("message", bytes, "an upgrade to the program that its metadata names");
  if (mayUpgrade) return { input, after: () => next };
  const text =
    `the message changes the rules of the app, which then has program ${programName(next)}: ` +
    'give "allowUpgrade: true" to accept it';
  throw new UsageError("UPGRADE", text, { program: programName(next) });
}

/** The name of a program: the SHA-256 of its bytes, in hex. */
export function programName(program: Uint8Array): string {
  return hexOf(programHash(program));
}

/** If a migration has failed: the error with the contract's text of the failure, and its line. */
export function migrationError(error: unknown, after: Interface): unknown {
  if (!(error instanceof UsageError) || error.code !== "MIGRATION_FAULT") return error;
  const { fault, line, column } = error.facts;
  const code = (BigInt(column as number) << 32n) | BigInt(line as number);
  const ending = { fault: String(fault), code, gasUsed: 0, output: new Uint8Array() };
  const outcome = new Client(after).outcome(0, ending);
  if (outcome.ok) return error;
  const where = outcome.at === undefined ? "" : ` at ${outcome.at}`;
  const said = `the migration failed: ${outcome.error}${where}. There is no block, and the app is as it was`;
  return new UsageError("MIGRATION_FAULT", said, error.facts, { cause: error });
}
