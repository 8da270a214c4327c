/**
 * npm run evm -- state-tests DIR
 * npm run evm -- precompiles [--rounds N] [--seed S]
 *
 * Runs the official state tests in a directory (*.json, *.json.gz); compares each precompiled contract with
 * those of @ethereumjs/evm on N random and malformed inputs. Exit code 1 if one fails or differs.
 */

import {
  EXIT_FAILED,
  EXIT_OK,
  integerOption,
  parseOptions,
  print,
  printError,
  runCommand,
} from "../../runtime/cli/terminal.ts";
import { UsageError } from "../../runtime/errors.ts";
import { runStateTests, testFiles } from "./official.ts";
import { comparePrecompile, otherPrecompiles, ownPrecompiles, PRECOMPILES } from "./precompiles.ts";

const help = `Checks the EVM of the example.

  state-tests DIR                       Ethereum's official state tests in DIR: *.json and *.json.gz
  precompiles [--rounds N] [--seed S]   each precompiled contract against @ethereumjs/evm's on N random and
                                        malformed inputs; default 10000, from seed 1`;

async function stateTests(args: string[]): Promise<number> {
  const { positionals } = parseOptions(args, {}, 1);
  const files = testFiles(positionals[0] as string);
  const { passed, failed, excluded } = await runStateTests(files);
  for (const [reason, count] of excluded) print(`${count} left out: ${reason}`);
  for (const line of failed) print(`failed: ${line}`);
  print(`${passed} passed, ${failed.length} failed`);
  return failed.length > 0 ? EXIT_FAILED : EXIT_OK;
}

async function precompiles(args: string[]): Promise<number> {
  const { values } = parseOptions(args, {
    rounds: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
  });
  const rounds = integerOption("rounds", values.rounds, 1, 10_000_000);
  const seed = integerOption("seed", values.seed, 0, 2 ** 31);
  const [ours, theirs] = [await ownPrecompiles(), await otherPrecompiles()];
  let code = EXIT_OK;
  for (const number of PRECOMPILES) {
    try {
      const { failed } = await comparePrecompile(ours, theirs, number, rounds, seed);
      print(`contract ${number}: ${rounds} calls agree, ${failed} of them failures`);
    } catch (error) {
      printError((error as Error).message);
      code = EXIT_FAILED;
    }
  }
  return code;
}

const [name, ...rest] = process.argv.slice(2);
const run = { "state-tests": stateTests, precompiles }[name ?? ""];
await runCommand(
  {
    name: "evm",
    help,
    run: (args) => {
      if (run !== undefined) return run(args.slice(1));
      const message = `${name ?? "nothing"} is not a command: state-tests DIR or precompiles`;
      throw new UsageError("BAD_OPTION", message, { name: name ?? "" });
    },
  },
  name === undefined ? [] : [name, ...rest],
);
