/**
 * Contracts in tests: calls on the thread of the test, at once, without workers, blocks or a store. What runs
 * is the kernel itself (testing.ts), and what a call gives is what an App would give.
 */

import { badArgument, checkNames } from "../arguments.ts";
import { buildGuest, printingGuest } from "../compile.ts";
import { UsageError } from "../errors.ts";
import {
  type Coverage,
  GuestFault,
  type Lost,
  type Profile,
  type ProfileOptions,
  type TestOutcome,
  TestProcess,
  type TestState,
} from "../testing.ts";
import { type AddressLike, type Call, Client, type Contracts, type Outcome } from "../typed/client.ts";
import { MIGRATE_ENTRY, SETUP_ENTRY, TRANSACTION_ENTRY, VIEW_ENTRY } from "../typed/entry.ts";
import type { Lock } from "../typed/guest.ts";
import { readInterface } from "../typed/interface.ts";
import { lockOf } from "../typed/layout.ts";
import { checkUpgrade } from "../typed/upgrade.ts";
import { placeIn } from "./calls.ts";
import { type Print, Printer } from "./prints.ts";
import { CONTEXT_BYTES } from "./programs.ts";
import { knownViews, type Read, type StateView, stateViews } from "./state.ts";
import { stateMoved } from "./upgrade.ts";

/** Who calls, and in which block. */
export interface TestCall {
  /** Default: twenty zero bytes. */
  readonly from?: AddressLike;
  /** What `block.height` gives. Default: that of the call before, 1 at first. */
  readonly height?: number;
  /** What `block.time` gives, in milliseconds. Default: that of the call before, 0 at first. */
  readonly time?: number;
}

/** Options of `TestContract.open`. */
export interface TestContractOptions {
  /** Arguments of setups, by contract. */
  readonly setup?: Readonly<Record<string, object>>;
  /** Takes what `debug` prints, as "bank.ts:12: text". Default: `console.log`. */
  readonly print?: Print;
  /** Counts which lines run. Default: none, or that of `stillpoint test --coverage`. */
  readonly coverage?: Coverage;
}

const NOBODY = new Uint8Array(20);
/** State that an upgrade copies at once. */
const STRETCH_BYTES = 1 << 16;
const ENTRIES: Readonly<Record<string, string>> = { transaction: TRANSACTION_ENTRY, view: VIEW_ENTRY };

/**
 * A contract that a test calls.
 *
 * @example
 * ```ts
 * const bank = await TestContract.open("bank.ts");
 * const { Bank } = bank.client;
 * const before = bank.checkpoint;
 * bank.call(Bank.mint({ to: alice, amount: 5n }));
 * console.log(bank.call(Bank.pay({ to: bob, amount: 9n }), { from: alice }).error); // overdraft
 * bank.checkpoint = before; // any number of times
 * ```
 */
export class TestContract<Typed extends object = Contracts> {
  /** The program's functions by contract, which make calls. */
  readonly client: Typed;
  /** The collections of the state by name, as they are now. */
  readonly state: Readonly<Record<string, StateView>>;
  /** The process below, for all else. */
  readonly process: TestProcess;
  readonly #client: Client;
  readonly #printer: Printer | null;
  #lost: readonly Lost[] = [];

  private constructor(
    process: TestProcess,
    client: Client,
    setups: readonly Call[],
    printer: Printer | null,
  ) {
    this.process = process;
    this.#printer = printer;
    this.#client = client;
    this.client = client.contracts as unknown as Typed;
    const read = (address: number, length: number): Uint8Array => process.read(address, length);
    this.state = knownViews(stateViews(client.description, read));
    this.#setContext(1, 0);
    for (const setup of setups) {
      const outcome = this.#run(setup, SETUP_ENTRY, NOBODY);
      if (outcome.ok) continue;
      const text = `${setup.contract}.${setup.name} failed: ${outcome.error}`;
      throw new UsageError("SETUP_FAILED", text, { contract: setup.contract, error: outcome.error });
    }
  }

  /**
   * A fresh process of the contracts in a source file, or of a compiled program, after their setups.
   *
   * @throws UsageError (E_GUEST_COMPILE, E_GUEST_MISSING, NO_INTERFACE, SETUP_FAILED…)
   */
  static async open<Typed extends object = Contracts>(
    contract: string | Uint8Array,
    options: TestContractOptions = {},
  ): Promise<TestContract<Typed>> {
    checkNames(options, ["setup", "print", "coverage"]);
    const { setup = {}, print = console.log, coverage } = options;
    const built = await load(contract, print, null);
    const process = await TestProcess.open(built.program, counting(coverage));
    return new TestContract<Typed>(process, built.client, built.client.setups(setup), built.printer);
  }

  /**
   * What this contract becomes by an upgrade to another program: one with the state as it is now, after the
   * migrations that the program has and this one has not. This one stays what it is.
   *
   * @param contract as for `open`; a source without a lock file leaves the state where it is
   * @throws UsageError (E_GUEST_…, NO_INTERFACE, STATE_MOVED, MIGRATION_FAULT)
   * @example
   * ```ts
   * const renewed = await bank.upgrade<Client>("bank.ts"); // edited: its state stays where it is
   * console.log(renewed.call(renewed.client.Bank.balanceOf({ who: alice })).value); // 100n
   * ```
   */
  async upgrade<Next extends object = Contracts>(
    contract: string | Uint8Array,
    { print = console.log, coverage }: Pick<TestContractOptions, "print" | "coverage"> = {},
  ): Promise<TestContract<Next>> {
    const { description: before } = this.#client;
    const { program, client, printer } = await load(contract, print, lockOf(before));
    const { problems, which } = checkUpgrade(before, client.description);
    if (problems.length > 0) throw stateMoved(problems);
    let from = this.process;
    if (which !== 0n) {
      const migrating = await TestProcess.open(program, counting(coverage));
      copyState((...range) => from.read(...range), migrating, before.stateBytes);
      migrate(migrating, which, client);
      from = migrating; // its private memory goes, as in an App
    }
    const process = await TestProcess.open(program, counting(coverage));
    const made = new TestContract<Next>(process, client, [], printer);
    const { stateBytes } = which === 0n ? before : client.description;
    copyState((...range) => from.read(...range), made.process, stateBytes);
    return made;
  }

  /**
   * Calls a function: a transaction, which leaves nothing if it fails, or a view, which leaves nothing ever.
   */
  call<Value, Failure extends string>(
    call: Call<Value, Failure>,
    context: TestCall = {},
  ): Outcome<Value, Failure> {
    checkNames(context, ["from", "height", "time"]);
    const { from = NOBODY, height, time } = context;
    const entry = ENTRIES[call?.kind];
    if (entry === undefined) throw badArgument("call", call, "one that the contract's client made");
    this.#setContext(height, time);
    const run = (): Outcome => this.#run(call as Call, entry, from);
    return (call.kind === "view" ? this.process.andBack(run) : run()) as Outcome<Value, Failure>;
  }

  /**
   * Where a call spends its gas, by function and line (`TestProcess.profile`); nothing of it is kept.
   *
   * @example
   * ```ts
   * console.log(formatProfile(bank.profile(Bank.pay({ to: bob, amount: 9n }), { from: alice })));
   * ```
   */
  profile(call: Call, { from = NOBODY, height, time }: TestCall = {}, options: ProfileOptions = {}): Profile {
    const entry = ENTRIES[call?.kind];
    if (entry === undefined) throw badArgument("call", call, "one that the contract's client made");
    return this.process.andBack(() => {
      this.#setContext(height, time);
      return this.process.profileItem(entry, this.#client.input(call, from), options);
    });
  }

  #run(call: Call, entry: string, from: AddressLike): Outcome {
    const input = this.#client.input(call, from);
    const state = this.#printer && this.process.read(0, this.#client.description.stateBytes);
    const [outcome] = this.process.batch(entry, [input]) as [TestOutcome];
    if (state !== null && outcome.fault !== "out-of-gas") this.#printer?.run(entry, state, input);
    const { fault, code, gasUsed, output, text, stack, lost } = outcome;
    this.#lost = lost;
    const told = { reason: text, at: placeIn(stack) };
    return this.#client.outcome(call.selector, { fault, code, gasUsed, output, ...told });
  }

  /** What the last call changed in vain, outside of the state: `{ global: "bank/count" }` is a variable. */
  get lost(): readonly Lost[] {
    return this.#lost;
  }

  /** All that the contract holds. Set it to go back, or forth. */
  get checkpoint(): TestState {
    return this.process.state;
  }

  set checkpoint(state: TestState) {
    this.process.state = state;
  }

  /** Says which block it is: by default the one that it was. */
  #setContext(height: number | undefined, time: number | undefined): void {
    const context = new BigUint64Array(this.process.read(0, CONTEXT_BYTES).slice().buffer);
    const [knownHeight, knownTime] = context as unknown as [bigint, bigint];
    context[0] = height === undefined ? knownHeight : BigInt(height);
    context[1] = time === undefined ? knownTime : BigInt(time);
    if (context[0] === knownHeight && context[1] === knownTime) return;
    this.process.write(0, new Uint8Array(context.buffer));
  }
}

function counting(coverage: Coverage | undefined): { readonly coverage?: Coverage } {
  return coverage === undefined ? {} : { coverage };
}

async function load(contract: string | Uint8Array, print: Print, lock: Lock | null) {
  const isSource = typeof contract === "string";
  const built = isSource ? await buildGuest(contract, {}, lock) : { program: contract, typed: null };
  const printing = isSource ? await printingGuest(contract, built.typed) : null;
  const printer = printing === null ? null : new Printer(printing, print);
  return { program: built.program, client: new Client(readInterface(built.program)), printer };
}

/** Copies state, but for stretches that are zero. */
export function copyState(read: Read, to: TestProcess, stateBytes: number): void {
  for (let at = 0; at < stateBytes; at += STRETCH_BYTES) {
    const bytes = read(at, Math.min(STRETCH_BYTES, stateBytes - at));
    if (bytes.some((byte) => byte !== 0)) to.write(at, bytes);
  }
}

/** Runs migrations. @throws UsageError MIGRATION_FAULT */
function migrate(process: TestProcess, which: bigint, client: Client): void {
  try {
    process.call(MIGRATE_ENTRY, which);
  } catch (error) {
    if (!(error instanceof GuestFault)) throw error;
    const { fault, text } = error.facts;
    const reason = { reason: String(text), at: placeIn(error.frames) };
    const ending = {
      fault: String(fault),
      code: error.abortCode,
      gasUsed: 0,
      output: new Uint8Array(),
      ...reason,
    };
    const outcome = client.outcome(0, ending) as Extract<Outcome, { ok: false }>;
    const said = `the migration failed: ${outcome.error}${outcome.at ? ` at ${outcome.at}` : ""}`;
    throw new UsageError("MIGRATION_FAULT", said, error.facts, { cause: error });
  }
}
