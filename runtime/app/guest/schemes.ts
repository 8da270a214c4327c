/** How transactions are signed: see signed.ts. Host and guest compile this file. */

export const SECP256K1 = 1;
export const ED25519 = 2;

/** What the signed bytes begin with, so that they are nothing else that the same key signs. */
export const TAG = "stillpoint transaction\n";

/** Chain, nonce, gas, last height and selector. */
export const BODY_BYTES = 60;
