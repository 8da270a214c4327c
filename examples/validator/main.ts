/** npm run localnet -- [--validators N] [--blocks N] [--load TX/S] [--kill SEED] [--sync] [--comet V] */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Command,
  choiceOption,
  EXIT_OK,
  formatTable,
  integerOption,
  parseOptions,
  print,
  printError,
  runCommand,
} from "../../runtime/cli/terminal.ts";
import { COMET_VERSIONS, comet } from "./comet.ts";
import { Network, sameHash, trust } from "./network.ts";
import { killAll, type Pair } from "./pair.ts";

const HELP = `A local network of validators on CometBFT, which ends by itself.

  localnet [--validators N]  pairs of an application and CometBFT, 1 to 16; default 4
           [--blocks N]      how many blocks are made, 5 to 10,000; default 20
           [--load TX/S]     payments a second, 0 to 5,000; default 50
           [--kill SEED]     kills a pair, chosen by the seed, in the middle, and starts it again
           [--sync]          one more node joins by state sync at the end
           [--comet VERSION] ${COMET_VERSIONS.join(" or ")}; default ${COMET_VERSIONS[0]}
           [--help]          this text

CometBFT is taken from $STILLPOINT_COMETBFT or ~/.cache/stillpoint/cometbft, and built there with Go if it
is not there. All traffic is on the loopback interface. The table has for each phase the height that all
nodes have reached, the app hash there, which is the same on all, and the time. Ctrl-C ends all processes.`;

const TEXT = { type: "string" } as const;
const SNAPSHOT_BLOCKS = 5;

interface Phase {
  readonly name: string;
  readonly height: number;
  readonly hash: string;
  readonly ms: number;
}

const command: Command = {
  name: "localnet",
  help: HELP,
  run: async (args) => {
    const { values } = parseOptions(args, {
      validators: { ...TEXT, default: "4" },
      blocks: { ...TEXT, default: "20" },
      load: { ...TEXT, default: "50" },
      kill: TEXT,
      sync: { type: "boolean", default: false },
      comet: { ...TEXT, default: COMET_VERSIONS[0] },
    });
    const settings = {
      validators: integerOption("validators", values.validators, 1, 16),
      blocks: integerOption("blocks", values.blocks, 5, 10_000),
      load: integerOption("load", values.load, 0, 5_000),
      seed: values.kill === undefined ? null : integerOption("kill", values.kill, 0, 2 ** 31),
      sync: values.sync,
    };
    const binary = comet(choiceOption("comet", values.comet, COMET_VERSIONS), printError);
    const directory = mkdtempSync(join(tmpdir(), "stillpoint-localnet-"));
    const end = (): void => {
      killAll();
      rmSync(directory, { recursive: true, force: true });
      process.exit(130);
    };
    process.once("SIGINT", end).once("SIGTERM", end);
    const network = await Network.make(directory, binary, settings.validators);
    try {
      await run(network, settings);
      return EXIT_OK;
    } finally {
      await network.kill();
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

interface Settings {
  readonly blocks: number;
  readonly load: number;
  readonly seed: number | null;
  readonly sync: boolean;
}

async function run(network: Network, { blocks, load, seed, sync }: Settings): Promise<void> {
  const phases: Phase[] = [];
  let last = performance.now();
  const phase = async (name: string, pairs: readonly Pair[], height: number): Promise<void> => {
    await Promise.all(pairs.map((pair) => pair.reaches(height + 1)));
    const hash = await sameHash(pairs, height);
    phases.push({ name, height, hash, ms: performance.now() - last });
    last = performance.now();
    printError(`${name}: height ${height}`);
  };
  const { pairs } = network;
  await Promise.all(pairs.map((pair) => pair.start(network.peers, { snapshotBlocks: SNAPSHOT_BLOCKS })));
  await phase("start", pairs, 1);
  network.load(load);
  const half = Math.ceil(blocks / 2);
  await phase("load", pairs, half);
  if (seed !== null) {
    const victim = pairs[seed % pairs.length] as Pair;
    const others = pairs.filter((pair) => pair !== victim);
    await victim.kill();
    // Three of four continue; fewer wait for the one that is missing.
    if (pairs.length >= 4) await phase(`without ${victim.name}`, others, half + 3);
    await victim.start(network.peers, { snapshotBlocks: SNAPSHOT_BLOCKS });
    await phase(`${victim.name} is back`, pairs, half + 4);
  }
  // One that was killed is back at half + 4, and makes a block with the others.
  await phase("end of the load", pairs, seed === null ? blocks : Math.max(blocks, half + 5));
  if (sync) await joining(network, phase);
  await network.endLoad();
  const { sent, taken } = network.counts;
  const rows = phases.map(({ name, height, hash, ms }) => [
    ...[name, String(height), hash.slice(0, 16), ms.toFixed(0)],
  ]);
  print(formatTable(["phase", "height", "app hash", "ms"], rows, ["phase", "app hash"]));
  print(`${sent} payments sent, ${taken} taken`);
}

/** A node that joins by state sync, trusting a header of the first. */
async function joining(
  network: Network,
  phase: (name: string, pairs: readonly Pair[], height: number) => Promise<void>,
): Promise<void> {
  const first = network.pairs[0] as Pair;
  const pair = await network.add("joining");
  await trust(pair, first);
  await pair.start(network.peers);
  await phase("state sync", network.pairs, (await first.height()) + 1);
}

if (import.meta.main) await runCommand(command, process.argv.slice(2));
