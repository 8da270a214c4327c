/** The page of the inspector: which view is shown, and what is around all of them. */

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "./page.css";
import type { BlockView } from "../views/block.ts";
import { ask, urlOf, useVersion } from "./api.ts";
import { Block } from "./block.tsx";
import { Chain } from "./chain.tsx";
import { Stores } from "./compare.tsx";
import { Problem } from "./parts.tsx";
import { blockLink, goTo, linkTo, type Place, usePlace } from "./place.ts";

function Page() {
  const place = usePlace();
  const version = useVersion();
  const [view = ""] = place.parts;
  useKeys();
  return (
    <>
      <a class="skip" href="#main">
        to the content
      </a>
      <header class="top">
        <a class="brand" href={linkTo([])} aria-current={view === "" ? "page" : undefined}>
          <img src="/icon.svg" alt="" width="20" height="20" /> Stillpoint
        </a>
        <nav class="views" aria-label="Views">
          <a href={linkTo([])} aria-current={view === "" || view === "block" ? "page" : undefined}>
            Chain
          </a>
          <a href={linkTo(["stores"])} aria-current={view === "stores" ? "page" : undefined}>
            Stores
          </a>
        </nav>
        <Find />
        <span class={version === null ? "live off" : "live"} role="status">
          {version === null ? "not connected" : "live"}
        </span>
      </header>
      <main id="main" tabIndex={-1}>
        <View place={place} version={version} />
      </main>
      <footer class="quiet">
        Keys: <kbd>/</kbd> find, <kbd>[</kbd> <kbd>]</kbd> the block before and after, <kbd>c</kbd> the chain.
      </footer>
    </>
  );
}

function View({ place, version }: { place: Place; version: string | null }) {
  const [view = ""] = place.parts;
  if (view === "") return <Chain at={place.query.get("at")} version={version} />;
  if (view === "block") return <Block place={place} version={version} />;
  if (view === "stores") return <Stores query={place.query} />;
  return <Problem text={`There is no view "${view}".`} />;
}

/** A box that takes a height or an id of a block. */
function Find() {
  const input = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const find = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const text = input.current?.value.trim() ?? "";
    try {
      const isHeight = /^[\d,]+$/.test(text);
      const parameters = isHeight ? { height: text.replaceAll(",", "") } : { block: text };
      const { id } = await ask<BlockView>(urlOf("block", parameters));
      setProblem(null);
      goTo(blockLink(id));
      input.current?.blur();
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <search>
      <form class="find" onSubmit={find as never}>
        <input
          ref={input}
          data-key="/"
          placeholder="height or id"
          aria-label="Find a block by height or id"
          autocomplete="off"
          spellcheck={false}
        />
        {problem === null ? null : (
          <span class="problem" role="alert">
            {problem}
          </span>
        )}
      </form>
    </search>
  );
}

/** Keys of what says data-key, but while somebody types. */
function useKeys(): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (event.key === "Escape") target.blur();
      if (target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "c") return goTo(linkTo([]));
      const found = document.querySelector<HTMLElement>(`[data-key="${CSS.escape(event.key)}"]`);
      if (found === null) return;
      event.preventDefault();
      if (found instanceof HTMLInputElement) found.select();
      else found.click();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

render(<Page />, document.getElementById("page") as HTMLElement);
