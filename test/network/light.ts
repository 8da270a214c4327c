/**
 * A light client's check, with nothing but CometBFT's header and `stillpoint/proof`:
 *
 *   node test/network/light.ts APP_HASH HEADER PROOF, in hex
 *
 * It prints the bytes that are proved, in hex, or fails.
 */

import { verify, verifyHeader } from "../../runtime/proof/verify.ts";

const [appHash = "", header = "", proof = ""] = process.argv.slice(2);
const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
const statement = verify(verifyHeader(appHash, bytesOf(header)).root, bytesOf(proof));
if (statement.absent !== null) throw new Error(`it proves that there is no ${statement.absent}`);
console.log(Buffer.from(statement.bytes).toString("hex"));
