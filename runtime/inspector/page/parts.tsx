/** What several views are made of. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Asked } from "./api.ts";
import { hashText } from "./format.ts";

/** A value once it is there; else that it is on its way, or why it is not there. */
export function Shown<T>({
  asked,
  children,
}: {
  asked: Asked<T>;
  children: (value: T) => ComponentChildren;
}) {
  if (asked.error !== null) return <Problem text={asked.error} />;
  if (asked.value === null) return <Waiting />;
  return <div class={asked.isLoading ? "stale" : ""}>{children(asked.value)}</div>;
}

export function Waiting({ what = "Looking" }: { what?: string }) {
  return (
    <p class="quiet" role="status">
      {what}…
    </p>
  );
}

export function Problem({ text }: { text: string }) {
  return (
    <p class="problem" role="alert">
      {text}
    </p>
  );
}

/** A hash, of which only the first digits are shown; a button copies all of it. */
export function Hash({ of, digits = 10, link }: { of: string; digits?: number; link?: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(of);
    setCopied(true);
    setTimeout(() => setCopied(false), 1200);
  };
  return (
    <span class="hash">
      {link === undefined ? (
        <code title={of}>{hashText(of, digits)}</code>
      ) : (
        <a href={link} title={of}>
          <code>{hashText(of, digits)}</code>
        </a>
      )}
      <button type="button" class="copy" aria-label={`copy ${hashText(of)}`} onClick={copy}>
        <svg viewBox="0 0 16 16" width="13" height="13" aria-hidden="true">
          {isCopied ? <path d="M3 8.5 6.5 12 13 4" /> : <path d="M6 5h7v9H6zM4 11H3V2h7v1" />}
        </svg>
      </button>
    </span>
  );
}

/** Facts by name. */
export function Facts({ rows }: { rows: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A table, which scrolls on its own where it is wider than the page. Columns of numbers are to the right. */
export function Table({
  caption,
  head,
  numbers = [],
  children,
}: {
  caption: string;
  head: readonly string[];
  numbers?: readonly number[];
  children: ComponentChildren;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: keys scroll it
    <section class="scroll" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {head.map((name, i) => (
              <th key={name} scope="col" class={numbers.includes(i) ? "number" : ""}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

export function Tag({ kind, children }: { kind: string; children: ComponentChildren }) {
  return <span class={`tag ${kind}`}>{children}</span>;
}

/** Links to the parts before and after. */
export function Pager({ back, next, text }: { back: string | null; next: string | null; text: string }) {
  if (back === null && next === null) return null;
  return (
    <nav class="pager" aria-label={text}>
      {back === null ? <span /> : <a href={back}>← back</a>}
      <span class="quiet">{text}</span>
      {next === null ? <span /> : <a href={next}>more →</a>}
    </nav>
  );
}

/** A form with one or a few fields, whose values are given when it is sent. */
export function Fields({
  fields,
  button,
  onSend,
}: {
  fields: readonly {
    readonly name: string;
    readonly label: string;
    readonly value: string;
    readonly wide?: boolean;
  }[];
  button: string;
  onSend: (values: Readonly<Record<string, string>>) => void;
}) {
  const send = (event: SubmitEvent): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    onSend(Object.fromEntries([...data].map(([name, value]) => [name, String(value).trim()])));
  };
  return (
    <form class="fields" onSubmit={send as never}>
      {fields.map(({ name, label, value, wide }) => (
        <label key={name} class={wide ? "wide" : ""}>
          <span>{label}</span>
          <input name={name} defaultValue={value} key={value} autocomplete="off" spellcheck={false} />
        </label>
      ))}
      <button type="submit">{button}</button>
    </form>
  );
}
