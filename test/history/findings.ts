/** What is wrong with a history: every anomaly counted, the first of each kind kept with its lines. */

export const ANOMALIES = [
  "inconsistent-offset",
  "duplicate",
  "phantom",
  "lost-write",
  "unseen",
  "vanished",
  "int-poll-skip",
  "int-nonmonotonic-poll",
  "poll-skip",
  "nonmonotonic-poll",
  "next-chain",
  "nonmonotonic-send",
  "ack-too-old",
  "stale-end",
  "lost-prefix",
  "below-log-start",
  "nonlinearizable-metadata",
  "duplicate-producer-id",
] as const;

export type AnomalyName = (typeof ANOMALIES)[number];

export interface Anomaly {
  readonly name: AnomalyName;
  /** The topic-partition, or the topic. */
  readonly key: string;
  /** What happened, for a person. */
  readonly text: string;
  /** The `i` of the lines that show it, in order. */
  readonly lines: readonly number[];
}

const KEPT_OF_EACH = 20;

export class Findings {
  readonly #kept: Anomaly[] = [];
  readonly #counts = new Map<AnomalyName, number>();

  /** `describe` is called only while examples are still wanted. Lines of -1 are left out. */
  add(
    name: AnomalyName,
    describe: () => {
      readonly key: string;
      readonly text: string;
      readonly lines: readonly number[];
    },
  ): void {
    const count = this.#counts.get(name) ?? 0;
    this.#counts.set(name, count + 1);
    if (count >= KEPT_OF_EACH) return;
    const { key, text, lines } = describe();
    const sorted = [...new Set(lines)].filter((i) => i >= 0).sort((left, right) => left - right);
    this.#kept.push({ name, key, text, lines: sorted });
  }

  /** In the order of `ANOMALIES`; at most 20 of each. */
  get anomalies(): readonly Anomaly[] {
    return ANOMALIES.flatMap((name) => this.#kept.filter((each) => each.name === name));
  }

  get counts(): Readonly<Partial<Record<AnomalyName, number>>> {
    const counted = ANOMALIES.flatMap((name) => {
      const count = this.#counts.get(name);
      return count === undefined ? [] : [[name, count] as const];
    });
    return Object.fromEntries(counted);
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }
}
