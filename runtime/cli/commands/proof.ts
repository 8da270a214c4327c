/**
 * stillpoint inspect DIR proof, and stillpoint proof check.
 *
 * A proof in a file is JSON, so that it has all that is needed to check it but the id of the block:
 *
 *   { "stillpoint": "proof", "id": hex, "header": hex, "proof": hex }
 *
 * The header leads from the id to the block's root, the proof from the root to the bytes.
 */

import { badWord } from "../../arguments.ts";
import { stateOf } from "../../chain/remade.ts";
import { UsageError } from "../../errors.ts";
import { ProofError, verify, verifyHeader } from "../../index.ts";
import { openReader } from "../../store.ts";
import type { Handler } from "../command.ts";
import type { Spec } from "../table.ts";
import { EXIT_FAILED, EXIT_OK, grouped, print, printError, toJson, writeOutput } from "../terminal.ts";
import { readInput } from "./files.ts";
import { blockNamed, numberNamed, pathNamed, pathText } from "./naming.ts";

interface ProofFile {
  readonly stillpoint: "proof";
  readonly id: string;
  readonly header: string;
  readonly proof: string;
}

const HASH = /^[0-9a-f]{64}$/;

export const make: Handler<Spec<"inspect proof">> = async ({ args, options, json }) => {
  await using reader = await openReader(args.DIR);
  const block = blockNamed(reader, options.block);
  const [address, length] = [numberNamed("ADDRESS", args.ADDRESS), numberNamed("LENGTH", args.LENGTH)];
  await using state = await stateOf(reader, block);
  const proof = state.chain.prove(pathNamed(args.PATH), address, length, state.block);
  const file: ProofFile = {
    stillpoint: "proof",
    id: block.id,
    header: Buffer.from(reader.blockHeader(block)).toString("hex"),
    proof: Buffer.from(proof).toString("hex"),
  };
  if (options.out === undefined) {
    print(toJson(file));
    return EXIT_OK;
  }
  writeOutput(options.out, `${toJson(file)}\n`);
  const { id } = block;
  const said = `${grouped(proof.length)} bytes of proof written to ${options.out}, of block ${id}`;
  print(json ? toJson({ file: options.out, id, proofBytes: proof.length }) : said);
  return EXIT_OK;
};

export const check: Handler<Spec<"proof check">> = async ({ args, options, json }) => {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || HASH.test(value)) continue;
    throw badWord(`--${name}`, value, "64 hexadecimal digits");
  }
  const bytes = readInput(args.FILE);
  try {
    const found =
      bytes[0] === "{".charCodeAt(0) ? ofFile(parse(args.FILE, bytes)) : ofBytes(bytes, options.root);
    for (const [name, wanted] of Object.entries(options)) {
      const is = found[name as "id" | "root"];
      if (wanted === undefined || is === wanted) continue;
      const text = is === null ? "the proof does not name its block" : `the proof is of ${name} ${is}`;
      printError(`stillpoint proof: ${text}, not of ${wanted}`);
      return EXIT_FAILED;
    }
    if (json) print(toJson(found));
    else describe(found, options.id !== undefined || options.root !== undefined);
    return EXIT_OK;
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    printError(json ? toJson({ error: error.facts }) : `stillpoint proof: ${error.message}`);
    return EXIT_FAILED;
  }
};

type Found = ReturnType<typeof ofFile> | ReturnType<typeof ofBytes>;

function ofFile({ id, header, proof }: ProofFile) {
  const { height, root } = verifyHeader(id, Buffer.from(header, "hex"));
  return { id, height, root, ...verify(root, Buffer.from(proof, "hex")) };
}

function ofBytes(bytes: Uint8Array, root: string | undefined) {
  if (root === undefined) {
    const text =
      "this is a bare proof, which does not name its block: give --root, that of a block you trust";
    throw new UsageError("BAD_OPTION", text);
  }
  return { id: null, height: null, root, ...verify(root, bytes) };
}

function parse(file: string, bytes: Uint8Array): ProofFile {
  let value: Partial<ProofFile> | null = null;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {}
  const { stillpoint, id, header, proof } = value ?? {};
  const isHex = (text: unknown): boolean => typeof text === "string" && /^([0-9a-f]{2})*$/.test(text);
  if (stillpoint === "proof" && isHex(id) && HASH.test(id as string) && isHex(header) && isHex(proof))
    return value as ProofFile;
  throw new UsageError(
    "BAD_FILE",
    `${file}: is not a proof that "stillpoint inspect DIR proof" has written`,
    { file },
  );
}

function describe(found: Found, isTrusted: boolean): void {
  const where = pathText(found.path);
  if (found.absent === null) {
    print(`process ${where} has ${grouped(found.bytes.length)} bytes at ${found.address}:`);
    print(Buffer.from(found.bytes).toString("hex"));
  } else if (found.absent === "memory") {
    print(`process ${where} has no ${grouped(found.length)} bytes at ${found.address}`);
  } else {
    print(`there is no process ${where}`);
  }
  if (!isTrusted)
    print(`if the block is ${found.id}, at height ${found.height}: get its id from someone you trust`);
}
