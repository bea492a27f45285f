/** Prometheus over HTTP: what it answers to queries, and which alerts it has. */

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface RuleState {
  readonly name: string;
  /** "ok", "unknown" before the first evaluation, or "err". */
  readonly health: string;
  readonly lastError: string;
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data?: {
    readonly resultType?: string;
    readonly result?: unknown;
    readonly groups?: readonly {
      readonly rules: readonly {
        readonly name: string;
        readonly health: string;
        readonly lastError?: string;
      }[];
    }[];
  };
}

const TIMEOUT_MS = 10_000;

export class PrometheusApi {
  readonly #url: string;

  /** `url` without a path: `http://127.0.0.1:9090`. */
  constructor(url: string) {
    this.#url = url;
  }

  async isReady(): Promise<boolean> {
    try {
      const response = await fetch(`${this.#url}/-/ready`, { signal: timeout() });
      await response.text();
      return response.ok;
    } catch {
      return false;
    }
  }

  /** As of now, or of `atMs`. Rejects with Prometheus's words where the expression is wrong. */
  async query(expr: string, atMs?: number): Promise<readonly Sample[]> {
    const parameters = new URLSearchParams({ query: expr });
    if (atMs !== undefined) parameters.set("time", String(atMs / 1_000));
    const { data } = await this.#get(`/api/v1/query?${parameters.toString()}`);
    if (data?.resultType === "scalar") {
      const [, value] = data.result as readonly [number, string];
      return [{ labels: {}, value: Number(value) }];
    }
    const vector = (data?.result ?? []) as readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value: readonly [number, string];
    }[];
    return vector.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** Names of the alerts that fire now. */
  async firing(): Promise<ReadonlySet<string>> {
    return namesOf(await this.query('ALERTS{alertstate="firing"}'));
  }

  /** Names of those that fired at any time of the last `seconds`. */
  async firedWithin(seconds: number): Promise<ReadonlySet<string>> {
    const expr = `max_over_time(ALERTS{alertstate="firing"}[${Math.ceil(seconds)}s])`;
    return namesOf(await this.query(expr));
  }

  async rules(): Promise<readonly RuleState[]> {
    const { data } = await this.#get("/api/v1/rules");
    return (data?.groups ?? []).flatMap(({ rules }) =>
      rules.map(({ health, lastError, name }) => ({ name, health, lastError: lastError ?? "" })),
    );
  }

  async #get(path: string): Promise<Answer> {
    const response = await fetch(`${this.#url}${path}`, { signal: timeout() });
    const answer = (await response.json()) as Answer;
    if (answer.status !== "success") throw new Error(`Prometheus: ${answer.error ?? path}`);
    return answer;
  }
}

function namesOf(samples: readonly Sample[]): ReadonlySet<string> {
  return new Set(samples.map(({ labels }) => labels["alertname"] ?? ""));
}

function timeout(): AbortSignal {
  return AbortSignal.timeout(TIMEOUT_MS);
}
