/**
 * What the batch variant costs: guest kernels in it, against the same module in its sequential variant,
 * interleaved in one process. Once with all their memory private, once with all of it state. Lines come in by
 * setting their tags: what is measured is finding them.
 */

import { admit, instrumentForBatch } from "../../runtime/program/admit.ts";
import { AUX_TAGS, LINE_BYTES } from "../../runtime/program/layout.ts";
import { Machine } from "../program/harness.ts";
import { ARGUMENTS, compareTimes, compileKernel, KERNELS, reportMean, resultOf } from "./instrumentation.ts";
import type { Report } from "./report.ts";

const WASM_PAGE_BYTES = 65536;
/** Enough that no kernel grows its memory, which would be private. */
const PAGES = 512;

const SIDES = [
  { name: "private", bound: WASM_PAGE_BYTES, base: 2 * WASM_PAGE_BYTES },
  { name: "state", bound: PAGES * WASM_PAGE_BYTES, base: 0 },
];

async function sides(kernel: string, bound: number, base: number): Promise<[Machine, Machine]> {
  const options = ["--initialMemory", `${PAGES}`];
  if (base > 0) options.push("--memoryBase", `${base}`);
  const bytes = await compileKernel(kernel, options);
  const program = admit(bytes);
  const code = instrumentForBatch(bytes, bound);
  if (code === null) throw new Error(`${kernel}: too large`);
  const touch = ({ aux }: Machine, address: number, length: number) => {
    const end = Math.min(address + length, bound);
    const first = Math.floor(address / LINE_BYTES);
    new Uint8Array(aux.buffer).fill(3, AUX_TAGS + first, AUX_TAGS + Math.ceil(end / LINE_BYTES));
  };
  const module = new WebAssembly.Module(code as BufferSource);
  const machines: [Machine, Machine] = [
    new Machine(program),
    new Machine(program, module, undefined, { bound, touch }),
  ];
  if (program.hasStart) for (const machine of machines) machine.start();
  return machines;
}

export async function run(report: Report, { rows = "" }: { readonly rows?: string }): Promise<void> {
  for (const { name, bound, base } of SIDES) {
    const ratios: number[] = [];
    for (const kernel of KERNELS.filter((name) => name.includes(rows))) {
      const [production, batch] = await sides(kernel, bound, base);
      const argument = ARGUMENTS[kernel] ?? 1n;
      const first = () => resultOf(production, argument);
      const second = () => resultOf(batch, argument);
      ratios.push(compareTimes(report, `${kernel}, ${name}`, "sequential", first, second));
      if (production.bytes().length > PAGES * WASM_PAGE_BYTES) throw new Error(`${kernel}: memory grew`);
    }
    reportMean(report, ratios, "times sequential");
  }
}
