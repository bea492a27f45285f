/** Options that all clients share, and the checks of options: each is read once, in the constructor. */
import { OttlaError } from "../model/errors.ts";
import type { ClientEnvironment } from "./environment.ts";

export interface ClientOptions {
  /**
   * Brokers to begin with, `host:port`, in a list or separated by commas. One is enough: it names
   * all others.
   */
  readonly bootstrapServers: string | readonly string[];
  /** How long the answer to one request may take, in ms. Default 30,000. */
  readonly requestTimeoutMs?: number;
  /**
   * How long to look for a first broker before NO_BROKER_REACHABLE, in ms. Default 5,000. Once the
   * cluster has been reached, the other timeouts decide.
   */
  readonly connectTimeoutMs?: number;
  /** Clock, timers, network and codecs in place of the real ones: for simulations. */
  readonly environment?: Partial<ClientEnvironment>;
}

interface Range {
  readonly min: number;
  readonly max?: number;
}

/** The option's value or its default. Throws INVALID_ARGUMENT with field, value and range. */
export function integerOption(
  name: string,
  value: number | undefined,
  fallback: number,
  { min, max = Number.MAX_SAFE_INTEGER }: Range,
): number {
  if (value === undefined) return fallback;
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  const allowed = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `${min} to ${max}`;
  throw new OttlaError(
    "INVALID_ARGUMENT",
    `${name} is ${value}, allowed is an integer of ${allowed}`,
    { field: name },
  );
}

export function choiceOption<Choice extends string | number>(
  name: string,
  value: Choice | undefined,
  fallback: Choice,
  choices: readonly Choice[],
): Choice {
  if (value === undefined) return fallback;
  if (choices.includes(value)) return value;
  const allowed = choices.map((each) => JSON.stringify(each)).join(", ");
  throw new OttlaError(
    "INVALID_ARGUMENT",
    `${name} is ${JSON.stringify(value)}, allowed are ${allowed}`,
    { field: name },
  );
}

export interface SharedOptions {
  readonly requestTimeoutMs: number;
  readonly connectTimeoutMs: number;
}

export function sharedOptions(options: ClientOptions): SharedOptions {
  const { connectTimeoutMs, requestTimeoutMs } = options;
  return {
    requestTimeoutMs: integerOption("requestTimeoutMs", requestTimeoutMs, 30_000, { min: 1 }),
    connectTimeoutMs: integerOption("connectTimeoutMs", connectTimeoutMs, 5_000, { min: 1 }),
  };
}
