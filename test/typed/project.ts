/** Small projects in directories of their own, for tests of typed guests. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";

const directories: string[] = [];
after(() => {
  for (const directory of directories) rmSync(directory, { recursive: true });
});

/** A directory with these files; gone when the file's tests are done. */
export function project(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), "stillpoint-typed-"));
  directories.push(directory);
  write(directory, { "package.json": '{ "name": "outside", "type": "module" }', ...files });
  return directory;
}

export function write(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}

/** The bank of the tests: guest/README.md has its like. */
export const BANK = `import { Address, StateCell, StateMap, block, caller } from "stillpoint/guest";
import { contract, emit, fail, minus, plus, record, transaction, view } from "stillpoint/guest";

const FEE: u64 = 1;

@record class Account {
  balance: u64 = 0;
  nonce: u64 = 0;
}

@record class Paid {
  from: Address;
  to: Address;
  amount: u64 = 0;
}

export const accounts = new StateMap<Address, Account>(1000);
const fees = new StateCell<u64>();

@contract class Bank {
  /** Makes money. */
  @transaction mint(to: Address, amount: u64): u64 {
    const account = accounts.getOrAdd(to);
    account.balance = plus(account.balance, amount);
    return account.balance;
  }

  @transaction pay(from: Address, to: Address, amount: u64): u64 {
    if (from != caller()) fail("not yours");
    const source = accounts.get(from);
    if (source.balance < plus(amount, FEE)) fail("overdraft");
    source.balance = minus(source.balance, amount + FEE);
    source.nonce++;
    const target = accounts.getOrAdd(to);
    target.balance = plus(target.balance, amount);
    fees.add(FEE);
    const paid = new Paid();
    paid.from = from;
    paid.to = to;
    paid.amount = amount;
    emit(paid);
    return source.balance;
  }

  @transaction when(): u64 {
    return block.height * 1_000_000 + block.time;
  }

  @view balanceOf(who: Address): u64 {
    return accounts.get(who).balance;
  }
}
`;
