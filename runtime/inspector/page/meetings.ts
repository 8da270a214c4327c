/** How much the items of each listed block met: from recordings, or by executing blocks again one by one. */

import { useState } from "preact/hooks";
import type { Meeting } from "../batches.ts";
import type { MeetingsView } from "../views/batch.ts";
import { ask, urlOf, useAnswer } from "./api.ts";

export interface Meetings {
  readonly known: ReadonlyMap<string, Meeting>;
  /** Ids of blocks that were not recorded. */
  readonly unknown: readonly string[];
  readonly isRunning: boolean;
  readonly problem: string | null;
  /** Executes them again, one after the other. */
  readonly run: () => void;
}

/** Of the blocks from a height downwards. */
export function useMeetings(at: number, version: string | null): Meetings {
  const [made, setMade] = useState<ReadonlyMap<string, Meeting>>(new Map());
  const [failed, setFailed] = useState<ReadonlySet<string>>(new Set());
  const [isRunning, setRunning] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const { value } = useAnswer<MeetingsView>(urlOf("meetings", { at }), version);
  const known = new Map([...made, ...(value?.meetings ?? []).map((each) => [each.id, each] as const)]);
  const unknown = (value?.unknown ?? []).filter((id) => !known.has(id) && !failed.has(id));
  const run = async (): Promise<void> => {
    setRunning(true);
    setProblem(null);
    for (const block of unknown) {
      try {
        const meeting = await ask<Meeting>(urlOf("meeting", { block }));
        setMade((before) => new Map([...before, [block, meeting]]));
      } catch (error) {
        setFailed((before) => new Set([...before, block]));
        setProblem((error as Error).message);
      }
    }
    setRunning(false);
  };
  return { known, unknown, isRunning, problem, run: () => void run() };
}
