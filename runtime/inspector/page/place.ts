/** Where the page is: behind the # of its address, so that a place can be kept, sent and gone back to. */

import { useEffect, useState } from "preact/hooks";
import type { Parameters } from "./api.ts";

/** "#/block/ID/memory?path=/1": its parts, and its parameters. */
export interface Place {
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

export function linkTo(parts: readonly string[], parameters: Parameters = {}): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value === null || value === undefined || value === false) continue;
    query.set(key, value === true ? "1" : String(value));
  }
  return `#/${parts.join("/")}${query.size === 0 ? "" : `?${query}`}`;
}

export function blockLink(id: string, tab = "", parameters: Parameters = {}): string {
  return linkTo(tab === "" ? ["block", id] : ["block", id, tab], parameters);
}

/** Links to the same view with other parameters. */
export type Link = (parameters: Readonly<Record<string, string | number | null>>) => string;

/** Goes there, as a link would. */
export function goTo(link: string): void {
  location.hash = link;
}

function read(): Place {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter((part) => part !== ""), query: new URLSearchParams(query) };
}

export function usePlace(): Place {
  const [place, setPlace] = useState(read);
  useEffect(() => {
    const moved = (): void => setPlace(read());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return place;
}
