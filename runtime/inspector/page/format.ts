/** Numbers, hashes and bytes as text. */

export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** 1234567 as 1.23 M. */
export function short(value: number): string {
  const units: [number, string][] = [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  const [size, unit] = units.find(([each]) => Math.abs(value) >= each) ?? [1, ""];
  return unit === "" ? String(value) : `${Number((value / size).toPrecision(3))} ${unit}`;
}

export function bytesText(bytes: number): string {
  const units: [number, string][] = [
    [2 ** 30, "GiB"],
    [2 ** 20, "MiB"],
    [2 ** 10, "KiB"],
  ];
  const [size, unit] = units.find(([each]) => bytes >= each) ?? [1, "bytes"];
  return `${Number((bytes / size).toPrecision(3))} ${unit}`;
}

export function hashText(hash: string, digits = 10): string {
  return `${hash.slice(0, digits)}…`;
}

export function pathText(path: readonly number[]): string {
  return `/${path.join("/")}`;
}

export function addressText(address: number): string {
  return `0x${address.toString(16).padStart(6, "0")}`;
}

export function microsText(micros: number): string {
  if (micros >= 1e6) return `${(micros / 1e6).toFixed(2)} s`;
  if (micros < 1000) return `${Math.round(micros)} µs`;
  return `${(micros / 1000).toFixed(micros >= 1e5 ? 0 : 1)} ms`;
}

export function count(number: number, noun: string): string {
  return `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
}

export function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}
