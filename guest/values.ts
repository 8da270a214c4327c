/**
 * Values of fixed bytes: Address and Bytes4 to Bytes64. A value is a pointer to its bytes, wherever they lie;
 * they are compared by content, and what state and messages give are copies.
 *
 *   const owner = Address.from(Item.input); // 20 bytes of the input, not copied
 *   if (owner != record.owner) fail("not yours");
 */

import { sameBytes } from "./state/layout";

/** Who: 20 bytes. */
@unmanaged
@final
export class Address {
  /** The 20 bytes at `address`. */
  @inline
  static from(address: usize): Address {
    return changetype<Address>(address);
  }

  /** 20 zero bytes of its own. */
  static zero(): Address {
    const address = heap.alloc(20);
    memory.fill(address, 0, 20);
    return changetype<Address>(address);
  }

  @inline
  get byteSize(): u32 {
    return 20;
  }

  /** A copy that nobody else writes to. */
  clone(): Address {
    const address = heap.alloc(20);
    memory.copy(address, changetype<usize>(this), 20);
    return changetype<Address>(address);
  }

  @operator("==")
  equals(other: Address): bool {
    return sameBytes(changetype<usize>(this), changetype<usize>(other), 20);
  }

  @operator("!=")
  differs(other: Address): bool {
    return !sameBytes(changetype<usize>(this), changetype<usize>(other), 20);
  }
}

/** 4 bytes. */
@unmanaged
@final
export class Bytes4 {
  /** The 4 bytes at `address`. */
  @inline
  static from(address: usize): Bytes4 {
    return changetype<Bytes4>(address);
  }

  /** 4 zero bytes of its own. */
  static zero(): Bytes4 {
    const address = heap.alloc(4);
    memory.fill(address, 0, 4);
    return changetype<Bytes4>(address);
  }

  @inline
  get byteSize(): u32 {
    return 4;
  }

  /** A copy that nobody else writes to. */
  clone(): Bytes4 {
    const address = heap.alloc(4);
    memory.copy(address, changetype<usize>(this), 4);
    return changetype<Bytes4>(address);
  }

  @operator("==")
  equals(other: Bytes4): bool {
    return sameBytes(changetype<usize>(this), changetype<usize>(other), 4);
  }

  @operator("!=")
  differs(other: Bytes4): bool {
    return !sameBytes(changetype<usize>(this), changetype<usize>(other), 4);
  }
}

/** 8 bytes. */
@unmanaged
@final
export class Bytes8 {
  /** The 8 bytes at `address`. */
  @inline
  static from(address: usize): Bytes8 {
    return changetype<Bytes8>(address);
  }

  /** 8 zero bytes of its own. */
  static zero(): Bytes8 {
    const address = heap.alloc(8);
    memory.fill(address, 0, 8);
    return changetype<Bytes8>(address);
  }

  @inline
  get byteSize(): u32 {
    return 8;
  }

  /** A copy that nobody else writes to. */
  clone(): Bytes8 {
    const address = heap.alloc(8);
    memory.copy(address, changetype<usize>(this), 8);
    return changetype<Bytes8>(address);
  }

  @operator("==")
  equals(other: Bytes8): bool {
    return sameBytes(changetype<usize>(this), changetype<usize>(other), 8);
  }

  @operator("!=")
  differs(other: Bytes8): bool {
    return !sameBytes(changetype<usize>(this), changetype<usize>(other), 8);
  }
}

/** 16 bytes. */
@unmanaged
@final
export class Bytes16 {
  /** The 16 bytes at `address`. */
  @inline
  static from(address: usize): Bytes16 {
    return changetype<Bytes16>(address);
  }

  /** 16 zero bytes of its own. */
  static zero(): Bytes16 {
    const address = heap.alloc(16);
    memory.fill(address, 0, 16);
    return changetype<Bytes16>(address);
  }

  @inline
  get byteSize(): u32 {
    return 16;
  }

  /** A copy that nobody else writes to. */
  clone(): Bytes16 {
    const address = heap.alloc(16);
    memory.copy(address, changetype<usize>(this), 16);
    return changetype<Bytes16>(address);
  }

  @operator("==")
  equals(other: Bytes16): bool {
    return sameBytes(changetype<usize>(this), changetype<usize>(other), 16);
  }

  @operator("!=")
  differs(other: Bytes16): bool {
    return !sameBytes(changetype<usize>(this), changetype<usize>(other), 16);
  }
}

/** 32 bytes. */
@unmanaged
@final
export class Bytes32 {
  /** The 32 bytes at `address`. */
  @inline
  static from(address: usize): Bytes32 {
    return changetype<Bytes32>(address);
  }

  /** 32 zero bytes of its own. */
  static zero(): Bytes32 {
    const address = heap.alloc(32);
    memory.fill(address, 0, 32);
    return changetype<Bytes32>(address);
  }

  @inline
  get byteSize(): u32 {
    return 32;
  }

  /** A copy that nobody else writes to. */
  clone(): Bytes32 {
    const address = heap.alloc(32);
    memory.copy(address, changetype<usize>(this), 32);
    return changetype<Bytes32>(address);
  }

  @operator("==")
  equals(other: Bytes32): bool {
    return sameBytes(changetype<usize>(this), changetype<usize>(other), 32);
  }

  @operator("!=")
  differs(other: Bytes32): bool {
    return !sameBytes(changetype<usize>(this), changetype<usize>(other), 32);
  }
}

/** 64 bytes. */
@unmanaged
@final
export class Bytes64 {
  /** The 64 bytes at `address`. */
  @inline
  static from(address: usize): Bytes64 {
    return changetype<Bytes64>(address);
  }

  /** 64 zero bytes of its own. */
  static zero(): Bytes64 {
    const address = heap.alloc(64);
    memory.fill(address, 0, 64);
    return changetype<Bytes64>(address);
  }

  @inline
  get byteSize(): u32 {
    return 64;
  }

  /** A copy that nobody else writes to. */
  clone(): Bytes64 {
    const address = heap.alloc(64);
    memory.copy(address, changetype<usize>(this), 64);
    return changetype<Bytes64>(address);
  }

  @operator("==")
  equals(other: Bytes64): bool {
    return sameBytes(changetype<usize>(this), changetype<usize>(other), 64);
  }

  @operator("!=")
  differs(other: Bytes64): bool {
    return !sameBytes(changetype<usize>(this), changetype<usize>(other), 64);
  }
}
