/** From the text of a module to its bytes, by wabt, without validation: what is invalid must stay so. */

import initialise from "wabt";

type Features = NonNullable<Parameters<Wabt["parseWat"]>[2]>;
type Wabt = Awaited<ReturnType<typeof initialise>>;

let wabt = await initialise();

/** What programs may use; the text of other features reads differently when they are on. */
const ADMITTED: Features = {
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  multi_value: true,
  bulk_memory: true,
  reference_types: true,
};
/** What programs may not use: so that the bytes exist, and admission can name the feature. */
const OTHERS: readonly (keyof Features)[] = [
  "threads",
  "tail_call",
  "extended_const",
  "relaxed_simd",
  "memory64",
  "exceptions",
  "function_references",
  "gc",
  "annotations",
];

/** The bytes, or the message of the parser if no setting lets it read the text. */
export async function assemble(text: string): Promise<Uint8Array | string> {
  let message = "";
  const utf8 = new TextEncoder().encode(text); // of a string wabt would take the low bytes
  const every = Object.fromEntries(OTHERS.map((name) => [name, true]));
  for (const features of [ADMITTED, ...OTHERS.map((name) => ({ ...ADMITTED, [name]: true })), every]) {
    try {
      const module = wabt.parseWat("module.wat", utf8, features);
      const { buffer } = module.toBinary({ write_debug_names: false });
      const bytes = new Uint8Array(buffer);
      module.destroy();
      return bytes;
    } catch (error) {
      message ||= (error as Error).message;
      // An assertion inside of wabt ends its instance.
      if (error instanceof WebAssembly.RuntimeError) wabt = await initialise();
    }
  }
  return message;
}
