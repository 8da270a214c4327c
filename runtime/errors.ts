/**
 * Errors of the runtime. Each carries a stable `code`, the `facts` it is about, and a text that says what to
 * do.
 *
 * Two planes: a guest's mistake is an error code or a fault and never reaches the host as an exception,
 * except where it ends a block (BlockFault). A broken invariant of the kernel throws KernelPanic at once and
 * stops the runtime.
 */

export type Facts = Readonly<Record<string, string | number | bigint | boolean | null>>;

/**
 * Codes of the errors that follow from the rules, the chain and the arguments alone: every replica that does
 * the same sees them, whatever its heap, disk, threads and options of the host. runtime/README.md lists all.
 */
const DETERMINISTIC: ReadonlySet<string> = new Set([
  "BAD_PROOF",
  "BLOCK_FAULT",
  "ENDED",
  "E_BAD_PROGRAM",
  "E_STATE",
  "GAS_LIMIT",
  "GUEST_FAULT",
  "METADATA_TOO_LONG",
  "MIGRATION_FAULT",
  "NO_ENTRY",
  "QUOTA",
  "SETUP_FAILED",
]);

/** Base of all errors that the runtime throws on purpose. `code` is stable; the message is for people. */
export class StillpointError extends Error {
  readonly code: string;
  readonly facts: Facts;

  /**
   * Whether every replica that is asked for the same sees this error. Only such an error may decide a vote on
   * a block: any other says something of this host.
   *
   * @example
   * ```ts
   * const error = await runtime.produce(new Uint8Array(1 << 26)).catch((thrown) => thrown);
   * console.log(error.code, error.deterministic); // METADATA_TOO_LONG true
   * ```
   */
  get deterministic(): boolean {
    return DETERMINISTIC.has(this.code);
  }

  constructor(code: string, message: string, facts: Facts = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.facts = facts;
  }

  /** Says which of several things this is about, and adds that to the facts. */
  locate(what: string, facts: Facts): this {
    this.message = `${what}: ${this.message}`;
    return Object.assign(this, { facts: { ...facts, ...this.facts } });
  }
}

/** An option, argument or file from outside that cannot be used. */
export class UsageError extends StillpointError {}

/** A limit of the host was reached (heap, workers); nothing was lost. */
export class LimitError extends StillpointError {}

/**
 * A store on disk could not be opened, read or written; the code says why, and nothing acknowledged is lost.
 */
export class StoreError extends StillpointError {}

/** A broken invariant: a defect of the runtime, never of its input. */
export class KernelPanic extends StillpointError {
  constructor(message: string, facts: Facts = {}, options?: ErrorOptions) {
    super("KERNEL_PANIC", message, facts, options);
  }
}

/** A wrong value, for messages: short, and nothing of what an object holds. */
export function described(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean" || value === null) return String(value);
  if (typeof value === "string") {
    return value.length <= 40 ? JSON.stringify(value) : `a string of ${value.length} characters`;
  }
  if (typeof value === "bigint") {
    const text = `${value}n`;
    return text.length <= 40 ? text : `a bigint of ${text.length} characters`;
  }
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value !== "object") return typeof value;
  const type: unknown = value.constructor;
  return typeof type === "function" && type !== Object ? type.name : "object";
}

/** Throws KernelPanic unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new KernelPanic(message);
}
