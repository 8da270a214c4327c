/**
 * Hashes and signatures for programs: `import { Keccak256 } from "stillpoint/guest/crypto"`. See
 * ../README.md.
 */

export { Blake2b } from "./blake2b";
export { Bn254 } from "./bn254";
export { KECCAK256_BYTES, Keccak256 } from "./keccak";
export { modularPower } from "./modular";
export { FIELD_BYTES, Montgomery, ONE } from "./montgomery";
export { Ripemd160 } from "./ripemd160";
export { Secp256k1 } from "./secp256k1";
