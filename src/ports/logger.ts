export type LogFields = Readonly<Record<string, unknown>>;

/** Structured log; `message` is a fixed sentence, what varies stands in `fields`. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  /** Something is wrong that a person should look at. A simulation run fails on it unless a fault explains it. */
  error(message: string, fields?: LogFields): void;
  child(fields: LogFields): Logger;
}
