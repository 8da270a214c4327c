/**
 * Hashes and signatures for programs: `import { Keccak256 } from "stillpoint/guest/crypto"`. See
 * ../README.md.
 */

export { Blake2b } from "./blake2b";
export { Bn254 } from "./bn254";
export { Ed25519 } from "./ed25519";
export { KECCAK256_BYTES, Keccak256 } from "./keccak";
export { modularPower } from "./modular";
export { FIELD_BYTES, Montgomery, ONE } from "./montgomery";
export { Ripemd160 } from "./ripemd160";
export { Secp256k1 } from "./secp256k1";
export { SHA512_BYTES, Sha512 } from "./sha512";
