/**
 * Evidence that a validator has signed two votes of a height, made with its key: what a node that has both
 * tells the network. Waiting for two nodes with one key to meet would be a matter of chance.
 */

import { createPrivateKey, sign } from "node:crypto";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import type { Pair } from "../../examples/validator/pair.ts";

/** DER of a private ed25519 key, before its 32 bytes (RFC 8410). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const PRECOMMIT = 2;
const NANOSECONDS = 1e9;

/** A vote as it is signed: CanonicalVote of CometBFT's types/canonical.proto, after its length. */
interface Vote {
  readonly height: number;
  /** What it votes for: the hash of a block, and of its parts. */
  readonly hash: Uint8Array;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly chain: string;
}

/** The parameter `evidence` of broadcast_evidence: two precommits for different blocks of a height. */
export async function doubleVote(by: Pair, height: number): Promise<object> {
  const [{ signed_header: signed }, { validators }] = await Promise.all([
    by.ask("commit", { height: String(height) }),
    by.ask("validators", { height: String(height) }),
  ]);
  const { time, chain_id: chain } = signed.header;
  const { address } = by.validator;
  const index = validators.findIndex((each: { address: string }) => each.address === address);
  const powers: number[] = validators.map((each: { voting_power: string }) => Number(each.voting_power));
  const [seconds, nanoseconds] = instant(time);
  // In the order of their hashes.
  const votes = [1, 2].map((byte) => {
    const hash = new Uint8Array(32).fill(byte);
    const hex = Buffer.from(hash).toString("hex").toUpperCase();
    return {
      type: PRECOMMIT,
      height: String(height),
      round: 0,
      block_id: { hash: hex, parts: { total: 1, hash: hex } },
      timestamp: time,
      validator_address: address,
      validator_index: index,
      signature: signatureOf(by, { height, hash, seconds, nanoseconds, chain }),
    };
  });
  const value = {
    vote_a: votes[0],
    vote_b: votes[1],
    TotalVotingPower: String(powers.reduce((sum, power) => sum + power, 0)),
    ValidatorPower: String(powers[index]),
    Timestamp: time,
  };
  return { type: "tendermint/DuplicateVoteEvidence", value };
}

/** A signature of the vote by the node's key, in base64. */
function signatureOf(by: Pair, vote: Vote): string {
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8, by.secret]),
    format: "der",
    type: "pkcs8",
  });
  return sign(null, bytesOf(vote), key).toString("base64");
}

function bytesOf({ height, hash, seconds, nanoseconds, chain }: Vote): Uint8Array {
  const message = (write: (writer: BinaryWriter) => void): Uint8Array => {
    const writer = new BinaryWriter();
    write(writer);
    return writer.finish();
  };
  const parts = message((w) => w.tag(1, 0).uint32(1).tag(2, 2).bytes(hash));
  const block = message((w) => w.tag(1, 2).bytes(hash).tag(2, 2).bytes(parts));
  const timestamp = message((w) => {
    w.tag(1, 0).int64(seconds);
    if (nanoseconds > 0) w.tag(2, 0).int32(nanoseconds);
  });
  // Round 0 is not written.
  const vote = message((w) => {
    w.tag(1, 0).int32(PRECOMMIT).tag(2, 1).sfixed64(height);
    w.tag(4, 2).bytes(block).tag(5, 2).bytes(timestamp).tag(6, 2).string(chain);
  });
  return message((w) => w.bytes(vote));
}

/** Seconds and nanoseconds of a time as CometBFT writes it, which has up to nine digits of a second. */
function instant(time: string): [seconds: number, nanoseconds: number] {
  const [, whole, fraction = ""] = /^(.{19})(?:\.(\d+))?Z$/.exec(time) as RegExpExecArray;
  return [Date.parse(`${whole}Z`) / 1000, Math.round(Number(`0.${fraction || 0}`) * NANOSECONDS)];
}
