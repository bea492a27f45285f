/**
 * The last events of a run for people: one column per broker with what it is doing (up, starting,
 * down, paused), marked where the line is about it, and the line itself beside them.
 */
import type { TimelineLine } from "../world/world.ts";

type State = "down" | "starts" | "up" | "paused";

const SIGNS: Readonly<Record<State, string>> = { down: " ", starts: ":", up: "|", paused: "=" };
const ABOUT = /\bbroker[- ](\d+)\b/g;
/** What the cluster notes of a process's life; tried in this order. */
const TURNS: readonly (readonly [RegExp, State])[] = [
  [/^broker (\d+) starts, life/, "starts"],
  [/^broker (\d+) has started/, "up"],
  [/^broker (\d+): (?:crash|power loss)/, "down"],
  [/^broker (\d+) (?:has stopped|was cut off|could not s|ended itself)/, "down"],
  [/^broker (\d+) is paused/, "paused"],
  [/^broker (\d+) goes on/, "up"],
];

export function noteLine({ atMs, text }: TimelineLine): string {
  return `${(atMs / 1000).toFixed(6).padStart(12)}  ${text}`;
}

/** The last `linesMax` lines, under a head that names the columns. */
export function timelineOf(lines: readonly TimelineLine[], linesMax: number): string[] {
  const brokersCount = Math.max(0, ...lines.flatMap(({ text }) => brokersIn(text)));
  const states = new Map<number, State>();
  const out = lines.map(({ atMs, text }) => {
    const about = new Set(brokersIn(text));
    turn(states, text);
    const columns = Array.from({ length: brokersCount }, (_, index) => {
      const id = index + 1;
      if (!about.has(id)) return ` ${SIGNS[states.get(id) ?? "up"]} `;
      return states.get(id) === "down" ? " x " : " * ";
    });
    return `${(atMs / 1000).toFixed(3).padStart(9)} ${columns.join("")}  ${text}`;
  });
  const ids = Array.from({ length: brokersCount }, (_, index) => String(index + 1).padStart(2));
  const head = `${"seconds".padStart(9)} ${ids.map((id) => `${id} `).join("")}  broker: | up, : starting, = paused, * concerned, x gone`;
  return [head, ...out.slice(-linesMax)];
}

function brokersIn(text: string): number[] {
  return [...text.matchAll(ABOUT)].map(([, id]) => Number(id));
}

function turn(states: Map<number, State>, text: string): void {
  for (const [pattern, state] of TURNS) {
    const id = pattern.exec(text)?.[1];
    if (id === undefined) continue;
    states.set(Number(id), state);
    return;
  }
}
