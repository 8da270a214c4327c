/** Asking the server: one request for each view, and what is shown while it runs or after it has failed. */

import { useEffect, useState } from "preact/hooks";

/** What a request has come to. The value before stays while the next one is on its way. */
export interface Asked<T> {
  readonly value: T | null;
  readonly error: string | null;
  readonly isLoading: boolean;
}

export type Parameters = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** "/api/NAME?…"; what is null, undefined or false is left out. */
export function urlOf(name: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value === null || value === undefined || value === false) continue;
    query.set(key, value === true ? "1" : String(value));
  }
  return query.size === 0 ? `/api/${name}` : `/api/${name}?${query}`;
}

/** @throws Error with the server's text */
export async function ask<T>(url: string, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, signal === undefined ? {} : { signal });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new Error("the server does not answer: it may have been stopped");
  }
  const body = await response.json();
  if (response.ok) return body as T;
  throw new Error(body?.error?.message ?? `the server answered ${response.status}`);
}

/** The answer to a request, asked again when the URL changes, or `version` does; null: nothing is asked. */
export function useAnswer<T>(url: string | null, version: unknown = null): Asked<T> {
  const [state, setState] = useState<State<T>>(NOTHING);
  useEffect(() => {
    if (url === null) return;
    const leaving = new AbortController();
    setState((before) => ({ ...before, isLoading: true }));
    ask<T>(url, leaving.signal).then(
      (value) => setState({ value, error: null, isLoading: false, of: url }),
      (error: Error) => {
        if (!leaving.signal.aborted) setState((before) => failed(before, url, error.message));
      },
    );
    return () => leaving.abort();
  }, [url, version]);
  return state;
}

/** What was there before stays, if it was asked again only because time has passed. */
function failed<T>(before: State<T>, url: string, error: string): State<T> {
  if (before.of === url && before.value !== null) return { ...before, isLoading: false };
  return { value: null, error, isLoading: false, of: url };
}

type State<T> = Asked<T> & { readonly of: string | null };

const NOTHING = { value: null, error: null, isLoading: true, of: null };

/** The version of the chain, which changes when a block comes; null: not known yet, or nobody answers. */
export function useVersion(): string | null {
  const [version, setVersion] = useState<string | null>(null);
  useEffect(() => {
    const leaving = new AbortController();
    void watch(leaving.signal, setVersion);
    return () => leaving.abort();
  }, []);
  return version;
}

const RETRY_MS = 1500;

async function watch(signal: AbortSignal, tell: (version: string | null) => void): Promise<void> {
  for (let seen: string | null = null; !signal.aborted; ) {
    try {
      const next: { readonly version: string } = await ask(urlOf("next", { version: seen }), signal);
      seen = next.version;
      tell(seen);
    } catch {
      if (signal.aborted) return;
      seen = null;
      tell(null);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
