/**
 * A proof, made by the server and verified here: what is checked is SHA-256 and nothing that the server says.
 * Which block it is of is the one thing to know from elsewhere: its id.
 */

import { useMemo, useState } from "preact/hooks";
import { type HeaderStatement, type Statement, verify, verifyHeader } from "../../proof/verify.ts";
import type { ProofView } from "../views/proof.ts";
import { urlOf, useAnswer } from "./api.ts";
import { addressText, bytesOf, count, grouped, pathText } from "./format.ts";
import { Facts, Fields, Hash, Problem, Shown } from "./parts.tsx";
import { blockLink, goTo } from "./place.ts";

export function Proof({ block, query }: { block: string; query: URLSearchParams }) {
  const path = query.get("path") ?? "/1";
  const address = query.get("address") ?? "0";
  const length = query.get("length") ?? "32";
  const asked = useAnswer<ProofView>(urlOf("proof", { block, path, address, length }));
  const fields = [
    { name: "path", label: "Process", value: path },
    { name: "address", label: "Address", value: address },
    { name: "length", label: "Bytes", value: length },
  ];
  return (
    <>
      <Fields fields={fields} button="Prove" onSend={(values) => goTo(blockLink(block, "proof", values))} />
      <Shown asked={asked}>{(view) => <Checked key={view.proof} view={view} />}</Shown>
    </>
  );
}

type Result =
  | {
      readonly ok: true;
      readonly header: HeaderStatement;
      readonly statement: Statement;
      readonly millis: number;
    }
  | { readonly ok: false; readonly text: string };

function check(id: string, header: Uint8Array, proof: Uint8Array): Result {
  const began = performance.now();
  try {
    const said = verifyHeader(id, header);
    return { ok: true, header: said, statement: verify(said.root, proof), millis: performance.now() - began };
  } catch (error) {
    return { ok: false, text: (error as Error).message };
  }
}

function Checked({ view }: { view: ProofView }) {
  const [trusted, setTrusted] = useState(view.id);
  const [isBroken, setBroken] = useState(false);
  const proof = useMemo(() => {
    const bytes = bytesOf(view.proof);
    const last = bytes.length - 1;
    if (isBroken) bytes[last] = (bytes[last] as number) ^ 1;
    return bytes;
  }, [view, isBroken]);
  const result = useMemo(() => check(trusted, bytesOf(view.header), proof), [trusted, view, proof]);
  return (
    <>
      <Fields
        fields={[
          { name: "id", label: "Id of the block, from someone you trust", value: trusted, wide: true },
        ]}
        button="Verify"
        onSend={({ id = "" }) => setTrusted(id)}
      />
      {result.ok ? <Verified result={result} view={view} /> : <Problem text={result.text} />}
      <p>
        <button type="button" onClick={() => setBroken(!isBroken)} aria-pressed={isBroken}>
          {isBroken ? "Put the byte back" : "Change one byte of the proof"}
        </button>{" "}
        <span class="quiet">
          {count(proof.length, "byte")} of proof, {view.header.length / 2} of header
        </span>
      </p>
    </>
  );
}

function Verified({ result, view }: { result: Extract<Result, { ok: true }>; view: ProofView }) {
  const { header, statement, millis } = result;
  return (
    <>
      <p class="verified" role="status">
        Verified in this page, in {millis.toFixed(1)} ms: {said(statement)}
      </p>
      {statement.absent === null ? (
        <pre class="bytes">
          <code>{hexLines(statement.bytes)}</code>
        </pre>
      ) : null}
      <Facts
        rows={[
          [
            "id",
            <>
              <Hash key="id" of={view.id} digits={16} /> is the SHA-256 of the header
            </>,
          ],
          [
            "header",
            <>
              height {grouped(header.height)}, root <Hash key="root" of={header.root} digits={16} />
            </>,
          ],
          [
            "proof",
            <>
              leads from that root to {addressText(view.address)} of {pathText(view.path)}
            </>,
          ],
        ]}
      />
    </>
  );
}

function said(statement: Statement): string {
  const process = pathText(statement.path);
  if (statement.absent === "process") return `there is no process ${process}`;
  const at = addressText(statement.address);
  if (statement.absent === "memory") return `${process} has no ${count(statement.length, "byte")} at ${at}`;
  return `${process} has these ${count(statement.bytes.length, "byte")} at ${at}`;
}

const SHOWN = 512;

function hexLines(bytes: Uint8Array): string {
  const pairs = [...bytes.subarray(0, SHOWN)].map((byte) => byte.toString(16).padStart(2, "0"));
  const lines = Array.from({ length: Math.ceil(pairs.length / 16) }, (_, i) =>
    pairs.slice(16 * i, 16 * i + 16).join(" "),
  );
  return lines.join("\n") + (bytes.length > SHOWN ? "\n…" : "");
}
