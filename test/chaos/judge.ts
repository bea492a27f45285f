/** The simulator's checker on the history of a run. */
import { readFileSync } from "node:fs";
import { checkHistory, type Verdict } from "../history/check.ts";
import { HistoryFile } from "../history/history-file.ts";
import { tableOf } from "../history/report.ts";

export interface Judgement {
  readonly verdict: Verdict;
  /** For a person. */
  readonly table: string;
}

/** Clients reach every broker, so they read also from a leader that is cut off and does not know it. */
export function judgeHistory(path: string): Judgement {
  const file = new HistoryFile(path, readFileSync(path));
  const verdict = checkHistory(file.lines(), { staleLeaders: true });
  const table = tableOf(verdict, (index) => {
    const found = file.find(index);
    return found === undefined ? `i ${index}` : `line ${found.number}: ${found.text}`;
  });
  return { verdict, table };
}
