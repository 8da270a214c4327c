/**
 * Transactions of the types 0 to 3: read from their encoding (EIP-2718, EIP-2930, EIP-1559, EIP-4844), and
 * what of them can be said without a state.
 */

import * as message from "./messages.ts";
import { Reader } from "./rlp.ts";
import * as rules from "./rules.ts";
import * as words from "./words.ts";

const list = new Reader();
const inner = new Reader();
const keys = new Reader();
const scratch: usize = memory.data(32, 8);

/** One transaction; `read` sets everything. */
export class Transaction {
  type: u32 = 0;
  chainId: u64 = 0;
  nonce: u64 = 0;
  gasLimit: u64 = 0;
  isCreation: bool = false;
  data: usize = 0;
  dataLength: u32 = 0;
  /** Payload of the access list, and what it costs. */
  accessList: usize = 0;
  accessLength: u32 = 0;
  /** Hashes of blobs, 33 bytes each: 0xa0 and the hash. */
  blobs: usize = 0;
  blobCount: u32 = 0;
  /** v, or the parity of y. */
  v: u64 = 0;
  /** Where the signature begins: what is hashed ends here. */
  unsignedEnd: usize = 0;
  /** Where its payload begins. */
  payload: usize = 0;
  // Words.
  readonly to: usize = memory.data(32, 8);
  readonly value: usize = memory.data(32, 8);
  /** What is paid for gas at most, and beyond the base fee; one price for types 0 and 1. */
  readonly maxFee: usize = memory.data(32, 8);
  readonly maxTip: usize = memory.data(32, 8);
  readonly maxBlobFee: usize = memory.data(32, 8);
  readonly r: usize = memory.data(32, 8);
  readonly s: usize = memory.data(32, 8);

  /** Reads `length` bytes; VALID, MALFORMED or UNKNOWN_TYPE. */
  read(bytes: usize, length: u32): i64 {
    if (!length) return message.MALFORMED;
    const first: u32 = load<u8>(bytes);
    this.type = first >= 0xc0 ? 0 : first;
    if (first < 0xc0 && (first == 0 || first > 3)) return message.UNKNOWN_TYPE;
    list.reset(bytes + (this.type ? 1 : 0), bytes + length);
    list.list();
    if (list.failed || !list.isEnd) return message.MALFORMED;
    list.reset(list.bytes, list.bytes + list.length);
    this.payload = list.at;
    this.readFields();
    this.unsignedEnd = list.at;
    this.v = list.u64();
    list.number(this.r);
    list.number(this.s);
    if (list.failed || !list.isEnd) return message.MALFORMED;
    return this.hasForm() ? message.VALID : message.MALFORMED;
  }

  private readFields(): void {
    const type = this.type;
    this.chainId = type ? list.u64() : 0;
    this.nonce = list.u64();
    list.number(this.maxTip);
    if (type >= 2) list.number(this.maxFee);
    else words.copyWord(this.maxFee, this.maxTip);
    this.gasLimit = list.u64();
    list.string();
    this.isCreation = list.length == 0;
    if (list.length != 0 && list.length != 20) list.failed = true;
    words.clear(this.to);
    if (list.length == 20) {
      for (let i: usize = 0; i < 20; i++) store<u8>(this.to + i, load<u8>(list.bytes + 19 - i));
    }
    list.number(this.value);
    list.string();
    this.data = list.bytes;
    this.dataLength = list.length;
    this.accessLength = 0;
    this.blobCount = 0;
    if (type) {
      list.list();
      this.accessList = list.bytes;
      this.accessLength = list.length;
    }
    if (type < 3) return;
    list.number(this.maxBlobFee);
    list.list();
    this.blobs = list.bytes;
    this.blobCount = list.length / 33;
    if (list.length % 33) list.failed = true;
  }

  /** Whether access list and blobs have the form that they must have. */
  private hasForm(): bool {
    for (let i: u32 = 0; i < this.blobCount; i++) if (load<u8>(this.blobs + i * 33) != 0xa0) return false;
    const access = this.access();
    while (access.next()) if (access.failed) return false;
    return !access.failed;
  }

  /** Its access list, to be gone through. */
  access(): AccessList {
    const access = ownAccess;
    access.begin(this.accessList, this.accessLength);
    return access;
  }

  /** What it costs before anything runs; with `data` and access list. */
  intrinsicGas(): u64 {
    let zeros: u64 = 0;
    for (let i: u32 = 0; i < this.dataLength; i++) zeros += u64(load<u8>(this.data + i) == 0);
    let gas: u64 = 21000 + 4 * zeros + rules.dataByte * (<u64>this.dataLength - zeros);
    if (this.isCreation && rules.fork >= rules.HOMESTEAD) gas += 32000;
    if (this.isCreation && rules.fork >= rules.SHANGHAI)
      gas += <u64>rules.INIT_CODE_WORD * ((<u64>this.dataLength + 31) >> 5);
    const access = this.access();
    while (access.next()) gas += access.isKey ? 1900 : 2400;
    return gas;
  }

  /** Whether the fork knows the type. */
  isKnown(): bool {
    switch (this.type) {
      case 0:
        return true;
      case 1:
        return rules.fork >= rules.BERLIN;
      case 2:
        return rules.fork >= rules.LONDON;
      default:
        return rules.fork >= rules.CANCUN;
    }
  }
}

/** Goes through an access list: each address, then its keys. */
export class AccessList {
  failed: bool = false;
  isKey: bool = false;
  /** Words: the address that was read last, and the key. */
  readonly address: usize = memory.data(32, 8);
  readonly key: usize = memory.data(32, 8);

  begin(bytes: usize, length: u32): void {
    inner.reset(bytes, bytes + length);
    keys.reset(bytes, bytes);
    this.failed = false;
  }

  next(): bool {
    if (this.failed) return false;
    if (!keys.isEnd) {
      keys.string();
      if (keys.failed || keys.length != 32) this.failed = true;
      else words.reverse(this.key, keys.bytes);
      this.isKey = true;
      return !this.failed;
    }
    if (inner.isEnd) return false;
    inner.list();
    keys.reset(inner.bytes, inner.bytes + inner.length);
    keys.string();
    if (inner.failed || keys.failed || keys.length != 20) {
      this.failed = true;
      return false;
    }
    words.clear(this.address);
    for (let i: usize = 0; i < 20; i++) store<u8>(this.address + i, load<u8>(keys.bytes + 19 - i));
    const end = keys.end;
    keys.list();
    if (keys.failed || keys.at != end) {
      this.failed = true;
      return false;
    }
    keys.reset(keys.bytes, keys.bytes + keys.length);
    this.isKey = false;
    return true;
  }
}

const ownAccess = new AccessList();
