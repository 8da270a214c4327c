/** A chain of the guest "tally", as its author would write it, and what CometBFT asks of it. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { AbciApplication } from "../../runtime/abci/index.ts";
import * as messages from "../../runtime/abci/messages/tendermint/abci/types_pb.js";
import type { Runtime } from "../../runtime/index.ts";
import { type ValidatorChain, validator } from "../../runtime/validator/index.ts";
import { guest } from "../fixture.ts";

export const tally = await guest("tally");
const ASKING = { signal: new AbortController().signal };

export function tallyChain(runtime: Runtime): ValidatorChain {
  return {
    check: ({ tx }) => ({ code: tx.length === 1 && tx[0] !== 0 ? 0 : 1 }),
    results({ data }, txs) {
      const view = new DataView(data.buffer, data.byteOffset);
      return { txResults: txs.map((_, i) => ({ code: view.getUint32(8 + 4 * i, true) })) };
    },
    async query(_, block) {
      const { code } = await runtime.call([], "sum", { block });
      return { value: Buffer.from(`${code}`) };
    },
  };
}

type Init<Schema extends Parameters<typeof create>[0]> = Omit<MessageInitShape<Schema>, "$typeName">;

/** The application's methods, called with requests as they come from the socket. */
export class Asker {
  readonly application: AbciApplication;

  constructor(runtime: Runtime, chain: ValidatorChain = tallyChain(runtime)) {
    this.application = validator(runtime, chain);
  }

  async info() {
    const info = await this.application.info(create(messages.RequestInfoSchema), ASKING);
    return { height: Number(info.lastBlockHeight), hash: hex(info.lastBlockAppHash) };
  }

  async initChain(init: Init<typeof messages.RequestInitChainSchema> = {}) {
    const request = create(messages.RequestInitChainSchema, { chainId: "tally", initialHeight: 1n, ...init });
    return hex((await this.application.initChain(request, ASKING)).appHash);
  }

  async check(tx: Uint8Array) {
    return this.application.checkTx(create(messages.RequestCheckTxSchema, { tx }), ASKING);
  }

  async sum(height = 0) {
    const request = create(messages.RequestQuerySchema, { height: BigInt(height) });
    const { code = 0, value = new Uint8Array(), log = "" } = await this.application.query(request, ASKING);
    return code === 0 ? Number(Buffer.from(value).toString()) : log;
  }

  async prepare(height: number, txs: Uint8Array[], maxTxBytes = 1 << 20) {
    const init = { ...at(height), txs, maxTxBytes: BigInt(maxTxBytes), localLastCommit: {} };
    const request = create(messages.RequestPrepareProposalSchema, init);
    return (await this.application.prepareProposal(request, ASKING)).txs as Uint8Array[];
  }

  async process(height: number, txs: Uint8Array[]): Promise<string> {
    const init = { ...at(height), txs, proposedLastCommit: {} };
    const request = create(messages.RequestProcessProposalSchema, init);
    const { status } = await this.application.processProposal(request, ASKING);
    return messages.ResponseProcessProposal_ProposalStatus[status as number] as string;
  }

  async finalize(height: number, txs: Uint8Array[]) {
    const init = { ...at(height), txs, decidedLastCommit: {} };
    const request = create(messages.RequestFinalizeBlockSchema, init);
    const { appHash, txResults = [] } = await this.application.finalizeBlock(request, ASKING);
    return { hash: hex(appHash), codes: txResults.map(({ code }) => code) };
  }

  async commit(): Promise<void> {
    await this.application.commit(create(messages.RequestCommitSchema), ASKING);
  }
}

const at = (height: number) => ({
  height: BigInt(height),
  time: { seconds: BigInt(1_700_000_000 + height), nanos: height },
  proposerAddress: new Uint8Array(20).fill(7),
});

function hex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("hex");
}
