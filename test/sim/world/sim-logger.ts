/** What a simulated process logs goes to whoever watches its machine. */
import type { LogFields, Logger } from "../../../src/ports/logger.ts";
import type { Incarnation, LogLevel } from "./sim-node.ts";

export class SimLogger implements Logger {
  readonly #incarnation: Incarnation;
  readonly #fields: LogFields;

  constructor(incarnation: Incarnation, fields: LogFields = {}) {
    this.#incarnation = incarnation;
    this.#fields = fields;
  }

  debug(message: string, fields?: LogFields): void {
    this.#line("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#line("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#line("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#line("error", message, fields);
  }

  child(fields: LogFields): Logger {
    return new SimLogger(this.#incarnation, { ...this.#fields, ...fields });
  }

  #line(level: LogLevel, message: string, fields: LogFields = {}): void {
    const { node, world, alive } = this.#incarnation;
    if (!alive) return;
    node.onLog({
      atMs: world.nowMs,
      node: node.name,
      level,
      message,
      fields: { ...this.#fields, ...fields },
    });
  }
}
