/** Names of opcodes, as EIP-3155 and the field write them. */

const NAMES: ReadonlyMap<number, string> = new Map([
  ...from(0x00, "STOP ADD MUL SUB DIV SDIV MOD SMOD ADDMOD MULMOD EXP SIGNEXTEND"),
  ...from(0x10, "LT GT SLT SGT EQ ISZERO AND OR XOR NOT BYTE SHL SHR SAR"),
  ...from(0x20, "KECCAK256"),
  ...from(0x30, "ADDRESS BALANCE ORIGIN CALLER CALLVALUE CALLDATALOAD CALLDATASIZE CALLDATACOPY CODESIZE"),
  ...from(0x39, "CODECOPY GASPRICE EXTCODESIZE EXTCODECOPY RETURNDATASIZE RETURNDATACOPY EXTCODEHASH"),
  ...from(0x40, "BLOCKHASH COINBASE TIMESTAMP NUMBER PREVRANDAO GASLIMIT CHAINID SELFBALANCE BASEFEE"),
  ...from(0x49, "BLOBHASH BLOBBASEFEE"),
  ...from(0x50, "POP MLOAD MSTORE MSTORE8 SLOAD SSTORE JUMP JUMPI PC MSIZE GAS JUMPDEST TLOAD TSTORE"),
  ...from(0x5e, "MCOPY PUSH0"),
  ...numbered(0x60, "PUSH", 1, 32),
  ...numbered(0x80, "DUP", 1, 16),
  ...numbered(0x90, "SWAP", 1, 16),
  ...numbered(0xa0, "LOG", 0, 4),
  ...from(0xf0, "CREATE CALL CALLCODE RETURN DELEGATECALL CREATE2"),
  ...from(0xfa, "STATICCALL"),
  ...from(0xfd, "REVERT INVALID SELFDESTRUCT"),
]);

function from(first: number, names: string): [number, string][] {
  return names.split(" ").map((name, i) => [first + i, name]);
}

function numbered(first: number, name: string, low: number, high: number): [number, string][] {
  return Array.from({ length: high - low + 1 }, (_, i) => [first + i, `${name}${low + i}`]);
}

/** The name of an opcode; one that no fork has is named by its number. */
export function opcodeName(opcode: number): string {
  return NAMES.get(opcode) ?? `opcode 0x${opcode.toString(16).padStart(2, "0")} not defined`;
}
