/**
 * Checks signatures: the items of a batch without state. The signer of a transaction is computed from it
 * and must be its sender.
 *
 * Entries:
 *   boxes(0)        inbox (low half) and outbox (high half) of items
 *   verify(length)  item, a transaction: STATUS_APPLIED, and the output is an order, or another status
 */

import { recoverSigner, KEYS, SIGNATURE_KEY } from "./signature.ts";
import * as message from "./messages.ts";

const inbox: usize = memory.data(2424, 8);
const outbox: usize = memory.data(80, 8);
const signer: usize = memory.data(20, 8);

export function boxes(argument: i64): i64 {
  return ((<i64>outbox) << 32) | inbox;
}

export function verify(length: i64): i64 {
  const signature = inbox + message.TRANSACTION_SIGNED;
  if (length != message.TRANSACTION_BYTES || load<u32>(signature, SIGNATURE_KEY) >= KEYS)
    return message.STATUS_MALFORMED;
  recoverSigner(inbox, message.TRANSACTION_SIGNED, signature, signer);
  if (memory.compare(signer, inbox, 20)) return message.STATUS_BAD_SIGNATURE;
  const order = outbox + 4;
  memory.copy(order, inbox, message.TRANSACTION_SIGNED);
  store<u64>(order, load<u32>(signature, SIGNATURE_KEY), message.ORDER_KEY);
  store<u32>(outbox, message.ORDER_BYTES);
  return message.STATUS_APPLIED;
}
