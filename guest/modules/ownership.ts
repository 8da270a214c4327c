/**
 * Permissions: an owner, and roles that are given to addresses. State: `contractOwner`,
 * `offeredOwner`, `contractRoles`.
 *
 *   @setup begin(to: Address): void { setOwner(to); }
 *   @transaction mint(to: Address, amount: u256): void { onlyRole(MINTER); … }
 */

import { Address, StateCell, StateSet, caller, emit, fail, record } from "stillpoint/guest";

@record
class RoleOf {
  role: u32 = 0;
  who: Address;
}

@record
class OwnerChanged {
  from: Address;
  to: Address;
}

const contractOwner = new StateCell<Address>();
/** The address to which ownership is offered; zero: none. */
const offeredOwner = new StateCell<Address>();
const contractRoles = new StateSet<RoleOf>(1 << 14);

/** The owner; zero if there is none. */
export function ownerOf(): Address {
  return contractOwner.value;
}

/** Makes `to` the owner, without checking the caller: for setups. */
export function setOwner(to: Address): void {
  const changed = new OwnerChanged();
  changed.from = contractOwner.value;
  changed.to = to;
  contractOwner.value = to;
  offeredOwner.value = Address.zero();
  emit(changed);
}

/** Fails with "not the owner" unless the owner calls. */
export function onlyOwner(): void {
  if (caller() != contractOwner.value) fail("not the owner");
}

/** The owner offers `to` to become the owner, which it does when it accepts: an address may be mistyped. */
export function offerOwnership(to: Address): void {
  onlyOwner();
  offeredOwner.value = to;
}

/** Whom the owner has offered to become that accepts. */
export function acceptOwnership(): void {
  if (caller() != offeredOwner.value) fail("not offered");
  setOwner(caller());
}

/** There is no owner from now on. */
export function renounceOwnership(): void {
  onlyOwner();
  setOwner(Address.zero());
}

export function hasRole(role: u32, who: Address): bool {
  return contractRoles.has(entryOf(role, who));
}

/** Fails with "not permitted" unless somebody with the role calls. */
export function onlyRole(role: u32): void {
  if (!hasRole(role, caller())) fail("not permitted");
}

/** The owner gives a role. */
export function grantRole(role: u32, to: Address): void {
  onlyOwner();
  contractRoles.add(entryOf(role, to));
}

/** The owner takes a role away. */
export function revokeRole(role: u32, from: Address): void {
  onlyOwner();
  contractRoles.delete(entryOf(role, from));
}

function entryOf(role: u32, who: Address): RoleOf {
  const entry = new RoleOf();
  entry.role = role;
  entry.who = who;
  return entry;
}
